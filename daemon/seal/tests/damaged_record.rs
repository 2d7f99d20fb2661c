//! A seal record of which one copy, or the only one, was altered on disk, as devices open it. For shares: `unsealing.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use coffer_seal::{
    Seal, Threshold,
    device::{Binding, Device, DeviceError, DeviceTrouble, Given, Wrapped},
    devices::{Configured, Devices},
    file::KeyFile,
    rekey::NewShares,
    seals,
};
use coffer_secmem::Key32;
use coffer_types::{Entropy, EntropyError, EnvironmentId, EnvironmentPath, StoreId};
use keystore_format::{
    kdf::Context,
    seal_record::{Unverified, Wrap, WrapType},
};
use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

const HERE: Context = Context { store: StoreId([1; 16]), environment: EnvironmentId([2; 16]) };

struct Os;

impl Entropy for Os {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let random = std::fs::File::open("/dev/urandom");
        random.and_then(|mut file| file.read_exact(bytes)).map_err(|_| EntropyError)
    }
}

/// Says the same to whatever it is asked, and counts.
struct Refusing {
    kind: DeviceTrouble,
    asked: Arc<AtomicU32>,
}

impl Device for Refusing {
    fn wrap_type(&self) -> WrapType {
        WrapType::File
    }

    fn wrap(&mut self, _: &Key32, _: &Binding) -> Result<Wrapped, DeviceError> {
        Err(DeviceError::new(self.kind, "no"))
    }

    fn unwrap(&mut self, _: &Wrap, _: &Binding) -> Result<Key32, DeviceError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Err(DeviceError::new(self.kind, "no"))
    }

    fn health(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

fn devices(device: Box<dyn Device>) -> Devices {
    let environments = vec![EnvironmentPath::root()];
    let disk = Configured { name: "disk".to_owned(), environments, root_ids: Vec::new(), device };
    Devices::new(vec![disk]).unwrap()
}

/// A root key, its seal record by `disk` and by two shares, and the device.
fn sealed() -> (tempfile::TempDir, Key32, Vec<u8>, Devices) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    KeyFile::create(&path, &Os).unwrap();
    let devices = devices(Box::new(KeyFile::new(path, Arc::new(Os))));
    let root_key = Key32::derive(|key| key.fill(0xc1));
    let disk = devices.find("disk", &EnvironmentPath::root()).unwrap();
    let wrap = disk.wrap(&root_key, HERE, None, &Given::default(), &Os).unwrap();
    let (shares, _) = NewShares::new(HERE, Threshold::new(2, 2).unwrap(), &Os).unwrap();
    let (record, _) = seals::first(HERE, &root_key, vec![wrap], Some(&shares), &Os).unwrap();
    let record = record.encode(root_key.expose()).unwrap();
    (folder, root_key, record, devices)
}

fn open(devices: &Devices, copies: &[&Vec<u8>]) -> Result<[u8; 32], Vec<String>> {
    let copies = copies.iter().map(|copy| (*copy).clone()).collect();
    let Ok(seal) = Seal::found(HERE, copies) else { return Err(Vec::new()) };
    match devices.open(&seal, &EnvironmentPath::root(), None, &Given::default()) {
        Ok(opened) => Ok(*opened.root_key.expose()),
        Err(refused) => Err(refused.into_iter().map(|refused| refused.error.sentence).collect()),
    }
}

#[test]
fn altered_anywhere_it_never_opens_and_beside_a_sound_copy_it_always_does() {
    let (_folder, root_key, sound, devices) = sealed();
    let right = Ok(*root_key.expose());
    assert_eq!(open(&devices, &[&sound]), right);
    let mut told = std::collections::BTreeSet::new();
    for bit in 0..sound.len() * 8 {
        let mut altered = sound.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let sentences = open(&devices, &[&altered]).err().unwrap_or_else(|| panic!("bit {bit} opened"));
        // One for each wrap at most: one by shares may now say that it is by a device.
        assert!(sentences.len() <= 2, "bit {bit}: {sentences:?}");
        told.extend(sentences);
        for copies in [[&altered, &sound], [&sound, &altered]] {
            assert_eq!(open(&devices, &copies), right, "bit {bit}");
        }
    }
    for sentence in &told {
        assert!(!sentence.contains(['\n']) && !sentence.contains(". ") && sentence.len() < 260, "{sentence}");
    }
    assert!(told.len() > 3, "{told:?}");
}

#[test]
fn a_pin_is_not_shown_again_for_the_sake_of_another_copy() {
    let (_folder, _, sound, _) = sealed();
    // A share's digest: the wraps are the same in both copies.
    let mut altered = sound.clone();
    let digest = Unverified::decode(&sound).unwrap().claimed().share_digests[0].digest;
    let at = sound.windows(32).position(|bytes| bytes == digest).unwrap();
    altered[at] ^= 1;
    for (kind, times, is_well) in [
        (DeviceTrouble::WrongPin, 1, false),
        (DeviceTrouble::Locked, 1, false),
        (DeviceTrouble::Unreachable, 1, false),
        (DeviceTrouble::Failed, 2, false),
        (DeviceTrouble::NotAuthentic, 2, false),
        (DeviceTrouble::Configuration, 2, false),
        (DeviceTrouble::Policy, 2, false),
        // Nobody has been asked for it yet.
        (DeviceTrouble::NeedsPin, 2, true),
    ] {
        let asked = Arc::default();
        let devices = devices(Box::new(Refusing { kind, asked: Arc::clone(&asked) }));
        devices.look();
        assert_eq!(open(&devices, &[&altered, &sound]), Err(vec!["no".to_owned()]), "{kind:?}");
        assert_eq!(asked.load(Ordering::SeqCst), times, "{kind:?}");
        let seal = Seal::found(HERE, vec![sound.clone()]).unwrap();
        let wrap = seal.wraps().into_iter().find(|wrap| wrap.name == "disk").unwrap();
        let health = devices.iter().next().unwrap().health_for(wrap.id).unwrap();
        assert_eq!(health.is_ok(), is_well, "{kind:?}");
        // What its own health says comes later, and does not hide why a wrap did not open.
        devices.look();
        let health = devices.iter().next().unwrap().health_for(wrap.id).unwrap();
        let is_of_wrap = matches!(
            kind,
            DeviceTrouble::NotAuthentic | DeviceTrouble::Configuration | DeviceTrouble::Policy
        );
        assert_eq!(health.is_ok(), !is_of_wrap, "{kind:?}");
    }
}
