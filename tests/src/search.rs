//! Looks for very many patterns in one pass over many bytes.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::collections::HashMap;

/// The shortest value that is looked for: shorter ones would be found by chance.
pub(crate) const SHORTEST: usize = 12;

/// Each pattern is found by its first bytes, as many as these.
const START: usize = 8;
/// Of these, so many choose a place in a table which tells at most places that nothing begins there.
const TABLE_BITS: u32 = 22;
const PAGE: usize = 4096;
const EMPTY: [u8; PAGE + START] = [0; PAGE + START];

/// A secret that is looked for.
#[derive(Clone)]
pub struct Wanted {
    /// What sort of secret it is: hits are counted by this.
    pub kind: &'static str,
    /// Which one, for people. Not the secret itself.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A secret that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// As [`Wanted::kind`].
    pub kind: &'static str,
    /// As [`Wanted::name`].
    pub name: String,
    /// In which spelling.
    pub pattern: Vec<u8>,
    /// At which byte.
    pub at: usize,
}

/// Many patterns, ready to be looked for.
#[derive(Default)]
pub struct Search {
    wanted: Vec<(&'static str, String)>,
    patterns: Vec<(u32, Vec<u8>)>,
    by_start: HashMap<[u8; START], Vec<u32>>,
    /// Where a pattern may begin, by the mixed first four bytes.
    table: Vec<bool>,
}

impl Search {
    /// Looks for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { table: vec![false; 1 << TABLE_BITS], ..Self::default() }
    }

    /// Looks for this too: raw, in hexadecimal of either case, and in base64 of both alphabets at every alignment.
    pub fn add(&mut self, wanted: Wanted) {
        let spellings = spellings(&wanted.bytes);
        self.add_patterns(wanted.kind, wanted.name, spellings);
    }

    /// Looks for this too, raw only: for what nobody spells.
    pub fn add_raw(&mut self, wanted: Wanted) {
        self.add_patterns(wanted.kind, wanted.name, vec![wanted.bytes]);
    }

    fn add_patterns(&mut self, kind: &'static str, name: String, patterns: Vec<Vec<u8>>) {
        let number = u32::try_from(self.wanted.len()).unwrap();
        self.wanted.push((kind, name));
        for pattern in patterns {
            assert!(pattern.len() >= SHORTEST, "a pattern needs {SHORTEST} bytes");
            let start: [u8; START] = pattern[..START].try_into().unwrap();
            let first = u32::from_be_bytes(pattern[..4].try_into().unwrap());
            self.table[place_of(first)] = true;
            self.by_start.entry(start).or_default().push(u32::try_from(self.patterns.len()).unwrap());
            self.patterns.push((number, pattern));
        }
    }

    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What stands in `bytes`.
    #[must_use]
    pub fn run(&self, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let to = (from + PAGE).min(bytes.len());
            // Nothing begins in a page of zeroes, unless it begins with the zeroes at its end.
            let is_empty = bytes.get(from..from + EMPTY.len()).is_some_and(|page| page == EMPTY);
            if !is_empty {
                self.run_page(bytes, from, to, &mut hits);
            }
            from = to;
        }
        hits
    }

    #[allow(clippy::cast_lossless, reason = "this loop runs unoptimised: a call for each byte would be felt")]
    fn run_page(&self, bytes: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        let end = (to + 3).min(bytes.len());
        let (mut at, mut last) = (from, 0_u32);
        while at < end {
            last = last << 8 | bytes[at] as u32;
            at += 1;
            if self.table[((last ^ last >> 10) & ((1 << TABLE_BITS) - 1)) as usize] && at >= from + 4 {
                self.compare(bytes, at - 4, hits);
            }
        }
    }

    fn compare(&self, bytes: &[u8], at: usize, hits: &mut Vec<Hit>) {
        let Some(start) = bytes.get(at..at + START) else { return };
        let start: [u8; START] = start.try_into().unwrap();
        for number in self.by_start.get(&start).into_iter().flatten() {
            let (wanted, pattern) = &self.patterns[*number as usize];
            if bytes[at..].starts_with(pattern) {
                let (kind, name) = &self.wanted[*wanted as usize];
                hits.push(Hit { kind, name: name.clone(), pattern: pattern.clone(), at });
            }
        }
    }
}

fn place_of(first: u32) -> usize {
    ((first ^ first >> 10) & ((1 << TABLE_BITS) - 1)) as usize
}

/// A value raw, in hexadecimal of either case, and in base64 of both alphabets at every alignment.
pub(crate) fn spellings(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all =
        vec![value.to_vec(), hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()];
    for shift in 0..3 {
        // Characters that the neighbours have no part in.
        let shifted = [&[0; 2][..shift], value].concat();
        let (from, to) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            all.push(engine.encode(&shifted).as_bytes()[from..to].to_vec());
        }
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        getrandom::fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn each_of_very_many_is_found_wherever_it_stands_and_nothing_else() {
        let mut search = Search::new();
        let values: Vec<_> = (0..2000).map(|_| random(16)).collect();
        for (number, bytes) in values.iter().enumerate() {
            search.add(Wanted { kind: "x", name: number.to_string(), bytes: bytes.clone() });
        }
        // Over the ends of pages, beside pages of zeroes, at the beginning and at the end.
        let mut bytes = vec![0; 64 * PAGE];
        let places =
            [0, 5 * PAGE - 1, 9 * PAGE - 4, 13 * PAGE - 8, 17 * PAGE - 15, 21 * PAGE, 64 * PAGE - 16];
        for (place, value) in places.iter().zip(values.iter().skip(7)) {
            bytes[*place..place + 16].copy_from_slice(value);
        }
        let hits = search.run(&bytes);
        let found: Vec<_> = hits.iter().map(|hit| (hit.at, hit.name.parse::<usize>().unwrap())).collect();
        let expected: Vec<_> = places.into_iter().zip(7..).collect();
        assert_eq!(found, expected);
        assert!(search.run(&random(1 << 20)).is_empty());
    }

    #[test]
    fn what_begins_with_zeroes_is_found_at_the_end_of_a_page_of_zeroes() {
        let mut search = Search::new();
        let value = [&[0; 7][..], &random(25)].concat();
        search.add_raw(Wanted { kind: "x", name: "x".into(), bytes: value.clone() });
        for at in PAGE - 10..PAGE + 2 {
            let mut bytes = vec![0; 3 * PAGE];
            bytes[at..at + value.len()].copy_from_slice(&value);
            assert_eq!(search.run(&bytes).len(), 1, "at {at}");
        }
    }
}
