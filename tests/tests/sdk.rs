//! Every call of the SDK against a daemon: the answers it reads are the daemon's own, and so are the refusals.
mod examples;
mod proofs;
mod trouble;

use coffer_sdk::{
    Cas, Error, KeyChange, KeyType, MetadataChange, Method, NewMount, NewToken, Secret, exposed,
};
use coffer_tests::{House, Person, Setup, eventually, policy};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Cursor;
use zeroize::Zeroizing;

#[derive(Serialize, Deserialize)]
struct Database {
    user: String,
    #[serde(serialize_with = "exposed")]
    password: Secret<String>,
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_lives_through_all_its_versions() {
    let house = House::start().await;
    let kv = house.environment("prod").await.kv("secret");
    let (first, second) = (house.canaries.plant("first"), house.canaries.plant("second"));
    let database = |password: &str| Database { user: "app".into(), password: password.into() };
    let written = kv.put("app/db", &database(&first), Cas::New).await.unwrap();
    assert_eq!((written.version, written.destroyed, written.deletion_time.as_str()), (1, false, ""));
    assert_eq!(kv.put("app/db", &database(&second), Cas::New).await.unwrap_err().status(), Some(400));
    assert_eq!(kv.put("app/db", &database(&second), Cas::Version(1)).await.unwrap().version, 2);
    assert_eq!(
        kv.patch("app/db", &json!({ "user": "owner", "port": 5432 }), Cas::Version(2)).await.unwrap().version,
        3
    );
    assert_eq!(kv.patch("app/db", &json!({ "port": null }), Cas::Any).await.unwrap().version, 4);
    assert_eq!(
        kv.patch("app/db", &json!({ "port": 1 }), Cas::Version(1)).await.unwrap_err().status(),
        Some(400)
    );
    assert!(kv.patch("app/none", &json!({ "port": 1 }), Cas::Any).await.unwrap_err().is_not_found());

    let newest = kv.get_newest::<Database>("app/db").await.unwrap();
    assert_eq!((newest.info.version, newest.value.user.as_str()), (4, "owner"));
    assert!(*newest.value.password.expose() == second, "a patch changes only what it names");
    assert!(kv.get::<Value>("app/db").await.unwrap().get("port").is_none());
    let old = kv.get_version::<Database>("app/db", 1).await.unwrap();
    assert!(old.info.version == 1 && *old.value.password.expose() == first);
    assert!(
        matches!(kv.get::<Vec<u64>>("app/db").await, Err(Error::Unexpected(_))),
        "another shape is named"
    );
    assert!(kv.get::<Value>("app/none").await.unwrap_err().is_not_found());
    assert!(kv.get_version::<Value>("app/db", 9).await.err().unwrap().is_not_found());

    kv.delete("app/db").await.unwrap();
    assert!(kv.get::<Value>("app/db").await.unwrap_err().is_not_found());
    kv.delete_versions("app/db", &[1, 2]).await.unwrap();
    let deleted = |versions: &[coffer_sdk::VersionInfo]| -> Vec<bool> {
        versions.iter().map(|info| !info.deletion_time.is_empty()).collect()
    };
    assert_eq!(deleted(&kv.versions("app/db").await.unwrap()), [true, true, false, true]);
    kv.undelete("app/db", &[1, 4]).await.unwrap();
    kv.destroy("app/db", &[2]).await.unwrap();
    let versions = kv.versions("app/db").await.unwrap();
    assert_eq!(deleted(&versions), [false, true, false, false]);
    assert_eq!(
        versions.iter().map(|info| (info.version, info.destroyed)).collect::<Vec<_>>(),
        [(1, false), (2, true), (3, false), (4, false)]
    );

    let pairs = BTreeMap::from([("owner".to_owned(), "billing".to_owned())]);
    let change = MetadataChange {
        max_versions: Some(2),
        cas_required: Some(true),
        delete_version_after: Some("720h".into()),
        custom_metadata: Some(pairs.clone()),
    };
    kv.put_metadata("app/db", &change).await.unwrap();
    assert_eq!(kv.put("app/db", &database(&first), Cas::Any).await.unwrap_err().status(), Some(400));
    assert_eq!(kv.put("app/db", &database(&first), Cas::Version(4)).await.unwrap().version, 5);
    let known = kv.metadata("app/db").await.unwrap();
    assert_eq!(
        (known.current_version, known.oldest_version, known.max_versions, known.cas_required),
        (5, 4, 2, true)
    );
    assert_eq!((known.delete_version_after.as_str(), &known.custom_metadata), ("720h0m0s", &Some(pairs)));
    assert!(!known.created_time.is_empty() && !known.updated_time.is_empty());
    assert_eq!(known.versions().iter().map(|info| info.version).collect::<Vec<_>>(), [4, 5]);

    // A name is data: what means something in a URL means nothing in it.
    let odd = "app/50% of a?b#c&d=ü+e";
    kv.put(odd, &json!({ "k": 1 }), Cas::New).await.unwrap();
    assert_eq!(kv.get::<Value>(odd).await.unwrap(), json!({ "k": 1 }));
    assert_eq!(kv.list("app").await.unwrap(), names(&["50% of a?b#c&d=ü+e", "db"]));
    assert_eq!(
        (kv.list("").await.unwrap(), kv.list("nothing").await.unwrap()),
        (names(&["app/"]), Vec::new())
    );
    kv.delete_all("app/db").await.unwrap();
    assert!(kv.metadata("app/db").await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_without_versions_is_put_read_listed_and_removed() {
    let house = House::start().await;
    let root = house.root();
    let mount = NewMount { options: [("version".to_owned(), "1".to_owned())].into(), ..NewMount::of("kv") };
    root.sys().mount("plain", &mount).await.unwrap();
    let kv = root.kv_v1("/plain/");
    let value = Database { user: "app".into(), password: house.canaries.plant("v1").into() };
    kv.put("a/b", &value).await.unwrap();
    let read: Database = kv.get("a/b").await.unwrap();
    assert!(read.user == "app" && read.password.expose() == value.password.expose());
    assert_eq!((kv.list("").await.unwrap(), kv.list("a/").await.unwrap()), (names(&["a/"]), names(&["b"])));
    kv.delete("a/b").await.unwrap();
    assert!(kv.get::<Value>("a/b").await.unwrap_err().is_not_found());
    assert!(kv.list("").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transit_key_encrypts_signs_rotates_and_is_guarded() {
    let house = House::start().await;
    let transit = house.environment("prod").await.transit("transit");
    transit.create("app", KeyType::Aes256Gcm96).await.unwrap();
    let plain = house.canaries.plant("plaintext").into_bytes();
    let sealed = transit.encrypt("app", &plain, b"row 7").await.unwrap();
    assert!(sealed.starts_with("vault:v1:"));
    assert_eq!(transit.decrypt("app", &sealed, b"row 7").await.unwrap().expose(), &plain);
    assert_eq!(transit.decrypt("app", &sealed, b"row 8").await.err().unwrap().status(), Some(400));
    assert_eq!(transit.decrypt("app", &sealed, b"").await.err().unwrap().status(), Some(400));
    let empty = transit.encrypt("app", b"", b"").await.unwrap();
    assert!(transit.decrypt("app", &empty, b"").await.unwrap().expose().is_empty());

    let parts: Vec<Vec<u8>> =
        (0..5).map(|at| house.canaries.plant(&format!("part{at}")).into_bytes()).collect();
    let batch =
        transit.encrypt_batch("app", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).await.unwrap();
    let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
    let opened = transit.decrypt_batch("app", &texts).await.unwrap();
    assert!(opened.iter().map(|part| part.expose().clone()).eq(parts));
    let damaged = format!("{}AAAA", &texts[0][..texts[0].len() - 4]);
    assert!(
        transit.decrypt_batch("app", &[texts[1], &damaged]).await.is_err(),
        "a batch that failed in part is no answer"
    );

    transit.rotate("app").await.unwrap();
    let newer = transit.rewrap("app", &sealed, b"row 7").await.unwrap();
    assert!(newer.starts_with("vault:v2:"));
    assert_eq!(transit.decrypt("app", &newer, b"row 7").await.unwrap().expose(), &plain);
    transit
        .configure(
            "app",
            &KeyChange {
                min_decryption_version: Some(2),
                min_encryption_version: Some(2),
                ..KeyChange::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(transit.decrypt("app", &sealed, b"row 7").await.err().unwrap().status(), Some(400));
    let known = transit.key("app").await.unwrap();
    assert_eq!((known.key_type.as_str(), known.latest_version), ("aes256-gcm96", 2));
    assert_eq!(
        (known.min_decryption_version, known.min_encryption_version, known.deletion_allowed),
        (2, 2, false)
    );
    assert_eq!(known.versions().into_iter().collect::<Vec<_>>(), [(2, None)]);

    let key = transit.data_key("app").await.unwrap();
    assert!(transit.unwrap_data_key("app", &key.wrapped).await.unwrap().expose() == key.plain.expose());
    let wrapped = transit.wrapped_data_key("app").await.unwrap();
    assert!(transit.unwrap_data_key("app", &wrapped).await.unwrap().expose() != key.plain.expose());
    assert!(
        matches!(transit.unwrap_data_key("app", &newer).await, Err(Error::Refused(_) | Error::Unexpected(_))),
        "no data key"
    );

    for (name, kind) in [("ed", KeyType::Ed25519), ("p256", KeyType::EcdsaP256)] {
        transit.create(name, kind).await.unwrap();
        let signature = transit.sign(name, b"an order").await.unwrap();
        assert!(transit.verify(name, b"an order", &signature).await.unwrap());
        assert!(!transit.verify(name, b"another order", &signature).await.unwrap());
        let known = transit.key(name).await.unwrap();
        assert!(known.versions()[&1].is_some(), "{name}: a public key is public");
        assert_eq!(transit.encrypt(name, b"x", b"").await.unwrap_err().status(), Some(400));
    }
    assert_eq!(transit.keys().await.unwrap(), names(&["app", "ed", "p256"]));
    assert_eq!(transit.delete("app").await.unwrap_err().status(), Some(400));
    transit
        .configure("app", &KeyChange { deletion_allowed: Some(true), ..KeyChange::default() })
        .await
        .unwrap();
    transit.delete("app").await.unwrap();
    assert!(transit.key("app").await.unwrap_err().is_not_found());
    assert_eq!(transit.keys().await.unwrap(), names(&["ed", "p256"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_opens_only_as_it_was_sealed() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for key in ["app", "other"] {
        prod.transit("transit").create(key, KeyType::Aes256Gcm96).await.unwrap();
    }
    let (envelope, other) = (prod.envelope("transit", "app"), prod.envelope("transit", "other"));
    let secret = house.canaries.plant("message");
    for length in [0, 1, secret.len()] {
        let sealed = envelope.seal(&secret.as_bytes()[..length], b"context").await.unwrap();
        assert_eq!(envelope.open(&sealed, b"context").await.unwrap().expose(), &secret.as_bytes()[..length]);
    }
    let sealed = envelope.seal(secret.as_bytes(), b"context").await.unwrap();
    assert!(matches!(envelope.open(&sealed, b"another").await, Err(Error::Format(_))));
    let Err(Error::OtherKey { environment, mount, key }) = other.open(&sealed, b"context").await else {
        panic!("another key's")
    };
    assert_eq!((environment.as_str(), mount.as_str(), key.as_str()), ("prod", "transit", "app"));
    let elsewhere = house.environment("dev").await.envelope("transit", "app");
    assert!(matches!(elsewhere.open(&sealed, b"context").await, Err(Error::OtherKey { .. })));
    // Each byte counts. In the header it names another key or another wrapped one; behind it nothing is authentic.
    for at in (0..sealed.len()).step_by(7) {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        let error = envelope
            .open(&altered, b"context")
            .await
            .err()
            .unwrap_or_else(|| panic!("byte {at} may be altered"));
        assert!(
            matches!(error, Error::Format(_) | Error::OtherKey { .. }) || error.status() == Some(400),
            "byte {at}: {error}"
        );
        assert!(
            matches!(envelope.open(&sealed[..at], b"context").await, Err(Error::Format(_))),
            "cut off at {at}"
        );
    }

    // Files of several chunks; the streams are what the files go through.
    let text = format!("{secret}\n").repeat(20_000);
    let (plain, kept, opened) = (house.at("plain"), house.at("kept"), house.at("opened"));
    std::fs::write(&plain, &text).unwrap();
    assert_eq!(envelope.seal_file(&plain, &kept, b"file").await.unwrap(), text.len() as u64);
    let whole = std::fs::read(&kept).unwrap();
    assert!(house.canaries.found_in(&whole).is_empty());
    for (what, bytes) in [
        ("cut off", whole[..whole.len() - 5].to_vec()),
        ("a chunk less", whole[..whole.len() / 2].to_vec()),
        ("longer", [&whole[..], b"x"].concat()),
    ] {
        std::fs::write(&kept, bytes).unwrap();
        assert!(matches!(envelope.open_file(&kept, &opened, b"file").await, Err(Error::Format(_))), "{what}");
        assert!(!opened.exists(), "{what}: a file that is not authentic has appeared");
    }
    std::fs::write(&kept, &whole).unwrap();
    assert!(matches!(envelope.open_file(&kept, &opened, b"another").await, Err(Error::Format(_))));
    assert_eq!(envelope.open_file(&kept, &opened, b"file").await.unwrap(), text.len() as u64);
    assert!(std::fs::read(&opened).unwrap() == text.as_bytes());
    let parts = std::fs::read_dir(house.at("."))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "part"));
    assert_eq!(parts.count(), 0, "what was broken off lies about");
    let mut stream = Vec::new();
    envelope.seal_stream(text.as_bytes(), &mut stream, b"stream").await.unwrap();
    let mut back = Vec::new();
    assert_eq!(
        envelope.open_stream(Cursor::new(&stream), &mut back, b"stream").await.unwrap(),
        text.len() as u64
    );
    assert!(back == text.as_bytes());
    assert!(envelope.open_stream(Cursor::new(&stream[1..]), &mut Vec::new(), b"stream").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_made_looked_up_renewed_and_revoked() {
    let house = House::start().await;
    let root = house.root();
    let tokens = root.tokens();
    root.sys().put_policy("app", &policy(&[("secret/data/app/*", &["read"])])).await.unwrap();
    let new = NewToken {
        policies: names(&["app"]),
        ttl: Some("10m".into()),
        explicit_max_ttl: Some("1h".into()),
        num_uses: Some(50),
        display_name: Some("batch".into()),
        meta: [("team".to_owned(), "billing".to_owned())].into(),
        ..NewToken::default()
    };
    let made = tokens.create(&new).await.unwrap();
    house.canaries.add(made.token.expose());
    assert_eq!((made.ttl_seconds, made.renewable), (600, true));
    assert!(made.policies.contains(&"app".to_owned()) && made.policies.contains(&"default".to_owned()));
    let known = tokens.lookup(&made.token).await.unwrap();
    assert_eq!(
        (known.accessor.as_str(), known.renewable, known.orphan, known.num_uses),
        (made.accessor.as_str(), true, false, 50)
    );
    assert!(
        known.ttl <= 600
            && known.ttl > 500
            && known.display_name.contains("batch")
            && known.path == "auth/token/create"
    );
    assert_eq!(known.meta.unwrap()["team"], "billing");
    assert_eq!(tokens.lookup_accessor(&made.accessor).await.unwrap().policies, known.policies);

    let own = root.with_token(made.token.expose().as_str()).unwrap().tokens();
    assert_eq!(own.lookup_self().await.unwrap().accessor, made.accessor);
    assert_eq!(own.renew_self(Some(1200)).await.unwrap().ttl_seconds, 1200);
    assert_eq!(own.renew_self(None).await.unwrap().accessor, made.accessor);
    assert_eq!(tokens.renew(&made.token, Some(900)).await.unwrap().ttl_seconds, 900);
    own.revoke_self().await.unwrap();
    assert!(own.lookup_self().await.unwrap_err().is_permission_denied());
    assert!(tokens.lookup_accessor(&made.accessor).await.is_err());

    let orphan = NewToken {
        no_parent: true,
        no_default_policy: true,
        period: Some("1h".into()),
        policies: names(&["app"]),
        ..NewToken::default()
    };
    let orphan = tokens.create(&orphan).await.unwrap();
    house.canaries.add(orphan.token.expose());
    assert_eq!(orphan.policies, names(&["app"]));
    assert!(tokens.lookup(&orphan.token).await.unwrap().orphan);
    tokens.revoke(&orphan.token).await.unwrap();
    assert!(tokens.lookup(&orphan.token).await.is_err());
    let third = tokens.create(&NewToken { policies: names(&["app"]), ..NewToken::default() }).await.unwrap();
    house.canaries.add(third.token.expose());
    tokens.revoke_accessor(&third.accessor).await.unwrap();
    assert!(tokens.renew(&third.token, None).await.is_err());
    assert_eq!(
        tokens
            .create(&NewToken { ttl: Some("soon".into()), ..NewToken::default() })
            .await
            .err()
            .unwrap()
            .status(),
        Some(400)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_logs_in_where_one_role_matches() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for role in ["app", "app-too"] {
        prod.sys().put_policy(role, &policy(&[("secret/data/app/*", &["read"])])).await.unwrap();
        house.role(&prod, role, json!({ "allowed_uri_sans": ["spiffe://x/prod/app"], "token_policies": [role], "token_ttl": "5m" })).await;
    }
    let app = house
        .client(&house.issue(&Person::named("app").uri("spiffe://x/prod/app")))
        .with_namespace("prod")
        .unwrap();
    let given = app.login_by_certificate("cert", Some("app")).await.unwrap();
    house.canaries.add(given.token.expose());
    assert_eq!((given.ttl_seconds, given.policies.contains(&"app".to_owned())), (300, true));
    let info = app.with_token(given.token).unwrap().tokens().lookup_self().await.unwrap();
    assert_eq!(info.accessor, given.accessor);
    assert_eq!(
        app.login_by_certificate("cert", None).await.err().unwrap().status(),
        Some(400),
        "two roles match"
    );
    assert!(app.login_by_certificate("cert", Some("nobody")).await.is_err());
    let stranger = house.client(&house.issue(&Person::named("stranger"))).with_namespace("prod").unwrap();
    assert!(stranger.login_by_certificate("/cert/", Some("app")).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_and_changes_the_house() {
    let house = House::start().await;
    let root = house.root();
    let sys = root.sys();
    let health = sys.health().await.unwrap();
    assert!(health.initialized && !health.sealed && !health.standby && !health.version.is_empty());

    sys.mount("team/secret", &NewMount { description: "the team's".into(), ..NewMount::kv_v2() })
        .await
        .unwrap();
    let mounts = sys.mounts().await.unwrap();
    let mount = &mounts["team/secret/"];
    assert_eq!((mount.kind.as_str(), mount.description.as_str()), ("kv", "the team's"));
    assert_eq!(mount.options.as_ref().unwrap()["version"], "2");
    assert!(!mount.accessor.is_empty());
    assert_eq!(sys.mount("team/secret", &NewMount::kv_v2()).await.unwrap_err().status(), Some(400));
    assert!(matches!(sys.mount("/", &NewMount::kv_v2()).await, Err(Error::Configuration(_))));
    sys.unmount("team/secret").await.unwrap();
    assert!(!sys.mounts().await.unwrap().contains_key("team/secret/"));
    sys.enable_auth("people", &NewMount::of("cert")).await.unwrap();
    assert_eq!(sys.auth_methods().await.unwrap()["people/"].kind, "cert");
    sys.disable_auth("people").await.unwrap();
    assert!(!sys.auth_methods().await.unwrap().contains_key("people/"));

    let text = policy(&[("secret/data/app/*", &["read", "list"])]);
    sys.put_policy("App", &text).await.unwrap();
    assert_eq!(sys.policy("app").await.unwrap(), text);
    assert_eq!(sys.policies().await.unwrap(), names(&["app", "default", "root"]));
    assert_eq!(sys.put_policy("bad", "path {").await.unwrap_err().status(), Some(400));
    let reader =
        root.tokens().create(&NewToken { policies: names(&["app"]), ..NewToken::default() }).await.unwrap();
    house.canaries.add(reader.token.expose());
    let reader = root.with_token(reader.token).unwrap();
    let capabilities = reader.sys().capabilities(&["secret/data/app/db", "capabilities"]).await.unwrap();
    assert_eq!(capabilities["secret/data/app/db"], names(&["list", "read"]));
    assert_eq!(
        capabilities["capabilities"],
        names(&["deny"]),
        "a path by the name of the answer's own field"
    );
    assert!(reader.sys().mounts().await.unwrap_err().is_permission_denied());
    sys.delete_policy("app").await.unwrap();
    assert!(sys.policy("app").await.unwrap_err().is_not_found());

    assert!(sys.namespaces().await.unwrap().is_empty());
    let made = sys.create_namespace("/acme/").await.unwrap();
    let acme = root.with_namespace("acme/").unwrap();
    assert_eq!(acme.namespace(), "acme");
    acme.sys().create_namespace("prod").await.unwrap();
    assert_eq!(
        (sys.namespaces().await.unwrap(), acme.sys().namespaces().await.unwrap()),
        (names(&["acme/"]), names(&["prod/"]))
    );
    let seen = sys.namespace("acme").await.unwrap();
    assert_eq!((seen.id.clone(), seen.path.as_str(), seen.state.as_str()), (made.id, "acme/", "active"));
    assert!(sys.namespace("none").await.unwrap_err().is_not_found());
    // With a backup that holds its keys it is not gone for good, and the state says so.
    root.sys().save_snapshot(&mut Vec::new()).await.unwrap();
    acme.sys().delete_namespace("prod").await.unwrap();
    assert!(acme.sys().namespaces().await.unwrap().is_empty());
    let gone = eventually("the end of the erasing", || async {
        Some(acme.sys().namespace("prod").await.unwrap()).filter(|gone| gone.state != "deleting")
    })
    .await;
    assert!(gone.state.starts_with("deleted, recoverable until 20"), "{gone:?}");

    for client in [&root, &acme] {
        let before = client.sys().key_status().await.unwrap();
        client.sys().rotate().await.unwrap();
        let after = client.sys().key_status().await.unwrap();
        assert_eq!(after.term, before.term + 1);
        assert!(!after.install_time.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_daemon_says_what_is_wrong_with_a_share_and_keeps_the_others() {
    let house = House::with(Setup { shares: Some((3, 2)), ..Setup::default() }).await;
    let (root, nobody) = (house.root(), house.client(&house.operator));
    assert!(nobody.sys().seal().await.unwrap_err().is_permission_denied());
    assert_eq!(nobody.sys().init(3, 2).await.err().unwrap().status(), Some(400), "it is initialised");
    root.sys().seal().await.unwrap();
    let error = root.kv("secret").get::<Value>("a").await.unwrap_err();
    assert!(error.is_unavailable() && !error.may_have_happened(), "{error}");
    assert!(root.sys().health().await.unwrap().sealed);
    let sys = nobody.sys();
    let status = sys.seal_status().await.unwrap();
    assert_eq!((status.seal_type.as_str(), status.initialized, status.sealed), ("shamir", true, true));
    assert_eq!((status.threshold, status.shares, status.progress), (2, 3, 0));
    let give = async |text: &str| sys.unseal(&Secret::from(text)).await;
    // As people type it: in capitals, with a line's end.
    assert_eq!(give(&format!("{}\n", house.shares[1].to_uppercase())).await.unwrap().progress, 1);
    for wrong in ["", "coffer1qqqq", "no share at all", &house.shares[0][..81]] {
        let Err(Error::Refused(refusal)) = give(wrong).await else { panic!("taken: {wrong}") };
        assert_eq!((refusal.status, refusal.sentences.len(), refusal.retry_after), (400, 1, None));
    }
    assert_eq!(sys.seal_status().await.unwrap().progress, 1);
    assert_eq!(sys.unseal_reset().await.unwrap().progress, 0);
    give(&house.shares[2]).await.unwrap();
    assert!(!give(&house.shares[0]).await.unwrap().sealed);
    root.sys().mounts().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_request_can_be_put_together_piece_by_piece() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let value = house.canaries.plant("value");
    let body = serde_json::to_vec(&json!({ "data": { "k": value } })).unwrap();
    prod.request(Method::POST, "/secret/data/a", Some(&body)).await.unwrap();
    let answer = prod.call(Method::GET, "secret/data/a").query("version", "1").send().await.unwrap();
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.data::<Value>().unwrap()["data"]["k"], value);
    assert_eq!(answer.json::<Value>().unwrap()["data"]["metadata"]["version"], 1);
    assert!(answer.warnings().is_empty() && answer.body().starts_with(b"{"));
    let looked = prod
        .call(Method::POST, "sys/capabilities-self")
        .json(Zeroizing::new(br#"{"paths":["x"]}"#.to_vec()))
        .reads_only()
        .send()
        .await
        .unwrap();
    assert_eq!(looked.data::<Value>().unwrap()["x"], json!(["root"]));
    let refused = prod.call(Method::GET, "secret/data/none").send_any_status().await.unwrap();
    assert_eq!(refused.status(), 404);
    assert!(refused.accepted().err().unwrap().is_not_found());
    assert!(
        prod.without_token()
            .request(Method::GET, "secret/data/a", None)
            .await
            .err()
            .unwrap()
            .is_permission_denied()
    );
    assert!(matches!(prod.with_token("a\nb"), Err(Error::Configuration(_))));
}
