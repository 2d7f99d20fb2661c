//! Ceremonies of an open daemon: new shares, a new root key, a new root token. Whatever happens, somebody holds what opens.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use coffer_sdk::{Client, Secret};
use coffer_tests::{Ask, Asked, House};
use serde_json::{Value, json};

/// Gives shares to a ceremony until one answer is complete.
async fn give(root: &Client, path: &str, nonce: &str, shares: &[String]) -> Value {
    for share in shares {
        let answer = root.ask("POST", path, json!({ "key": share, "nonce": nonce })).await.ok();
        if answer.body["complete"] == true {
            return answer.body;
        }
    }
    panic!("{path}: all shares together are not enough");
}

async fn begin(root: &Client, body: Value) -> String {
    root.ask("POST", "sys/rekey/init", body).await.ok().text("nonce")
}

fn shares_of(house: &House, body: &Value) -> Vec<String> {
    let texts: Vec<String> =
        body["shares"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    texts.iter().for_each(|text| house.canaries.add(text));
    texts
}

/// Offers shares to a sealed daemon: whether they open it.
async fn opens(house: &House, shares: &[String]) -> bool {
    let sys = house.client(&house.operator).sys();
    sys.unseal_reset().await.unwrap();
    for share in shares {
        match sys.unseal(&Secret::new(share.clone())).await {
            Ok(status) if !status.sealed => return true,
            Ok(_) | Err(_) => {}
        }
    }
    false
}

async fn why_refused(house: &House, share: &str) -> String {
    let asked: Asked = house.client(&house.operator).ask("POST", "sys/unseal", json!({ "key": share })).await;
    asked.refused(400)
}

async fn with_a_secret() -> House {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    prod.ask("POST", "secret/data/kept", json!({ "data": { "k": house.canaries.plant("kept") } }))
        .await
        .done();
    house
}

async fn is_all_there(house: &House) {
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("GET", "secret/data/kept", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rekey_the_new_shares_open_and_with_their_first_use_the_old_ones_end() {
    let mut house = with_a_secret().await;
    let (root, old) = (house.root(), house.shares.clone());
    let nonce = begin(&root, json!({ "secret_shares": 4, "secret_threshold": 2 })).await;
    let made = give(&root, "sys/rekey/update", &nonce, &old).await;
    let new = shares_of(&house, &made);
    assert_eq!((new.len(), made["keys"].as_array().unwrap().len()), (4, 4));
    let status = root.sys().seal_status().await.unwrap();
    assert_eq!((status.shares, status.threshold), (4, 2));
    is_all_there(&house).await;
    house.kill9();
    house.start_process().await;
    assert!(opens(&house, &new[2..]).await);
    is_all_there(&house).await;
    house.root().sys().seal().await.unwrap();
    assert!(!opens(&house, &old).await);
    assert!(why_refused(&house, &old[0]).await.contains("replaced"));
    assert!(opens(&house, &new).await);
    is_all_there(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_answer_of_a_rekey_was_lost_the_old_shares_open_and_the_new_ones_end() {
    let mut house = with_a_secret().await;
    let (root, old) = (house.root(), house.shares.clone());
    let nonce = begin(&root, json!({ "secret_shares": 2, "secret_threshold": 2 })).await;
    // Nobody has seen this answer: the holders come back with what they have.
    let lost = shares_of(&house, &give(&root, "sys/rekey/update", &nonce, &old).await);
    house.kill9();
    house.start_process().await;
    assert!(opens(&house, &old).await);
    is_all_there(&house).await;
    let status = house.root().sys().seal_status().await.unwrap();
    assert_eq!((status.shares, status.threshold), (3, 2), "it tells of the shares that have ended");
    house.root().sys().seal().await.unwrap();
    assert!(!opens(&house, &lost).await);
    assert!(opens(&house, &old).await);
    // And without a restart: another rekey takes the shares that its asker has.
    let nonce = begin(&house.root(), json!({ "secret_shares": 3, "secret_threshold": 2 })).await;
    let lost = shares_of(&house, &give(&house.root(), "sys/rekey/update", &nonce, &old).await);
    let nonce = begin(&house.root(), json!({ "secret_shares": 3, "secret_threshold": 2 })).await;
    let new = shares_of(&house, &give(&house.root(), "sys/rekey/update", &nonce, &old).await);
    house.root().sys().seal().await.unwrap();
    assert!(!opens(&house, &lost).await);
    assert!(opens(&house, &new).await);
    is_all_there(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_shares_that_are_shown_first_replace_the_old_ones_at_once_and_not_before() {
    let mut house = with_a_secret().await;
    let (root, old) = (house.root(), house.shares.clone());
    let asked = json!({ "secret_shares": 3, "secret_threshold": 3, "require_verification": true });
    // Killed with the new shares handed out and not shown: they were never in force.
    let nonce = begin(&root, asked.clone()).await;
    let never = shares_of(&house, &give(&root, "sys/rekey/update", &nonce, &old).await);
    house.kill9();
    house.start_process().await;
    assert!(!opens(&house, &never).await);
    assert!(opens(&house, &old).await);

    let root = house.root();
    let nonce = begin(&root, asked).await;
    let made = give(&root, "sys/rekey/update", &nonce, &old).await;
    let (new, proof) = (shares_of(&house, &made), made["verification_nonce"].as_str().unwrap().to_owned());
    assert_eq!(made["verification_required"], true);
    let show = async |share: &str, nonce: &str| {
        root.ask("POST", "sys/rekey/verify", json!({ "key": share, "nonce": nonce })).await
    };
    assert!(show(&new[0], &nonce).await.refused(400).contains("nonce"));
    assert!(show(&old[0], &proof).await.refused(400).contains("none of the new shares"));
    for share in [&new[0], &new[1], &new[1]] {
        assert_ne!(show(share, &proof).await.ok().body["complete"], true);
    }
    assert_eq!(root.ask("GET", "sys/rekey/verify", Value::Null).await.ok().body["progress"], 2);
    assert_eq!(show(&new[2], &proof).await.ok().body["complete"], true);
    is_all_there(&house).await;
    house.kill9();
    house.start_process().await;
    assert!(!opens(&house, &old).await);
    assert!(opens(&house, &new).await);
    is_all_there(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_that_are_shown_after_the_answer_end_the_old_ones_too() {
    let house = with_a_secret().await;
    let (root, old) = (house.root(), house.shares.clone());
    let nonce = begin(&root, json!({ "secret_shares": 3, "secret_threshold": 2 })).await;
    let made = give(&root, "sys/rekey/update", &nonce, &old).await;
    let (new, proof) = (shares_of(&house, &made), made["verification_nonce"].as_str().unwrap().to_owned());
    give(&root, "sys/rekey/verify", &proof, &new).await;
    root.sys().seal().await.unwrap();
    assert!(!opens(&house, &old).await);
    assert!(opens(&house, &new).await);
    is_all_there(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_that_is_cancelled_sealed_or_given_wrong_shares_changes_nothing() {
    let house = with_a_secret().await;
    let (root, old) = (house.root(), house.shares.clone());
    let body = json!({ "secret_shares": 3, "secret_threshold": 2 });
    let nonce = begin(&root, body.clone()).await;
    let status = root.ask("GET", "sys/rekey/init", Value::Null).await.ok().body;
    assert_eq!(
        (&status["started"], &status["nonce"], &status["required"]),
        (&json!(true), &json!(nonce), &json!(2))
    );
    root.ask("POST", "sys/rekey/init", body.clone()).await.refused(400);
    let update = async |share: &str, nonce: &str| {
        root.ask("POST", "sys/rekey/update", json!({ "key": share, "nonce": nonce })).await
    };
    assert!(update(&old[0], "another").await.refused(400).contains("nonce"));
    assert!(update("coffer1nonsense", &nonce).await.refused(400).contains("mistyped"));
    let mut typo = old[0].clone();
    typo.replace_range(20..21, if &typo[20..21] == "q" { "p" } else { "q" });
    assert!(update(&typo, &nonce).await.refused(400).contains("mistyped"));
    // The same share twice is one.
    for _ in 0..3 {
        assert_eq!(update(&old[0], &nonce).await.ok().body["progress"], 1);
    }
    root.ask("DELETE", "sys/rekey/init", Value::Null).await.done();
    assert_eq!(root.ask("GET", "sys/rekey/init", Value::Null).await.ok().body["started"], false);
    update(&old[1], &nonce).await.refused(400);
    // A seal forgets it.
    let nonce = begin(&root, body.clone()).await;
    assert_eq!(update(&old[0], &nonce).await.ok().body["progress"], 1);
    root.sys().seal().await.unwrap();
    assert!(opens(&house, &old).await);
    assert_eq!(root.ask("GET", "sys/rekey/init", Value::Null).await.ok().body["started"], false);
    for wrong in [
        json!({ "secret_shares": 0 }),
        json!({ "secret_shares": 2, "secret_threshold": 3 }),
        json!({ "secret_shares": 300, "secret_threshold": 3 }),
        json!({ "secret_shares": 3, "secret_threshold": 1 }),
        json!({ "pgp_keys": ["x", "y"] }),
        json!({ "backup": true }),
        json!({ "require_verification": "perhaps" }),
    ] {
        root.ask("POST", "sys/rekey/init", wrong).await.refused(400);
    }
    // A child has no shares of its own.
    let prod = root.with_namespace("prod").unwrap();
    assert!(prod.ask("POST", "sys/rekey/init", body).await.refused(400).contains("the one above"));
    is_all_there(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_root_key_leaves_the_shares_as_they_are() {
    let mut house = with_a_secret().await;
    let root = house.root();
    for _ in 0..3 {
        root.ask("POST", "sys/rotate/root", json!({})).await.done();
        root.ask("POST", "sys/rotate", json!({})).await.done();
    }
    is_all_there(&house).await;
    house.kill9();
    house.start_process().await;
    assert!(opens(&house, &house.shares.clone()).await);
    is_all_there(&house).await;
    // Also in a child, which goes on to open with its parent.
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("POST", "sys/rotate/root", json!({})).await.done();
    is_all_there(&house).await;
    house.restart().await;
    is_all_there(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_make_a_root_token_that_only_the_asker_can_read() {
    let house = with_a_secret().await;
    let root = house.root();
    for attempt in ["sys/generate-root/attempt", "sys/generate-root-token/attempt"] {
        let update = attempt.replace("attempt", "update");
        let begun = root.ask("POST", attempt, json!({})).await.ok();
        let (nonce, pad) = (begun.text("nonce"), begun.body["otp"].as_str().unwrap().to_owned());
        house.canaries.add(&pad);
        assert_eq!(begun.body["otp_length"], pad.len());
        root.ask("POST", attempt, json!({})).await.refused(400);
        let status = root.ask("GET", attempt, Value::Null).await.ok().body;
        assert!(status["otp"] == "" && status["started"] == true, "the pad is shown again");
        root.ask("POST", &update, json!({ "key": house.shares[0], "nonce": "x" })).await.refused(400);
        let made = give(&root, &update, &nonce, &house.shares).await;
        let padded = STANDARD_NO_PAD.decode(made["encoded_token"].as_str().unwrap()).unwrap();
        let token: Vec<u8> = padded.iter().zip(pad.bytes()).map(|(byte, pad)| byte ^ pad).collect();
        let token = String::from_utf8(token).unwrap();
        house.canaries.add(&token);
        let own = house.with_token(&token).ask("GET", "auth/token/lookup-self", Value::Null).await.ok();
        assert_eq!(own.data()["policies"], json!(["root"]));
        // Nothing is left of it.
        root.ask("POST", &update, json!({ "key": house.shares[0], "nonce": nonce })).await.refused(400);
    }
    root.ask("POST", "sys/generate-root/attempt", json!({ "otp": "short" })).await.refused(400);
    root.ask("POST", "sys/generate-root/attempt", json!({ "pgp_key": "x" })).await.refused(400);
    root.ask("POST", "sys/generate-root/attempt", json!({})).await.done();
    root.ask("DELETE", "sys/generate-root/attempt", Value::Null).await.done();
    assert_eq!(root.ask("GET", "sys/generate-root/attempt", Value::Null).await.ok().body["started"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ceremonies_are_for_whom_a_policy_lets_and_stand_in_the_log() {
    let mut house = with_a_secret().await;
    let root = house.root();
    let holder = house.token_for(&root, "holder", &[("sys/rekey/update", &["update"])]).await;
    let holder = house.with_token(&holder);
    for (method, path) in
        [("POST", "sys/rekey/init"), ("DELETE", "sys/rekey/init"), ("POST", "sys/generate-root/attempt")]
    {
        holder.ask(method, path, if method == "POST" { json!({}) } else { Value::Null }).await.refused(403);
    }
    house.client(&house.operator).ask("POST", "sys/rekey/update", json!({})).await.refused(403);
    let nonce = begin(&root, json!({ "secret_shares": 2, "secret_threshold": 2 })).await;
    let made = give(&holder, "sys/rekey/update", &nonce, &house.shares).await;
    let new = shares_of(&house, &made);
    root.ask("DELETE", "sys/rekey/init", Value::Null).await.done();
    root.sys().seal().await.unwrap();
    assert!(opens(&house, &new).await);
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    for route in ["sys/rekey/init", "sys/rekey/update", "sys/generate-root/attempt", "rekey-settled"] {
        assert!(shown.contains(route), "{route} is not in the log");
    }
    house.coffer("", &["audit", "verify", house.audit().to_str().unwrap()]).ok();
}
