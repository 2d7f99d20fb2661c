//! How long an unwrap takes beyond the server's own time: by hand, in release, with the figures in `compare/README.md`.
use super::{KEY, Server, bao, coffer, works};
use coffer_seal::device::Device as _;
use keystore_format::transit_wrap::TransitBlob;
use std::time::{Duration, Instant};

const ROUNDS: usize = 300;

async fn measured(server: Server) {
    let mut device = server.device();
    let (wrap, binding) = works(&mut device, &server);
    let blob = TransitBlob::decode(&wrap.blob).unwrap();
    let (transit, data) = (server.root.transit("transit"), binding.bytes());
    let (mut alone, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        transit.decrypt(KEY, blob.ciphertext(), &data).await.unwrap();
        alone.push(begun.elapsed());
        let begun = Instant::now();
        device.unwrap(&wrap, &binding).unwrap();
        whole.push(begun.elapsed());
    }
    let (alone, whole) = (median(alone), median(whole));
    eprintln!(
        "{}: decrypt on an open connection {alone:?}, unwrap {whole:?}, beyond it {:?} (p50 of {ROUNDS})",
        if server.is_bao { "OpenBao" } else { "Coffer" },
        whole.saturating_sub(alone)
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "a measurement: cargo nextest run --release -p coffer-tests -E 'test(seal_transit::speed)' --run-ignored all --no-capture"]
async fn of_an_unwrap_by_coffer() {
    measured(coffer::server().await).await;
}

#[tokio::test]
#[ignore = "a measurement: cargo nextest run --release -p coffer-tests -E 'test(seal_transit::speed)' --run-ignored all --no-capture"]
async fn of_an_unwrap_by_openbao() {
    measured(bao::server().await).await;
}
