//! `audit show`: the journal as JSON lines, a leaf each, safe to print on a terminal.
use super::folder;
use crate::page::{Page, say};
use crate::words::{Exit, Failure, place};
use clap::Args;
use keystore_format::ids::EnvironmentId;
use keystore_format::logcheck::{self, Files, JOURNAL};
use std::collections::BTreeSet;
use std::io::{BufWriter, ErrorKind, Write};
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
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let mut left = arguments.limit;
    let findings = logcheck::frames(&mut folder, |log, index, _, leaf| {
        let is_wanted =
            wanted.is_none_or(|wanted| wanted == log.0) && arguments.after.is_none_or(|after| index > after);
        if is_wanted && left > 0 && written.is_ok() {
            left -= 1;
            written = writeln!(out, "{}", logcheck::json_line(log, index, leaf));
        }
    })?;
    match written.and_then(|()| out.flush()) {
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Page::silent()),
        Err(error) => return Err(Failure::Output(error)),
        Ok(()) => {}
    }
    let Some(first) = findings.first() else { return Ok(Page::silent()) };
    say(&format!(
        "The log was altered at {}: {}. `coffer audit verify` says what that means.",
        place(first),
        first.fault.message()
    ));
    Ok(Page::silent().exit(Exit::Altered))
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
