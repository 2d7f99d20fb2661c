//! Root keys under a key file, and the files that are refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use coffer_seal::{
    device::{Binding, Device as _, DeviceError, DeviceTrouble, Wrapped},
    file::KeyFile,
};
use coffer_secmem::Key32;
use coffer_types::{Entropy, EntropyError, EnvironmentId, StoreId, WrapId};
use keystore_format::{
    kdf::Context,
    seal_record::{Wrap, WrapState, WrapType, root_id},
};
use std::{
    fs::{self, Permissions},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

const CONTEXT: Context = Context { store: StoreId([1; 16]), environment: EnvironmentId([2; 16]) };

struct Os;

impl Entropy for Os {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes)).map_err(|_| EntropyError)
    }
}

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

/// A folder of the test's own, with a key file `key`.
fn furnished() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    KeyFile::create(&path, &Os).unwrap();
    (folder, path)
}

fn device(path: &Path) -> KeyFile {
    KeyFile::new(path.to_owned(), Arc::new(Os))
}

fn root(wrap: u8) -> (Key32, Binding) {
    let key = Key32::derive(|key| key.fill(0xc0 | wrap));
    let root_id = root_id(key.expose(), &CONTEXT);
    (key, Binding { context: CONTEXT, wrap: WrapId([wrap; 16]), root_id })
}

fn wrap(made: Wrapped, binding: &Binding) -> Wrap {
    let Wrapped { parameters, blob } = made;
    Wrap { id: binding.wrap, wrap_type: WrapType::File, state: WrapState::Current, parameters, blob }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn works(path: &Path) {
    let (key, binding) = root(9);
    let mut device = device(path);
    let made = wrap(device.wrap(&key, &binding).unwrap(), &binding);
    assert_eq!(device.unwrap(&made, &binding).unwrap().expose(), key.expose());
    device.health().unwrap();
}

fn refused<T>(result: Result<T, DeviceError>, kind: DeviceTrouble, says: &str) {
    let Err(error) = result else { panic!("not refused: {says}") };
    assert!(error.kind == kind && error.sentence.contains(says), "{error:?} and not {kind:?}: {says}");
    assert!(error.sentence.contains(": ") && !error.sentence.contains("/tmp"), "{error}");
}

/// Refused in whatever is asked of it, wrapping, opening and health.
fn unusable(path: &Path, kind: DeviceTrouble, says: &str) {
    let (key, binding) = root(1);
    let mut device = device(path);
    refused(device.wrap(&key, &binding), kind, says);
    let any = Wrapped { parameters: Vec::new(), blob: vec![1; 73] };
    refused(device.unwrap(&wrap(any, &binding), &binding), kind, says);
    refused(device.health(), kind, says);
}

#[test]
fn a_key_file_is_made_once_for_its_owner_alone_and_wraps_and_opens() {
    let (folder, path) = furnished();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.len(), found.mode() & 0o7777), (32, 0o600));
    works(&path);
    let before = fs::read(&path).unwrap();
    refused(KeyFile::create(&path, &Os), DeviceTrouble::Configuration, "is there already");
    assert_eq!(fs::read(&path).unwrap(), before, "no key is overwritten");
    let link = folder.path().join("link");
    symlink(folder.path().join("nowhere"), &link).unwrap();
    refused(KeyFile::create(&link, &Os), DeviceTrouble::Configuration, "is there already");
    let other = folder.path().join("other");
    let failed = KeyFile::create(&other, &NoEntropy);
    assert!(failed.is_err_and(|error| error.kind == DeviceTrouble::Failed) && !other.exists());
    KeyFile::create(&other, &Os).unwrap();
    assert_ne!(fs::read(&other).unwrap(), before);
    // Another device of the same file opens what this one made; one of another file does not.
    let (key, binding) = root(1);
    let made = wrap(device(&path).wrap(&key, &binding).unwrap(), &binding);
    assert_eq!(device(&path).unwrap(&made, &binding).unwrap().expose(), key.expose());
    refused(device(&other).unwrap(&made, &binding), DeviceTrouble::NotAuthentic, "configure the file");
}

#[test]
fn what_a_kill_left_of_a_key_file_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    // It is there as a whole or not at all: what is written stands beside it first.
    fs::write(folder.path().join("seal.key.new"), b"half a key").unwrap();
    KeyFile::create(&path, &Os).unwrap();
    works(&path);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["seal.key"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_key_file_that_others_can_read_or_change_is_refused() {
    let (_folder, path) = furnished();
    for bits in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666] {
        mode(&path, bits);
        unusable(&path, DeviceTrouble::Configuration, "must be 0600 or 0400");
    }
    mode(&path, 0o400);
    works(&path);
}

#[test]
fn a_key_file_of_another_length_or_none_is_refused() {
    let (folder, path) = furnished();
    let key = fs::read(&path).unwrap();
    for length in [0, 1, 31] {
        fs::write(&path, &key[..length]).unwrap();
        unusable(&path, DeviceTrouble::Configuration, "32 bytes");
    }
    for longer in [33, 64, 1 << 20] {
        fs::write(&path, vec![7; longer]).unwrap();
        unusable(&path, DeviceTrouble::Configuration, "32 bytes");
    }
    fs::remove_file(&path).unwrap();
    unusable(&path, DeviceTrouble::Unreachable, "is not there");
    fs::create_dir(&path).unwrap();
    mode(&path, 0o700);
    unusable(&path, DeviceTrouble::Configuration, "is not a regular file");
    fs::remove_dir(&path).unwrap();
    // A pipe that nobody writes to must not be waited for.
    let pipe = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap();
    assert!(pipe.success());
    unusable(&path, DeviceTrouble::Configuration, "is not a regular file");
    fs::remove_file(&path).unwrap();
    refused(KeyFile::create(&folder.path().join("no/key"), &Os), DeviceTrouble::Unreachable, "is not there");
    fs::write(&path, &key).unwrap();
    mode(&path, 0o600);
    works(&path);
}

#[test]
fn a_key_file_where_others_can_put_another_is_refused() {
    let (folder, path) = furnished();
    let shared = folder.path().join("shared");
    let inner = shared.join("inner");
    fs::create_dir_all(&inner).unwrap();
    mode(&inner, 0o700);
    fs::copy(&path, inner.join("key")).unwrap();
    // A link in a good folder that leads through a bad one, to a file or by another link; and the bad one itself.
    let direct = folder.path().join("direct");
    symlink(inner.join("key"), &direct).unwrap();
    symlink(&path, shared.join("back")).unwrap();
    let by_link = folder.path().join("by_link");
    symlink(shared.join("back"), &by_link).unwrap();
    let relative = folder.path().join("relative");
    symlink("shared/inner/key", &relative).unwrap();
    let ways = [inner.join("key"), direct, by_link, relative, shared.join("back")];
    for bits in [0o777, 0o770, 0o720, 0o702] {
        mode(&shared, bits);
        for way in &ways {
            unusable(way, DeviceTrouble::Configuration, "put another in its place");
        }
        refused(KeyFile::create(&shared.join("new"), &Os), DeviceTrouble::Configuration, "put another");
        works(&path);
    }
    // In a folder like /tmp nobody can replace what is not theirs.
    for bits in [0o755, 0o700, 0o1777] {
        mode(&shared, bits);
        ways.iter().for_each(|way| works(way));
    }
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    let (folder, path) = furnished();
    let foreign = 54_321;
    if chown(&path, Some(foreign), None).is_err() {
        // Only root can give files away; a file of root's is then as good as one of ours.
        assert_ne!(fs::metadata(&path).unwrap().uid(), 0);
        return;
    }
    unusable(&path, DeviceTrouble::Configuration, "belongs to another user");
    chown(&path, Some(0), None).unwrap();
    works(&path);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    works(&link);
    std::os::unix::fs::lchown(&link, Some(foreign), None).unwrap();
    unusable(&link, DeviceTrouble::Configuration, "put another in its place");
    chown(folder.path(), Some(foreign), None).unwrap();
    unusable(&path, DeviceTrouble::Configuration, "put another in its place");
}

#[test]
fn a_wrap_altered_at_any_byte_or_of_another_place_is_refused() {
    let (_folder, path) = furnished();
    let mut device = device(&path);
    let ((key, here), (other, there)) = (root(1), root(2));
    let made = wrap(device.wrap(&key, &here).unwrap(), &here);
    let theirs = wrap(device.wrap(&other, &there).unwrap(), &there);
    let mut refuse = |altered: Wrap, binding: &Binding| {
        refused(device.unwrap(&altered, binding), DeviceTrouble::NotAuthentic, "was altered");
    };
    for at in 0..made.blob.len() {
        let mut altered = made.clone();
        altered.blob[at] ^= 1 << (at % 8);
        refuse(altered, &here);
    }
    refuse(Wrap { blob: made.blob[..72].to_vec(), ..made.clone() }, &here);
    refuse(Wrap { parameters: vec![0], ..made.clone() }, &here);
    refuse(Wrap { wrap_type: WrapType::Inherit, ..made.clone() }, &here);
    refuse(theirs, &here);
    refuse(made.clone(), &Binding { wrap: WrapId([7; 16]), ..here });
    assert_eq!(device.unwrap(&made, &here).unwrap().expose(), key.expose());
}
