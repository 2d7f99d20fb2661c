use super::lab::{
    OWNER, PIN, ROOT_KEY, Swtpm, binding, config, nobody, opens, owner, refusal, refused, seal,
};
use coffer_seal::device::{Device, DeviceTrouble};
use coffer_seal::tpm::{APPROVAL_INDEX, Approval, TpmDevice};
use keystore_format::tpm_wrap::{TpmBlob, TpmParameters};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Instant};

const PCRS: Option<&str> = Some("sha256:7,11");

#[test]
fn a_root_key_comes_back_by_registers_by_pin_and_by_both() {
    let tpm = Swtpm::owned();
    let long_pin = "a sentence that is longer than the 32 bytes which a TPM takes for a PIN";
    for (pcrs, pin) in [
        (PCRS, None),
        (PCRS, Some(PIN)),
        (None, Some(PIN)),
        (Some("sha384:0,1,2,3,4,5,6,7,8,9,10,23"), Some(long_pin)),
        // The TPM takes trailing zeroes off.
        (None, Some("ends in zeroes\0\0")),
    ] {
        let mut device = tpm.device(pcrs, pin);
        device.approve(&owner()).unwrap();
        let wrap = seal(&mut device);
        opens(&mut device, &wrap);
        let parameters = TpmParameters::decode(&wrap.parameters).unwrap();
        assert_eq!(parameters.srk_name, device.srk_name().unwrap());
        assert_eq!((parameters.pin, parameters.pcrs.is_some()), (pin.is_some(), pcrs.is_some()));
        if pin.is_some() {
            refused(&mut tpm.device(pcrs, None), &wrap, DeviceTrouble::NeedsPin, "needs its PIN");
            refused(&mut tpm.device(pcrs, Some("")), &wrap, DeviceTrouble::Configuration, "the PIN is empty");
        }
    }
    assert_eq!(tpm.wrong_tries(), 0);
}

#[test]
fn a_machine_that_was_started_otherwise_opens_once_that_is_approved() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    tpm.extend();
    refused(
        &mut device,
        &wrap,
        DeviceTrouble::Policy,
        "started with other firmware or software than was approved",
    );
    assert_eq!(tpm.wrong_tries(), 0, "the PIN was not shown");
    device.approve(&owner()).unwrap();
    opens(&mut device, &wrap);
}

#[test]
fn an_update_that_is_approved_before_the_restart_opens_after_it() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, None);
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    let register_7: [u8; 32] = Sha256::new().chain_update([0; 32]).chain_update([1; 32]).finalize().into();
    let expected = Sha256::new().chain_update(register_7).chain_update([0; 32]).finalize().into();
    device.approve_expected(&owner(), expected).unwrap();
    refused(&mut device, &wrap, DeviceTrouble::Policy, "than was approved");
    tpm.extend();
    opens(&mut device, &wrap);
}

#[test]
fn a_withdrawn_approval_opens_nothing_until_there_is_another() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, None);
    refusal(device.withdraw(&owner()), DeviceTrouble::Policy, "no approval");
    let wrap = {
        let wrap = seal(&mut device);
        refused(&mut device, &wrap, DeviceTrouble::Policy, "no approval lies in it");
        device.approve(&owner()).unwrap();
        opens(&mut device, &wrap);
        wrap
    };
    device.withdraw(&owner()).unwrap();
    assert_eq!(device.approval().unwrap(), Approval::Withdrawn);
    refused(&mut device, &wrap, DeviceTrouble::Policy, "the approval was withdrawn");
    // A policy that has met no condition is not what lies there either.
    let mut without = TpmParameters::decode(&wrap.parameters).unwrap();
    (without.pcrs, without.pin) = (None, true);
    let mut altered = wrap.clone();
    altered.parameters = without.encode().unwrap();
    assert!(tpm.device(None, Some(PIN)).unwrap(&altered, &binding()).is_err());
    device.approve(&owner()).unwrap();
    opens(&mut device, &wrap);

    tpm.tool("tpm2_nvundefine", &["-C", "owner", "-P", OWNER, &format!("{APPROVAL_INDEX:#x}")]);
    refused(&mut device, &wrap, DeviceTrouble::Policy, "no approval lies in it");
    let attributes = "ownerwrite|authread|ownerread|no_da";
    let index = format!("{APPROVAL_INDEX:#x}");
    tpm.tool("tpm2_nvdefine", &["-C", "owner", "-P", OWNER, "-s", "34", "-a", attributes, &index]);
    refused(&mut device, &wrap, DeviceTrouble::Policy, "holds something else");
    refusal(device.approve(&owner()), DeviceTrouble::Policy, "holds something else");
}

#[test]
fn only_the_owner_approves_and_registers_ask_for_an_owner_password() {
    let tpm = Swtpm::new();
    let mut registers = tpm.device(PCRS, None);
    refusal(registers.approve(&nobody()), DeviceTrouble::Configuration, "must not be empty");
    let mut pin_only = tpm.device(None, Some(PIN));
    pin_only.approve(&nobody()).unwrap();
    let wrap = seal(&mut pin_only);
    opens(&mut pin_only, &wrap);
    refusal(
        tpm.device(None, None).approve(&nobody()),
        DeviceTrouble::Configuration,
        "registers, a PIN or both",
    );

    tpm.tool("tpm2_changeauth", &["-c", "owner", OWNER]);
    refused(&mut pin_only, &wrap, DeviceTrouble::Configuration, "no storage root key at 0x81000001");
    let wrong = zeroize::Zeroizing::new(b"not the owner".to_vec());
    refusal(registers.approve(&wrong), DeviceTrouble::WrongPin, "owner password");
    pin_only.approve(&owner()).unwrap();
    opens(&mut pin_only, &wrap);
    refusal(registers.withdraw(&wrong), DeviceTrouble::WrongPin, "owner password");
    refusal(registers.withdraw(&nobody()), DeviceTrouble::WrongPin, "owner password");
    opens(&mut pin_only, &wrap);
}

#[test]
fn another_key_at_the_place_of_the_storage_root_key_is_passed_over() {
    let tpm = Swtpm::new();
    tpm.tool("tpm2_createprimary", &["-C", "owner", "-G", "rsa2048", "-c", "rsa.ctx"]);
    tpm.tool("tpm2_evictcontrol", &["-C", "owner", "-c", "rsa.ctx", "0x81000001"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let mut device = tpm.device(None, Some(PIN));
    device.approve(&nobody()).unwrap();
    let wrap = seal(&mut device);
    opens(&mut device, &wrap);
    // With an owner password, the right key must lie there.
    tpm.tool("tpm2_changeauth", &["-c", "owner", OWNER]);
    refusal(device.approve(&owner()), DeviceTrouble::Configuration, "another key lies at 0x81000001");
}

#[test]
fn the_only_key_that_was_pinned_will_do() {
    let tpm = Swtpm::new();
    let address = super::lab::at(tpm.port);
    let mut device = tpm.device(None, Some(PIN));
    device.approve(&nobody()).unwrap();
    let wrap = seal(&mut device);
    let mut config = config(address, None, Some(PIN));
    let mut name = device.srk_name().unwrap();
    name[20] ^= 1;
    config.srk_name = Some(name);
    let mut pinned = TpmDevice::new(config, Arc::new(super::lab::Urandom));
    refused(&mut pinned, &wrap, DeviceTrouble::NotAuthentic, "is not the one that sealed this");
}

#[test]
fn tpm2_tools_open_what_was_sealed_and_read_what_was_approved() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    let TpmBlob { public, private } = TpmBlob::decode(&wrap.blob).unwrap();
    for (name, area) in [("object.pub", public), ("object.priv", private)] {
        let sized = [&u16::try_from(area.len()).unwrap().to_be_bytes()[..], &area].concat();
        std::fs::write(tpm.file(name), sized).unwrap();
    }
    let index = format!("{APPROVAL_INDEX:#x}");
    tpm.tool("tpm2_load", &["-C", "0x81000001", "-u", "object.pub", "-r", "object.priv", "-c", "object.ctx"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    tpm.tool("tpm2_startauthsession", &["--policy-session", "-S", "session.ctx"]);
    tpm.tool("tpm2_policypcr", &["-S", "session.ctx", "-l", "sha256:7,11"]);
    tpm.tool("tpm2_policyauthvalue", &["-S", "session.ctx", "-L", "approved.policy"]);
    tpm.tool("tpm2_policyauthorizenv", &["-S", "session.ctx", "-C", &index, "-L", "object.policy", &index]);
    let key = tpm.tool("tpm2_unseal", &["-c", "object.ctx", "-p", &format!("session:session.ctx+{PIN}")]);
    assert_eq!(key, ROOT_KEY);
    tpm.tool("tpm2_flushcontext", &["session.ctx"]);
    let approved = std::fs::read(tpm.file("approved.policy")).unwrap();
    assert_eq!(device.approval().unwrap(), Approval::Policy(approved.try_into().unwrap()));
}

#[test]
fn fifty_openings_and_every_refusal_leave_nothing_in_the_tpm() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            opens(&mut device, &wrap);
            begun.elapsed()
        })
        .collect();
    times.sort();
    eprintln!("unseal with registers and PIN, 50 times: p50 {:?}, p90 {:?}", times[25], times[45]);
    assert_eq!(tpm.left_behind(), "");

    let mut wrong = tpm.device(PCRS, Some("wrong"));
    refused(&mut wrong, &wrap, DeviceTrouble::WrongPin, "is wrong");
    let mut altered = wrap.clone();
    *altered.blob.last_mut().unwrap() ^= 1;
    refused(&mut device, &altered, DeviceTrouble::NotAuthentic, "does not know the sealed object");
    device.withdraw(&owner()).unwrap();
    refused(&mut device, &wrap, DeviceTrouble::Policy, "withdrawn");
    device.approve(&owner()).unwrap();
    tpm.extend();
    refused(&mut device, &wrap, DeviceTrouble::Policy, "than was approved");
    device.health().unwrap();
    assert_eq!(tpm.left_behind(), "");
}

#[test]
fn a_wrap_that_is_altered_anywhere_opens_nothing_and_shows_no_pin() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    for at in 0..wrap.parameters.len() + wrap.blob.len() {
        let mut altered = wrap.clone();
        match at.checked_sub(wrap.parameters.len()) {
            None => altered.parameters[at] ^= 1 << (at % 8),
            Some(at) => altered.blob[at] ^= 1 << (at % 8),
        }
        let Err(error) = device.unwrap(&altered, &binding()) else {
            panic!("byte {at} altered, and it opened")
        };
        assert!(
            matches!(error.kind, DeviceTrouble::NotAuthentic | DeviceTrouble::Policy),
            "byte {at}: {error:?}"
        );
        *kinds.entry(format!("{:?}", error.kind)).or_default() += 1;
    }
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert_eq!(tpm.wrong_tries(), 0);
    assert_eq!(tpm.left_behind(), "");
    opens(&mut device, &wrap);
}
