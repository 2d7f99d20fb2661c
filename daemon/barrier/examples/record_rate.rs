//! What a record costs through the barrier, on the disk store: microseconds of CPU per write, alone and sixteen at once,
//! with one record a write and with two (a secret's metadata and its version); and per read.
//!
//! `cargo run --release -p coffer-barrier --example record_rate -- [records [existing folder]]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example ends where it fails")]
use coffer_barrier::{Barrier, BarrierError, Context, Place};
use coffer_secmem::Key32;
use coffer_store::{CommitError, Options, RedbStore, Store, commit};
use coffer_types::{
    CanonicalPath, Clock, Entropy, EntropyError, EnvironmentId, Kind, MountId, StoreId, Timestamp, WrapId,
};
use futures_util::future::join_all;
use keystore_format::{
    seal_record::{self, SealRecord, Wrap, WrapState, WrapType},
    tail::Tail,
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const VALUE_BYTES: usize = 1024;
const MOUNT: MountId = MountId([1; 16]);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let records: u32 = arguments.next().map_or(20_000, |records| records.parse().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let folder = arguments.next().map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let store: Arc<dyn Store> =
        Arc::new(RedbStore::open(folder.join("rate/records.redb"), Options::default()).unwrap());
    let barrier = barrier(&store).await;
    for first in (0..records).step_by(500) {
        write(&barrier, (first..records.min(first + 500)).map(|n| (n, false)).collect()).await;
    }
    println!("{records} records of {VALUE_BYTES} bytes");
    for (at_once, works) in [(1_u32, 2000_u32), (16, 8000)] {
        for pair in [false, true] {
            let (cpu, wall) = (cpu_time(), Instant::now());
            for round in 0..works / at_once {
                let number = |n: u32| (round * at_once + n).wrapping_mul(7919) % records;
                join_all((0..at_once).map(|n| write(&barrier, vec![(number(n), pair)]))).await;
            }
            let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
            println!(
                "{at_once:2} at once, {} a write: {:6.1} µs CPU, {:7.1} µs",
                if pair { "two records" } else { "one record " },
                micros(cpu, works),
                micros(wall, works),
            );
        }
    }
    let view = barrier.view(MOUNT);
    for (what, among) in [("hot", 64), ("cold", records)] {
        let (cpu, reads) = (cpu_time(), 100_000_u32);
        for n in 0..reads {
            let at = path(n.wrapping_mul(7919) % among);
            assert!(view.get(Kind::KvV2Metadata, &at, None).await.unwrap().is_some());
        }
        println!("one read, {what:4} (of {among}): {:6.2} µs CPU", micros(cpu_time() - cpu, reads));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmRSS")).unwrap());
}

async fn write(barrier: &Arc<Barrier>, numbers: Vec<(u32, bool)>) {
    let work = move |batch: &mut coffer_barrier::Batch<'_>| -> Result<(), BarrierError> {
        let mut mount = batch.mount(MOUNT);
        for (number, pair) in &numbers {
            mount.put(Kind::KvV2Metadata, &path(*number), None, &[1; VALUE_BYTES])?;
            if *pair {
                mount.put(Kind::KvV2Version, &path(*number), Some(1), &[2; VALUE_BYTES])?;
            }
        }
        Ok(())
    };
    barrier.commit(work).await.unwrap();
}

fn path(number: u32) -> CanonicalPath {
    CanonicalPath::parse(&format!("directory-{}/{number}", number % 50)).unwrap()
}

async fn barrier(store: &Arc<dyn Store>) -> Arc<Barrier> {
    let context = Context { store: StoreId([7; 16]), environment: EnvironmentId([1; 16]) };
    let place = Place {
        store: Arc::clone(store),
        context,
        clock: Arc::new(Still),
        entropy: Arc::new(Counting(Mutex::new(1))),
    };
    let root = || Key32::from_bytes(&mut [9; 32]);
    let (id, root_id) = (WrapId([3; 16]), seal_record::root_id(root().expose(), &context));
    let blob = seal_record::wrap_root(&[4; 32], &context, id, &root_id, &[5; 24], root().expose());
    let wrap =
        Wrap { id, wrap_type: WrapType::File, state: WrapState::Current, parameters: Vec::new(), blob };
    let seal = SealRecord {
        ctx: context,
        root_id,
        generation: 1,
        wraps: vec![wrap],
        share_digests: Vec::new(),
        tail: Tail::new(),
    };
    let created = Arc::new(Barrier::create(place, root(), Vec::new()).unwrap());
    let writing = (Arc::clone(&created), seal);
    commit(&**store, move |transaction| -> Result<(), CommitError<BarrierError>> {
        writing.0.write(transaction, &writing.1).map_err(CommitError::Refused)
    })
    .await
    .unwrap();
    Arc::clone(&created.barrier)
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

/// Nonces that differ; nothing here is secret.
struct Counting(Mutex<u64>);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut next = self.0.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            *next += 1;
            chunk.iter_mut().zip(next.to_le_bytes()).for_each(|(byte, fresh)| *byte = fresh);
        }
        Ok(())
    }
}

fn micros(time: Duration, works: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(works)
}

/// CPU time of the whole process.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
