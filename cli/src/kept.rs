//! Checkpoints of a store's logs as this operator saw them last: what nobody with the daemon's disk can take back.
//!
//! They lie with the operator's own state, one file a store, and go with each share: a store that was put back together
//! with its logs is then refused, whatever its disk says.
use crate::files;
use crate::page::Page;
use crate::shapes::counted;
use coffer_sdk::{Checkpoint, SealStatus};
use std::path::{Path, PathBuf};

/// The most notes that are kept of one store: the daemon takes twice as many from all holders of a quorum.
const MOST: usize = 512;

/// What is kept of one store.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    /// Where; none where this operator has no place for it.
    path: Option<PathBuf>,
    /// Signed notes; of a log that began anew one for each incarnation, until the store opened with them.
    notes: Vec<String>,
}

impl Kept {
    /// What is kept of the store with this id, as `sys/seal-status` names it.
    pub(crate) fn of(cluster_id: &str) -> Self {
        let path = state_folder().and_then(|folder| file_in(&folder, cluster_id));
        let text = path.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        // What is no checkpoint any more is of no use, and is replaced.
        let notes: Vec<String> = serde_json::from_slice(&text).unwrap_or_default();
        Self { path, notes: notes.into_iter().filter(|note| promised(note).is_some()).collect() }
    }

    /// What goes with a share.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where it is kept, for people.
    pub(crate) fn place(&self) -> String {
        self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// Keeps those that came when the store opened, and says so: it was held against the ones kept here.
    pub(crate) fn renew(self, status: &SealStatus, page: Page) -> Page {
        if self.path.is_none() || status.checkpoints.is_empty() {
            return page;
        }
        let (before, shown) = (self.notes.len(), self.place());
        let seen = |note: &String| status.checkpoints.iter().any(|new| environment(new) == environment(note));
        let mut notes = status.checkpoints.clone();
        notes.extend(self.notes.iter().filter(|note| !seen(note)).cloned());
        notes.truncate(MOST);
        let logs = |count: usize| counted(count as u64, "log", "logs");
        match (before, Self { notes, ..self }.write()) {
            (_, Err(why)) => page.note(why),
            (0, Ok(())) => page.line(format!(
                "Checkpoints of {} are kept in {shown}: the next unsealing from here is held against them.",
                logs(status.checkpoints.len())
            )),
            (_, Ok(())) => page.line(format!(
                "It goes on from the checkpoints that were kept here; new ones of {} are in {shown}.",
                logs(status.checkpoints.len())
            )),
        }
    }

    /// Keeps one more, seen while the store is open.
    ///
    /// # Errors
    /// The larger one that is kept of the same log: then an older store serves. Nothing is written over.
    pub(crate) fn add(mut self, note: &str) -> Result<Result<(), String>, Checkpoint> {
        let Some(new) = promised(note) else { return Ok(Err("the daemon gave no checkpoint".to_owned())) };
        let of_log = |note: &String| promised(note).filter(|kept| kept.origin == new.origin);
        if let Some(larger) = self.notes.iter().filter_map(of_log).find(|kept| kept.size > new.size) {
            return Err(larger);
        }
        self.notes.retain(|note| of_log(note).is_none());
        self.notes.push(note.to_owned());
        Ok(self.write())
    }

    fn write(&self) -> Result<(), String> {
        use std::os::unix::fs::DirBuilderExt as _;
        let Some(path) = &self.path else {
            return Err("There is no HOME to keep checkpoints in.".to_owned());
        };
        let failed = |why: String| format!("Checkpoints can't be kept in {}: {why}.", path.display());
        if let Some(folder) = path.parent() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| failed(error.to_string()))?;
        }
        let text = serde_json::Value::from(self.notes.clone()).to_string();
        files::write(path, text.as_bytes(), true).map_err(|failure| failed(failure.what()))
    }
}

/// What a signed note promises; none where it is no checkpoint. The daemon checks the signature.
pub(crate) fn promised(note: &str) -> Option<Checkpoint> {
    let text = note.split_once("\n\n").map(|(text, _)| format!("{text}\n"))?;
    Checkpoint::parse(&text).ok()
}

/// Whose log a note is of: its origin without the incarnation.
fn environment(note: &str) -> Option<&str> {
    note.split_once('\n')?.0.rsplit_once('/').map(|(environment, _)| environment)
}

/// `$XDG_STATE_HOME`, or `~/.local/state` (XDG Base Directory Specification), and `coffer` in it.
fn state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map(|state| state.join("coffer"))
}

/// The file of a store. Its id comes from the daemon, so only what is one becomes a name.
fn file_in(folder: &Path, cluster_id: &str) -> Option<PathBuf> {
    let is_id = cluster_id.len() == 36
        && cluster_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    is_id.then(|| folder.join("checkpoints").join(format!("{cluster_id}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(origin: &str, size: u64) -> String {
        format!("{origin}\n{size}\n{}=\n\n— {origin} AAAA\n", "A".repeat(43))
    }

    fn kept(notes: &[String]) -> (tempfile::TempDir, Kept) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints/x.json");
        (folder, Kept { path: Some(path), notes: notes.to_vec() })
    }

    #[test]
    fn only_the_id_of_a_store_becomes_a_files_name() {
        let folder = Path::new("/state");
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(file_in(folder, id), Some(PathBuf::from("/state/checkpoints").join(format!("{id}.json"))));
        for bad in ["", "..", "../../../../../../../../../etc/passwd", &id.to_uppercase(), &format!("{id}0")]
        {
            assert_eq!(file_in(folder, bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_checkpoint_is_not_sent_along() {
        let note = note("host/a/b", 17);
        assert_eq!(promised(&note).map(|seen| seen.size), Some(17));
        for bad in ["", "text", &note.replace("17", "x"), &note.replace("\n\n", "\n")] {
            assert_eq!(promised(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_smaller_one_never_takes_the_place_of_a_larger_one_of_the_same_log() {
        let (_folder, first) = kept(&[note("h/a/1", 9)]);
        assert_eq!(first.clone().add(&note("h/a/1", 8)).unwrap_err().size, 9);
        first.clone().add(&note("h/a/1", 9)).unwrap().unwrap();
        first.clone().add(&note("h/a/2", 3)).unwrap().unwrap();
        let written: Vec<String> =
            serde_json::from_slice(&std::fs::read(first.path.as_ref().unwrap()).unwrap()).unwrap();
        // Both incarnations, until the store opened with them.
        assert_eq!(written, [note("h/a/1", 9), note("h/a/2", 3)]);
        let status = |checkpoints: Vec<String>| -> SealStatus {
            serde_json::from_value(serde_json::json!({ "sealed": false, "checkpoints": checkpoints }))
                .unwrap()
        };
        let both = Kept { notes: written, ..first.clone() };
        both.renew(&status(vec![note("h/a/2", 4), note("h/b/1", 1)]), Page::silent());
        let written: Vec<String> =
            serde_json::from_slice(&std::fs::read(first.path.as_ref().unwrap()).unwrap()).unwrap();
        assert_eq!(written, [note("h/a/2", 4), note("h/b/1", 1)]);
    }
}
