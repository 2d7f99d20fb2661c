//! Sheets for printing, one a share: their files are there and on disk before the shares are made, and get their content
//! when the shares have come. A share whose sheet fails even so is shown.
use super::holders::{Reserved, make_folder};
use crate::api::Api;
use crate::page::Page;
use crate::shapes::{text, time};
use crate::sheet::{About, draw};
use crate::words::Failure;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// More than any sheet has.
const TRIAL_BYTES: usize = 96 << 10;

/// A pair of files for each share.
pub(crate) struct Sheets {
    files: Vec<(PathBuf, Reserved, PathBuf, Reserved)>,
}

impl Sheets {
    /// Makes the folder where it is missing, and reserves the files in it.
    pub(crate) fn prepare(folder: &Path, count: u64) -> Result<Self, Failure> {
        make_folder(folder)?;
        let trial = vec![b' '; TRIAL_BYTES];
        let reserve = |number: u64| {
            let at = |kind: &str| folder.join(format!("share-{number}-of-{count}.{kind}"));
            let (svg, pdf) = (at("svg"), at("pdf"));
            let (first, second) = (Reserved::at(&svg, &trial)?, Reserved::at(&pdf, &trial)?);
            Ok((svg, first, pdf, second))
        };
        Ok(Self { files: (1..=count).map(reserve).collect::<Result<_, Failure>>()? })
    }

    /// Writes the sheets.
    pub(crate) fn deliver(self, shares: &[String], about: &About) -> Filed {
        let mut filed = Filed { kept: Vec::new(), shown: Vec::new() };
        let mut files = self.files.into_iter();
        for (at, share) in shares.iter().enumerate() {
            let number = at + 1;
            match written(share, number, about, files.next()) {
                Ok((svg, pdf)) => filed.kept.push((number, svg, pdf)),
                Err(why) => filed.shown.push((number, share.clone(), why)),
            }
        }
        filed
    }
}

type Pair = (PathBuf, Reserved, PathBuf, Reserved);

fn written(
    share: &str,
    number: usize,
    about: &About,
    pair: Option<Pair>,
) -> Result<(String, String), String> {
    let (svg, first, pdf, second) = pair.ok_or("there are more shares than were asked for")?;
    let files = draw(share, number, about).map_err(|failure| failure.what())?;
    first.keep(&files.svg).and_then(|()| second.keep(&files.pdf)).map_err(|failure| failure.what())?;
    Ok((svg.display().to_string(), pdf.display().to_string()))
}

/// Where the shares are now.
pub(crate) struct Filed {
    /// Number, and the two files.
    pub(crate) kept: Vec<(usize, String, String)>,
    /// Number, the share, and why it has no sheet.
    pub(crate) shown: Vec<(usize, String, String)>,
}

impl Filed {
    pub(crate) fn is_whole(&self) -> bool {
        self.shown.is_empty()
    }

    /// The files, in the order of the shares.
    pub(crate) fn json(&self) -> Value {
        self.kept
            .iter()
            .map(|(number, svg, pdf)| json!({ "share": number, "svg": svg, "pdf": pdf }))
            .collect()
    }

    /// The shares that have no sheet.
    pub(crate) fn shown(&self) -> Vec<&str> {
        self.shown.iter().map(|(_, share, _)| share.as_str()).collect()
    }

    pub(crate) fn show(&self, page: Page) -> Page {
        let page = page.fields(
            self.kept.iter().map(|(number, svg, pdf)| (format!("Share {number}"), format!("{pdf}  {svg}"))),
        );
        self.shown.iter().fold(page, |page, (number, share, why)| {
            page.line("")
                .bad(format!("Share {number} has no sheet ({why}): write it down now."))
                .text(share.clone())
        })
    }
}

/// What the sheets say of the daemon. What it does not tell is left out: the shares are there already.
pub(crate) async fn about(api: &Api, environment: String, threshold: u64, count: usize) -> About {
    let answer = api.client.call(coffer_sdk::Method::GET, "sys/seal-status").send().await;
    let status: Value = answer.and_then(|answer| answer.json()).unwrap_or_default();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = time(u64::try_from(now.as_millis()).unwrap_or_default());
    About {
        cluster: text(&status, "cluster_name"),
        store: text(&status, "cluster_id"),
        environment,
        threshold,
        count,
        date: now.get(..10).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::tests::share;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn sheets_are_their_owners_alone_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("out").join(name);
        let sheets = Sheets::prepare(&folder.path().join("out"), 2).ok().unwrap();
        std::fs::write(at("share-2-of-2.pdf"), "another's").unwrap();
        let text = share().to_text().unwrap().to_string();
        let filed = sheets.deliver(&[text.clone(), text.clone()], &crate::sheet::tests::about());
        assert!(!filed.is_whole() && filed.shown() == [text.as_str()]);
        assert_eq!(std::fs::read(at("share-2-of-2.pdf")).unwrap(), b"another's");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("out")), 0o700);
        for name in ["share-1-of-2.svg", "share-1-of-2.pdf"] {
            assert_eq!(mode(&at(name)), 0o600);
        }
        let page = filed.show(Page::new(Value::Null)).plain();
        assert!(page.contains("Share 2 has no sheet") && page.matches(text.as_str()).count() == 1, "{page}");
        assert!(matches!(Sheets::prepare(&folder.path().join("out"), 2), Err(Failure::FileExists(_))));
    }
}
