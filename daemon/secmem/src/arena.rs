//! Slots for secrets in few pages: the kernel lets a process lock only so much (often 8 MiB), so that a page per key is
//! out of the question.
//!
//! A chunk is four pages of 32-byte granules with one bit each. A small slot is a run of granules under one word of bits,
//! at most 2 KiB; a larger one has pages of its own. A slot is cleared before its bits are.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize;

use crate::pages::Pages;

const GRANULE: usize = 32;
const GRANULES_PER_WORD: usize = 64;
const WORDS: usize = 8;
const CHUNK: usize = WORDS * GRANULES_PER_WORD * GRANULE;
const LARGEST_SMALL: usize = GRANULES_PER_WORD * GRANULE;

/// How well the kernel hides the pages that keys rest in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backing {
    /// `memfd_secret(2)`: out of the kernel's own map, never swapped, never dumped, not readable by a debugger.
    MemfdSecret,
    /// `mlock(2)`, left out of core dumps, empty in children: a debugger of the same user, or root, can read it.
    Locked,
    /// Neither could be had: pages may be swapped or dumped.
    Plain,
}

/// The weakest backing of any page that was needed so far; maps the first pages when there are none. For a warning at start.
pub fn backing() -> Backing {
    drop(Slot::zeroed(1));
    match WEAKEST.load(Ordering::Relaxed) {
        0 => Backing::MemfdSecret,
        1 => Backing::Locked,
        _ => Backing::Plain,
    }
}

/// Bytes of pages held for secrets at present, used or not; they count against `RLIMIT_MEMLOCK`.
pub fn mapped_bytes() -> usize {
    MAPPED.load(Ordering::Relaxed)
}

static WEAKEST: AtomicU8 = AtomicU8::new(0);
static MAPPED: AtomicUsize = AtomicUsize::new(0);
static ARENA: Mutex<Arena> = Mutex::new(Arena { chunks: BTreeMap::new(), large: BTreeMap::new() });

/// Bytes of the arena, owned. Zero when made and when freed.
pub(crate) struct Slot {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a slot owns its bytes alone, like a box; shared access only reads.
unsafe impl Send for Slot {}
// SAFETY: as above; writing takes `&mut self`.
unsafe impl Sync for Slot {}

impl Slot {
    pub(crate) fn zeroed(len: usize) -> Self {
        let start = arena().take(len);
        Self { start, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the arena gave these `len` initialised bytes to this slot alone and keeps them mapped until it is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        arena().give_back(self.start, self.len);
    }
}

struct Arena {
    /// By address of the first byte.
    chunks: BTreeMap<usize, Chunk>,
    large: BTreeMap<usize, Pages>,
}

struct Chunk {
    pages: Pages,
    used: [u64; WORDS],
}

fn arena() -> MutexGuard<'static, Arena> {
    // Nothing in here unwinds half-way through a change, so a poisoned lock still guards a sound arena.
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arena {
    fn take(&mut self, len: usize) -> NonNull<u8> {
        if len > LARGEST_SMALL {
            let pages = map(len);
            let start = pages.start();
            self.large.insert(start.as_ptr() as usize, pages);
            return start;
        }
        if let Some(start) = self.chunks.values_mut().find_map(|chunk| chunk.take(len)) {
            return start;
        }
        let mut chunk = Chunk { pages: map(CHUNK), used: [0; WORDS] };
        // Can't fail: `len` is at most LARGEST_SMALL, one whole word of granules, and all are clear.
        let start =
            chunk.take(len).unwrap_or_else(|| unreachable!("an empty chunk has room for every small slot"));
        self.chunks.insert(chunk.pages.start().as_ptr() as usize, chunk);
        start
    }

    fn give_back(&mut self, start: NonNull<u8>, len: usize) {
        let address = start.as_ptr() as usize;
        if len > LARGEST_SMALL {
            if let Some(pages) = self.large.remove(&address) {
                unmap(pages);
            }
            return;
        }
        let Some((&first, chunk)) = self.chunks.range_mut(..=address).next_back() else { return };
        chunk.give_back(address - first, len);
        // One empty chunk stays, so that a key made and dropped in turn doesn't map and unmap each time.
        if chunk.is_empty()
            && self.chunks.values().filter(|chunk| chunk.is_empty()).count() > 1
            && let Some(chunk) = self.chunks.remove(&first)
        {
            unmap(chunk.pages);
        }
    }
}

impl Chunk {
    fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        let granules = granules(len);
        for (index, word) in self.used.iter_mut().enumerate() {
            if let Some(bit) = free_run(*word, granules) {
                *word |= run(granules) << bit;
                let offset = (index * GRANULES_PER_WORD + bit as usize) * GRANULE;
                // SAFETY: the run lies inside the chunk's pages: bit + granules <= 64 in one of its WORDS words.
                return Some(unsafe { self.pages.start().add(offset) });
            }
        }
        None
    }

    fn give_back(&mut self, offset: usize, len: usize) {
        let granule = offset / GRANULE;
        if let Some(word) = self.used.get_mut(granule / GRANULES_PER_WORD) {
            *word &= !(run(granules(len)) << (granule % GRANULES_PER_WORD));
        }
    }

    fn is_empty(&self) -> bool {
        self.used == [0; WORDS]
    }
}

/// Granules of a slot of `len` bytes, 1 to 64.
fn granules(len: usize) -> u32 {
    len.div_ceil(GRANULE).clamp(1, GRANULES_PER_WORD) as u32
}

/// The lowest `granules` bits.
fn run(granules: u32) -> u64 {
    u64::MAX >> (u64::BITS - granules)
}

/// The lowest bit at which `granules` bits of `used` are clear.
fn free_run(used: u64, granules: u32) -> Option<u32> {
    let mut starts = !used;
    for _ in 1..granules {
        starts &= starts >> 1;
    }
    (starts != 0).then(|| starts.trailing_zeros())
}

fn map(len: usize) -> Pages {
    let pages = Pages::map(len);
    MAPPED.fetch_add(pages.len(), Ordering::Relaxed);
    WEAKEST.fetch_max(pages.backing() as u8, Ordering::Relaxed);
    pages
}

fn unmap(pages: Pages) {
    MAPPED.fetch_sub(pages.len(), Ordering::Relaxed);
    drop(pages);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_only_where_enough_granules_lie_side_by_side() {
        assert_eq!(free_run(0, 64), Some(0));
        assert_eq!(free_run(1, 64), None);
        assert_eq!(free_run(u64::MAX, 1), None);
        assert_eq!(free_run(0b0101_1011, 1), Some(2));
        assert_eq!(free_run(0b0100_1011, 2), Some(4));
        assert_eq!(free_run(u64::MAX >> 1, 1), Some(63));
        assert_eq!(free_run(u64::MAX >> 1, 2), None);
        assert_eq!(free_run(u64::MAX >> 2, 2), Some(62));
    }

    #[test]
    fn slots_of_every_size_never_overlap_and_leave_nothing_behind() {
        let mut arena = Arena { chunks: BTreeMap::new(), large: BTreeMap::new() };
        let lens = [1, 32, 33, 64, 100, 2047, 2048, 2049, 5000];
        let slots: Vec<_> =
            (0..400).map(|i| lens[i % lens.len()]).map(|len| (arena.take(len), len)).collect();
        let mut spans: Vec<_> = slots.iter().map(|(start, len)| (start.as_ptr() as usize, *len)).collect();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
        for (start, len) in slots {
            arena.give_back(start, len);
        }
        assert!(arena.large.is_empty());
        assert_eq!(arena.chunks.len(), 1, "one empty chunk stays");
    }
}
