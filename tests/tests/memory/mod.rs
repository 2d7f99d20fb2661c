//! What root finds in the memory of a daemon that was used in every way: nothing of ten thousand secrets and of any key a
//! tenth of a second after it was sealed, in a core dump and in all mappings; and no long-lived key while it is open and idle.
//!
//! The same is told of a daemon to which the kernel gives no memory that root can't read: its keys are found there while it
//! is open, by which the search proves itself, and after the seal they are gone, by which the clearing does.
//!
//! The long form: `COFFER_MEMORY_RUNS=100 cargo nextest run -p coffer-tests --run-ignored all -E 'test(a_hundred_runs)'`. What it
//! found when it was last run stands in `tests/compare/README.md`.
mod aes;
mod everything;
mod keys;
mod waiting;
mod world;

use coffer_tests::{Ask, Frozen, House, Scan, Search, Setup, Wanted, core_dump, is_root, skip};
use everything::Kept;
use keys::Keys;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use world::World;

/// When the memory of a sealed daemon must be clean, counted from the answer.
const CLEAN_WITHIN: Duration = Duration::from_millis(100);
/// When it is looked at: with the rest for the kernel to stop its threads.
const LOOKED_AT: Duration = Duration::from_millis(60);
/// What a request leaves may lie in a buffer until its connection is used again or ends.
const IDLE_WITHIN: Duration = Duration::from_secs(10);

/// The key of the listener's certificate: no key of the store. It lies in the library's memory as long as it listens.
const LISTENER: &str = "TLS key of the listener";

/// One run, for the record.
#[derive(Default)]
struct Run {
    delay: Duration,
    sealing: Duration,
    idle: Duration,
    canaries: usize,
    keys: usize,
    patterns: usize,
    scanned: u64,
    dumped: u64,
    /// Of one value that two clients write and read without a pause: how many copies there are at a time, at most and on
    /// average.
    copies: (usize, f64),
    /// By when it was looked at and what was found.
    hits: BTreeMap<(&'static str, &'static str), usize>,
    told: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_ten_thousand_secrets_or_of_any_key_is_in_the_memory_of_a_sealed_daemon() {
    if !is_root() {
        return skip("only root can look into the memory of a process that is not dumpable");
    }
    run(false, LOOKED_AT, 1).await.is_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_cleared_and_not_only_hidden() {
    if !is_root() {
        return skip("only root can look into the memory of a process that is not dumpable");
    }
    run(true, LOOKED_AT, 1).await.is_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half an hour; COFFER_MEMORY_RUNS says how many runs"]
async fn a_hundred_runs_leave_nothing() {
    assert!(is_root(), "only root can look into the memory of a process that is not dumpable");
    let runs = std::env::var("COFFER_MEMORY_RUNS").map_or(1, |runs| runs.parse::<u32>().unwrap());
    let (mut unclean, mut number) = (0, 0);
    while number < runs {
        // As early as possible, and as late as is promised.
        let delay = if number % 2 == 0 { Duration::from_millis(20) } else { Duration::from_millis(90) };
        let run = run(false, delay, 10).await;
        if run.delay >= CLEAN_WITHIN {
            eprintln!("looked at only {:?} after the answer: not counted", run.delay);
            continue;
        }
        number += 1;
        eprintln!("run {number}: {}", run.line());
        if !run.hits.is_empty() {
            eprintln!("{}", run.told);
            unclean += 1;
        }
    }
    assert_eq!(unclean, 0, "of {runs} runs");
}

async fn run(hides_nothing: bool, delay: Duration, samples: u32) -> Run {
    let mut world = World::new(hides_nothing).await;
    let (mut keys, mut run) = (Keys::default(), Run::default());
    world.seals().await;
    learn(&mut keys, &world, &Frozen::now(world.house.pid()));
    everything::store(&world).await;
    everything::use_all(&world, &world.at("prod")).await;
    world.rotations().await;
    learn(&mut keys, &world, &Frozen::now(world.house.pid()));
    everything::use_all(&world, &world.at("acme/team")).await;
    let backup = everything::back_up(&world).await;
    // Once more from the beginning: by shares, with all that an unsealing touches.
    world.house.root().sys().seal().await.unwrap();
    world.unseal().await;
    let restored = restore(&world, backup).await;
    world.at("prod").sys().rotate().await.unwrap();
    let mut kept = Kept::new(&world).await;
    idle(&world, hides_nothing, &mut keys, &mut run).await;

    let (mut restless, value) = everything::restless(&world);
    run.copies = copies(&world, &value, samples).await;
    let root = world.house.root();
    let asked = Instant::now();
    root.sys().seal().await.unwrap();
    let sealed = Instant::now();
    run.sealing = sealed - asked;
    // What is looked for is the state at this very moment: there is nothing to wait for.
    tokio::time::sleep(delay).await;
    let still = Frozen::now(world.house.pid());
    run.delay = sealed.elapsed();
    learn(&mut keys, &world, &still);
    if hides_nothing {
        // It signs the node's log of a sealed daemon as well.
        keys.without(&["the node's own key"]);
    }
    let search = run.search(&world, &keys);
    run.look("sealed", &search, &still, &world.house);
    drop(still);
    while restless.join_next().await.is_some() {}
    assert!(kept.are_closed(), "a connection outlives the seal");

    restored.root().sys().seal().await.unwrap();
    tokio::time::sleep(delay).await;
    run.look("restored from a backup, and sealed", &search, &Frozen::now(restored.pid()), &restored);
    run
}

/// How often a value stands in memory while it is used, looked at so many times.
async fn copies(world: &World, value: &str, samples: u32) -> (usize, f64) {
    let mut search = Search::new();
    search.add(Wanted { kind: "value", name: String::new(), bytes: value.into() });
    let mut counts = Vec::new();
    for _ in 0..samples {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let scan = Frozen::now(world.house.pid()).memory(&search);
        counts.push(scan.hits.get("value").copied().unwrap_or_default());
    }
    (*counts.iter().max().unwrap(), counts.iter().sum::<usize>() as f64 / counts.len() as f64)
}

fn learn(keys: &mut Keys, world: &World, still: &Frozen) {
    keys.learn(&world.house, still, &world.keks);
}

/// A second daemon that opens from a backup of the first.
async fn restore(world: &World, backup: Vec<u8>) -> House {
    let mut house = House::empty(Setup::default()).await;
    house.client(&house.operator).sys().restore_snapshot(std::io::Cursor::new(backup)).await.unwrap();
    (house.shares, house.root_token) = (world.house.shares.clone(), world.house.root_token.clone());
    let client = house.client(&house.operator);
    for share in &house.shares[..2] {
        client.ask("POST", "sys/unseal", json!({ "key": share, "accept_rollback": true })).await.done();
    }
    house.root().with_namespace("prod").unwrap().kv("secret").list("app").await.unwrap();
    house
}

/// Looks again and again into the open daemon, which nobody asks anything, until no long-lived key is found. Its own work
/// goes on, each second for some milliseconds: then a key may be in use.
async fn idle(world: &World, hides_nothing: bool, keys: &mut Keys, run: &mut Run) {
    let since = Instant::now();
    let mut search = Search::new();
    loop {
        let still = Frozen::now(world.house.pid());
        if search.is_empty() {
            learn(keys, world, &still);
            keys.add_to(&mut search);
        }
        run.idle = since.elapsed();
        let scan = still.memory(&search);
        if hides_nothing {
            return keys_are_found(&scan, &search, &still);
        }
        let mut seen = Run::default();
        if scan.hits.is_empty() || run.idle > IDLE_WITHIN {
            seen.look("open and idle", &search, &still, &world.house);
            assert!(scan.unread.iter().any(|line| line.contains("secretmem")), "no memory is hidden");
            if seen.hits.is_empty() || run.idle > IDLE_WITHIN {
                (run.hits, run.told) = (seen.hits, seen.told);
                (run.scanned, run.dumped) = (seen.scanned, seen.dumped);
                return;
            }
        }
        drop(still);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// That the search finds what is there: where nothing is hidden, each sort of key that stays.
fn keys_are_found(scan: &Scan, search: &Search, still: &Frozen) {
    for kind in [keys::ROOT, keys::KEYRING, keys::DERIVED, keys::SIGNING] {
        assert!(scan.hits.contains_key(kind), "the search finds no {kind} where all are: {:?}", scan.hits);
    }
    let folder = tempfile::tempdir().unwrap();
    let core = folder.path().join("core");
    still.dump(&core);
    let dumped = core_dump(&core, search);
    let kinds = |scan: &Scan| scan.hits.keys().copied().collect::<BTreeSet<_>>();
    assert!(kinds(&dumped).is_superset(&kinds(scan)), "{:?} {:?}", dumped.hits, scan.hits);
}

impl Run {
    fn is_clean(&self) {
        eprintln!("{}", self.line());
        assert!(
            self.delay < CLEAN_WITHIN,
            "it stood only after {:?}: too busy a machine to tell",
            self.delay
        );
        assert!(self.hits.is_empty(), "{:?}\n{}", self.hits, self.told);
    }

    /// Everything that is looked for in a sealed daemon.
    fn search(&mut self, world: &World, keys: &Keys) -> Search {
        let mut search = Search::new();
        let values = world.house.canaries.values();
        for (number, value) in values.iter().enumerate() {
            // Half of a value is no less of a find.
            let pieces = if (24..=80).contains(&value.len()) { value.len().div_ceil(2) } else { value.len() };
            for piece in value.chunks(pieces) {
                search.add(Wanted {
                    kind: "canary",
                    name: format!("canary {number}"),
                    bytes: piece.to_vec(),
                });
            }
        }
        keys.add_to(&mut search);
        let mut listener = Keys::default();
        let pem = std::fs::read(world.house.at("server-key.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
        listener.pair(LISTENER, "its number", key.secret_der(), &[]);
        listener.add_to(&mut search);
        (self.canaries, self.keys, self.patterns) = (values.len(), keys.len(), search.len());
        assert!(self.canaries >= everything::CANARIES);
        search
    }

    /// Looks through a process in both ways.
    fn look(&mut self, when: &'static str, search: &Search, still: &Frozen, house: &House) {
        let mut own = Search::new();
        // That the search sees this very process: a path that it was told.
        let path = house.data().display().to_string().into_bytes();
        own.add_raw(Wanted { kind: "control", name: "data folder".into(), bytes: path });
        assert!(!still.memory(&own).hits.is_empty(), "the search finds nothing at all");
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("core");
        let scan = still.memory(search);
        still.dump(&core);
        assert!(!core_dump(&core, &own).hits.is_empty(), "the core dump holds nothing at all");
        let dumped = core_dump(&core, search);
        self.scanned += scan.bytes;
        self.dumped += dumped.bytes;
        for (which, scan) in [("memory", &scan), ("core dump", &dumped)] {
            for (kind, count) in &scan.hits {
                if *kind != LISTENER {
                    *self.hits.entry((when, kind)).or_default() += count;
                }
            }
            for found in scan.found.iter().filter(|found| found.hit.kind != LISTENER) {
                writeln!(self.told, "{when}, {which}: {found}").unwrap();
            }
        }
        if !self.told.is_empty() {
            self.told += &still.threads();
        }
    }

    fn line(&self) -> String {
        format!(
            "looked at {:?} after the answer (which took {:?}) and {:?} after the last request: {} canaries, {} keys, {} patterns, {} MiB of memory, {} MiB of core dumps; of a value in use {:?} copies at most and on average; found {:?}",
            self.delay,
            self.sealing,
            self.idle,
            self.canaries,
            self.keys,
            self.patterns,
            self.scanned >> 20,
            self.dumped >> 20,
            self.copies,
            self.hits,
        )
    }
}
