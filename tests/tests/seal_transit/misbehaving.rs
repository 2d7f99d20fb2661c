//! Servers that are none, answer nonsense, answer late or not at all; and what is wrong with the device's own files.
use super::{KEY, device, private, refused, root, wrap};
use coffer_seal::{
    device::{Device as _, DeviceTrouble, Wrapped},
    secret_source::SecretSource,
    transit::{Identity, TransitConfig},
};
use coffer_tests::{Authority, Person};
use keystore_format::transit_wrap::{TransitBlob, TransitParameters};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What the next request is answered with, once TLS stands.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, whatever was asked.
    Bytes(Vec<u8>),
    /// The connection ends.
    End,
    /// Nothing ever.
    Silence,
}

/// A TLS server of the test's own, with the files of a device that trusts it.
pub(crate) struct Impostor {
    pub(crate) address: String,
    folder: TempDir,
    pub(crate) authority: Authority,
    answer: Arc<Mutex<Answer>>,
    /// Request lines as they came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Impostor {
    pub(crate) fn start() -> Self {
        let authority = Authority::new("The CA of an impostor");
        let own = authority.server();
        let chain = CertificateDer::pem_slice_iter(own.certificate.as_bytes()).map(Result::unwrap).collect();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let folder = tempfile::Builder::new().prefix("coffer-transit-").tempdir().unwrap();
        private(&folder.path().join("ca.pem"), &authority.pem());
        private(&folder.path().join("token"), "t0ken");
        let (answer, asked) = (Arc::new(Mutex::new(Answer::Silence)), Arc::default());
        let (its_answer, its_asked) = (Arc::clone(&answer), Arc::clone(&asked));
        thread::spawn(move || {
            for socket in listener.incoming() {
                let tls = ServerConnection::new(Arc::new(config.clone())).unwrap();
                let (answer, asked) = (Arc::clone(&its_answer), Arc::clone(&its_asked));
                thread::spawn(move || serve(StreamOwned::new(tls, socket.unwrap()), &answer, &asked));
            }
        });
        Self { address, folder, authority, answer, asked }
    }

    fn config(&self) -> TransitConfig {
        TransitConfig {
            address: self.address.clone(),
            server_name: None,
            ca: self.folder.path().join("ca.pem"),
            identity: None,
            token: Some(SecretSource::File(self.folder.path().join("token"))),
            namespace: None,
            mount: "transit".to_owned(),
            key: KEY.to_owned(),
            associated_data: true,
            deadline: Duration::from_secs(20),
        }
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn http(&self, status: u16, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
        self.answers(Answer::Bytes(text.into_bytes()));
    }
}

fn serve(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    answer: &Mutex<Answer>,
    asked: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let Ok(length @ 1..) = stream.read(&mut piece) else { return };
        request.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let wanted = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < wanted.map_or(0, |length| length.parse().unwrap()) {
            continue;
        }
        asked.lock().unwrap().push(head.lines().next().unwrap().to_owned());
        request.clear();
        let answer = answer.lock().unwrap().clone();
        match answer {
            Answer::Bytes(bytes) => stream.write_all(&bytes).unwrap(),
            Answer::End => return,
            Answer::Silence => {}
        }
    }
}

/// A wrap as a device of [`KEY`] could have made it.
fn plausible() -> Wrapped {
    let parameters = TransitParameters { associated_data: true, key: KEY.to_owned() }.encode().unwrap();
    Wrapped { parameters, blob: TransitBlob::parse("vault:v1:AAAA").unwrap().encode() }
}

#[test]
fn answers_of_another_shape_are_named_as_such() {
    let server = Impostor::start();
    let mut device = device(server.config());
    let (key, binding) = root(1);
    let made = wrap(&plausible(), &binding);
    let garbage = "is not one of the Vault API";
    let page = "<html>Welcome to your new router</html>";
    let data = |data: &str| format!(r#"{{"request_id":"","lease_id":"","data":{data}}}"#);
    server.answers(Answer::Bytes(b"220 mail.example ESMTP\r\n".to_vec()));
    refused(device.unwrap(&made, &binding), DeviceTrouble::Failed, garbage);
    refused(device.health(), DeviceTrouble::Failed, garbage);
    for body in
        [page, "", "[]", "{}", &data("null"), &data(r#"{"plaintext":7}"#), &data(r#"{"plaintext":"!"}"#)]
    {
        server.http(200, body);
        refused(device.unwrap(&made, &binding), DeviceTrouble::Failed, garbage);
        refused(device.wrap(&key, &binding), DeviceTrouble::Failed, garbage);
        refused(device.health(), DeviceTrouble::Failed, garbage);
    }
    // An answer that reads like a key's and like an encryption's.
    for ciphertext in ["", "vault:v1", "vault:v0:AAAA", "kms:v1:AAAA", "vault:v1:A A"] {
        server.http(200, &data(&format!(r#"{{"type":"aes256-gcm96","ciphertext":"{ciphertext}"}}"#)));
        refused(device.wrap(&key, &binding), DeviceTrouble::Failed, garbage);
    }
    // A key of another length, and another root key: both open, and neither is believed.
    for plaintext in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        server.http(200, &data(&format!(r#"{{"plaintext":"{plaintext}"}}"#)));
        refused(device.unwrap(&made, &binding), DeviceTrouble::NotAuthentic, "the wrap was altered");
    }
    for (status, kind, says) in [
        (500, DeviceTrouble::Failed, "a failure of its own"),
        (502, DeviceTrouble::Unreachable, "can't serve now"),
        (503, DeviceTrouble::Unreachable, "can't serve now"),
        (403, DeviceTrouble::WrongPin, "refuses the token"),
        (418, DeviceTrouble::Failed, "a failure of its own"),
    ] {
        server.http(status, page);
        refused(device.unwrap(&made, &binding), kind, says);
        refused(device.wrap(&key, &binding), kind, says);
    }
    server.answers(Answer::End);
    server.asked.lock().unwrap().clear();
    refused(device.unwrap(&made, &binding), DeviceTrouble::Unreachable, "broke off the connection");
    assert_eq!(server.asked.lock().unwrap().len(), 1, "it is not tried again by itself");
}

#[test]
fn a_server_that_says_nothing_is_given_up_at_the_deadline_and_asked_once() {
    let server = Impostor::start();
    let mut config = server.config();
    config.deadline = Duration::from_millis(600);
    let mut device = device(config);
    let (_, binding) = root(1);
    let begun = Instant::now();
    let opened = device.unwrap(&wrap(&plausible(), &binding), &binding);
    refused(opened, DeviceTrouble::Unreachable, "has not answered within its deadline");
    assert!(begun.elapsed() >= Duration::from_millis(600) && begun.elapsed() < Duration::from_secs(20));
    assert_eq!(*server.asked.lock().unwrap(), [format!("POST /v1/transit/decrypt/{KEY} HTTP/1.1")]);
}

#[test]
fn a_server_that_is_not_there_can_not_be_reached() {
    let server = Impostor::start();
    let mut config = server.config();
    let (key, binding) = root(1);
    let unreached = "can't be reached";
    config.address = format!("https://127.0.0.1:{}", coffer_tests::free_port());
    refused(device(config.clone()).wrap(&key, &binding), DeviceTrouble::Unreachable, unreached);
    config.address = "https://no-such-host.invalid:8200".to_owned();
    refused(device(config.clone()).health(), DeviceTrouble::Unreachable, unreached);
    // One that takes the connection and never begins TLS: half of the deadline is for that.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    config.address = format!("https://{}", mute.local_addr().unwrap());
    config.deadline = Duration::from_secs(1);
    refused(device(config).health(), DeviceTrouble::Unreachable, unreached);
}

#[test]
fn a_server_that_is_not_trusted_is_sent_nothing() {
    let server = Impostor::start();
    server.http(200, "{}");
    let (key, binding) = root(1);
    let untrusted = "certificate is not trusted";
    let mut config = server.config();
    config.server_name = Some("elsewhere.example".to_owned());
    refused(device(config).wrap(&key, &binding), DeviceTrouble::Configuration, untrusted);
    private(&server.folder.path().join("ca.pem"), &Authority::new("another").pem());
    refused(device(server.config()).wrap(&key, &binding), DeviceTrouble::Configuration, untrusted);
    refused(device(server.config()).health(), DeviceTrouble::Configuration, untrusted);
    assert!(server.asked.lock().unwrap().is_empty());
}

#[test]
fn files_that_can_not_be_used_are_named_and_read_again_when_they_can() {
    let server = Impostor::start();
    server.http(403, "");
    let at = |name: &str| server.folder.path().join(name);
    let mut config = server.config();
    config.identity = Some(Identity { certificate: at("client.pem"), key: at("client-key.pem") });
    let mut device = device(config);
    let mut refuse = |says: &str| refused(device.health(), DeviceTrouble::Configuration, says);
    refuse("client's certificate for the transit server can't be read");
    let client = server.authority.issue(&Person::named("daemon with a seal"));
    private(&at("client.pem"), &client.certificate);
    refuse("private key for the transit server is not there");
    private(&at("client-key.pem"), &client.key);
    fs::set_permissions(at("client-key.pem"), Permissions::from_mode(0o640)).unwrap();
    refuse("its mode must be 0600 or 0400");
    private(&at("client-key.pem"), "no key");
    refuse("can't be asked as configured");
    private(&at("client-key.pem"), &client.key);
    fs::remove_file(at("ca.pem")).unwrap();
    refuse("can't be asked as configured");
    private(&at("ca.pem"), &server.authority.pem());
    refused(device.health(), DeviceTrouble::Failed, "is not one of the Vault API");
}

#[test]
fn a_device_can_be_asked_from_within_a_runtime() {
    let server = Impostor::start();
    server.http(403, "");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (key, binding) = root(1);
    let asked = runtime.block_on(async { device(server.config()).wrap(&key, &binding) });
    refused(asked, DeviceTrouble::WrongPin, "refuses the token");
}

#[test]
fn a_configuration_that_can_not_be_right_is_refused_before_anything_is_asked() {
    let server = Impostor::start();
    let refuse = |change: &dyn Fn(&mut TransitConfig), says: &str| {
        let mut config = server.config();
        change(&mut config);
        refused(coffer_seal::transit::TransitDevice::new(config), DeviceTrouble::Configuration, says);
    };
    for address in ["", "http://localhost:8200", "localhost:8200"] {
        refuse(&|config| config.address = address.to_owned(), "https://host:port");
    }
    for mount in ["", "/transit", "transit/", "a//b", "../sys", "tran\nsit"] {
        refuse(&|config| config.mount = mount.to_owned(), "mount must be");
    }
    for key in ["", "a/b", "..", ".", "a\0b", &"k".repeat(256)] {
        refuse(&|config| config.key = key.to_owned(), "key must be");
    }
    refuse(&|config| config.token = None, "knows nobody");
    refuse(&|config| config.deadline = Duration::ZERO, "deadline must be");
    assert!(server.asked.lock().unwrap().is_empty());
}
