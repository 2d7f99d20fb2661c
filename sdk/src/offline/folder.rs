//! The files of a log as they were at one moment, though the daemon goes on writing them.
//!
//! A look at a long log lasts for many of the daemon's rounds, and each replaces checkpoints and partial tiles. Those are
//! therefore read when the files are listed, and what grows is read no further than it had grown by then; a second list
//! that is the first one shows that no round came between. What a full tile holds stays as it is.
use super::Unreadable;
use keystore_format::logcheck::{Files, JOURNAL};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// So often we list, where each time a round comes between.
const ATTEMPTS: u32 = 20;
/// No daemon writes a larger checkpoint or partial tile: 255 leaves of 8 KiB.
const LARGEST: u64 = 4 << 20;
/// What is kept of a folder, at the most. A file beyond it is read when it is asked for.
const BUDGET: u64 = 256 << 20;

/// The files of a log, below one folder, as they are when they are listed: reading shows that moment until they are listed
/// again. Links are not followed: they show as files that no log has.
pub struct LogFolder {
    base: PathBuf,
    last: Option<(String, File)>,
    moment: BTreeMap<String, Kept>,
}

/// What is known of a file that changes.
enum Kept {
    /// It is replaced as a whole.
    Content(Vec<u8>),
    /// It grows: so long it was.
    Length(u64),
}

impl LogFolder {
    /// The log in `base`.
    #[must_use]
    pub fn open(base: &Path) -> Self {
        Self { base: base.to_owned(), last: None, moment: BTreeMap::new() }
    }

    /// Lists the files and keeps what changes, until no round came between; `meanwhile` is what others do in a test.
    fn settle(&mut self, mut meanwhile: impl FnMut()) -> Result<Vec<String>, Unreadable> {
        self.last = None;
        let mut names = self.names()?;
        for _ in 0..ATTEMPTS {
            meanwhile();
            let kept = self.keep(&names);
            let again = self.names()?;
            let is_settled = evidence(&names).eq(evidence(&again));
            if let (Some(moment), true) = (kept, is_settled) {
                self.moment = moment;
                return Ok(names);
            }
            names = again;
        }
        // It changes faster than we can list it: then we show what stands there when it is read.
        self.moment.clear();
        Ok(names)
    }

    fn names(&self) -> Result<Vec<String>, Unreadable> {
        let mut found = Vec::new();
        let top = fs::read_dir(&self.base).map_err(|error| self.unreadable(Path::new(""), error))?;
        self.collect(top, Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }

    fn collect(&self, folder: fs::ReadDir, below: &Path, found: &mut Vec<String>) -> Result<(), Unreadable> {
        for entry in folder {
            let entry = entry.map_err(|error| self.unreadable(below, error))?;
            let name = below.join(entry.file_name());
            if !entry.file_type().map_err(|error| self.unreadable(&name, error))?.is_dir() {
                found.push(name.to_string_lossy().into_owned());
                continue;
            }
            match fs::read_dir(self.base.join(&name)) {
                Ok(folder) => self.collect(folder, &name, found)?,
                // A full tile took the place of the partial ones since we saw their folder.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(self.unreadable(&name, error)),
            }
        }
        Ok(())
    }

    /// Keeps what a round would change of these files. `None` where one of them is gone.
    fn keep(&self, names: &[String]) -> Option<BTreeMap<String, Kept>> {
        let mut moment = BTreeMap::new();
        let mut left = BUDGET;
        // In the opposite order to a round's, so that each covers the one before: tiles are there before their checkpoint,
        // and leaves before their positions and before a checkpoint over them.
        let turns: [fn(&str) -> bool; 3] = [
            |name| name.contains(".p/") || name.ends_with("/checkpoint"),
            |name| name.ends_with("/positions"),
            |name| name.starts_with(JOURNAL),
        ];
        for (turn, is_due) in turns.into_iter().enumerate() {
            for name in names.iter().filter(|name| is_due(name)) {
                let path = self.base.join(name);
                let metadata = match fs::metadata(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return None,
                    // What can't be read is told when it is asked for.
                    Err(_) => continue,
                    Ok(metadata) => metadata,
                };
                if turn > 0 {
                    moment.insert(name.clone(), Kept::Length(metadata.len()));
                } else if metadata.is_file() && metadata.len() <= LARGEST.min(left) {
                    let mut content = Vec::new();
                    match File::open(&path).and_then(|file| file.take(LARGEST).read_to_end(&mut content)) {
                        Err(error) if error.kind() == ErrorKind::NotFound => return None,
                        Err(_) => continue,
                        Ok(length) => left = left.saturating_sub(length as u64),
                    }
                    moment.insert(name.clone(), Kept::Content(content));
                }
            }
        }
        Some(moment)
    }

    fn unreadable(&self, name: &Path, error: io::Error) -> Unreadable {
        Unreadable { path: self.base.join(name), error }
    }
}

impl Files for LogFolder {
    type Error = Unreadable;

    fn list(&mut self) -> Result<Vec<String>, Unreadable> {
        self.settle(|| ())
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Unreadable> {
        let limit = match self.moment.get(path) {
            Some(Kept::Content(content)) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = content.get(from..).unwrap_or_default();
                return Ok(rest.get(..limit).unwrap_or(rest).to_vec());
            }
            Some(Kept::Length(length)) => {
                usize::try_from(length.saturating_sub(offset)).unwrap_or(limit).min(limit)
            }
            None => limit,
        };
        let file = match self.last.take() {
            Some((name, file)) if name == path => file,
            _ => File::open(self.base.join(path)).map_err(|error| self.unreadable(Path::new(path), error))?,
        };
        let mut bytes = vec![0; limit];
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            let read = file.read_at(rest, offset + length as u64);
            match read.map_err(|error| self.unreadable(Path::new(path), error))? {
                0 => break,
                read => length += read,
            }
        }
        bytes.truncate(length);
        self.last = Some((path.to_owned(), file));
        Ok(bytes)
    }
}

/// The files that a round makes or removes, without the marks that the daemon keeps for itself.
fn evidence(names: &[String]) -> impl Iterator<Item = &String> {
    names.iter().filter(|name| name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILES: &str = "tree/incarnation/tile/0/000.p";
    const CHECKPOINT: &str = "tree/incarnation/checkpoint";
    const POSITIONS: &str = "tree/incarnation/positions";
    const SEGMENT: &str = "journal/00000000000000000000.log";

    /// What a daemon's rounds do to the files: the log after so many leaves.
    fn write(base: &Path, leaves: u8) {
        for folder in ["journal", TILES] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        let content = vec![leaves; usize::from(leaves)];
        fs::write(base.join(SEGMENT), &content).unwrap();
        fs::write(base.join(TILES).join(leaves.to_string()), &content).unwrap();
        fs::write(base.join(POSITIONS), &content).unwrap();
        fs::write(base.join("new"), "").unwrap();
        fs::rename(base.join("new"), base.join(CHECKPOINT)).unwrap();
        fs::write(base.join(CHECKPOINT), &content).unwrap();
    }

    /// The end of a round: what it replaced by wider tiles is gone.
    fn end(base: &Path, leaves: u8) {
        for before in 1..leaves {
            let _ = fs::remove_file(base.join(TILES).join(before.to_string()));
        }
    }

    fn tile(leaves: u8) -> String {
        format!("{TILES}/{leaves}")
    }

    fn read(folder: &mut LogFolder, name: &str) -> Vec<u8> {
        folder.read(name, 0, 1000).unwrap()
    }

    #[test]
    fn what_was_listed_reads_as_it_was_then() {
        let base = tempfile::tempdir().unwrap();
        write(base.path(), 8);
        let mut folder = LogFolder::open(base.path());
        let names = folder.list().unwrap();
        assert_eq!(names, [SEGMENT, CHECKPOINT, POSITIONS, &tile(8)]);
        // One that grew was open already.
        assert_eq!(folder.read(SEGMENT, 0, 3).unwrap(), [8; 3]);
        write(base.path(), 12);
        end(base.path(), 12);
        for name in [CHECKPOINT, &tile(8)] {
            assert_eq!(read(&mut folder, name), [8; 8], "{name}");
            assert_eq!(folder.read(name, 6, 100).unwrap(), [8; 2]);
            assert_eq!(folder.read(name, 5, 2).unwrap(), [8; 2]);
            assert!(folder.read(name, 9, 1).unwrap().is_empty());
        }
        for name in [SEGMENT, POSITIONS] {
            assert_eq!(read(&mut folder, name).len(), 8, "{name}");
            assert_eq!(folder.read(name, 6, 100).unwrap().len(), 2);
            assert!(folder.read(name, 8, 1).unwrap().is_empty());
            assert!(folder.read(name, u64::MAX, 1).unwrap().is_empty());
        }
        assert_eq!(folder.list().unwrap().last(), Some(&tile(12)));
        for name in [SEGMENT, CHECKPOINT, POSITIONS, &tile(12)] {
            assert_eq!(read(&mut folder, name), [12; 12], "{name}");
        }
    }

    #[test]
    fn a_list_with_a_round_in_its_midst_is_made_again() {
        let base = tempfile::tempdir().unwrap();
        write(base.path(), 8);
        let mut folder = LogFolder::open(base.path());
        let mut leaves = 8;
        for (rounds, is_ended) in [(1, true), (2, true), (1, false), (3, false)] {
            let mut left = rounds;
            end(base.path(), leaves);
            let names = folder.settle(|| {
                if left > 0 {
                    left -= 1;
                    leaves += 1;
                    write(base.path(), leaves);
                    if is_ended {
                        end(base.path(), leaves);
                    }
                }
            });
            assert!(names.unwrap().contains(&tile(leaves)), "{rounds} {is_ended}");
            for name in [SEGMENT, CHECKPOINT, POSITIONS, &tile(leaves)] {
                assert_eq!(read(&mut folder, name), vec![leaves; usize::from(leaves)], "{name}");
            }
        }
    }

    #[test]
    fn a_folder_that_never_rests_is_shown_as_it_stands() {
        let base = tempfile::tempdir().unwrap();
        write(base.path(), 1);
        let mut folder = LogFolder::open(base.path());
        let mut leaves = 1;
        let names = folder.settle(|| {
            leaves += 1;
            write(base.path(), leaves);
            end(base.path(), leaves);
        });
        assert_eq!(u32::from(leaves), 1 + ATTEMPTS);
        assert_eq!(names.unwrap().last(), Some(&tile(leaves)));
        write(base.path(), 50);
        end(base.path(), 50);
        assert_eq!(read(&mut folder, SEGMENT).len(), 50);
        let gone = folder.read(&tile(leaves), 0, 1).unwrap_err();
        assert_eq!(gone.error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_larger_than_a_daemon_writes_is_not_kept() {
        let base = tempfile::tempdir().unwrap();
        write(base.path(), 8);
        File::create(base.path().join(tile(9))).unwrap().set_len(LARGEST + 1).unwrap();
        let mut folder = LogFolder::open(base.path());
        folder.list().unwrap();
        fs::write(base.path().join(tile(8)), "x").unwrap();
        fs::write(base.path().join(tile(9)), "x").unwrap();
        assert_eq!(read(&mut folder, &tile(8)), [8; 8]);
        assert_eq!(read(&mut folder, &tile(9)), *b"x");
    }
}
