//! How long unsealing takes by each seal: by hand, in release, with the figures in `compare/README.md`.
use coffer_tests::{Ask, House, Hsm, Setup, TPM_OWNER, Tpm};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROUNDS: usize = 40;
const PIN: &str = "tpm-pin-1234";

/// A house of five of nine shares, an HSM's key and a TPM with registers and a PIN, with a secret in it.
async fn house(hsm: &Hsm, tpm: &Tpm) -> House {
    let mut setup = Setup { shares: Some((9, 5)), ..Setup::default() };
    hsm.configure(&mut setup, "hsm", "mechanism = \"aes-gcm\"");
    tpm.configure(&mut setup, "tpm2", "");
    let house = House::with(setup).await;
    [TPM_OWNER, PIN].iter().for_each(|secret| house.canaries.add(secret));
    let root = house.root();
    for body in [
        json!({ "add": "hsm" }),
        json!({ "add": "tpm2", "pcrs": "sha256:7,11", "pin": PIN, "owner_password": TPM_OWNER }),
    ] {
        let nonce = root.ask("POST", "sys/seals/change", body).await.ok().text("nonce");
        for share in &house.shares[..5] {
            root.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
        }
    }
    house.environment("prod").await;
    house
}

/// From the request to its answer, when all before it was done.
async fn timed(house: &House, path: &str, body: Value, has_token: bool) -> Duration {
    let client = if has_token { house.root() } else { house.client(&house.operator) };
    // A connection that is open: a handshake is no part of it.
    client.ask("GET", "sys/seal-status", Value::Null).await.done();
    let begun = Instant::now();
    let answer = client.ask("POST", path, body).await;
    let took = begun.elapsed();
    assert!(answer.status < 300, "{path}: {answer:?}");
    took
}

fn told(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let (p50, p90) = (times[times.len() / 2], times[times.len() * 9 / 10]);
    eprintln!("{what:44} p50 {p50:>10.2?}  p90 {p90:>10.2?}");
    p50
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run --release -p coffer-tests -E 'test(seals_speed)' --run-ignored all --no-capture"]
async fn of_unsealing_by_each_seal() {
    let (hsm, tpm) = (Hsm::new(), Tpm::new());
    let house = house(&hsm, &tpm).await;
    let (mut shares, mut pin, mut verified_hsm, mut verified_tpm, mut nothing) =
        (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        nothing.push(timed(&house, "sys/capabilities-self", json!({ "paths": ["x"] }), true).await);
        verified_hsm.push(timed(&house, "sys/seals/verify", json!({ "seal": "hsm" }), true).await);
        let body = json!({ "seal": "tpm2", "pin": PIN });
        verified_tpm.push(timed(&house, "sys/seals/verify", body.clone(), true).await);
        house.root().sys().seal().await.unwrap();
        for share in &house.shares[..4] {
            timed(&house, "sys/unseal", json!({ "key": share }), false).await;
        }
        shares.push(timed(&house, "sys/unseal", json!({ "key": house.shares[4] }), false).await);
        house.root().sys().seal().await.unwrap();
        pin.push(timed(&house, "sys/unseal", body, false).await);
    }
    let nothing = told("a request that asks no device", nothing);
    let hsm = told("`seal verify` by the HSM", verified_hsm);
    let tpm = told("`seal verify` by the TPM with PIN", verified_tpm);
    let shares = told("unsealing, the fifth share of five of nine", shares);
    let pin = told("unsealing, by the TPM with PIN", pin);
    eprintln!("the HSM's wrap, with the device's own time: {:?}", hsm.saturating_sub(nothing));
    eprintln!("the TPM's wrap, with the device's own time: {:?}", tpm.saturating_sub(nothing));
    eprintln!("unsealing by the TPM beyond unsealing by shares: {:?}", pin.saturating_sub(shares));
}
