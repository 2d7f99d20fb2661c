//! `audit show`: the journal as JSON lines, a leaf each, safe to print on a terminal.
use super::folder;
use crate::page::{Page, say};
use crate::words::{Exit, Failure, place};
use clap::Args;
use coffer_sdk::offline::steadily;
use keystore_format::ids::EnvironmentId;
use keystore_format::logcheck::{self, Files, JOURNAL, Report};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The log's folder, or a copy
    dir: PathBuf,
    /// Only this environment: its id or the first digits of it, or `node` for the node's own log
    #[arg(long, value_name = "ID")]
    environment: Option<String>,
    /// Only leaves after this index of their log
    #[arg(long, value_name = "INDEX")]
    after: Option<u64>,
    /// At most so many leaves
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<Page, Failure> {
    let mut folder = folder::open(&arguments.dir)?;
    let wanted = match &arguments.environment {
        Some(prefix) => Some(environment(&folder.list()?, prefix)?),
        None => None,
    };
    let mut lines = Lines {
        out: BufWriter::new(std::io::stdout().lock()),
        wanted,
        after: arguments.after,
        left: arguments.limit,
        shown: 0,
        written: Ok(()),
    };
    let report = steadily(&arguments.dir, || lines.look(&mut folder).map_err(Failure::from))?;
    let Lines { mut out, written, .. } = lines;
    match written.and_then(|()| out.flush()) {
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Page::silent()),
        Err(error) => return Err(Failure::Output(error)),
        Ok(()) => {}
    }
    let Some(first) = report.findings.first() else { return Ok(Page::silent()) };
    say(&format!(
        "The log was altered at {}: {}. `coffer audit verify` says what that means.",
        place(first),
        first.fault.message()
    ));
    Ok(Page::silent().exit(Exit::Altered))
}

/// The lines of a journal, each once, though it is looked at again: it only grows, and what could not be read may only
/// not have been written whole.
struct Lines<W> {
    out: W,
    wanted: Option<EnvironmentId>,
    after: Option<u64>,
    /// So many are still to be written.
    left: u64,
    /// So many leaves, of all logs, an earlier look has come past.
    shown: u64,
    written: io::Result<()>,
}

impl<W: Write> Lines<W> {
    /// Goes on where the look before stopped.
    fn look<F: Files>(&mut self, files: &mut F) -> Result<Report, F::Error> {
        let mut seen = 0;
        let findings = logcheck::frames(files, |log, index, _, leaf| {
            seen += 1;
            if seen <= self.shown {
                return;
            }
            self.shown = seen;
            let is_wanted = self.wanted.is_none_or(|wanted| wanted == log.0)
                && self.after.is_none_or(|after| index > after);
            if is_wanted && self.left > 0 && self.written.is_ok() {
                self.left -= 1;
                self.written = writeln!(self.out, "{}", logcheck::json_line(log, index, leaf));
            }
        })?;
        Ok(Report { logs: Vec::new(), findings })
    }
}

/// The one environment whose id begins so.
fn environment(paths: &[String], prefix: &str) -> Result<EnvironmentId, Failure> {
    if prefix == "node" {
        return Ok(EnvironmentId::default());
    }
    let prefix = prefix.replace('-', "").to_lowercase();
    let folders = paths.iter().filter_map(|path| path.split('/').next()).filter(|name| *name != JOURNAL);
    let found: BTreeSet<_> = folders
        .filter(|name| name.starts_with(&prefix))
        .filter_map(logcheck::unhex)
        .map(EnvironmentId)
        .collect();
    match (found.first(), found.len()) {
        (Some(only), 1) => Ok(*only),
        (None, _) => Err(Failure::NoSuchLog(prefix)),
        _ => Err(Failure::SeveralLogs(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coffer_sdk::offline::LogFolder;
    use keystore_format::frame::{self, Frame};
    use keystore_format::leaf::{Leaf, LeafKind, Plain};

    fn journal(leaves: u64) -> Vec<u8> {
        let mut journal = Vec::new();
        for id in 0..leaves {
            let mut leaf = Leaf::new(LeafKind::Request, id, 1_795_316_400_000, "kv2/data", "read", 200);
            if id == 0 {
                leaf.kind = LeafKind::Fork;
                leaf.plain.insert(logcheck::FIELD_INCARNATION.into(), Plain::Text("a1".repeat(16)));
            }
            let (environment, leaf) = (EnvironmentId([3; 16]), leaf.encode().unwrap());
            frame::encode(&Frame { environment, leaf_id: id, leaf: &leaf, openings: &[] }, &mut journal)
                .unwrap();
        }
        journal
    }

    #[test]
    fn a_leaf_that_was_half_written_is_shown_once_it_is_whole_and_no_leaf_twice() {
        let base = tempfile::tempdir().unwrap();
        let segment = base.path().join(logcheck::segment_path(0));
        std::fs::create_dir_all(segment.parent().unwrap()).unwrap();
        let mut folder = LogFolder::open(base.path());
        let (out, written) = (Vec::new(), Ok(()));
        let mut lines = Lines { out, wanted: None, after: Some(0), left: 4, shown: 0, written };
        let whole = journal(9);
        for (bytes, shown, faults) in
            [(&whole[..journal(3).len() + 20], 2, 1), (&whole[..journal(4).len() - 1], 2, 1), (&whole, 4, 0)]
        {
            std::fs::write(&segment, bytes).unwrap();
            let report = lines.look(&mut folder).unwrap();
            assert_eq!(report.findings.len(), faults);
            assert_eq!(String::from_utf8_lossy(&lines.out).lines().count(), shown);
        }
        let text = String::from_utf8(lines.out).unwrap();
        for (line, index) in text.lines().zip(1..) {
            assert!(line.contains(&format!(r#""index":{index},"#)), "{line}");
        }
    }

    #[test]
    fn an_environment_is_found_by_the_first_digits_of_its_id() {
        let folder = |digits: &str| format!("{digits:0<32}/{:0<32}/vkey", "aa");
        let paths =
            [folder("0f3a"), folder("0f3b"), folder("77"), "journal/00000000000000000000.log".to_owned()];
        assert_eq!(environment(&paths, "0F3A").ok().unwrap().0[..2], [0x0f, 0x3a]);
        assert_eq!(environment(&paths, "node").ok().unwrap(), EnvironmentId::default());
        assert!(matches!(environment(&paths, "0f"), Err(Failure::SeveralLogs(_))));
        assert!(matches!(environment(&paths, "1"), Err(Failure::NoSuchLog(_))));
    }
}
