//! What a durable commit costs: microseconds of CPU and of time per work, alone and sixteen at once.
//!
//! `cargo run --release -p coffer-store --example commit_rate -- [existing folder]`
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use coffer_store::{CommitError, Options, RedbStore, Store, commit};
use futures_util::future::join_all;

const RECORDS: u32 = 20_000;
const VALUE_BYTES: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = std::env::args().nth(1).map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let store = RedbStore::open(folder.join("rate/records.redb"), Options::default()).expect("a store");
    for first in (0..RECORDS).step_by(1000) {
        write(&store, (first..first + 1000).collect()).await;
    }
    for (batch, works) in [(1u32, 2000u32), (16, 8000)] {
        let (cpu, wall, revision) = (cpu_time(), Instant::now(), store.revision());
        for round in 0..works / batch {
            let works =
                (0..batch).map(|n| write(&store, vec![(round * batch + n).wrapping_mul(7919) % RECORDS]));
            join_all(works).await;
        }
        let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
        println!(
            "{batch:2} at once: {:7.1} µs CPU, {:7.1} µs per work; {} works in {} commits",
            micros(cpu, works),
            micros(wall, works),
            works,
            store.revision() - revision
        );
    }
    let (cpu, reads) = (cpu_time(), 200_000u32);
    for n in 0..reads {
        let key = n.wrapping_mul(7919) % RECORDS;
        assert!(store.get(&key.to_be_bytes()).await.expect("a read").is_some());
    }
    println!("one read:   {:7.2} µs CPU", micros(cpu_time() - cpu, reads));
}

async fn write(store: &RedbStore, keys: Vec<u32>) {
    let done: Result<(), CommitError<()>> = commit(store, move |transaction| {
        for key in &keys {
            transaction.put(key.to_be_bytes().to_vec(), vec![1; VALUE_BYTES])?;
        }
        Ok(())
    })
    .await;
    done.expect("a commit");
}

fn micros(time: Duration, works: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(works)
}

/// CPU time of the whole process.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
