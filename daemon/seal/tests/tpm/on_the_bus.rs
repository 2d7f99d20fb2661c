use super::{
    bus::{Act, Bus},
    lab::{
        OWNER, PIN, ROOT_KEY, Swtpm, binding, device_at, nobody, opens, owner, refusal, refused, root_key,
        seal,
    },
};
use coffer_seal::device::{Device, DeviceTrouble};
use keystore_format::tpm_wrap::TpmParameters;

const PCRS: Option<&str> = Some("sha256:7,11");
const CREATE_PRIMARY: u32 = 0x131;
const UNSEAL: u32 = 0x15e;
const PCR_READ: u32 = 0x17e;
const READ_PUBLIC: u32 = 0x173;

#[test]
fn whoever_listens_learns_neither_root_key_nor_pin_nor_owner_password() {
    let tpm = Swtpm::owned();
    let bus = Bus::new(&tpm, |_| Act::Pass);
    let mut device = device_at(bus.port, PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    opens(&mut device, &wrap);
    device.define_counter(0x0150_0001, &owner(), &root_key()).unwrap();
    assert!(bus.heard_bytes() > 2000 && bus.heard(&[0x80, 0x01]) > 10, "{}", bus.heard_bytes());
    for secret in [&ROOT_KEY[..], PIN.as_bytes(), OWNER.as_bytes()] {
        assert_eq!(bus.heard(secret), 0);
    }

    // The same by a client that does not hide them, to see that this would have been heard.
    std::fs::write(tpm.file("key"), ROOT_KEY).unwrap();
    let words = ["-C", "0x81000001", "-i", "key", "-p", PIN, "-u", "plain.pub", "-r", "plain.priv"];
    tpm.tool_at(bus.port, "tpm2_create", &words);
    assert!(bus.heard(&ROOT_KEY) > 0 && bus.heard(PIN.as_bytes()) > 0);
}

#[test]
fn a_storage_root_key_that_somebody_put_in_its_place_is_named() {
    let (tpm, other) = (Swtpm::new(), Swtpm::new());
    let mut device = tpm.device(None, Some(PIN));
    device.approve(&nobody()).unwrap();
    let wrap = seal(&mut device);
    let theirs = point_of(&other);
    for command in [CREATE_PRIMARY, READ_PUBLIC] {
        if command == READ_PUBLIC {
            tpm.tool("tpm2_changeauth", &["-c", "owner", OWNER]);
            device.approve(&owner()).unwrap();
        }
        let ours = point_of(&tpm);
        let bus = Bus::new(&tpm, move |sent| {
            if sent != command {
                return Act::Pass;
            }
            Act::Alter(Box::new(move |answer| {
                let Some(at) = answer.windows(ours.len()).position(|window| window == ours) else { return };
                answer[at..at + ours.len()].copy_from_slice(&theirs);
            }))
        });
        let mut device = device_at(bus.port, None, Some(PIN));
        refused(
            &mut device,
            &wrap,
            DeviceTrouble::NotAuthentic,
            "or somebody on the bus put a key of theirs",
        );
        // With nothing to compare it with, the TPM itself can't follow the session: nothing is sealed to that key.
        assert!(device.wrap(&root_key(), &binding()).is_err());
        assert_eq!(bus.heard(&ROOT_KEY), 0);
    }
}

/// Both coordinates of its storage root key, as the TPM writes them.
fn point_of(tpm: &Swtpm) -> [u8; 68] {
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    let persistent = String::from_utf8(tpm.tool("tpm2_getcap", &["handles-persistent"])).unwrap();
    if persistent.contains("0x81000001") {
        tpm.tool("tpm2_readpublic", &["-c", "0x81000001", "-o", "srk.pub"]);
    } else {
        let template = ["-C", "owner", "-G", "ecc256", "-a", attributes, "-c", "srk.ctx"];
        tpm.tool("tpm2_createprimary", &template);
        tpm.tool("tpm2_flushcontext", &["-t"]);
        tpm.tool("tpm2_readpublic", &["-c", "srk.ctx", "-o", "srk.pub"]);
        tpm.tool("tpm2_flushcontext", &["-t"]);
    }
    let public = std::fs::read(tpm.file("srk.pub")).unwrap();
    *public.last_chunk().unwrap()
}

#[test]
fn an_answer_that_was_altered_on_its_way_is_noticed() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, None);
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    // Bytes of the secret, of the nonce, and of the HMAC.
    for from_end in [100, 50, 1] {
        let bus = Bus::new(&tpm, move |command| match command {
            UNSEAL => Act::Alter(Box::new(move |answer| {
                let at = answer.len() - from_end;
                answer[at] ^= 1;
            })),
            _ => Act::Pass,
        });
        let mut device = device_at(bus.port, PCRS, None);
        refused(&mut device, &wrap, DeviceTrouble::NotAuthentic, "was altered on its way");
    }
    assert_eq!(tpm.left_behind(), "");
}

#[test]
fn registers_that_somebody_shows_in_place_of_the_true_ones_are_not_approved() {
    let tpm = Swtpm::owned();
    let bus = Bus::new(&tpm, |command| match command {
        PCR_READ => Act::Alter(Box::new(|answer| answer[50] ^= 1)),
        _ => Act::Pass,
    });
    let mut device = device_at(bus.port, PCRS, None);
    refusal(device.approve(&owner()), DeviceTrouble::NotAuthentic, "was altered on its way");
    assert_eq!(tpm.device(PCRS, None).approval().unwrap(), coffer_seal::tpm::Approval::Missing);
}

#[test]
fn nonsense_in_place_of_an_answer_is_said_to_be_nonsense() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, None);
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    assert_eq!(
        TpmParameters::decode(&wrap.parameters).unwrap().approval_index,
        coffer_seal::tpm::APPROVAL_INDEX
    );
    let cases: [&[u8]; 4] = [
        &[0; 12],
        &[0x80, 0x01, 0, 0, 0, 11, 0, 0, 0, 0, 7, 7],
        &[0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0],
        &[0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0, 0xff, 0xff],
    ];
    for nonsense in cases {
        let bus = Bus::new(&tpm, move |command| match command {
            READ_PUBLIC => Act::Answer(nonsense.to_vec()),
            _ => Act::Pass,
        });
        refused(&mut device_at(bus.port, PCRS, None), &wrap, DeviceTrouble::Failed, "answers nonsense");
    }
}
