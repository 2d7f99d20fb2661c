//! What a root key's opening costs beyond the module's own time: everything between the daemon's call and the module's
//! functions, which are measured by the module's own calls in one thread without ours.
use crate::hsm::{EACH, root, with_hsm, wrap};
use coffer_seal::device::Device as _;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::{Mechanism, aead::GcmParams},
    object::Attribute,
    session::UserType,
    types::AuthPin,
};
use keystore_format::device_wraps::Pkcs11Mechanism;
use std::time::{Duration, Instant};

const ROUNDS: usize = 500;

fn times(mut act: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            act();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}

#[test]
#[ignore = "measures; cargo nextest run --release -p coffer-seal --run-ignored only --no-capture -E 'test(measured)'"]
fn opening_a_root_key_is_measured() {
    with_hsm(|hsm| {
        hsm.furnished(&EACH);
        let (key, binding) = root(1);
        let mut first = Vec::new();
        let mut gcm = None;
        for mechanism in EACH {
            let mut device = hsm.device(mechanism);
            let made = wrap(&device.wrap(&key, &binding).unwrap(), &binding);
            drop(device);
            let mut device = hsm.device(mechanism);
            let start = Instant::now();
            device.unwrap(&made, &binding).unwrap();
            first.push(start.elapsed());
            let (p50, p99) = times(|| drop(device.unwrap(&made, &binding).unwrap()));
            println!(
                "measured: {mechanism:?}: with login {:?}, then p50 {p50:?}, p99 {p99:?}",
                first.last().unwrap()
            );
            if mechanism == Pkcs11Mechanism::AesGcm {
                gcm = Some(made);
            }
        }
        let made = gcm.unwrap();
        let module = Pkcs11::new(&hsm.module).unwrap();
        // Ours has it initialised in this process.
        let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
        let slot = module.get_slots_with_initialized_token().unwrap()[0];
        let session = module.open_ro_session(slot).unwrap();
        let _ = session.login(UserType::User, Some(&AuthPin::new(crate::hsm::PIN.into())));
        let handle = session.find_objects(&[Attribute::Label(b"kek".to_vec())]).unwrap()[0];
        let (p50, p99) = times(|| {
            let mut iv = made.blob[1..13].to_vec();
            let data = binding.bytes();
            let by = Mechanism::AesGcm(GcmParams::new(&mut iv, &data, 128.into()).unwrap());
            session.decrypt(&by, handle, &made.blob[13..]).unwrap();
        });
        println!("measured: AesGcm by the module alone: p50 {p50:?}, p99 {p99:?}");
    });
}
