//! A full or dying disk under the journal.
use super::world::*;
use crate::journal::{Disk, Journal, Real};
use crate::{NodeCount, Unrecorded};
use coffer_barrier::Barrier;
use coffer_room::Outcome;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Answers an error number in the place of what is asked for.
#[derive(Clone, Default)]
struct Faulty {
    write: Arc<AtomicI32>,
    sync: Arc<AtomicI32>,
    allocate: Arc<AtomicI32>,
    half: Arc<AtomicI32>,
}

fn fail(number: &AtomicI32) -> io::Result<()> {
    match number.load(Ordering::Relaxed) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

impl Disk for Faulty {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = fail(&self.half) {
            Real.write_at(file, &bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        fail(&self.write)?;
        Real.write_at(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        fail(&self.sync)?;
        Real.sync(file)
    }

    fn allocate(&self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        fail(&self.allocate)?;
        Real.allocate(file, offset, length)
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

async fn start(
    world: &World,
) -> (Faulty, Arc<Journal>, crate::NodeLog, Arc<Barrier>, Arc<crate::Book>, Arc<dyn coffer_store::Store>) {
    let (disk, store) = (Faulty::default(), memory());
    let (journal, node) = world.try_open("boot-1", Box::new(disk.clone())).unwrap();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    // The opening key is there before anything fails.
    book.record(book.intend(facts("read", "v")), Ok(answer()), None).await.unwrap();
    (disk, journal, node, barrier, book, store)
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_answered_until_the_daemon_starts_anew() {
    let world = World::new();
    let (disk, journal, node, barrier, book, store) = start(&world).await;
    disk.write.store(EIO, Ordering::Relaxed);
    // The change is durable with its leaf in the outbox, but not in the journal: no answer.
    let change =
        book.record(book.intend(facts("write", "v")), Ok(Outcome::Change(put("a", "1"))), None).await;
    assert_eq!(change.err(), Some(Unrecorded::Failed));
    disk.write.store(0, Ordering::Relaxed);
    assert!(!journal.is_writable());
    let read = book.record(book.intend(facts("read", "v")), Ok(answer()), None).await;
    assert_eq!(read.err(), Some(Unrecorded::Failed));
    let change =
        book.record(book.intend(facts("write", "v")), Ok(Outcome::Change(put("b", "1"))), None).await;
    assert_eq!(change.err(), Some(Unrecorded::Failed));
    assert_eq!(get(&barrier, "b").await, None, "nothing is done unrecorded");
    assert_eq!(
        book.refuse(facts("read", "v"), coffer_room::Fault::NotFound).await.err(),
        Some(Unrecorded::Failed)
    );
    assert_eq!(node.count(NodeCount::Unaddressed), Err(Unrecorded::Failed));
    drop((book, node, journal));

    let (journal, _) = world.open();
    let book = super::world::book(&journal, &world.reopen(&store, 3).await).await;
    assert_eq!(
        world.lines().iter().filter(|line| line.contains("\"write\"")).count(),
        1,
        "the outbox finished the log"
    );
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}

#[tokio::test]
async fn a_half_written_leaf_is_cut_off_again() {
    let world = World::new();
    let (disk, journal, _, _, book, _) = start(&world).await;
    disk.half.store(ENOSPC, Ordering::Relaxed);
    let read = book.record(book.intend(facts("read", "v")), Ok(answer()), None).await;
    assert_eq!(read.err(), Some(Unrecorded::Full));
    disk.half.store(0, Ordering::Relaxed);
    book.record(book.intend(facts("read", "v")), Ok(answer()), None).await.unwrap();
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}

#[tokio::test]
async fn on_a_full_disk_requests_are_refused_and_seal_and_revoke_are_recorded() {
    let world = World::new();
    let (disk, journal, _, barrier, book, _) = start(&world).await;
    disk.allocate.store(ENOSPC, Ordering::Relaxed);
    // What was kept ahead is used up first.
    let mut refused = None;
    let large = "x".repeat(40_000);
    for _ in 0..200 {
        refused = book.record(book.intend(facts("read", &large)), Ok(answer()), None).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused, Some(Unrecorded::Full));
    let change =
        book.record(book.intend(facts("write", &large)), Ok(Outcome::Change(put("b", "1"))), None).await;
    assert_eq!(change.err(), Some(Unrecorded::Full));
    assert_eq!(get(&barrier, "b").await, None);
    assert!(journal.is_writable(), "full is not broken");
    for number in 0..20 {
        let mut facts = facts("write", "revoke");
        facts.is_urgent = true;
        let outcome = Outcome::Change(put(&format!("r{number}"), "revoked"));
        book.record(book.intend(facts), Ok(outcome), None).await.unwrap();
    }
    // Space again, and all goes on.
    disk.allocate.store(0, Ordering::Relaxed);
    book.record(book.intend(facts("read", &large)), Ok(answer()), None).await.unwrap();
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged() {
    let world = World::new();
    let (disk, journal, _, _, book, _) = start(&world).await;
    disk.sync.store(EIO, Ordering::Relaxed);
    assert_eq!(journal.round(), Err(Unrecorded::Failed));
    disk.sync.store(0, Ordering::Relaxed);
    // The next sync would succeed and prove nothing.
    assert_eq!(journal.round(), Err(Unrecorded::Failed));
    assert!(book.record(book.intend(facts("read", "v")), Ok(answer()), None).await.is_err());
}

#[tokio::test]
async fn with_fsync_durability_an_answer_waits_and_fails_with_its_sync() {
    let mut world = World::new();
    world.durability = crate::Durability::Fsync;
    let disk = Faulty::default();
    let (journal, _) = world.try_open("boot-1", Box::new(disk.clone())).unwrap();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    let ask = || {
        let book = Arc::clone(&book);
        tokio::spawn(async move {
            book.record(book.intend(facts("read", "v")), Ok(answer()), None)
                .await
                .map(|recorded| recorded.receipt().index)
        })
    };
    let waiting = ask();
    while journal.with_tree(barrier.environment(), |tree| tree.size()) != Some(2) {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    journal.sync().unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(1));
    let waiting = ask();
    while journal.with_tree(barrier.environment(), |tree| tree.size()) != Some(3) {
        tokio::task::yield_now().await;
    }
    disk.sync.store(EIO, Ordering::Relaxed);
    assert!(journal.sync().is_err());
    assert_eq!(waiting.await.unwrap(), Err(Unrecorded::Failed));
}

#[tokio::test]
async fn the_thread_makes_checkpoints_by_itself() {
    let world = World::new();
    let settings = crate::Settings {
        directory: world.directory(),
        key_file: world.folder.path().join("node.key"),
        host: "node.example".into(),
        durability: crate::Durability::Fsync,
        pace: crate::Pace::After(std::time::Duration::from_millis(5)),
    };
    let (journal, _) = Journal::open(settings, world.clock.clone(), world.entropy.clone()).unwrap();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    let index =
        book.record(book.intend(facts("read", "v")), Ok(answer()), None).await.unwrap().receipt().index;
    while book.receipt(index).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}
