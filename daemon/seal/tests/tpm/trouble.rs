use super::{
    bus::{Act, Bus, code},
    lab::{
        PIN, Swtpm, Urandom, at, binding, config, device_at, nobody, opens, owner, refusal, refused, seal,
    },
};
use coffer_seal::device::{Device, DeviceTrouble, Given};
use coffer_seal::tpm::{Address, TpmDevice};
use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

const PCRS: Option<&str> = Some("sha256:7,11");
const UNSEAL: u32 = 0x15e;
const POLICY_PCR: u32 = 0x17f;

#[test]
fn a_wrong_pin_is_tried_once_and_too_many_of_them_lock_for_a_time_that_is_told() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    for tries in 1..=3 {
        let mut wrong = tpm.device(PCRS, Some("PIN-4711-0816"));
        let words = format!("is wrong; {tries} of 3 wrong tries are used");
        // Once, however often it is asked for; and so that health shows it.
        for _ in 0..3 {
            let error = refused(&mut wrong, &wrap, DeviceTrouble::WrongPin, &words);
            assert!(!error.sentence.contains("4711"), "{error}");
            assert_eq!(tpm.wrong_tries(), tries);
        }
        refusal(wrong.health(), DeviceTrouble::WrongPin, "is not tried again");
        // The one that an operator gives is another.
        let given = Given { pin: Some(Zeroizing::new(PIN.to_owned())), ..Given::default() };
        assert_eq!(wrong.unwrap_given(&wrap, &binding(), &given).is_ok(), tries < 3);
    }
    let mut wrong = tpm.device(PCRS, Some("PIN-4711-0816"));
    let told = "is locked after too many wrong PINs: it takes the next one in 1000 seconds at the latest";
    refused(&mut wrong, &wrap, DeviceTrouble::Locked, told);
    refused(&mut device, &wrap, DeviceTrouble::Locked, told);
    refusal(device.health(), DeviceTrouble::Locked, told);
    tpm.device(PCRS, None).health().unwrap();
    tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
    opens(&mut device, &wrap);
}

#[test]
fn a_lockout_does_not_touch_a_seal_without_pin() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    for _ in 0..3 {
        refused(&mut tpm.device(PCRS, Some("wrong")), &wrap, DeviceTrouble::WrongPin, "is wrong");
    }
    refused(&mut device, &wrap, DeviceTrouble::Locked, "is locked");
    let mut without_pin = tpm.device(PCRS, None);
    without_pin.approve(&owner()).unwrap();
    let wrap = seal(&mut without_pin);
    opens(&mut without_pin, &wrap);
}

#[test]
fn a_tpm_that_was_started_anew_opens_again() {
    let mut tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    opens(&mut device, &wrap);
    tpm.restart();
    opens(&mut device, &wrap);
    // To a TPM that lost its power amid the use of a PIN, that may have been a wrong one.
    assert_eq!(tpm.wrong_tries(), 1);
    refused(&mut tpm.device(PCRS, Some("wrong")), &wrap, DeviceTrouble::WrongPin, "is wrong");
    opens(&mut device, &wrap);
}

#[test]
fn a_tpm_that_was_replaced_is_named() {
    let mut tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    tpm.replace();
    let words = "is not the one that sealed this: its storage root key is 000b";
    refused(&mut device, &wrap, DeviceTrouble::NotAuthentic, words);
    assert_eq!(tpm.left_behind(), "");
}

#[test]
fn a_connection_that_is_lost_once_is_made_again_and_twice_is_told() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, None);
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    for (losses, opens_it) in [(1, true), (2, false)] {
        let mut left = losses;
        let bus = Bus::new(&tpm, move |command| {
            if command == POLICY_PCR && left > 0 {
                left -= 1;
                return Act::Cut;
            }
            Act::Pass
        });
        let mut device = device_at(bus.port, PCRS, None);
        if opens_it {
            opens(&mut device, &wrap);
        } else {
            refused(&mut device, &wrap, DeviceTrouble::Unreachable, "was lost");
        }
        // A connection that breaks takes no flush along; a kernel's resource manager would.
        tpm.tool("tpm2_flushcontext", &["-t"]);
        tpm.tool("tpm2_flushcontext", &["-l"]);
    }
}

#[test]
fn a_pin_is_not_shown_again_after_a_lost_connection() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, Some(PIN));
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    let shown = Arc::new(AtomicU32::new(0));
    let count = shown.clone();
    let bus = Bus::new(&tpm, move |command| {
        if command == UNSEAL {
            count.fetch_add(1, Ordering::SeqCst);
            return Act::CutAfter;
        }
        Act::Pass
    });
    let mut wrong = device_at(bus.port, PCRS, Some("wrong"));
    refused(&mut wrong, &wrap, DeviceTrouble::Unreachable, "was lost");
    assert_eq!(shown.load(Ordering::SeqCst), 1);
}

#[test]
fn a_tpm_that_asks_for_patience_gets_it_and_not_for_ever() {
    let tpm = Swtpm::owned();
    let mut device = tpm.device(PCRS, None);
    device.approve(&owner()).unwrap();
    let wrap = seal(&mut device);
    for refusal in [0x922, 0x908, 0x90a] {
        let mut left = 3;
        let bus = Bus::new(&tpm, move |command| {
            if command == UNSEAL && left > 0 {
                left -= 1;
                return Act::Answer(code(refusal));
            }
            Act::Pass
        });
        opens(&mut device_at(bus.port, PCRS, None), &wrap);
    }
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let bus = Bus::new(&tpm, move |command| {
        if command == UNSEAL {
            count.fetch_add(1, Ordering::SeqCst);
            return Act::Answer(code(0x922));
        }
        Act::Pass
    });
    let mut device = device_at(bus.port, PCRS, None);
    refused(&mut device, &wrap, DeviceTrouble::Failed, "refuses Unseal with code 0x922");
    assert_eq!(asked.load(Ordering::SeqCst), 8);
    assert_eq!(tpm.left_behind(), "");
}

#[test]
fn another_client_that_holds_the_connection_is_told_in_time() {
    let tpm = Swtpm::new();
    let mut config = config(at(tpm.port), None, Some(PIN));
    config.deadline = Duration::from_millis(300);
    let mut device = TpmDevice::new(config, Arc::new(Urandom));
    // The first that connects is served until it goes.
    let mut holder = TcpStream::connect(("127.0.0.1", tpm.port)).unwrap();
    answers(&mut holder);
    let begun = Instant::now();
    refusal(
        device.health(),
        DeviceTrouble::Unreachable,
        "does not answer in time: whoever else holds its connection must let go of it",
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(holder);
    let mut patient = tpm.device(None, Some(PIN));
    patient.health().unwrap();
}

/// Asks for random bytes, so that the TPM serves this connection for sure.
fn answers(client: &mut TcpStream) {
    use std::io::{Read, Write};
    client.write_all(&[0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 4]).unwrap();
    client.read_exact(&mut [0; 16]).unwrap();
}

#[test]
fn a_tpm_that_is_not_there_is_said_to_be_absent() {
    let mut device = device_at(super::lab::free_ports(), None, Some(PIN));
    refusal(device.health(), DeviceTrouble::Unreachable, "there is no TPM at 127.0.0.1");
    let address: Address = "/dev/no-such-tpm".parse().unwrap();
    let mut device = TpmDevice::new(config(address, None, Some(PIN)), Arc::new(Urandom));
    refusal(device.health(), DeviceTrouble::Unreachable, "there is no TPM at /dev/no-such-tpm");
    assert_eq!("tpm.example:2321".parse(), Ok(Address::Tcp { host: "tpm.example".into(), port: 2321 }));
    for wrong in ["", "tpm", ":2321", "host:", "host:99999"] {
        assert!(wrong.parse::<Address>().is_err(), "{wrong}");
    }
}

/// A device gives its answers to reads as a terminal does: a file behind which somebody else speaks to the TPM.
#[test]
fn a_device_file_works_as_a_connection_does() {
    let tpm = Swtpm::new();
    let script = r"
import os, pty, select, socket, sys, tty
ours, theirs = pty.openpty()
tty.setraw(ours); tty.setraw(theirs)
print(os.ttyname(theirs), flush=True)
tpm = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
while True:
    for ready in select.select([ours, tpm, sys.stdin], [], [])[0]:
        if ready is tpm: os.write(ours, tpm.recv(4096))
        elif ready is sys.stdin: sys.exit()
        else: tpm.sendall(os.read(ours, 4096))
";
    let mut relay = std::process::Command::new("python3")
        .args(["-c", script, &tpm.port.to_string()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut path = String::new();
    let said = relay.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut path).unwrap();
    let address = path.trim().parse().unwrap();
    let mut device = TpmDevice::new(config(address, None, Some(PIN)), Arc::new(Urandom));
    device.approve(&nobody()).unwrap();
    let wrap = seal(&mut device);
    opens(&mut device, &wrap);
    assert_eq!(device.unwrap(&wrap, &binding()).map(|key| *key.expose()), Ok(super::lab::ROOT_KEY));
    drop(relay.stdin.take());
    relay.wait().unwrap();
}
