//! Checkpoints that somebody outside keeps: a log opens only as what goes on from them.
use super::crash::{opening, read, write};
use super::world::*;
use crate::journal::Journal;
use crate::{Book, BookError, KeptCheckpoint, KeptFault, Opening};
use coffer_store::Store;
use std::fs;
use std::path::Path;
use std::sync::Arc;

async fn kept(book: &Book) -> KeptCheckpoint {
    KeptCheckpoint::parse(&book.checkpoint_now().await.unwrap()).unwrap()
}

async fn shut(book: Arc<Book>, journal: Arc<Journal>) {
    book.close().await.unwrap();
    journal.close().unwrap();
}

/// What was kept while a log had one write, and what is found when it opens with that now.
async fn found(
    world: &World,
    store: &Arc<dyn Store>,
    kept: &[&KeptCheckpoint],
) -> Result<(Arc<Book>, Arc<Journal>), KeptFault> {
    let kept = kept.iter().map(|kept| (*kept).clone()).collect();
    let (journal, _, book) = opening(world, store, Opening::AsPromised(kept)).await;
    match book {
        Ok(book) => Ok((book, journal)),
        Err(BookError::Kept(fault)) => Err(fault),
        Err(error) => panic!("{error}"),
    }
}

fn put_back(world: &World, copy: &Path) {
    fs::remove_dir_all(world.directory()).unwrap();
    copy_folder(copy, &world.directory());
}

/// A store with one write and a copy of its log, closed in order; and a checkpoint of then.
async fn begun(world: &World) -> (Arc<dyn Store>, KeptCheckpoint) {
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    write(&book, "w0").await;
    let then = kept(&book).await;
    shut(book, journal).await;
    (store, then)
}

#[tokio::test]
async fn a_store_that_was_put_back_with_its_log_is_older_than_what_was_kept() {
    let world = World::new();
    let (store, then) = begun(&world).await;
    let (old_store, old_log) = (copy_of(&store).await, tempfile::tempdir().unwrap());
    let old_log = old_log.path().join("log");
    copy_folder(&world.directory(), &old_log);
    let (book, journal) = found(&world, &store, &[&then]).await.ok().unwrap();
    write(&book, "w1").await;
    let now = kept(&book).await;
    shut(book, journal).await;
    let (book, journal) = found(&world, &store, &[&then, &now]).await.ok().unwrap();
    shut(book, journal).await;

    put_back(&world, &old_log);
    let fault = found(&world, &old_store, &[&then, &now]).await.err().unwrap();
    assert!(matches!(fault, KeptFault::Ahead { kept, log } if kept > log), "{fault}");
    // Without it nobody can tell; and what was written since is no continuation of it.
    let (book, journal) = found(&world, &old_store, &[&then]).await.ok().unwrap();
    for _ in 0..8 {
        read(&book).await;
    }
    shut(book, journal).await;
    let fault = found(&world, &old_store, &[&now]).await.err().unwrap();
    assert!(matches!(fault, KeptFault::Other { .. }), "{fault}");
    // Accepted, its log begins anew, and what was kept of the one before is given up.
    let fork = || Opening::Fork { reason: "rollback", approvers: Vec::new() };
    let (journal, _, book) = opening(&world, &old_store, fork()).await;
    let anew = kept(book.as_ref().ok().unwrap()).await;
    shut(book.unwrap(), journal).await;
    let (book, journal) = found(&world, &old_store, &[&then, &now, &anew]).await.ok().unwrap();
    shut(book, journal).await;
}

#[tokio::test]
async fn tiles_of_the_true_log_do_not_make_another_one_go_on_from_it() {
    let world = World::new();
    let (store, _) = begun(&world).await;
    let (old_store, keep) = (copy_of(&store).await, tempfile::tempdir().unwrap());
    let (old_log, true_log) = (keep.path().join("old"), keep.path().join("true"));
    copy_folder(&world.directory(), &old_log);
    let (book, journal) = found(&world, &store, &[]).await.ok().unwrap();
    for _ in 0..5 {
        write(&book, "w1").await;
    }
    let note = book.checkpoint_now().await.unwrap();
    let (now, size) = (KeptCheckpoint::parse(&note).unwrap(), note.lines().nth(1).unwrap().parse::<u64>());
    shut(book, journal).await;
    copy_folder(&world.directory(), &true_log);
    put_back(&world, &old_log);
    let (book, journal) = found(&world, &old_store, &[]).await.ok().unwrap();
    while read(&book).await + 1 < size.clone().unwrap() {}
    shut(book, journal).await;
    let tree = "03".repeat(16);
    copy_folder(&true_log.join(&tree), &world.directory().join(&tree));
    let fault = found(&world, &old_store, &[&now]).await.err().unwrap();
    assert!(matches!(fault, KeptFault::Other { .. }), "{fault}");
}

#[tokio::test]
async fn after_a_power_cut_the_new_incarnation_is_held_against_what_was_kept_of_the_old() {
    let world = World::new();
    let (store, then) = begun(&world).await;
    let (book, journal) = found(&world, &store, &[&then]).await.ok().unwrap();
    write(&book, "w1").await;
    let now = kept(&book).await;
    drop((book, journal));
    // Another boot, and the journal was not closed.
    let (journal, _) = world.open_in("boot-2");
    let barrier = world.reopen(&store, 3).await;
    let kept_of = |kept: &KeptCheckpoint| Opening::AsPromised(vec![kept.clone()]);
    let book = Book::open(&journal, barrier, kept_of(&now)).await.unwrap();
    let after = kept(&book).await;
    assert_eq!(after.environment(), now.environment());
    shut(book, journal).await;
    let reopened = async |kept: &KeptCheckpoint| {
        let (journal, _) = world.open_in("boot-2");
        let barrier = world.reopen(&store, 3).await;
        let book = Book::open(&journal, barrier, kept_of(kept)).await;
        match book {
            Ok(book) => {
                shut(book, journal).await;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    };
    for kept in [&then, &now, &after] {
        assert_eq!(reopened(kept).await, Ok(()));
    }
    // The tiles of the old incarnation, altered: what they prove is not what its end was.
    let old = fs::read_dir(world.directory().join("03".repeat(16))).unwrap();
    let tiles: Vec<_> = old.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(tiles.len(), 2, "two incarnations");
    for folder in tiles {
        let tile = folder.join("tile/0");
        for file in walk(&tile) {
            let mut bytes = fs::read(&file).unwrap();
            bytes[0] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }
    assert!(reopened(&then).await.is_err());
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn what_was_kept_of_a_later_incarnation_is_not_known_to_an_earlier_one() {
    let world = World::new();
    let (store, _) = begun(&world).await;
    let (old_store, old_log) = (copy_of(&store).await, tempfile::tempdir().unwrap());
    let old_log = old_log.path().join("log");
    copy_folder(&world.directory(), &old_log);
    let (journal, _, book) =
        opening(&world, &store, Opening::Fork { reason: "restore", approvers: Vec::new() }).await;
    let later = kept(book.as_ref().ok().unwrap()).await;
    shut(book.unwrap(), journal).await;
    // Its tiles and its checkpoint may lie there still; no signed leaf leads to it.
    let folder = world.directory().join("03".repeat(16));
    let keep = tempfile::tempdir().unwrap();
    copy_folder(&folder, &keep.path().join("all"));
    put_back(&world, &old_log);
    fs::remove_dir_all(&folder).unwrap();
    copy_folder(&keep.path().join("all"), &folder);
    let fault = found(&world, &old_store, &[&later]).await.err().unwrap();
    assert_eq!(fault, KeptFault::UnknownIncarnation);
}

#[tokio::test]
async fn a_checkpoint_counts_only_with_the_logs_own_signature_and_only_for_its_environment() {
    let world = World::new();
    let (store, _) = begun(&world).await;
    let (book, journal) = found(&world, &store, &[]).await.ok().unwrap();
    let note = book.checkpoint_now().await.unwrap();
    shut(book, journal).await;
    let larger = note.replacen("\n2\n", "\n9\n", 1);
    assert_ne!(larger, note, "{note}");
    let forged = KeptCheckpoint::parse(&larger).unwrap();
    assert_eq!(found(&world, &store, &[&forged]).await.err().unwrap(), KeptFault::NotSigned);
    let elsewhere = KeptCheckpoint::parse(&larger.replace(&"03".repeat(16), &"04".repeat(16))).unwrap();
    assert!(found(&world, &store, &[&elsewhere]).await.is_ok());
    for bad in ["", "text\n", &note.replace(&"03".repeat(16), "prod"), &note.replace("\n\n", "\n")] {
        assert!(KeptCheckpoint::parse(bad).is_err(), "{bad}");
    }
}
