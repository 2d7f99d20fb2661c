//! Values that must show nowhere but where they belong, and the search for them in every spelling.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The shortest value that is looked for: shorter ones would be found by chance.
const SHORTEST: usize = 12;

/// What a test planted.
#[derive(Default)]
pub struct Canaries {
    values: Mutex<Vec<Vec<u8>>>,
}

impl Canaries {
    /// A fresh value, which is looked for from now on.
    #[must_use]
    pub fn plant(&self, name: &str) -> String {
        let value = format!("canary-{name}-{}", random_hex(12));
        self.add(value.as_bytes());
        value
    }

    /// Looks for this value too.
    pub fn add(&self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        assert!(value.len() >= SHORTEST, "a canary needs {SHORTEST} bytes");
        self.values.lock().unwrap().push(value.to_vec());
    }

    /// Which canaries stand in `bytes`, raw, as base64 at any alignment, or as hexadecimal.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        Search::new(&self.values.lock().unwrap()).run(bytes)
    }

    /// Which canaries stand in the files below `folder`, and where.
    #[must_use]
    pub fn found_below(&self, folder: &Path) -> Vec<String> {
        let search = Search::new(&self.values.lock().unwrap());
        let mut found = Vec::new();
        for file in files_below(folder) {
            // A file may be renamed while the daemon runs; a gone one holds nothing.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            found.extend(search.run(&bytes).into_iter().map(|what| format!("{}: {what}", file.display())));
        }
        found
    }

    /// Every spelling that is looked for.
    #[must_use]
    pub fn spellings(&self) -> Vec<Vec<u8>> {
        self.values.lock().unwrap().iter().flat_map(|value| spellings(value)).collect()
    }
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Looks for many patterns in one pass, by their first four bytes.
pub(crate) struct Search {
    by_start: HashMap<[u8; 4], Vec<Vec<u8>>>,
    /// Which first two bytes there are: most places are passed over by this alone.
    starts: Vec<bool>,
}

impl Search {
    fn new(values: &[Vec<u8>]) -> Self {
        Self::of(values.iter().flat_map(|value| spellings(value)).collect())
    }

    pub(crate) fn of(patterns: Vec<Vec<u8>>) -> Self {
        let mut search = Self { by_start: HashMap::new(), starts: vec![false; 1 << 16] };
        for pattern in patterns {
            let start: [u8; 4] = pattern[..4].try_into().unwrap();
            search.starts[usize::from(u16::from_be_bytes([start[0], start[1]]))] = true;
            search.by_start.entry(start).or_default().push(pattern);
        }
        search
    }

    pub(crate) fn run(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let mut last = 0;
        for (end, byte) in bytes.iter().enumerate() {
            last = last << 8 | u16::from(*byte);
            if end == 0 || !self.starts[usize::from(last)] {
                continue;
            }
            let at = end - 1;
            let Some(patterns) = bytes.get(at..at + 4).and_then(|start| self.by_start.get(start)) else {
                continue;
            };
            for pattern in patterns {
                if bytes[at..].starts_with(pattern) {
                    found.push(format!("{:?} at byte {at}", String::from_utf8_lossy(pattern)));
                }
            }
        }
        found
    }
}

fn spellings(value: &[u8]) -> Vec<Vec<u8>> {
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

/// Random bytes in hexadecimal.
#[must_use]
pub fn random_hex(bytes: usize) -> String {
    let mut value = vec![0; bytes];
    getrandom::fill(&mut value).unwrap();
    hex::encode(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_every_spelling_and_at_every_alignment() {
        let canaries = Canaries::default();
        let value = canaries.plant("x");
        assert!(canaries.found_in(b"nothing to see").is_empty());
        for before in 0..5 {
            let text = ["?".repeat(before).as_bytes(), value.as_bytes(), b"tail"].concat();
            for spelt in [
                text.clone(),
                hex::encode(&text).into(),
                STANDARD.encode(&text).into(),
                URL_SAFE.encode(&text).into(),
            ] {
                let log = [b"a log line: ".as_slice(), &spelt].concat();
                assert!(!canaries.found_in(&log).is_empty(), "{}", String::from_utf8_lossy(&log));
            }
        }
    }
}
