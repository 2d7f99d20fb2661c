//! Transit servers behind a way that can be cut: another Coffer, OpenBao, and one that only pretends.
use super::Sealed;
use super::relay::Relay;
use crate::seal_transit::misbehaving::{Answer, Impostor};
use crate::seal_transit::{KEY, Server, bao, coffer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_tests::{Ask, Setup};
use serde_json::{Value, json};

const CLOSED: &str = "the transit server is sealed or can't serve now: it must be unsealed, and not be overloaded or on standby";
const UNREACHED: &str =
    "the transit server can't be reached: it must run, at the configured address, and the network lead there";
const SLOW: &str =
    "the transit server has not answered within its deadline: it must be reachable and not busy";
const GARBAGE: &str = "the transit server gave an answer that is not one of the Vault API: address must be that of a Coffer, OpenBao or Vault, and nothing between change what it says";
const OTHER_KEY: &str = "the wrap was altered, or is of another place or another transit key: the server must have the key that made it, with the version that did, allowed to decrypt";

/// Under the server's key, by way of the relay; `also` is trusted too.
async fn sealed(server: &Server, relay: &Relay, also: &str) -> Sealed {
    let at = |name: &str| server.folder.join(name);
    let authorities = std::fs::read_to_string(at("ca.pem")).unwrap() + also;
    std::fs::write(at("both.pem"), authorities).unwrap();
    let sections = format!(
        "[[seal]]\nname = \"afar\"\ntype = \"transit\"\naddress = \"{}\"\nca = {:?}\ncertificate = {:?}\nkey = {:?}\ntoken_file = {:?}\nkey_name = \"{KEY}\"\ntimeout_seconds = 3\n",
        relay.address(),
        at("both.pem"),
        at("client.pem"),
        at("client-key.pem"),
        at("token"),
    );
    let token = std::fs::read_to_string(at("token")).unwrap();
    let setup = Setup { sections, ..Setup::default() };
    Sealed::by(setup, json!({ "add": "afar" }), &[token.trim()]).await
}

async fn a_server_that_is_away_is_told_and_waited_for(server: Server) {
    let mut relay = Relay::to(&server.address);
    let mut sealed = sealed(&server, &relay, "").await;

    server.root.sys().seal().await.unwrap();
    sealed.does_not_verify(503, CLOSED).await;
    sealed.is_opened_by_shares(CLOSED).await;
    sealed.stop();
    sealed.starts_sealed(CLOSED).await;
    server.unseal().await;
    sealed.opens_at_once().await;

    relay.cut();
    sealed.does_not_verify(503, UNREACHED).await;
    sealed.is_opened_by_shares(UNREACHED).await;
    sealed.stop();
    sealed.starts_sealed(UNREACHED).await;
    relay.lead(&server.address);
    sealed.opens_at_once().await;

    // The key of that name is another now.
    let key = format!("transit/keys/{KEY}");
    server.root.ask("POST", &format!("{key}/config"), json!({ "deletion_allowed": true })).await.done();
    server.root.ask("DELETE", &key, Value::Null).await.done();
    server.root.ask("POST", &key, json!({})).await.done();
    let told = match server.is_bao {
        true => OTHER_KEY,
        false => {
            "the version of the transit key that made the wrap may not decrypt any more, or was that of a deleted key of the same name: lower min_decryption_version where the key is still the one that made it"
        }
    };
    sealed.is_opened_by_shares(told).await;
    // With the shares another wrap takes its place.
    for change in [json!({ "remove": "afar" }), json!({ "add": "afar" })] {
        crate::seals::change(&sealed.house.root(), change, &sealed.house.shares).await.done();
    }
    sealed.opens_after_a_start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coffer_that_is_away_is_told_and_waited_for() {
    a_server_that_is_away_is_told_and_waited_for(coffer::server().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_openbao_that_is_away_is_told_and_waited_for() {
    a_server_that_is_away_is_told_and_waited_for(bao::server().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_another_gets_nowhere() {
    let (server, impostor) = (coffer::server().await, Impostor::start());
    let mut relay = Relay::to(&server.address);
    let mut sealed = sealed(&server, &relay, &impostor.authority.pem()).await;
    relay.lead(&impostor.address);

    impostor.answers(Answer::Silence);
    sealed.does_not_verify(503, SLOW).await;
    sealed.is_opened_by_shares(SLOW).await;

    impostor.http(200, "<html>Welcome to your new router</html>");
    sealed.does_not_verify(503, GARBAGE).await;
    sealed.is_opened_by_shares(GARBAGE).await;
    sealed.stop();
    sealed.starts_sealed(GARBAGE).await;
    relay.lead(&server.address);
    sealed.opens_at_once().await;

    // What opens is a key, and not ours.
    relay.lead(&impostor.address);
    let other = STANDARD.encode([0x5a; 32]);
    impostor.http(
        200,
        &format!(
            r#"{{"request_id":"","lease_id":"","data":{{"plaintext":"{other}","type":"aes256-gcm96"}}}}"#
        ),
    );
    sealed.does_not_verify(400, OTHER_KEY).await;
    sealed.is_opened_by_shares(OTHER_KEY).await;
    relay.lead(&server.address);
    sealed.opens_after_a_start().await;
}
