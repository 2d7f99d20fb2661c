//! 96-bit nonces that never come twice under one key version: 64 random bits drawn for each reserved block, then the
//! 32-bit count of encryptions under that version (SP 800-38D §8.2.1, the deterministic construction).
//!
//! The store remembers only how far counters were given out, in blocks: a block may be used from memory once the commit
//! that reserves it is durable, and what is left of it after a crash is skipped. The random part is for what a counter
//! can't see, a store that was put back or copied: see decision 0080 for the bound.
use super::records::{Key, KeyId, Version, get_spent, put_spent};
use coffer_barrier::Tx;
use coffer_room::Fault;
use coffer_types::CanonicalPath;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Encryptions that one commit reserves.
pub(super) const BLOCK: u64 = 1 << 16;
/// Encryptions after which a key gets a new version by itself.
pub(super) const ROTATE_AFTER: u64 = 1 << 30;
/// Encryptions after which a version refuses: its counter has no more values.
pub(super) const REFUSE_AFTER: u64 = 1 << 32;

/// Nonces wanted, by version.
pub(super) type Needs = BTreeMap<u32, u64>;

/// What this mount has in reserve, while its environment is open.
#[derive(Default)]
pub(super) struct Nonces {
    reserve: Mutex<HashMap<(KeyId, u32), VecDeque<Block>>>,
}

/// Consecutive counters under one random prefix.
struct Block {
    prefix: [u8; 8],
    next: u64,
    end: u64,
}

impl Block {
    fn left(&self) -> u64 {
        self.end - self.next
    }

    /// Cuts off the first `count`, or all there are.
    fn split(&mut self, count: u64) -> Self {
        let from = self.next;
        self.next = self.end.min(from.saturating_add(count));
        Self { prefix: self.prefix, next: from, end: self.next }
    }

    fn nonce(&mut self) -> Option<[u8; 12]> {
        if self.next >= self.end {
            return None;
        }
        let counter = u32::try_from(self.next).ok()?;
        self.next += 1;
        let mut nonce = [0; 12];
        let (prefix, count) = nonce.split_at_mut(8);
        prefix.copy_from_slice(&self.prefix);
        count.copy_from_slice(&counter.to_be_bytes());
        Some(nonce)
    }
}

/// Nonces that belong to one request, each to be used once.
#[derive(Default)]
pub(super) struct Granted(BTreeMap<u32, VecDeque<Block>>);

impl Granted {
    /// The next nonce for `version`.
    pub(super) fn next(&mut self, version: u32) -> Option<[u8; 12]> {
        let blocks = self.0.get_mut(&version)?;
        loop {
            match blocks.front_mut()?.nonce() {
                Some(nonce) => return Some(nonce),
                None => drop(blocks.pop_front()),
            }
        }
    }
}

impl Nonces {
    /// All that is needed out of the reserve, or nothing.
    pub(super) fn take(&self, id: KeyId, needs: &Needs) -> Option<Granted> {
        let mut reserve = self.lock();
        let left = |version| {
            reserve.get(&(id, version)).map_or(0, |blocks| blocks.iter().map(Block::left).sum::<u64>())
        };
        if needs.iter().any(|(version, count)| left(*version) < *count) {
            return None;
        }
        let mut granted = Granted::default();
        for (version, count) in needs {
            let Some(blocks) = reserve.get_mut(&(id, *version)) else { continue };
            let mine = granted.0.entry(*version).or_default();
            let mut wanted = *count;
            while wanted > 0 {
                let Some(block) = blocks.front_mut() else { break };
                let part = block.split(wanted);
                wanted -= part.left();
                mine.push_back(part);
                if block.left() == 0 {
                    blocks.pop_front();
                }
            }
        }
        Some(granted)
    }

    /// Forgets what is in reserve for a key's versions below `below`.
    pub(super) fn forget(&self, id: KeyId, below: u32) {
        self.lock().retain(|(owner, version), _| *owner != id || *version >= below);
    }

    fn put(&self, id: KeyId, version: u32, block: Block) {
        self.lock().entry((id, version)).or_default().push_back(block);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(KeyId, u32), VecDeque<Block>>> {
        // A panic elsewhere can't leave a block half cut: nothing in the critical sections unwinds between two writes.
        self.reserve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives `key` a new version where `count` more encryptions under the newest would pass [`ROTATE_AFTER`].
pub(super) fn rotate_if_spent(
    tx: &mut Tx<'_, '_>,
    name: &CanonicalPath,
    key: &mut Key,
    count: u64,
    fresh: impl FnOnce() -> Result<Version, Fault>,
) -> Result<(), Fault> {
    if get_spent(tx, name, key.id, key.latest())?.saturating_add(count) > ROTATE_AFTER {
        let version = fresh()?.duplicate(tx.now());
        key.push(version)?;
        key.put(tx, name)?;
    }
    Ok(())
}

/// Reserves what is needed and the rest of a block, which goes into the reserve when the commit is durable.
pub(super) fn reserve(
    tx: &mut Tx<'_, '_>,
    nonces: &Arc<Nonces>,
    name: &CanonicalPath,
    id: KeyId,
    needs: &Needs,
) -> Result<Granted, Fault> {
    let mut granted = Granted::default();
    for (version, count) in needs.iter().filter(|(_, count)| **count > 0) {
        let spent = get_spent(tx, name, id, *version)?;
        let wanted = spent.checked_add(*count).filter(|wanted| *wanted <= REFUSE_AFTER);
        let wanted = wanted
            .ok_or(Fault::bad("this version of the key has encrypted all that it may; rotate the key"))?;
        // No block crosses a limit, so that the limit is seen.
        let limit = if wanted <= ROTATE_AFTER { ROTATE_AFTER } else { REFUSE_AFTER };
        let end = spent.saturating_add(BLOCK).max(wanted).min(limit);
        put_spent(tx, name, id, *version, end)?;
        let mut prefix = [0; 8];
        tx.random(&mut prefix)?;
        let mut block = Block { prefix, next: spent, end };
        granted.0.entry(*version).or_default().push_back(block.split(*count));
        if block.left() > 0 {
            let (nonces, version) = (Arc::clone(nonces), *version);
            tx.after(Box::new(move || nonces.put(id, version, block)));
        }
    }
    Ok(granted)
}
