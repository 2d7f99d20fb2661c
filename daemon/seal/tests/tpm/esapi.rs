//! tss-esapi and libtss2 (`tests/esapi`) beside our own client: each opens what the other sealed.
use super::{
    bus::{Act, Bus},
    lab::{PIN, ROOT_KEY, Swtpm, binding, opens, owner, refused, seal},
};
use coffer_seal::{
    device::{Device as _, DeviceTrouble},
    tpm::{APPROVAL_INDEX, Approval},
};
use keystore_format::tpm_wrap::TpmBlob;
use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

const PCRS: Option<&str> = Some("sha256:7,11");
/// Of `TPM2_PublicArea` what comes before the unique part, which is the TPM's: type to scheme.
const TEMPLATE_LEN: usize = 2 + 2 + 4 + 2 + 32 + 2;
/// `TPM_CC_StartAuthSession` and `TPM_CC_Unseal`.
const START_AUTH_SESSION: u32 = 0x176;
const UNSEAL: u32 = 0x15e;

/// What the program says, line by line; none where it fails.
fn esapi(what: &str, port: u16, pin: &str, input: &[&[u8]]) -> Option<BTreeMap<String, Vec<u8>>> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/esapi/Cargo.toml");
    let this = std::env::current_exe().unwrap();
    let target = this.ancestors().nth(3).expect("tests lie in target/<profile>/deps").join("esapi");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path", source]).env("CARGO_TARGET_DIR", &target);
    assert!(cargo.status().unwrap().success(), "tests/esapi does not build: is libtss2-dev there?");
    let mut program = Command::new(target.join("debug/coffer-esapi"))
        .args([what, &port.to_string(), &format!("{APPROVAL_INDEX:#x}"), pin])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("TSS2_LOG", "all+none")
        .spawn()
        .unwrap();
    let input: String = input.iter().map(|line| hex(line) + "\n").collect();
    program.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (name, hex) = line.split_once(' ').unwrap();
        (name.to_owned(), bytes(hex))
    };
    let said: BTreeMap<_, _> = said.lines().map(line).collect();
    if !output.status.success() {
        eprintln!("{what} failed after {said:02x?}");
        return None;
    }
    Some(said)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// `TPM2_PolicyAuthorizeNV` by the index's own empty password, which tss-esapi 7.7 can't send.
fn policy_authorize_nv(session: u32) -> Vec<u8> {
    let mut command = vec![0x80, 0x02, 0, 0, 0, 35, 0, 0, 0x01, 0x92];
    for handle in [APPROVAL_INDEX, APPROVAL_INDEX, session] {
        command.extend_from_slice(&handle.to_be_bytes());
    }
    // TPM_RS_PW, without nonce, attributes and password.
    command.extend_from_slice(&[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
    command
}

/// A bus that sends it before the object is asked for.
fn authorizing(tpm: &Swtpm) -> Bus {
    let session = Arc::new(AtomicU32::new(0));
    Bus::new(tpm, move |command| match command {
        START_AUTH_SESSION => {
            let session = session.clone();
            Act::Alter(Box::new(move |answer| {
                session.store(u32::from_be_bytes(answer[10..14].try_into().unwrap()), Ordering::SeqCst);
            }))
        }
        // Once: libtss2 sends a command again where the TPM asks for that.
        UNSEAL => match session.swap(0, Ordering::SeqCst) {
            0 => Act::Pass,
            session => Act::First(policy_authorize_nv(session)),
        },
        _ => Act::Pass,
    })
}

#[test]
fn tss_esapi_opens_what_was_sealed_and_comes_to_the_policy_that_was_approved() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let TpmBlob { public, private } = TpmBlob::decode(&seal(&mut device).blob).unwrap();
    let said = esapi("unseal", authorizing(&tpm).port, PIN, &[&public, &private]).unwrap();
    assert_eq!(said["key"], ROOT_KEY);
    assert_eq!(said["approved"], [&[0, 0x0b], said["policy"].as_slice()].concat());
    let policy = said["policy"].clone().try_into().unwrap();
    assert_eq!(device.approval().unwrap(), Approval::Policy(policy));
    // Without the approval, with another PIN, or started otherwise: not.
    let plain = Bus::new(&tpm, |_| Act::Pass);
    assert!(esapi("unseal", plain.port, PIN, &[&public, &private]).is_none());
    assert!(esapi("unseal", authorizing(&tpm).port, "another PIN", &[&public, &private]).is_none());
    assert_eq!(tpm.wrong_tries(), 1);
    tpm.extend();
    assert!(esapi("unseal", plain.port, PIN, &[&public, &private]).is_none());
}

#[test]
fn what_tss_esapi_seals_opens() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let ours = seal(&mut device);
    let theirs = |pin: &str, key: &[u8]| {
        let mut said = esapi("seal", tpm.port, pin, &[key]).unwrap();
        let mut part = |name| said.remove(name).unwrap();
        let blob = TpmBlob { public: part("public"), private: part("private") };
        let mut wrap = ours.clone();
        wrap.blob = blob.encode().unwrap();
        (wrap, blob.public)
    };
    let (wrap, public) = theirs(PIN, &ROOT_KEY);
    let own_public = TpmBlob::decode(&ours.blob).unwrap().public;
    assert_eq!(public[..TEMPLATE_LEN], own_public[..TEMPLATE_LEN]);
    opens(&mut device, &wrap);
    let (wrap, _) = theirs("another PIN", &ROOT_KEY);
    refused(&mut device, &wrap, DeviceTrouble::WrongPin, "PIN");
    let (wrap, _) = theirs(PIN, b"too short");
    assert!(device.unwrap(&wrap, &binding()).is_err(), "a root key has 32 bytes");
}
