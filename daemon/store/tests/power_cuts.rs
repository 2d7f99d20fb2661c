//! The power goes at every instant of a small run, and keeps any part of what was not synced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::collections::BTreeMap;

use coffer_store::faulty::{Disk, Survivors, Trace};
use coffer_store::{CommitError, RedbStore, Store, Transaction, commit};

/// Every batch writes its number under each of these, so that a half-applied batch shows.
const TOGETHER: [&[u8]; 5] = [b"a", b"h", b"m", b"t", b"z"];

async fn batch(store: &RedbStore, number: u64) {
    let done: Result<(), CommitError<()>> =
        commit(store, move |transaction| write(transaction, number)).await;
    assert_eq!(done, Ok(()));
}

fn write(transaction: &mut dyn Transaction, number: u64) -> Result<(), CommitError<()>> {
    for key in TOGETHER {
        transaction.put(key.to_vec(), number.to_be_bytes().to_vec())?;
    }
    // Values that grow, are replaced and go, so that pages split, merge and are used again.
    for n in 0..8 {
        let key = format!("bulk/{:02}", (number * 5 + n) % 32).into_bytes();
        if n % 3 == 2 {
            transaction.delete(&key)?;
        } else {
            transaction.put(key, vec![number as u8; 700 * (1 + n as usize % 4)])?;
        }
    }
    Ok(())
}

/// The state after each number of batches, from a run without faults.
async fn states(batches: u64) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
    let disk = Disk::new();
    let store = disk.open().expect("a store");
    let mut states = vec![BTreeMap::new()];
    for number in 1..=batches {
        batch(&store, number).await;
        states.push(contents(&store).await);
    }
    states
}

async fn contents(store: &RedbStore) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let entries = store.range(b"", None, usize::MAX).await.expect("a read");
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

/// Checks one disk as it was found; which batch it holds.
async fn check(
    disk: Disk,
    acknowledged: u64,
    survivors: Survivors,
    states: &[BTreeMap<Vec<u8>, Vec<u8>>],
) -> u64 {
    let store =
        disk.open().unwrap_or_else(|error| panic!("{error}: {survivors:?}, {acknowledged} acknowledged"));
    let found = store.revision();
    assert!(found >= acknowledged, "{acknowledged} acknowledged, {found} found, {survivors:?}");
    assert!(found <= acknowledged + 1, "{found} was not even asked for, {survivors:?}");
    assert_eq!(contents(&store).await, states[found as usize], "exactly one of the states, {survivors:?}");
    found
}

async fn check_all(trace: &Trace, exhaustive: u32, random: u64, states: &[BTreeMap<Vec<u8>, Vec<u8>>]) {
    let mut disks = Vec::new();
    let mut ahead = 0;
    let mut all = 0;
    // In portions: every disk is a few hundred KiB.
    trace.for_each_cut(exhaustive, random, |disk, mark, survivors| {
        disks.push((disk, mark, survivors));
        if disks.len() == 64 {
            for (disk, mark, survivors) in disks.drain(..) {
                ahead += u64::from(
                    futures_util::FutureExt::now_or_never(check(disk, mark, survivors, states))
                        .expect("no waiting")
                        > mark,
                );
                all += 1;
            }
        }
    });
    for (disk, mark, survivors) in disks {
        ahead += u64::from(check(disk, mark, survivors, states).await > mark);
        all += 1;
    }
    println!("{all} disks, {ahead} with a batch that was durable and not yet acknowledged");
    assert!(ahead > 0, "or the cuts never fell between a commit and its answer");
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_at_every_instant() {
    let batches = 6;
    let states = states(batches).await;
    let disk = Disk::new();
    let store = disk.open().expect("a store");
    disk.record();
    for number in 1..=batches {
        batch(&store, number).await;
        disk.mark(number);
    }
    drop(store);
    check_all(&disk.trace(), 6, 6, &states).await;
}

#[tokio::test]
async fn a_power_cut_while_the_store_is_first_made_leaves_an_empty_store() {
    let disk = Disk::new();
    disk.record();
    drop(disk.open().expect("a store"));
    let disks = disk.trace().for_each_cut(6, 8, |disk, _, survivors| {
        let store = disk.open().unwrap_or_else(|error| panic!("{error}: {survivors:?}"));
        assert_eq!(store.revision(), 0);
    });
    assert!(disks > 20, "{disks}");
}

#[tokio::test]
async fn a_power_cut_while_recovering_from_a_power_cut_loses_nothing() {
    let states = states(3).await;
    let disk = Disk::new();
    let store = disk.open().expect("a store");
    for number in 1..=3 {
        batch(&store, number).await;
    }
    let found = disk.after_power_cut(Survivors::Nothing);
    drop(store);
    found.record();
    found.mark(3);
    let store = found.open().expect("a store");
    drop(store);
    found.trace().for_each_cut(6, 8, |disk, _, survivors| {
        let store = disk.open().unwrap_or_else(|error| panic!("{error}: {survivors:?}"));
        let found = futures_util::FutureExt::now_or_never(contents(&store)).expect("no waiting");
        assert_eq!(found, states[3], "{survivors:?}");
    });
}

#[tokio::test]
async fn a_power_cut_while_compacting_leaves_the_whole_store() {
    let states = states(4).await;
    let disk = Disk::new();
    let store = disk.open().expect("a store");
    for number in 1..=4 {
        batch(&store, number).await;
    }
    disk.record();
    store.compact().await.expect("compacted");
    drop(store);
    let disks = disk.trace().for_each_cut(4, 4, |disk, _, survivors| {
        let store = disk.open().unwrap_or_else(|error| panic!("{error}: {survivors:?}"));
        assert_eq!(store.revision(), 4);
        let found = futures_util::FutureExt::now_or_never(contents(&store)).expect("no waiting");
        assert_eq!(found, states[4], "{survivors:?}");
    });
    assert!(disks > 20, "{disks}");
}

#[tokio::test]
async fn long_random_runs_survive_random_cuts() {
    let batches = 60;
    let states = states(batches).await;
    let disk = Disk::new();
    let store = disk.open().expect("a store");
    disk.record();
    for number in 1..=batches {
        batch(&store, number).await;
        disk.mark(number);
    }
    drop(store);
    check_all(&disk.trace(), 0, 1, &states).await;
}
