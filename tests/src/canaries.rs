//! Values that must show nowhere but where they belong, and the search for them in every spelling.
use crate::search::{Hit, SHORTEST, Search, Wanted};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

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

    /// A fresh value that is random from its first byte on: where there are very many.
    #[must_use]
    pub fn plant_random(&self) -> String {
        let value = random_hex(14);
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
        self.search().run(bytes).iter().map(shown).collect()
    }

    /// Which canaries stand in the files below `folder`, and where.
    #[must_use]
    pub fn found_below(&self, folder: &Path) -> Vec<String> {
        let search = self.search();
        let mut found = Vec::new();
        for file in files_below(folder) {
            // A file may be renamed while the daemon runs; a gone one holds nothing.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            let hits = search.run(&bytes);
            found.extend(hits.iter().map(|hit| format!("{}: {}", file.display(), shown(hit))));
        }
        found
    }

    /// All of them.
    #[must_use]
    pub fn values(&self) -> Vec<Vec<u8>> {
        self.values.lock().unwrap().clone()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.lock().unwrap().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The search for all of them.
    #[must_use]
    pub fn search(&self) -> Search {
        let mut search = Search::new();
        for (number, value) in self.values.lock().unwrap().iter().enumerate() {
            search.add(Wanted { kind: "canary", name: format!("canary {number}"), bytes: value.clone() });
        }
        search
    }
}

fn shown(hit: &Hit) -> String {
    format!("{:?} at byte {}", String::from_utf8_lossy(&hit.pattern), hit.at)
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
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

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
