//! Killed anywhere, or without power: the log is finished from the outbox, or the start says what is wrong.
use super::world::*;
use crate::journal::{Journal, Prepared, Real};
use crate::{Book, BookError, JournalError, Opening};
use coffer_barrier::Barrier;
use coffer_room::Outcome;
use coffer_types::EnvironmentId;
use keystore_format::frame;
use keystore_format::logcheck::{LogFault, segment_path, tree_path};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

/// How often each of the writes `w0`, `w1`, … stands in the log.
fn writes(world: &World) -> usize {
    world.lines().iter().filter(|line| line.contains("\"operation\":\"write\"")).count()
}

pub(super) async fn write(book: &Arc<Book>, name: &str) -> u64 {
    let recorded = book
        .record(book.intend(facts("write", name)), Ok(Outcome::Change(put(name, "v"))), None)
        .await
        .unwrap();
    let index = recorded.receipt().index;
    assert!(recorded.into_inner().is_ok());
    index
}

pub(super) async fn read(book: &Arc<Book>) -> u64 {
    book.record(book.intend(facts("read", "r")), Ok(answer()), None).await.unwrap().receipt().index
}

#[tokio::test]
async fn killed_after_any_step_the_log_has_every_acknowledged_change_once() {
    // After each step the journal and the store are copied; a kill leaves the store at most one commit ahead.
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    let (mut journals, mut stores) = (Vec::new(), Vec::new());
    let keep = tempfile::tempdir().unwrap();
    for step in 0..8 {
        let copy = keep.path().join(step.to_string());
        copy_folder(&world.directory(), &copy);
        journals.push(copy);
        stores.push(copy_of(&store).await);
        match step % 4 {
            0 | 2 => drop(write(&book, &format!("w{step}")).await),
            1 => drop(read(&book).await),
            _ => journal.round().unwrap(),
        }
    }
    drop((book, journal));
    for (step, folder) in journals.iter().enumerate() {
        for ahead in 0..2 {
            let Some(left) = stores.get(step + ahead) else { continue };
            let after = World::new();
            copy_folder(folder, &after.directory());
            let left = copy_of(left).await;
            let changes = (0..step + ahead).filter(|step| step % 2 == 0).count();
            // Twice: what was finished must not be finished again.
            for _ in 0..2 {
                let (journal, _) = after.open();
                let barrier = after.reopen(&left, 3).await;
                let book = Book::open(&journal, Arc::clone(&barrier), Opening::AsPromised(Vec::new()))
                    .await
                    .unwrap();
                assert_eq!(writes(&after), changes, "step {step}, the store {ahead} ahead");
                drop(book);
            }
            let (journal, _) = after.open();
            let book = self::book(&journal, &after.reopen(&left, 3).await).await;
            book.close().await.unwrap();
            journal.close().unwrap();
            assert_eq!(writes(&after), changes);
            after.demand_whole();
        }
    }
}

#[tokio::test]
async fn a_log_that_a_kill_ended_before_its_first_checkpoint_is_whole_while_nobody_opens_its_environment() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let signed = book(&journal, &world.create(&store, 3).await).await;
    write(&signed, "w").await;
    journal.round().unwrap();
    let unsigned = book(&journal, &world.create(&store, 4).await).await;
    write(&unsigned, "w").await;
    drop((signed, unsigned, journal));
    world.demand_whole();

    // The other one opens and goes on; this one's key is with its holders.
    let (journal, _) = world.open();
    let signed = book(&journal, &world.reopen(&store, 3).await).await;
    write(&signed, "w").await;
    signed.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
    let of = |number: u8| {
        let logs = world.verify().logs;
        logs.into_iter().find(|summary| summary.log.0 == EnvironmentId([number; 16])).unwrap()
    };
    assert_eq!((of(4).leaves, of(4).covered), (2, 0));

    // What a round has seen must be signed, and the node log always.
    let files = Map::of(&world.directory());
    for log in [of(3).log, of(0).log] {
        let mut files = files.clone();
        for name in ["vkey", "checkpoint"] {
            files.0.remove(&format!("{}/{name}", tree_path(log))).unwrap();
        }
        let faults: Vec<_> = check(&mut files).findings.into_iter().map(|finding| finding.fault).collect();
        assert!(faults.contains(&LogFault::MissingCheckpoint), "{faults:?}");
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_nothing_else_is_lost() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    write(&book, "w").await;
    read(&book).await;
    drop((book, journal));
    let path = world.directory().join(segment_path(0));
    let whole = fs::read(&path).unwrap();
    let (_, first) = frame::parse(&whole).unwrap();
    for torn in [1, 20, 39, 40, first - 1] {
        fs::write(&path, [&whole[..], &whole[..torn]].concat()).unwrap();
        let (journal, _) = world.open();
        assert_eq!(fs::metadata(&path).unwrap().len(), whole.len() as u64);
        drop(journal);
    }
    let (journal, _) = world.open();
    let book = self::book(&journal, &world.reopen(&store, 3).await).await;
    assert_eq!(writes(&world), 1);
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}

#[tokio::test]
async fn a_file_beside_the_segments_that_is_nearly_named_as_one_stands_for_none() {
    let world = World::new();
    let (journal, _) = world.open();
    drop(journal);
    let beside = ["+0.log", "0.log", "7.log"].map(|name| world.directory().join("journal").join(name));
    for file in &beside {
        fs::write(file, "somebody's notes").unwrap();
    }
    let (journal, _) = world.open();
    journal.close().unwrap();
    for file in &beside {
        assert_eq!(fs::read(file).unwrap(), b"somebody's notes");
        fs::remove_file(file).unwrap();
    }
    world.demand_whole();
}

#[tokio::test]
async fn after_a_power_cut_the_lost_leaves_are_told_and_a_new_incarnation_begins() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    write(&book, "w0").await;
    journal.round().unwrap();
    let durable = fs::metadata(world.directory().join(segment_path(0))).unwrap().len();
    let before = barrier.incarnation();
    // Answered, and not durable: a read, and a change whose leaf is in the outbox.
    let lost =
        book.record(book.intend(facts("read", "lost")), Ok(answer()), None).await.unwrap().receipt().clone();
    write(&book, "w1").await;
    drop((book, journal));
    let file = OpenOptions::new().write(true).open(world.directory().join(segment_path(0))).unwrap();
    // Some file systems leave zeroes where the lost bytes were to be.
    file.set_len(durable + 10).unwrap();
    file.set_len(durable).unwrap();
    file.set_len(durable + 300).unwrap();

    let (journal, _) = world.open_in("boot-2");
    let barrier = world.reopen(&store, 3).await;
    let book = self::book(&journal, &barrier).await;
    assert_ne!(barrier.incarnation(), before);
    assert_eq!(lost.incarnation, before, "the receipt says which incarnation it belonged to");
    assert_eq!(writes(&world), 2, "the change's leaf came from the outbox");
    let lines = world.lines().join("\n");
    assert!(lines.contains(r#""cut_bytes":"300""#) && lines.contains(r#""reason":"power_cut""#), "{lines}");
    read(&book).await;
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();

    // An orderly stop, and no further incarnation.
    drop((book, journal));
    let now = barrier.incarnation();
    let (journal, _) = world.open_in("boot-3");
    let barrier = world.reopen(&store, 3).await;
    self::book(&journal, &barrier).await;
    assert_eq!(barrier.incarnation(), now);
}

#[tokio::test]
async fn a_power_cut_is_remembered_until_each_environment_was_opened() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barriers = [world.create(&store, 3).await, world.create(&store, 4).await];
    for barrier in &barriers {
        let book = book(&journal, barrier).await;
        read(&book).await;
    }
    let old: Vec<_> = barriers.iter().map(|barrier| barrier.incarnation()).collect();
    drop(journal);
    let (journal, _) = world.open_in("boot-2");
    book(&journal, &world.reopen(&store, 3).await).await;
    journal.close().unwrap();
    drop(journal);
    let (journal, _) = world.open_in("boot-2");
    let barriers = [world.reopen(&store, 3).await, world.reopen(&store, 4).await];
    for barrier in &barriers {
        book(&journal, barrier).await.close().await.unwrap();
    }
    assert!(barriers.iter().zip(&old).all(|(barrier, old)| barrier.incarnation() != *old));
    journal.close().unwrap();
    world.demand_whole();
    let forks = world.lines().iter().filter(|line| line.contains("power_cut")).count();
    assert_eq!(forks, 3, "the node log once, each environment once");
}

/// A log with a checkpoint that the head knows of.
async fn promised(world: &World) -> (Arc<dyn coffer_store::Store>, u64) {
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    for number in 0..5 {
        write(&book, &format!("w{number}")).await;
    }
    book.close().await.unwrap();
    let size = barrier.promised_audit().0;
    assert!(size >= 6);
    journal.close().unwrap();
    (store, size)
}

pub(super) async fn opening(
    world: &World,
    store: &Arc<dyn coffer_store::Store>,
    how: Opening,
) -> (Arc<Journal>, Arc<Barrier>, Result<Arc<Book>, BookError>) {
    let (journal, _) = world.open();
    let barrier = world.reopen(store, 3).await;
    let book = Book::open(&journal, Arc::clone(&barrier), how).await;
    (journal, barrier, book)
}

#[tokio::test]
async fn start_refuses_a_journal_that_is_gone() {
    let world = World::new();
    let (store, size) = promised(&world).await;
    fs::remove_dir_all(world.directory()).unwrap();
    let (.., book) = opening(&world, &store, Opening::AsPromised(Vec::new())).await;
    assert!(matches!(book, Err(BookError::Missing { promised, present: 0 }) if promised == size));
}

#[tokio::test]
async fn start_refuses_a_journal_that_was_cut_short() {
    let world = World::new();
    let (store, size) = promised(&world).await;
    let path = world.directory().join(segment_path(0));
    let bytes = fs::read(&path).unwrap();
    // Up to the third leaf of the environment.
    let (mut at, mut seen) = (0, 0);
    while seen < 3 {
        let (frame, length) = frame::parse(&bytes[at..]).unwrap();
        seen += usize::from(frame.environment.0 == [3; 16]);
        at += length;
    }
    fs::write(&path, &bytes[..at]).unwrap();
    // The node log's own checkpoint covers more than is left.
    assert!(matches!(world.try_open("boot-1", Box::new(Real)), Err(JournalError::Short { .. })));
    // Without that witness, the store's head still knows.
    fs::remove_dir_all(world.directory().join("00".repeat(16))).unwrap();
    let (.., book) = opening(&world, &store, Opening::AsPromised(Vec::new())).await;
    assert!(
        matches!(book, Err(BookError::Missing { promised, present: 3 }) if promised == size),
        "{:?}",
        book.err()
    );
}

#[tokio::test]
async fn start_refuses_leaves_that_are_not_those_promised() {
    let world = World::new();
    let (store, size) = promised(&world).await;
    let path = world.directory().join(segment_path(0));
    let bytes = fs::read(&path).unwrap();
    let mut forged = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (mut frame, length) = frame::parse(&bytes[at..]).unwrap();
        let mut leaf = keystore_format::leaf::Leaf::decode(frame.leaf).unwrap();
        if leaf.status == 204 {
            leaf.status = 200;
        }
        let leaf = leaf.encode().unwrap();
        frame.leaf = &leaf;
        frame::encode(&frame, &mut forged).unwrap();
        at += length;
    }
    fs::write(&path, forged).unwrap();
    // Without the start cache, which remembers the true tree.
    fs::remove_file(world.directory().join("tip")).unwrap();
    let (.., book) = opening(&world, &store, Opening::AsPromised(Vec::new())).await;
    assert!(matches!(book, Err(BookError::Altered { promised }) if promised == size), "{:?}", book.err());
}

#[tokio::test]
async fn start_names_a_frame_that_is_damaged_in_the_middle() {
    let world = World::new();
    promised(&world).await;
    let path = world.directory().join(segment_path(0));
    let mut bytes = fs::read(&path).unwrap();
    let (_, first) = frame::parse(&bytes).unwrap();
    bytes[first + 60] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::remove_file(world.directory().join("tip")).unwrap();
    let damaged = world.try_open("boot-1", Box::new(Real)).err();
    assert!(
        matches!(&damaged, Some(JournalError::Damaged(file, at)) if *file == segment_path(0) && *at == first as u64),
        "{damaged:?}"
    );
}

#[tokio::test]
async fn a_store_that_was_put_back_opens_only_as_a_fork() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    write(&book, "w0").await;
    book.close().await.unwrap();
    let backup = copy_of(&store).await;
    let again = self::book(&journal, &barrier).await;
    write(&again, "w1").await;
    again.close().await.unwrap();
    journal.close().unwrap();
    drop((book, again, journal));

    let fork = || Opening::Fork { reason: "restore", approvers: vec!["a1".into(), "b2".into()] };
    let (journal, barrier, book) = opening(&world, &backup, fork()).await;
    let book = book.unwrap();
    read(&book).await;
    book.close().await.unwrap();
    journal.close().unwrap();
    drop((book, journal));
    world.demand_whole();
    let lines = world.lines().join("\n");
    assert!(
        lines.contains(r#""approvers":"a1 b2""#) && lines.contains(r#""old_origin":"node.example/"#),
        "{lines}"
    );

    // The other store, of the incarnation before, is foreign now.
    let (_journal, _, other) = opening(&world, &store, Opening::AsPromised(Vec::new())).await;
    assert!(matches!(other, Err(BookError::Foreign)), "{:?}", other.err());
    drop(barrier);
}

#[tokio::test]
async fn a_restore_on_a_new_machine_begins_a_log_that_names_the_old_one() {
    let world = World::new();
    let (store, size) = promised(&world).await;
    let elsewhere = World::new();
    let (journal, _, book) =
        opening(&elsewhere, &store, Opening::Fork { reason: "restore", approvers: Vec::new() }).await;
    let book = book.unwrap();
    book.close().await.unwrap();
    journal.close().unwrap();
    elsewhere.demand_whole();
    assert!(elsewhere.lines().join("\n").contains(&format!("\"old_size\":\"{size}\"")));
}

#[tokio::test]
async fn only_one_process_has_the_journal() {
    let world = World::new();
    let (_journal, _) = world.open();
    assert!(matches!(world.try_open("boot-1", Box::new(Real)), Err(JournalError::Locked)));
}

#[tokio::test]
async fn a_folder_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    drop(world.open());
    fs::set_permissions(world.directory(), fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(world.try_open("boot-1", Box::new(Real)), Err(JournalError::BroadPermissions)));
}

#[tokio::test]
async fn the_start_cache_may_be_lost_or_damaged() {
    let world = World::new();
    let (store, _) = promised(&world).await;
    let tip = world.directory().join("tip");
    for damage in 0..3 {
        let whole = fs::read(&tip).unwrap();
        match damage {
            0 => fs::remove_file(&tip).unwrap(),
            1 => fs::write(&tip, &whole[..whole.len() / 2]).unwrap(),
            _ => OpenOptions::new().append(true).open(&tip).unwrap().write_all(b"x").unwrap(),
        }
        let (journal, _, book) = opening(&world, &store, Opening::AsPromised(Vec::new())).await;
        let book = book.unwrap();
        read(&book).await;
        book.close().await.unwrap();
        journal.close().unwrap();
        drop((book, journal));
        world.demand_whole();
    }
}

#[tokio::test]
async fn what_waits_in_the_store_must_be_a_leaf_of_this_environment() {
    let world = World::new();
    let (store, _) = promised(&world).await;
    let barrier = world.reopen(&store, 3).await;
    let leaf =
        keystore_format::leaf::Leaf::new(keystore_format::leaf::LeafKind::Request, 77, 0, "r", "o", 200);
    let foreign = Prepared::new(coffer_types::EnvironmentId([4; 16]), leaf, &[]).unwrap();
    barrier
        .commit(move |batch| -> Result<(), coffer_barrier::BarrierError> {
            batch.put_outbox(77, &foreign.frame)
        })
        .await
        .unwrap();
    let (.., book) = opening(&world, &store, Opening::AsPromised(Vec::new())).await;
    assert!(matches!(book, Err(BookError::DamagedOutbox)));
}
