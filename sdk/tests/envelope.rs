//! Envelope encryption against a daemon that wraps data keys.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_sdk::{Envelope, Error};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use support::{Options, Reply, Server, envelope};

/// Wraps data keys by remembering them, as a transit mount would by encrypting them.
async fn wrapping_server() -> Server {
    let keys: Mutex<HashMap<String, String>> = Mutex::default();
    let handler = move |seen: &support::Seen| {
        let mut keys = keys.lock().unwrap();
        let name = seen.target.rsplit('/').next().unwrap();
        if seen.target.starts_with("/v1/transit/datakey/plaintext/") {
            let number = u8::try_from(keys.len()).unwrap();
            let (wrapped, plain) = (format!("vault:v1:{name}{number}"), STANDARD.encode([number + 1; 32]));
            keys.insert(wrapped.clone(), plain.clone());
            return Reply::Json(
                200,
                envelope(&format!(r#"{{"ciphertext":"{wrapped}","plaintext":"{plain}","key_version":1}}"#)),
            );
        }
        let asked: HashMap<String, String> = serde_json::from_slice(&seen.body).unwrap();
        match keys.get(&asked["ciphertext"]) {
            Some(plain) => Reply::Json(200, envelope(&format!(r#"{{"plaintext":"{plain}"}}"#))),
            None => Reply::Json(400, r#"{"errors":["cipher: message authentication failed"]}"#.to_owned()),
        }
    };
    Server::start(Options::default(), Arc::new(handler)).await
}

fn backup_key(server: &Server) -> Envelope {
    server.builder().namespace("prod").build().unwrap().envelope("transit", "backup")
}

#[tokio::test]
async fn what_is_sealed_opens_in_its_context_only() {
    let server = wrapping_server().await;
    let key = backup_key(&server);
    for plain in [b"".as_slice(), b"x", &vec![7; 100_000]] {
        let message = key.seal(plain, b"invoice 1").await.unwrap();
        assert_eq!(key.open(&message, b"invoice 1").await.unwrap().expose().as_slice(), plain);
        assert!(matches!(key.open(&message, b"invoice 2").await, Err(Error::Format(_))));
    }
    let (one, other) = (key.seal(b"same", b"").await.unwrap(), key.seal(b"same", b"").await.unwrap());
    assert_ne!(one, other);
}

#[tokio::test]
async fn a_message_that_names_another_key_is_not_followed() {
    let server = wrapping_server().await;
    let client = server.builder().namespace("prod").build().unwrap();
    let message = client.envelope("transit", "backup").seal(b"x", b"").await.unwrap();
    let asked = server.count();
    let others = [
        client.envelope("transit", "other"),
        client.envelope("elsewhere", "backup"),
        client.with_namespace("dev").unwrap().envelope("transit", "backup"),
    ];
    for other in others {
        let error = other.open(&message, b"").await.err().unwrap();
        assert!(
            matches!(&error, Error::OtherKey { environment, mount, key } if (environment.as_str(), mount.as_str(), key.as_str()) == ("prod", "transit", "backup")),
            "{error}"
        );
    }
    assert_eq!(server.count(), asked);
}

#[tokio::test]
async fn a_message_that_was_altered_or_cut_does_not_open() {
    let server = wrapping_server().await;
    let key = backup_key(&server);
    let message = key.seal(&[1; 40_000], b"").await.unwrap();
    for at in (0..message.len()).step_by(401) {
        let mut altered = message.clone();
        altered[at] ^= 1;
        assert!(key.open(&altered, b"").await.is_err(), "{at}");
        assert!(key.open(&message[..at], b"").await.is_err(), "{at}");
    }
}

#[tokio::test]
async fn a_stream_and_a_message_are_the_same_bytes_to_each_other() {
    let server = wrapping_server().await;
    let key = backup_key(&server);
    for length in [0, 1, 16_384, 65_536, 300_001] {
        let plain: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
        let mut sealed = Vec::new();
        assert_eq!(key.seal_stream(plain.as_slice(), &mut sealed, b"c").await.unwrap(), u64::from(length));
        assert_eq!(key.open(&sealed, b"c").await.unwrap().expose(), &plain);
        let mut opened = Vec::new();
        let message = key.seal(&plain, b"c").await.unwrap();
        assert_eq!(key.open_stream(message.as_slice(), &mut opened, b"c").await.unwrap(), u64::from(length));
        assert_eq!(opened, plain);
    }
}

#[tokio::test]
async fn a_file_appears_only_when_all_of_it_is_authentic() {
    let server = wrapping_server().await;
    let key = backup_key(&server);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("plain"), vec![9; 200_000]).unwrap();
    key.seal_file(&at("plain"), &at("sealed"), b"").await.unwrap();
    assert_eq!(key.open_file(&at("sealed"), &at("opened"), b"").await.unwrap(), 200_000);
    assert_eq!(std::fs::read(at("opened")).unwrap(), vec![9; 200_000]);

    let mut cut = std::fs::read(at("sealed")).unwrap();
    cut.truncate(150_000);
    std::fs::write(at("cut"), cut).unwrap();
    assert!(matches!(key.open_file(&at("cut"), &at("never"), b"").await, Err(Error::Format(_))));
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cut", "opened", "plain", "sealed"]);
}

#[cfg(unix)]
#[tokio::test]
async fn an_opened_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = wrapping_server().await;
    let key = backup_key(&server);
    let folder = tempfile::tempdir().unwrap();
    let (plain, sealed) = (folder.path().join("plain"), folder.path().join("sealed"));
    std::fs::write(&plain, b"x").unwrap();
    key.seal_file(&plain, &sealed, b"").await.unwrap();
    key.open_file(&sealed, &plain, b"").await.unwrap();
    assert_eq!(std::fs::metadata(&plain).unwrap().permissions().mode() & 0o777, 0o600);
}
