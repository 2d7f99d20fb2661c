//! A second Coffer as the transit server, and what only it can do: take the client certificate for an identity.
use super::{KEY, Process, Server, private, refused, works};
use coffer_seal::device::{Device as _, DeviceTrouble};
use coffer_tests::{House, Person};
use serde_json::json;

/// The house's own files are the daemon's; the device's lie beside them.
pub(crate) async fn server() -> Server {
    let house = House::start().await;
    let folder = house.at("device");
    std::fs::create_dir(&folder).unwrap();
    let client = house.issue(&Person::named("daemon with a seal").uri("spiffe://x/sealed"));
    private(&folder.join("ca.pem"), &house.authority.pem());
    private(&folder.join("client.pem"), &client.certificate);
    private(&folder.join("client-key.pem"), &client.key);
    let server = Server {
        address: format!("https://{}", house.address()),
        root: house.root(),
        folder,
        is_bao: false,
        process: Process::Coffer(Box::new(house)),
    };
    server.furnish().await;
    server
}

#[tokio::test]
async fn a_certificate_alone_is_an_identity_for_coffer() {
    let server = server().await;
    let mut device = server.with(|config| config.token = None);
    let knows_nobody = "does not let this client certificate use the key";
    refused(device.health(), DeviceTrouble::WrongPin, knows_nobody);
    let (key, binding) = server.root_key(1);
    refused(device.wrap(&key, &binding), DeviceTrouble::WrongPin, knows_nobody);
    let Process::Coffer(house) = &server.process else { unreachable!() };
    let role = json!({ "allowed_uri_sans": ["spiffe://x/sealed"], "token_policies": ["seal"] });
    house.role(&server.root, "sealed", role).await;
    device.health().unwrap();
    works(&mut device, &server);
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_is_named_as_refused() {
    let server = server().await;
    let other = coffer_tests::Authority::new("another CA").issue(&Person::named("a stranger"));
    private(&server.folder.join("client.pem"), &other.certificate);
    private(&server.folder.join("client-key.pem"), &other.key);
    let (key, binding) = server.root_key(1);
    let asked_as_a_stranger = server.device().wrap(&key, &binding).map(|_| ());
    let asked_as_nobody = server.with(|config| config.identity = None).health();
    for asked in [asked_as_a_stranger, asked_as_nobody] {
        let error = asked.unwrap_err();
        // The network may lose what TLS says last: then the server has only broken off the connection.
        assert!(error.sentence.contains("not take the client certificate"), "{error:?}");
        assert!(matches!(error.kind, DeviceTrouble::WrongPin | DeviceTrouble::Unreachable), "{error:?}");
    }
}

#[tokio::test]
async fn an_environment_of_its_own_can_hold_the_key() {
    let server = server().await;
    let Process::Coffer(house) = &server.process else { unreachable!() };
    let here = house.environment("seals").await;
    here.transit("transit").create(KEY, coffer_sdk::KeyType::Aes256Gcm96).await.unwrap();
    let (encrypt, decrypt) = (format!("transit/encrypt/{KEY}"), format!("transit/decrypt/{KEY}"));
    let rules: [(&str, &[&str]); 2] = [(&encrypt, &["update"]), (&decrypt, &["update"])];
    let token = house.token_for(&here, "seal", &rules).await;
    let outside = works(&mut server.device(), &server);
    private(&server.folder.join("token"), &token);
    let mut device = server.with(|config| config.namespace = Some("seals".to_owned()));
    device.health().unwrap();
    works(&mut device, &server);
    // The key of the same name outside is another.
    let (wrap, binding) = outside;
    refused(device.unwrap(&wrap, &binding), DeviceTrouble::NotAuthentic, "or another transit key");
}
