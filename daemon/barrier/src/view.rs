//! Reading: one mount's records, opened.
use crate::{
    Barrier, BarrierError,
    barrier::lock,
    index::{Verdict, is_counted},
    listing::{Child, SkipScan},
};
use coffer_types::{CanonicalPath, Kind, MountId};
use keystore_format::{
    name::{self, SealedPath},
    tables,
};
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, Mutex},
};
use zeroize::Zeroizing;

/// A record's plaintext and the revision it was sealed at.
pub struct Plain {
    /// The plaintext.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The environment-wide revision of this record.
    pub revision: u64,
}

/// A name found in a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The name, without a slash.
    pub name: String,
    /// Whether there is a record of exactly this name.
    pub is_record: bool,
    /// Whether there are records below it.
    pub is_directory: bool,
}

/// What rooms above remember of the mounts of one open environment, by mount and type. Never outlives its keys.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<(MountId, TypeId), Arc<dyn Any + Send + Sync>>>);

impl Memory {
    pub(crate) fn forget(&self) {
        lock(&self.0).clear();
    }
}

/// One mount of an open environment, to read from.
#[derive(Clone)]
pub struct View {
    barrier: Arc<Barrier>,
    mount: MountId,
}

impl View {
    pub(crate) fn new(barrier: Arc<Barrier>, mount: MountId) -> Self {
        Self { barrier, mount }
    }

    /// The mount that is read.
    #[must_use]
    pub fn mount(&self) -> MountId {
        self.mount
    }

    /// What the engine of this mount remembers while the environment is open: empty when first asked for, forgotten
    /// when the environment closes. Secrets in it belong into secret memory all the same.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn memory<T: Any + Default + Send + Sync>(&self) -> Result<Arc<T>, BarrierError> {
        let mut all = lock(&self.barrier.memory.0);
        // Asked under the lock: whatever is put in after the keys are gone would never be forgotten.
        if !self.barrier.is_open() {
            return Err(BarrierError::Sealed);
        }
        let mine =
            Arc::clone(all.entry((self.mount, TypeId::of::<T>())).or_insert_with(|| Arc::new(T::default())));
        drop(all);
        mine.downcast().map_err(|_| BarrierError::Sealed)
    }

    /// The record at `path` (and `version`, for kinds that have versions).
    ///
    /// # Errors
    /// Where the store fails or the record does not open.
    pub async fn get(
        &self,
        kind: Kind,
        path: &CanonicalPath,
        version: Option<u64>,
    ) -> Result<Option<Plain>, BarrierError> {
        let key = self.barrier.with_keys(|keys| keys.store_key(self.mount, kind, path, version))?;
        self.barrier.read(kind, &key).await
    }

    /// The names directly below `directory`, in the order of their bytes. Each is one that the replay index knows, and
    /// they are as many as it counts.
    ///
    /// # Errors
    /// Where the store fails, a name does not open, or a record was brought back or taken away.
    pub async fn list(&self, kind: Kind, directory: &CanonicalPath) -> Result<Vec<Listed>, BarrierError> {
        let directory = self.barrier.with_keys(|keys| keys.seal_path(self.mount, directory))?;
        let children = self.children(kind, directory).await?;
        Ok(children.into_iter().map(|child| child.listed).collect())
    }

    /// The paths of all records at any depth below `directory`, relative to it, in the order of their bytes; at most
    /// `limit` after `after`.
    ///
    /// # Errors
    /// Where the store fails or a name does not open.
    pub async fn scan(
        &self,
        kind: Kind,
        directory: &CanonicalPath,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, BarrierError> {
        let directory = self.barrier.with_keys(|keys| keys.seal_path(self.mount, directory))?;
        let mut found = Vec::new();
        let mut open = vec![Directory::new(String::new(), self.children(kind, directory).await?)];
        while let Some(directory) = open.last_mut() {
            let Some((name, below)) = directory.names.next() else {
                open.pop();
                continue;
            };
            let path = format!("{}{name}", directory.path);
            match below {
                _ if found.len() == limit => break,
                None if after.is_none_or(|after| path.as_str() > after) => found.push(path),
                None => {}
                // All below it comes before `after`.
                Some(_) if after.is_some_and(|after| path.as_str() < after && !after.starts_with(&path)) => {}
                Some(sealed) => open.push(Directory::new(path, self.children(kind, sealed).await?)),
            }
        }
        Ok(found)
    }

    async fn children(&self, kind: Kind, directory: SealedPath) -> Result<Vec<Child>, BarrierError> {
        const ATTEMPTS: usize = 4;
        for _ in 0..ATTEMPTS {
            let roots = self.barrier.index.roots();
            let scan = self.scan_children(kind, &directory).await?;
            if !is_counted(kind) {
                return Ok(scan.finish());
            }
            match self.barrier.is_whole(&roots, scan.prefix(), scan.counts()).await? {
                Verdict::Right => return Ok(scan.finish()),
                Verdict::Wrong => return Err(self.barrier.not_whole(kind, scan.prefix())),
                Verdict::ReadAgain => {}
            }
        }
        // So much is written that no look finds the directory at rest: inside the committer it is.
        let mount = self.mount;
        self.barrier.commit(move |batch| batch.mount(mount).children(kind, &directory)).await
    }

    async fn scan_children(&self, kind: Kind, directory: &SealedPath) -> Result<SkipScan, BarrierError> {
        let (barrier, mount) = (&*self.barrier, self.mount);
        let prefix = name::prefix(tables::RECORDS, barrier.environment(), mount, kind as u16, directory);
        let mut scan = SkipScan::new(kind, prefix, directory.clone());
        loop {
            let (prefix, after, limit) = scan.wanted();
            let page = barrier.place.store.range(prefix, after, limit).await?;
            let is_last = barrier.take_page(&mut scan, page, mount, directory)?;
            for seen in scan.take_seen() {
                barrier.confirm_listed(kind, &seen).await?;
            }
            if is_last {
                return Ok(scan);
            }
        }
    }
}

impl Barrier {
    pub(crate) fn take_page(
        &self,
        scan: &mut SkipScan,
        page: Vec<coffer_store::Entry>,
        mount: MountId,
        directory: &SealedPath,
    ) -> Result<bool, BarrierError> {
        self.with_keys(|keys| {
            scan.take(page, |sealed| keys.open_name(mount, directory.as_bytes(), sealed).ok())
        })
    }
}

/// A directory that a scan stands in.
struct Directory {
    /// Empty, or with a slash at its end.
    path: String,
    /// Its records, and its directories with a slash behind the name, in the order of the bytes of paths.
    names: std::vec::IntoIter<(String, Option<SealedPath>)>,
}

impl Directory {
    fn new(path: String, children: Vec<Child>) -> Self {
        let mut names = Vec::with_capacity(children.len());
        for Child { listed, path } in children {
            if listed.is_directory {
                names.push((format!("{}/", listed.name), Some(path)));
            }
            if listed.is_record {
                names.push((listed.name, None));
            }
        }
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Self { path, names: names.into_iter() }
    }
}
