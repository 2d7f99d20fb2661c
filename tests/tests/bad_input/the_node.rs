//! What the node answers before it is initialised, and while it is sealed.
use super::furniture::is_one_sentence;
use coffer_sdk::Secret;
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};

/// Bodies that the ceremony at `path` does not take.
fn bodies(path: &str, canary: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = ["{", "[]", "7", "<xml/>", "{\"a\":1,\"a\":1}"].map(Vec::from).into();
    all.push(b"{\"key\":\"\xff\"}".into());
    all.push(format!("{{\"key\":{}{}}}", "[".repeat(400), "]".repeat(400)).into());
    let texts = [canary.to_owned(), format!("../{canary}\u{0}\n"), canary.repeat(3000), "\u{0}".into()];
    let values = texts.into_iter().map(Value::from).chain([
        json!({ canary: canary }),
        json!([[canary]]),
        json!(-1),
        json!(1.5e300),
        json!(vec![canary; 2000]),
    ]);
    let bodies: Vec<Value> =
        match path {
            "sys/init" => values
                .flat_map(|value| {
                    [
                        json!({ "secret_shares": value, "secret_threshold": 2 }),
                        json!({ "secret_shares": 3, "secret_threshold": value }),
                        json!({ "secret_shares": 3, "secret_threshold": 2, "pgp_keys": value }),
                        json!({ "secret_shares": 3, "secret_threshold": 2, "root_token_pgp_key": value }),
                        json!({ "secret_shares": 3, "secret_threshold": 2, "recipients": value }),
                        json!({ "recovery_shares": value, "recovery_threshold": 2 }),
                        json!({ "recovery_shares": 3, "recovery_threshold": value }),
                    ]
                })
                .chain([(0, 0), (3, 0), (3, 1), (2, 3), (256, 2), (3, 300)].map(
                    |(shares, threshold)| json!({ "secret_shares": shares, "secret_threshold": threshold }),
                ))
                .collect(),
            _ => values
                .flat_map(|value| [json!({ "key": value }), json!({ "reset": value }), json!({})])
                .collect(),
        };
    all.extend(bodies.iter().map(|body| serde_json::to_vec(body).unwrap()));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bad_input_initialises_unseals_or_restores_a_node() {
    let mut house = House::empty(Setup::default()).await;
    let canary = house.canaries.plant("ceremony");
    for is_initialized in [false, true] {
        let nobody = house.client(&house.operator);
        let before = nobody.ask("GET", "sys/seal-status", Value::Null).await.ok().body;
        assert_eq!((&before["initialized"], &before["sealed"]), (&json!(is_initialized), &json!(true)));
        let mut wire = house.wire();
        for path in ["sys/init", "sys/unseal", "sys/storage/raft/snapshot-restore"] {
            for body in bodies(path, &canary) {
                let reply = wire.ask("POST", &format!("/v1/{path}"), &[], &body).unwrap();
                let what = format!("{path} {:.60} {}", String::from_utf8_lossy(&body), reply.status);
                assert_eq!(reply.status, 400, "{what}: {}", reply.text());
                is_one_sentence(&house, &what, &reply);
            }
            let after = nobody.ask("GET", "sys/seal-status", Value::Null).await.ok().body;
            assert_eq!(before, after, "{path}");
        }
        if !is_initialized {
            house.init().await;
        }
    }
    // A good share counts, whatever came before; and what is no share afterwards takes nothing of it away.
    let sys = house.client(&house.operator).sys();
    assert_eq!(sys.unseal(&Secret::new(house.shares[0].clone())).await.unwrap().progress, 1);
    let mut wire = house.wire();
    for body in bodies("sys/unseal", &canary) {
        assert_eq!(wire.ask("POST", "/v1/sys/unseal", &[], &body).unwrap().status, 400);
    }
    assert!(!sys.unseal(&Secret::new(house.shares[1].clone())).await.unwrap().sealed);
}
