use super::lab::{OWNER, PIN, Swtpm, owner, refusal, root_key};
use coffer_seal::device::DeviceTrouble;
use coffer_secmem::Key32;

const INDEX: u32 = 0x0150_0020;

#[test]
fn a_counter_grows_outlives_a_restart_and_is_defined_once() {
    let mut tpm = Swtpm::owned();
    let mut device = tpm.device(None, Some(PIN));
    let auth = root_key();
    let first = device.define_counter(INDEX, &owner(), &auth).unwrap();
    let srk = device.srk_name().unwrap();
    assert_eq!(device.read_counter(INDEX, &srk, &auth).unwrap(), first);
    for step in 1..=3 {
        // Asked twice, it counts once.
        for _ in 0..2 {
            assert_eq!(device.raise_counter(INDEX, &srk, &auth, first + step).unwrap(), first + step);
        }
    }
    for wanted in [0, first, first + 5] {
        assert_eq!(device.raise_counter(INDEX, &srk, &auth, wanted).unwrap(), first + 3, "wanted {wanted}");
    }
    let again = device.define_counter(INDEX, &owner(), &auth).map(drop);
    refusal(again, DeviceTrouble::NotAuthentic, "is there already");
    tpm.restart();
    assert_eq!(device.read_counter(INDEX, &srk, &auth).unwrap(), first + 3);
    assert_eq!(tpm.left_behind(), "");

    tpm.replace();
    let elsewhere = device.read_counter(INDEX, &srk, &auth).map(drop);
    refusal(elsewhere, DeviceTrouble::NotAuthentic, "storage root key");
}

#[test]
fn a_counter_that_somebody_put_in_its_place_is_named() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(None, Some(PIN));
    let auth = root_key();
    let first = device.define_counter(INDEX, &owner(), &auth).unwrap();
    let srk = device.srk_name().unwrap();
    let other = Key32::derive(|key| key.fill(9));
    let wrong = device.raise_counter(INDEX, &srk, &other, first + 1).map(drop);
    refusal(wrong, DeviceTrouble::NotAuthentic, "does not know its authorisation");

    let index = format!("{INDEX:#x}");
    let undefine = ["-C", "owner", "-P", OWNER, &index];
    tpm.tool("tpm2_nvundefine", &undefine);
    let gone = device.read_counter(INDEX, &srk, &auth).map(drop);
    refusal(gone, DeviceTrouble::NotAuthentic, "is not there");
    let define = |attributes: &str, words: &[&str]| {
        let all =
            [&["-C", "owner", "-P", OWNER, "-a", attributes, "-p", "theirs"], words, &[&index]].concat();
        tpm.tool("tpm2_nvdefine", &all);
    };
    define("nt=counter|authwrite|authread|no_da", &[]);
    tpm.tool("tpm2_nvincrement", &["-C", &index, "-P", "theirs", &index]);
    let theirs = device.read_counter(INDEX, &srk, &auth).map(drop);
    refusal(theirs, DeviceTrouble::NotAuthentic, "does not know its authorisation");
    tpm.tool("tpm2_nvundefine", &undefine);
    // A place that can be written is no counter.
    define("authwrite|authread|no_da", &["-s", "8"]);
    let written = device.read_counter(INDEX, &srk, &auth).map(drop);
    refusal(written, DeviceTrouble::NotAuthentic, "was defined otherwise");
    tpm.tool("tpm2_nvundefine", &undefine);
    // Defined anew it goes on above what it was.
    assert!(device.define_counter(INDEX, &owner(), &auth).unwrap() > first);
}
