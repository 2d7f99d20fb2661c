//! `audit verify`: what the files prove, and where they were first altered.
use super::{folder, keys};
use crate::page::Page;
use crate::shapes::counted;
use crate::words::{Exit, Failure, meaning, place};
use coffer_sdk::offline::{LogFolder, is_signed, steadily};
use keystore_format::ids::EnvironmentId;
use keystore_format::logcheck::{self, Finding, LogFault, LogId, Report, hex, tree_path};
use keystore_format::note::VerifierKey;
use serde_json::{Value, json};
use std::path::Path;

/// So many findings are shown to people; scripts get all.
const SHOWN: usize = 20;

pub(super) fn run(dir: &Path, keys: &[String]) -> Result<Page, Failure> {
    let known = keys::given(keys)?;
    let report = steadily(dir, || look(dir, &known))?;
    Ok(page(&report, &known))
}

fn look(dir: &Path, known: &[VerifierKey]) -> Result<Report, Failure> {
    let mut folder = folder::open(dir)?;
    let mut report = logcheck::check(&mut folder, known, is_signed)?;
    demand(&mut folder, known, &mut report)?;
    Ok(report)
}

/// Each known key must be the key of a log that is here: neither may the log be gone, nor may its folder hold a key
/// that names another host.
fn demand(folder: &mut LogFolder, known: &[VerifierKey], report: &mut Report) -> Result<(), Failure> {
    for key in known {
        let log = report.logs.iter().map(|summary| summary.log).find(|log| is_of(key, *log));
        let Some(log) = log else {
            let file = format!("(the folder of {})", key.name());
            report.findings.push(Finding {
                file,
                offset: 0,
                log: None,
                index: Some(0),
                fault: LogFault::MissingLeaf,
            });
            continue;
        };
        let file = format!("{}/vkey", tree_path(log));
        let is_told = report.findings.iter().any(|finding| finding.file == file);
        if !is_told && keys::at(folder, &file)?.as_ref() != Some(key) {
            report.findings.push(Finding {
                file,
                offset: 0,
                log: Some(log),
                index: None,
                fault: LogFault::OtherKey,
            });
        }
    }
    Ok(())
}

fn is_of(key: &VerifierKey, log: LogId) -> bool {
    key.name().ends_with(&format!("/{}", tree_path(log)))
}

fn page(report: &Report, known: &[VerifierKey]) -> Page {
    let leaves: u64 = report.logs.iter().map(|log| log.leaves).sum();
    let uncovered: u64 = report.logs.iter().map(|log| log.leaves - log.covered).sum();
    let exit = if report.findings.is_empty() { Exit::Fine } else { Exit::Altered };
    let page = Page::new(json(report)).exit(exit);
    let page = match report.findings.as_slice() {
        [] => page.good(format!(
            "Whole: {} of {}, as they were written.",
            counted(leaves, "leaf", "leaves"),
            counted(report.logs.len() as u64, "log", "logs")
        )),
        [first, rest @ ..] => altered(page, first, rest),
    };
    let page = page.line("").table(&["ENVIRONMENT", "INCARNATION", "LEAVES", "SIGNED", "ROOT"], rows(report));
    let page = page.line("");
    let page = if uncovered == 0 {
        page
    } else {
        let newest = counted(uncovered, "leaf is", "leaves are");
        page.note(format!("{newest} newer than the last signed checkpoint: only checksums guard them."))
    };
    if report.logs.iter().all(|summary| known.iter().any(|key| is_of(key, summary.log))) {
        return page.line("All logs were checked with the keys that you gave.");
    }
    page.note("Logs without a --key of yours were checked with the key that lies beside them: whoever had the daemon's disk and keys could have written those anew.")
}

fn altered(page: Page, first: &Finding, rest: &[Finding]) -> Page {
    let page = page
        .bad(format!("ALTERED: {}", place(first)))
        .line(format!("What: {}.", first.fault.message()))
        .line(format!("This means: {}", meaning(&first.fault)))
        .note("Next: keep this folder as it is, and a copy elsewhere, before anybody restarts or repairs anything.");
    if rest.is_empty() {
        return page;
    }
    let shown =
        rest.iter().take(SHOWN).map(|finding| vec![place(finding), finding.fault.message().to_owned()]);
    let page = page.line("").table(&["ALSO ALTERED", "WHAT"], shown.collect());
    match rest.len().saturating_sub(SHOWN) {
        0 => page,
        more => page.line(format!("… and {more} more: --format json lists all.")),
    }
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let row = |summary: &logcheck::Summary| {
        let (environment, incarnation) = summary.log;
        vec![
            if environment == EnvironmentId::default() { "node".to_owned() } else { environment.to_string() },
            hex(&incarnation),
            summary.leaves.to_string(),
            summary.covered.to_string(),
            hex(&summary.root).get(..16).unwrap_or_default().to_owned() + "…",
        ]
    };
    report.logs.iter().map(row).collect()
}

fn json(report: &Report) -> Value {
    let log = |summary: &logcheck::Summary| {
        json!({
            "environment": summary.log.0.to_string(), "incarnation": hex(&summary.log.1),
            "leaves": summary.leaves, "covered": summary.covered, "root": hex(&summary.root),
        })
    };
    let finding = |finding: &Finding| {
        json!({
            "file": finding.file, "offset": finding.offset, "index": finding.index,
            "environment": finding.log.map(|log| log.0.to_string()), "incarnation": finding.log.map(|log| hex(&log.1)),
            "what": finding.fault.message(), "meaning": meaning(&finding.fault),
        })
    };
    json!({
        "whole": report.findings.is_empty(),
        "logs": report.logs.iter().map(log).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(number: u8) -> LogId {
        (EnvironmentId([number; 16]), [0xa0 | number; 16])
    }

    fn report(findings: Vec<Finding>) -> Report {
        let summary = |number, leaves, covered| logcheck::Summary {
            log: log(number),
            leaves,
            covered,
            root: [number; 32],
        };
        Report { logs: vec![summary(0, 12, 12), summary(3, 1204, 1201)], findings }
    }

    fn key(number: u8) -> VerifierKey {
        VerifierKey::new(&format!("coffer.example.com/{}", tree_path(log(number))), [7; 32]).unwrap()
    }

    #[test]
    fn a_whole_log_is_told_with_what_it_does_not_prove() {
        let page = page(&report(vec![]), &[]);
        assert_eq!(page.exit_code(), Exit::Fine);
        crate::words::golden("audit-verify-whole.txt", &page.plain());
    }

    #[test]
    fn an_alteration_is_told_with_its_place_its_meaning_and_what_to_do() {
        let finding = |file: &str, offset, index, fault| Finding {
            file: file.into(),
            offset,
            log: Some(log(3)),
            index,
            fault,
        };
        let page = page(
            &report(vec![
                finding("journal/00000000000000000000.log", 31_842, Some(117), LogFault::AlteredLeaf),
                finding(
                    "03030303030303030303030303030303/a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3/tile/0/000.p/181",
                    3744,
                    None,
                    LogFault::AlteredTile,
                ),
            ]),
            &[key(0), key(3)],
        );
        assert_eq!(page.exit_code(), Exit::Altered);
        assert_eq!(page.json()["whole"], false);
        crate::words::golden("audit-verify-altered.txt", &page.plain());
    }
}
