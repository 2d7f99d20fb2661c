//! What is the same with every server.
use super::{KEY, Server, bao, coffer, private, refused, works, wrap};
use coffer_seal::device::{Device as _, DeviceTrouble};
use coffer_tests::{Ask as _, eventually};
use coffer_types::WrapId;
use keystore_format::transit_wrap::{TransitBlob, TransitParameters};
use serde_json::json;

/// Each story, told to both servers.
macro_rules! told_to_both {
    ($($story:ident)*) => {$(
        mod $story {
            #[tokio::test]
            async fn by_coffer() {
                super::told::$story(super::coffer::server().await).await;
            }

            #[tokio::test]
            async fn by_openbao() {
                super::told::$story(super::bao::server().await).await;
            }
        }
    )*};
}

told_to_both! {
    a_root_key_goes_under_a_transit_key_and_comes_back
    a_wrap_opens_only_in_its_place_unaltered_and_under_its_key
    an_rsa_key_wraps_without_associated_data_only
    a_key_that_is_absent_deleted_or_out_of_use_is_named
    a_token_that_is_wrong_revoked_or_may_too_little_is_named
    a_token_is_renewed_when_half_its_life_is_over
    a_server_that_is_sealed_is_named_and_used_again_when_it_is_open
}

mod told {
    use super::*;

    fn device_reads(server: &Server, token: &str) {
        private(&server.folder.join("token"), token);
    }

    /// Another ciphertext of the same form.
    fn alter(blob: &mut [u8]) {
        let last = blob.len() - 9;
        blob[last] = if blob[last] == b'A' { b'B' } else { b'A' };
    }

    pub(super) async fn a_root_key_goes_under_a_transit_key_and_comes_back(server: Server) {
        let mut device = server.device();
        device.health().unwrap();
        let (one, binding) = works(&mut device, &server);
        let parameters = TransitParameters::decode(&one.parameters).unwrap();
        assert_eq!(parameters, TransitParameters { associated_data: true, key: KEY.to_owned() });
        assert_eq!(TransitBlob::decode(&one.blob).unwrap().key_version(), 1);
        // A rotated key makes new wraps by its new version, and opens the old.
        server.root.transit("transit").rotate(KEY).await.unwrap();
        let (two, _) = works(&mut device, &server);
        assert_eq!(TransitBlob::decode(&two.blob).unwrap().key_version(), 2);
        device.unwrap(&one, &binding).unwrap();
        // What the server would open is what was asked, no more: the binding is associated data there.
        let blob = TransitBlob::decode(&one.blob).unwrap();
        let root = server.root.transit("transit");
        let opened = root.decrypt(KEY, blob.ciphertext(), &binding.bytes()).await.unwrap();
        assert_eq!(opened.expose().len(), 32);
        assert_eq!(root.decrypt(KEY, blob.ciphertext(), b"").await.err().unwrap().status(), Some(400));
    }

    pub(super) async fn a_wrap_opens_only_in_its_place_unaltered_and_under_its_key(server: Server) {
        let mut device = server.device();
        let (wrap, binding) = works(&mut device, &server);
        let altered = "the wrap was altered, or is of another place";
        let mut elsewhere = binding;
        elsewhere.wrap = WrapId([2; 16]);
        refused(device.unwrap(&wrap, &elsewhere), DeviceTrouble::NotAuthentic, altered);
        let mut blob = wrap.clone();
        alter(&mut blob.blob);
        refused(device.unwrap(&blob, &binding), DeviceTrouble::NotAuthentic, altered);
        for damage in [b"".as_slice(), b"\x01", b"\x02vault:v1:AAAA", b"\x01not a ciphertext"] {
            let mut wrap = wrap.clone();
            wrap.blob = damage.to_vec();
            refused(device.unwrap(&wrap, &binding), DeviceTrouble::NotAuthentic, "can't be read");
            wrap.parameters = damage.to_vec();
            refused(device.unwrap(&wrap, &binding), DeviceTrouble::NotAuthentic, "can't be read");
        }
        let mut foreign = wrap.clone();
        foreign.wrap_type = keystore_format::seal_record::WrapType::Tpm2;
        refused(device.unwrap(&foreign, &binding), DeviceTrouble::NotAuthentic, altered);
        // The store does not say how the key is used.
        let mut unbound = wrap.clone();
        unbound.parameters[1] = 0;
        refused(
            device.unwrap(&unbound, &binding),
            DeviceTrouble::Configuration,
            "another setting of associated_data",
        );
        // Another key, by name and by content.
        server.root.ask("POST", "transit/keys/other", json!({})).await.done();
        let rules: [(&str, &[&str]); 1] = [("transit/+/other", &["read", "update"])];
        server.policy("other", &rules).await;
        server.token(json!({ "policies": ["seal", "other"] })).await;
        let mut other = server.with(|config| config.key = "other".to_owned());
        refused(
            other.unwrap(&wrap, &binding),
            DeviceTrouble::Configuration,
            "of another name than the configured",
        );
        let mut renamed = wrap.clone();
        renamed.parameters =
            TransitParameters { associated_data: true, key: "other".to_owned() }.encode().unwrap();
        refused(other.unwrap(&renamed, &binding), DeviceTrouble::NotAuthentic, altered);
        // The name in a wrap only explains: the configured key is the one that is asked.
        device.unwrap(&renamed, &binding).unwrap();
    }

    pub(super) async fn an_rsa_key_wraps_without_associated_data_only(server: Server) {
        server.root.ask("POST", "transit/keys/rsa", json!({ "type": "rsa-2048" })).await.done();
        server.root.ask("POST", "transit/keys/signs", json!({ "type": "ed25519" })).await.done();
        let rules: [(&str, &[&str]); 2] =
            [("transit/+/rsa", &["read", "update"]), ("transit/+/signs", &["read", "update"])];
        server.policy("seal", &rules).await;
        let (key, binding) = server.root_key(1);
        let mut bound = server.with(|config| config.key = "rsa".to_owned());
        refused(bound.wrap(&key, &binding), DeviceTrouble::Configuration, "set associated_data to false");
        let mut signs =
            server.with(|config| (config.key, config.associated_data) = ("signs".to_owned(), false));
        refused(signs.wrap(&key, &binding), DeviceTrouble::Configuration, "the transit key does not encrypt");
        let mut device =
            server.with(|config| (config.key, config.associated_data) = ("rsa".to_owned(), false));
        let (made, binding) = works(&mut device, &server);
        // Nothing but the root id binds it: another's is refused, and so is another root key under the same key.
        let (_, other) = server.root_key(1);
        refused(device.unwrap(&made, &other), DeviceTrouble::NotAuthentic, "is of another place");
        let mut blob = made.clone();
        alter(&mut blob.blob);
        refused(device.unwrap(&blob, &binding), DeviceTrouble::NotAuthentic, "the wrap was altered");
    }

    pub(super) async fn a_key_that_is_absent_deleted_or_out_of_use_is_named(server: Server) {
        let mut device = server.device();
        let (made, binding) = works(&mut device, &server);
        let (key, _) = server.root_key(1);
        let no_key = "has no key of the configured name";
        // With a policy under which an encryption would make it.
        let rules: [(&str, &[&str]); 1] = [("transit/*", &["create", "read", "update"])];
        server.policy("seal", &rules).await;
        let mut absent = server.with(|config| config.key = "absent".to_owned());
        refused(absent.wrap(&key, &binding), DeviceTrouble::Configuration, no_key);
        refused(absent.unwrap(&made, &binding), DeviceTrouble::Configuration, no_key);
        refused(absent.health(), DeviceTrouble::Configuration, no_key);
        assert!(!server.root.transit("transit").keys().await.unwrap().contains(&"absent".to_owned()));
        let rules: [(&str, &[&str]); 1] = [("nowhere/*", &["read", "update"])];
        server.policy("nowhere", &rules).await;
        server.token(json!({ "policies": ["seal", "nowhere"] })).await;
        let mut elsewhere = server.with(|config| config.mount = "nowhere".to_owned());
        refused(elsewhere.wrap(&key, &binding), DeviceTrouble::Configuration, no_key);
        refused(elsewhere.unwrap(&made, &binding), DeviceTrouble::Configuration, no_key);
        refused(elsewhere.health(), DeviceTrouble::Configuration, no_key);
        let config = format!("transit/keys/{KEY}/config");
        server.root.transit("transit").rotate(KEY).await.unwrap();
        server.root.ask("POST", &config, json!({ "min_decryption_version": 2 })).await.done();
        refused(device.unwrap(&made, &binding), DeviceTrouble::Configuration, "lower min_decryption_version");
        server.root.ask("POST", &config, json!({ "min_decryption_version": 1 })).await.done();
        device.unwrap(&made, &binding).unwrap();
        if server.is_bao {
            let key = format!("transit/keys/{KEY}");
            server.root.ask("DELETE", &format!("{key}/soft-delete"), json!(null)).await.done();
            refused(device.unwrap(&made, &binding), DeviceTrouble::Configuration, "soft-delete-restore");
            refused(device.health(), DeviceTrouble::Configuration, "soft-delete-restore");
            server.root.ask("POST", &format!("{key}/soft-delete-restore"), json!(null)).await.done();
            device.health().unwrap();
        }
        server.root.ask("POST", &config, json!({ "deletion_allowed": true })).await.done();
        server.root.transit("transit").delete(KEY).await.unwrap();
        refused(device.unwrap(&made, &binding), DeviceTrouble::Configuration, no_key);
        refused(device.health(), DeviceTrouble::Configuration, no_key);
        // Made anew, it is another key. With Coffer a name never has a version twice.
        server.root.ask("POST", &format!("transit/keys/{KEY}"), json!({})).await.done();
        let (kind, says) = if server.is_bao {
            (DeviceTrouble::NotAuthentic, "the wrap was altered")
        } else {
            (DeviceTrouble::Configuration, "or was that of a deleted key")
        };
        refused(device.unwrap(&made, &binding), kind, says);
        let mut newer = made.clone();
        newer.blob[8] = b'9';
        refused(device.unwrap(&newer, &binding), DeviceTrouble::NotAuthentic, "has no version as new as");
    }

    pub(super) async fn a_token_that_is_wrong_revoked_or_may_too_little_is_named(server: Server) {
        let mut device = server.device();
        let (made, binding) = works(&mut device, &server);
        let (key, _) = server.root_key(1);
        let refuses = "refuses the token";
        private(&server.folder.join("token"), "s.0000000000000000000000000");
        refused(device.wrap(&key, &binding), DeviceTrouble::WrongPin, refuses);
        refused(device.unwrap(&made, &binding), DeviceTrouble::WrongPin, refuses);
        refused(device.health(), DeviceTrouble::WrongPin, refuses);
        let revoked = server.token(json!({ "policies": ["seal"] })).await;
        device.unwrap(&made, &binding).unwrap();
        revoked.tokens().revoke_self().await.unwrap();
        refused(device.unwrap(&made, &binding), DeviceTrouble::WrongPin, refuses);
        refused(device.health(), DeviceTrouble::WrongPin, refuses);
        // Encryption alone is enough to wrap, and too little to open.
        let encrypt = format!("transit/encrypt/{KEY}");
        let rules: [(&str, &[&str]); 1] = [(&encrypt, &["update"])];
        server.policy("half", &rules).await;
        server.token(json!({ "policies": ["half"] })).await;
        let half = device.wrap(&key, &binding).unwrap();
        refused(device.unwrap(&wrap(&half, &binding), &binding), DeviceTrouble::WrongPin, refuses);
        refused(device.health(), DeviceTrouble::WrongPin, refuses);
        // Without leave to read the key, all works, and less can be told.
        let decrypt = format!("transit/decrypt/{KEY}");
        let rules: [(&str, &[&str]); 2] = [(&encrypt, &["update"]), (&decrypt, &["update"])];
        server.policy("least", &rules).await;
        server.token(json!({ "policies": ["least"] })).await;
        device.health().unwrap();
        let (mut made, binding) = works(&mut device, &server);
        made.blob[8] = b'9';
        refused(device.unwrap(&made, &binding), DeviceTrouble::NotAuthentic, "the wrap was altered");
        // Its own file is as strictly looked at as a PIN's.
        std::fs::remove_file(server.folder.join("token")).unwrap();
        refused(
            device.unwrap(&made, &binding),
            DeviceTrouble::Configuration,
            "the token's file is not there",
        );
        private(&server.folder.join("token"), "");
        refused(device.health(), DeviceTrouble::Configuration, "the token's file is empty");
        private(&server.folder.join("token"), "two\nlines");
        refused(device.health(), DeviceTrouble::Configuration, "characters that no token has");
    }

    pub(super) async fn a_token_is_renewed_when_half_its_life_is_over(server: Server) {
        let mut device = server.device();
        let (made, binding) = works(&mut device, &server);
        let rules: [(&str, &[&str]); 2] =
            [("auth/token/lookup-self", &["read"]), ("sys/capabilities-self", &["update"])];
        server.policy("look", &rules).await;
        let fresh = json!({ "policies": ["seal"], "ttl": "16s" });
        let seen = server.new_token(fresh.clone()).await;
        let used = server.new_token(fresh).await;
        let body = json!({ "policies": ["seal", "look"], "ttl": "16s", "no_default_policy": true });
        let fixed = server.new_token(body).await;
        let left = async |token: &str| {
            server.root.with_token(token).unwrap().tokens().lookup_self().await.unwrap().ttl
        };
        device_reads(&server, &fixed);
        device.health().unwrap();
        eventually("less than half is left", || async { (left(&fixed).await < 8).then_some(()) }).await;
        // One that may not be renewed serves on, and health says what is coming.
        device.unwrap(&made, &binding).unwrap();
        refused(
            device.health(),
            DeviceTrouble::WrongPin,
            "less than half of its life left and can't be renewed",
        );
        device_reads(&server, &seen);
        device.health().unwrap();
        assert!(left(&seen).await >= 8);
        device_reads(&server, &used);
        device.unwrap(&made, &binding).unwrap();
        eventually("it was renewed after its use", || async { (left(&used).await >= 8).then_some(()) }).await;
    }

    pub(super) async fn a_server_that_is_sealed_is_named_and_used_again_when_it_is_open(server: Server) {
        let mut device = server.device();
        let (made, binding) = works(&mut device, &server);
        let (key, _) = server.root_key(1);
        server.root.sys().seal().await.unwrap();
        let sealed = "is sealed or can't serve now";
        refused(device.health(), DeviceTrouble::Unreachable, sealed);
        refused(device.unwrap(&made, &binding), DeviceTrouble::Unreachable, sealed);
        refused(device.wrap(&key, &binding), DeviceTrouble::Unreachable, sealed);
        server.unseal().await;
        device.health().unwrap();
        device.unwrap(&made, &binding).unwrap();
    }
}
