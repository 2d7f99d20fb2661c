//! The records: whether each opens and is the one that the index knows, and whether directories hold what it counts.
use super::{Finding, FsckStop, Look, PAGE, Told, Wrong};
use crate::{
    BarrierError,
    index::{Counting, Counts, State, state_of},
};
use keystore_format::{
    index::directory_hash,
    name::{StoreKey, first_segment},
    tables,
};

/// Records between two reports of how far it is.
const PROGRESS_EVERY: u64 = 1000;

impl Look<'_> {
    /// Every record of a table; how many of them the index knows in some state.
    pub(super) fn records(&mut self, table: u8) -> Result<u64, FsckStop> {
        let prefix = [&[table][..], self.barrier.environment().as_bytes()].concat();
        let (mut after, mut present): (Option<Vec<u8>>, u64) = (None, 0);
        let (mut counting, mut done) = (Counting::default(), Vec::new());
        loop {
            let page = self.state.range(&prefix, after.as_deref(), PAGE)?;
            for entry in &page {
                let expected = if table == tables::RECORDS { self.ask(&entry.key)? } else { None };
                present += u64::from(expected.is_some_and(|state| state.is_some()));
                if let Some(wrong) = self.judge(&entry.key, &entry.value, expected)? {
                    self.find_record(wrong, &entry.key)?;
                }
                self.checked.records += 1;
                if table == tables::RECORDS {
                    counting
                        .record(&entry.key, &mut |directory, counts| keep(&mut done, directory, counts))?;
                    present += self.directories(&mut done)?;
                }
                if self.checked.records.is_multiple_of(PROGRESS_EVERY) {
                    let (checked, of) = (self.checked.records, self.checked.indexed);
                    self.say(Told::Progress { checked, of })?;
                }
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last.key),
                None => break,
            }
        }
        counting.finish(&mut |directory, counts| keep(&mut done, directory, counts))?;
        Ok(present + self.directories(&mut done)?)
    }

    /// Directories whose records have all been seen; how many of them the index knows.
    fn directories(&mut self, done: &mut Vec<(Vec<u8>, Counts)>) -> Result<u64, FsckStop> {
        let mut known = 0;
        for (directory, counts) in done.drain(..) {
            let said = self.ask_at(&directory_hash(&directory))?;
            known += u64::from(said.is_some_and(|state| state.is_some()));
            if said.is_some_and(|state| Counts::of(state) != counts) {
                self.find_record(Wrong::Directory, &directory)?;
            }
        }
        Ok(known)
    }

    /// `expected` is `None` where the index is not asked, or can't say.
    fn judge(
        &self,
        key: &[u8],
        sealed: &[u8],
        expected: Option<Option<State>>,
    ) -> Result<Option<Wrong>, BarrierError> {
        let opens = self.barrier.with_keys(|keys| Ok(keys.open_any(key, sealed).is_ok()))?;
        Ok(match expected {
            _ if !opens => Some(Wrong::Altered),
            Some(None) => Some(Wrong::Returned),
            Some(state) if state != state_of(sealed) => Some(Wrong::Replayed),
            _ => None,
        })
    }

    pub(super) fn find_record(&mut self, wrong: Wrong, store_key: &[u8]) -> Result<(), FsckStop> {
        let mut finding = Finding {
            wrong,
            mount: None,
            kind: None,
            path: None,
            version: None,
            store_key: store_key.to_vec(),
        };
        if let Ok(found) = StoreKey::parse(store_key) {
            finding.mount = Some(found.mount);
            finding.kind = Some(found.kind);
            finding.version = found.version;
            finding.path = self.barrier.with_keys(|keys| {
                let (mut names, mut rest) = (Vec::new(), found.path);
                while let Ok((sealed, after)) = first_segment(rest) {
                    let parent = found.path.len() - rest.len();
                    let parent = found.path.get(..parent).unwrap_or_default();
                    match keys.open_name(found.mount, parent, sealed) {
                        Ok(name) => names.push(name),
                        Err(_) => return Ok(None),
                    }
                    rest = after;
                }
                Ok(Some(names.join("/")))
            })?;
        }
        self.say(Told::Finding(finding))
    }
}

fn keep(done: &mut Vec<(Vec<u8>, Counts)>, directory: &[u8], counts: Counts) -> Result<(), FsckStop> {
    done.push((directory.to_vec(), counts));
    Ok(())
}
