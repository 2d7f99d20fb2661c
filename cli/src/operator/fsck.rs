//! `operator fsck`: whether everything that the environment keeps is what it should be, and what to do where it is not.
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::counted;
use crate::words::{Exit, Failure};
use coffer_sdk::{FsckEnd, FsckEvent, FsckFinding};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;

/// So many findings are shown to people; scripts get all that are kept.
const SHOWN: usize = 50;
/// So many findings are kept; all are counted.
const KEPT: usize = 10_000;

pub(super) async fn run(connection: &Connection) -> Result<Page, Failure> {
    let api = connection.api()?;
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} looked at, {msg}") {
        bar.set_style(style);
    }
    let (mut findings, mut count): (Vec<FsckFinding>, u64) = (Vec::new(), 0);
    let ended = api
        .client
        .sys()
        .fsck(|event| match event {
            FsckEvent::Progress { checked, of } => {
                bar.set_length(of.max(checked));
                bar.set_position(checked);
            }
            FsckEvent::Finding(finding) => {
                count += 1;
                bar.set_message(format!("{count} found"));
                if findings.len() < KEPT {
                    findings.push(finding);
                }
            }
            _ => {}
        })
        .await;
    bar.finish_and_clear();
    let end = ended.map_err(|error| Failure::at("sys/storage/fsck", error))?;
    Ok(page(&api.environment(), &end, &findings))
}

fn page(environment: &str, end: &FsckEnd, findings: &[FsckFinding]) -> Page {
    let page = Page::new(json_of(environment, end, findings));
    let looked_at = format!("{} of {environment}", counted(end.records, "record", "records"));
    if end.findings == 0 {
        return page
            .good(format!("Whole: {looked_at}, each as it was last written, and none is missing."))
            .note("Only this environment was looked at: `coffer -n ENVIRONMENT operator fsck` looks at another. That the whole store was put back from an earlier day can't be seen here.");
    }
    let rows = findings.iter().take(SHOWN).map(row).collect();
    let page = page
        .bad(format!("ALTERED ON DISK: {} among {looked_at}.", counted(end.findings, "finding", "findings")))
        .line("")
        .table(&["WHAT", "MOUNT", "RECORD", "KIND"], rows);
    let hidden = end.findings.saturating_sub(findings.len().min(SHOWN) as u64);
    let page = if hidden > 0 {
        page.line(format!("… and {hidden} more: --format json lists up to {KEPT}."))
    } else {
        page
    };
    let page = page.line("");
    let page = advice(findings).into_iter().fold(page, Page::note);
    page.note("First of all: copy the data directory as it is. Nothing of this was served, and the rest of the environment works.")
        .note("Where no snapshot is new enough, the holders of shares can take what is there: seal, then each runs `coffer operator unseal --rebuild-index ENVIRONMENT`, or `coffer env unseal ENVIRONMENT --rebuild-index` where it has shares of its own.")
        .exit(Exit::Altered)
}

/// What each kind of finding means, and what to do, once for each kind that there is.
fn advice(findings: &[FsckFinding]) -> Vec<String> {
    let all = [
        (
            "altered",
            "altered: its bytes were changed, or it was moved here. Write it anew, or restore a snapshot.",
        ),
        (
            "replayed",
            "put back: it is an older copy. Write it anew where that does not read it first (KV v1, policies, roles), or restore a snapshot.",
        ),
        (
            "returned",
            "brought back: it had been deleted. Delete it again where that does not read it first, or restore a snapshot.",
        ),
        (
            "removed",
            "taken away: it was not deleted by the daemon. Write it anew, or restore a snapshot. One without a name is known by its hash only: what asks for it by name says so.",
        ),
        (
            "directory",
            "directory: its listing is refused, because records in it were taken away or brought back. It is right again when they are.",
        ),
        (
            "index-altered",
            "index: records below this node can't be checked and are refused. Restore a snapshot.",
        ),
        ("index-stray", "stray index node: it does no harm, and the daemon did not write it."),
        (
            "copy-altered",
            "copy: the other copy serves. The next change of what it is a copy of writes both anew.",
        ),
    ];
    let has = |wrong: &str| findings.iter().any(|finding| finding.wrong == wrong);
    all.into_iter().filter(|(wrong, _)| has(wrong)).map(|(_, text)| text.to_owned()).collect()
}

fn row(finding: &FsckFinding) -> Vec<String> {
    let what = match finding.wrong.as_str() {
        "replayed" => "put back",
        "returned" => "brought back",
        "removed" => "taken away",
        "index-altered" => "index",
        "index-stray" => "stray index node",
        "copy-altered" => "copy",
        other => other,
    };
    let record = match (&finding.path, finding.version) {
        (Some(path), Some(version)) => format!("{path} (version {version})"),
        (Some(path), None) if path.is_empty() && finding.wrong == "directory" => "(top)".to_owned(),
        (Some(path), None) => path.clone(),
        (None, _) => finding.store_key.clone(),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![what.to_owned(), text(&finding.mount), record, text(&finding.kind)]
}

fn json_of(environment: &str, end: &FsckEnd, findings: &[FsckFinding]) -> Value {
    json!({
        "environment": environment, "whole": end.findings == 0, "records": end.records, "indexed": end.indexed,
        "nodes": end.nodes, "generation": end.generation, "count": end.findings, "findings": findings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::golden;

    fn finding(wrong: &str, path: Option<&str>, version: Option<u64>) -> Value {
        json!({ "wrong": wrong, "environment": "prod", "mount": path.map(|_| "secret/"), "path": path,
            "kind": path.map(|_| "KV v2 version"), "version": version, "store_key": "02ab".repeat(8) })
    }

    #[test]
    fn it_says_what_is_wrong_and_what_to_do() {
        let end = |findings: usize| -> FsckEnd {
            serde_json::from_value(
                json!({ "generation": 7, "records": 12, "indexed": 14, "nodes": 1, "findings": findings }),
            )
            .unwrap()
        };
        let findings = [
            finding("replayed", Some("app/db"), Some(2)),
            finding("returned", Some("app/old"), None),
            finding("removed", None, None),
            finding("directory", Some(""), None),
            finding("index-altered", None, None),
        ]
        .map(|finding| serde_json::from_value::<FsckFinding>(finding).unwrap());
        let altered = page("prod", &end(findings.len()), &findings);
        assert_eq!(altered.exit_code() as u8, Exit::Altered as u8);
        let whole = page("prod", &end(0), &[]);
        assert_eq!(whole.exit_code() as u8, 0);
        golden("fsck.txt", &[whole.plain(), altered.plain()].join("\n"));
    }
}
