//! The suite over every store of this crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::sync::{Arc, Mutex};

use coffer_store::conformance::Subject;
use coffer_store::faulty::{Disk, Faulty, Survivors};
use coffer_store::{MemoryDisk, MemoryStore, Options, RedbStore, Store, store_conformance};

struct Memory(MemoryDisk);

impl Subject for Memory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::on(self.0.clone()).expect("memory"))
    }
}

struct OnFile(tempfile::TempDir);

impl Subject for OnFile {
    fn open(&self) -> Arc<dyn Store> {
        let options = Options { reserve_bytes: 64 * 1024, ..Options::default() };
        Arc::new(RedbStore::open(self.0.path().join("store/records.redb"), options).expect("a file"))
    }
}

/// Redb on a disk that loses power between any two openings, with everything that was not synced.
struct LosingPower(Mutex<Disk>);

impl Subject for LosingPower {
    fn open(&self) -> Arc<dyn Store> {
        let mut disk = self.0.lock().expect("lock");
        *disk = disk.after_power_cut(Survivors::Nothing);
        Arc::new(disk.open().expect("a disk"))
    }
}

struct Wrapped(MemoryDisk);

impl Subject for Wrapped {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(Faulty::over(MemoryStore::on(self.0.clone()).expect("memory")))
    }
}

store_conformance!(memory, || Memory(MemoryDisk::default()));
store_conformance!(redb, || OnFile(tempfile::tempdir().expect("a folder")));
store_conformance!(redb_losing_power, || LosingPower(Mutex::new(Disk::new())));
store_conformance!(faulty_without_faults, || Wrapped(MemoryDisk::default()));
