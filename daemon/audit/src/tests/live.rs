//! A log that is checked while it is written.
use super::world::*;
use crate::Book;
use crate::journal::{Journal, NODE};
use coffer_sdk::offline::{LogFolder, Unreadable, check_log};
use keystore_format::logcheck::{Files, LogFault, LogId, Report, tree_path};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

async fn grow(book: &Arc<Book>, leaves: u64) {
    for _ in 0..leaves {
        book.record(book.intend(facts("read", "v")), Ok(answer()), None).await.unwrap();
    }
}

/// The one log of an environment here, and how many leaves its checkpoint covers.
fn environment(report: &Report) -> (LogId, u64) {
    let log = report.logs.iter().find(|log| log.log.0 != NODE).unwrap();
    (log.log, log.covered)
}

fn faults(report: &Report) -> Vec<(&str, LogFault)> {
    report.findings.iter().map(|finding| (finding.file.as_str(), finding.fault)).collect()
}

/// A round that stops before it replaces the checkpoint: what the disk holds at that moment.
#[tokio::test]
async fn until_a_checkpoint_is_replaced_its_own_tiles_stay() {
    // Within one tile, over its end, and within the next.
    for (first, then) in [(5, 4), (200, 100), (300, 4)] {
        let world = World::new();
        let store = memory();
        let (journal, _) = world.open();
        let barrier = world.create(&store, 3).await;
        let book = book(&journal, &barrier).await;
        grow(&book, first).await;
        journal.round().unwrap();
        let tree = tree_path(environment(&world.verify()).0);
        let before = Map::of(&world.directory());
        grow(&book, then).await;
        let checkpoint = world.directory().join(&tree).join("checkpoint");
        let signed = fs::read(&checkpoint).unwrap();
        fs::remove_file(&checkpoint).unwrap();
        // Nothing can be renamed to it.
        fs::create_dir(&checkpoint).unwrap();
        assert!(journal.round().is_err());
        fs::remove_dir(&checkpoint).unwrap();
        fs::write(&checkpoint, signed).unwrap();

        let after = Map::of(&world.directory());
        let tiles = |files: &Map| {
            let names = files.0.keys().filter(|name| name.starts_with(&format!("{tree}/tile/")));
            names.cloned().collect::<BTreeSet<_>>()
        };
        let (before, after) = (tiles(&before), tiles(&after));
        assert!(after.len() >= before.len() + 2, "the round had begun: {after:?}");
        assert!(after.is_superset(&before), "{:?} are gone", before.difference(&after));
        world.demand_whole();
    }
}

/// A log after each of some rounds.
async fn rounds(world: &World, journal: &Arc<Journal>, leaves: &[u64]) -> (LogId, Vec<(u64, Map)>) {
    let store = memory();
    let barrier = world.create(&store, 3).await;
    let book = book(journal, &barrier).await;
    let mut states = Vec::new();
    for more in leaves {
        grow(&book, *more).await;
        journal.round().unwrap();
        states.push((environment(&world.verify()).1, Map::of(&world.directory())));
    }
    (environment(&world.verify()).0, states)
}

#[tokio::test]
async fn a_checkpoint_is_held_by_wider_tiles_of_the_same_place_and_by_nothing_less() {
    let world = World::new();
    let (journal, _) = world.open();
    // Sizes on both sides of one full tile and of two, and on their ends.
    let (log, states) = rounds(&world, &journal, &[7, 1, 90, 156, 1, 1, 100, 155, 1, 60]).await;
    let sizes: Vec<_> = states.iter().map(|(size, _)| *size).collect();
    assert!(sizes.contains(&256) && sizes.contains(&512), "{sizes:?}");
    let tree = tree_path(log);
    let checkpoint = format!("{tree}/checkpoint");
    let mut held_wider = 0;
    for (at, (size, early)) in states.iter().enumerate() {
        for (_, late) in &states[at..] {
            // What a reader has who read the checkpoint before those rounds, and everything else after them.
            let mut files = late.clone();
            files.0.insert(checkpoint.clone(), early.0[&checkpoint].clone());
            let report = check(&mut files);
            assert!(report.findings.is_empty(), "{size}: {:#?}", report.findings);
            assert_eq!(environment(&report).1, *size);

            let last = (size - 1) / 256;
            for kind in ["entries", "0"] {
                let tile = format!("{tree}/tile/{kind}/{last:03}");
                let names: Vec<_> = files.0.keys().filter(|name| name.starts_with(&tile)).cloned().collect();
                assert_eq!(names.len(), 1, "{names:?}");
                let width = size - last * 256;
                let exact = if width == 256 { tile.clone() } else { format!("{tile}.p/{width}") };
                held_wider += u32::from(names[0] != exact);

                let mut without = files.clone();
                let bytes = without.0.remove(&names[0]).unwrap();
                let found = check(&mut without);
                assert!(faults(&found).contains(&(&exact, LogFault::MissingTile)), "{found:#?}");
                // A narrower one does not do, though what it holds is right.
                if width > 1 {
                    let narrow = format!("{tile}.p/{}", width - 1);
                    let all = prefix(kind, &bytes, width as usize - 1);
                    without.0.insert(narrow, all);
                    let found = check(&mut without);
                    assert!(faults(&found).contains(&(&exact, LogFault::MissingTile)), "{found:#?}");
                }
                // Nor does a wider one that holds something else, before the checkpoint's end or after it.
                for at in [0, bytes.len() - 1] {
                    let mut altered = files.clone();
                    altered.0.get_mut(&names[0]).unwrap()[at] ^= 1;
                    let found = check(&mut altered);
                    assert!(faults(&found).contains(&(&names[0], LogFault::AlteredTile)), "{found:#?}");
                }
            }
        }
    }
    assert!(held_wider > 40, "{held_wider}");
}

/// The first `count` entries or hashes of a tile.
fn prefix(kind: &str, bytes: &[u8], count: usize) -> Vec<u8> {
    let mut end = 32 * count;
    if kind == "entries" {
        end =
            (0..count).fold(0, |at, _| at + 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]])));
    }
    bytes[..end].to_vec()
}

/// A log's folder in which the daemon does something before each look of the auditor's.
struct Busy<F> {
    folder: LogFolder,
    between: F,
    looks: u32,
}

impl<F: FnMut(u32)> Files for Busy<F> {
    type Error = Unreadable;

    fn list(&mut self) -> Result<Vec<String>, Unreadable> {
        (self.between)(self.looks);
        self.looks += 1;
        self.folder.list()
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Unreadable> {
        (self.between)(self.looks);
        self.looks += 1;
        self.folder.read(path, offset, limit)
    }
}

/// One look at the log while `between` happens before each of its steps; how many these were.
fn look(world: &World, between: impl FnMut(u32)) -> u32 {
    let mut files = Busy { folder: LogFolder::open(&world.directory()), between, looks: 0 };
    let report = check(&mut files);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    files.looks
}

/// Lets the daemon's side run to its end, in the midst of the auditor's.
fn finish(work: impl Future<Output = ()>) {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_lasts_for_many_rounds_sees_one_moment() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barriers = [world.create(&store, 3).await, world.create(&store, 4).await];
    let books = [book(&journal, &barriers[0]).await, book(&journal, &barriers[1]).await];
    grow(&books[0], 240).await;
    grow(&books[1], 3).await;
    journal.round().unwrap();
    let (before, mut rounds) = (leaves(&world.verify()), 0);
    let looks = look(&world, |_| {
        rounds += 1;
        // A look that follows what is written would never end.
        if rounds > 200 {
            return;
        }
        finish(async {
            grow(&books[0], 3).await;
            grow(&books[1], 1).await;
            journal.round().unwrap();
        });
    });
    assert!(looks > 20 && rounds == looks, "{looks}");
    assert!(leaves(&world.verify()) > before + 4 * u64::from(looks), "it was written meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_is_made_during_a_look_is_no_alteration() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let first = book(&journal, &barrier).await;
    grow(&first, 3).await;
    journal.round().unwrap();
    let mut books = Vec::new();
    for at in 0..30 {
        let steps = look(&world, |step| {
            if step == at {
                finish(async {
                    let barrier = world.create(&store, 10 + at as u8).await;
                    let made = book(&journal, &barrier).await;
                    grow(&made, 2).await;
                    journal.round().unwrap();
                    grow(&made, 1).await;
                    journal.round().unwrap();
                    books.push(made);
                });
            }
        });
        assert_eq!(books.len(), at as usize + 1, "{steps}");
    }
    world.demand_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_whole_at_every_look_while_a_daemon_writes_as_fast_as_it_can() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    journal.round().unwrap();
    let (rounds, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, over) = (Arc::clone(&rounds), Arc::clone(&is_over));
    let writer = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            grow(&book, 5).await;
            journal.round().unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let report = tokio::task::block_in_place(|| {
        loop {
            let report = check_log(&world.directory(), &[]);
            let is_whole = report.as_ref().is_ok_and(|report| report.findings.is_empty());
            if !is_whole || rounds.load(Ordering::Relaxed) > 150 {
                return report;
            }
        }
    });
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(report.as_ref().unwrap().findings.is_empty(), "{report:#?}");
    world.demand_whole();
}

/// Whoever looks in the first second of a node, or after a power cut, finds the node log signed.
#[tokio::test]
async fn a_node_log_is_signed_from_its_beginning() {
    let world = World::new();
    let (journal, _) = world.open_in("boot-1");
    world.demand_whole();
    assert!(world.verify().logs.iter().all(|log| log.covered == log.leaves));
    drop(journal);
    let (_journal, _) = world.open_in("boot-2");
    assert_eq!(world.verify().logs.len(), 2);
    world.demand_whole();
    assert!(world.verify().logs.iter().all(|log| log.covered == log.leaves));
}

fn leaves(report: &Report) -> u64 {
    report.logs.iter().map(|log| log.leaves).sum()
}
