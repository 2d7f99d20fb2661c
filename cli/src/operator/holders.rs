//! Shares to their holders, encrypted: what could go wrong is tried before the shares are made, since they are made once.
//!
//! Each file is there from the beginning under a hidden name, in its full length and on disk; when the shares have come,
//! its content is put in and it gets its name. A share whose file fails even so is shown, encrypted as it is.
use crate::ask;
use crate::files::Draft;
use crate::page::{Page, say};
use crate::shapes::text;
use crate::shares::{Recipient, armored};
use crate::words::Failure;
use serde_json::{Map, Value, json};
use std::fs::{DirBuilder, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use zeroize::Zeroizing;

/// As long as a share.
const TRIAL: [u8; 83] = [b' '; 83];

/// Refuses holders that are not different people.
pub(crate) fn check(recipients: &[Recipient], threshold: u64) -> Result<(), Failure> {
    for (at, one) in recipients.iter().enumerate() {
        let same =
            |other: &&Recipient| other.name.eq_ignore_ascii_case(&one.name) || other.key() == one.key();
        if let Some(other) = recipients.iter().skip(at + 1).find(same) {
            return Err(Failure::SameHolder(other.name.clone()));
        }
    }
    if threshold > recipients.len() as u64 {
        return Err(Failure::TooFewHolders { threshold, recipients: recipients.len() });
    }
    Ok(())
}

/// How many shares to make: one for each recipient, where there are any.
pub(crate) fn count(shares: Option<u64>, recipients: &[Recipient]) -> Result<u64, Failure> {
    match (shares, recipients.len()) {
        (shares, 0) => Ok(shares.unwrap_or(5)),
        (Some(shares), recipients) if shares != recipients as u64 => {
            Err(Failure::ShareCount { shares, recipients })
        }
        (_, recipients) => Ok(recipients as u64),
    }
}

/// Shows who gets a share, and asks.
pub(crate) fn agree(recipients: &[Recipient], threshold: u64, is_confirmed: bool) -> Result<(), Failure> {
    let width = recipients.iter().map(|one| one.name.len()).max().unwrap_or_default();
    for (at, one) in recipients.iter().enumerate() {
        say(&format!("Share {}  {:width$}  {}", at + 1, one.name, one.key()));
    }
    let count = recipients.len();
    let what = format!(
        "Each of these {count} gets one share, which only the identity of that key opens; any {threshold} of them open the daemon."
    );
    ask::agree(&what, is_confirmed)
}

/// A file that is sure to be there when it is needed, as far as that can be.
pub(crate) struct Reserved {
    draft: Draft,
    file: File,
}

impl Reserved {
    pub(crate) fn at(target: &Path, trial: &[u8]) -> Result<Self, Failure> {
        let (draft, file) = Draft::begin(target, false)?;
        let mut reserved = Self { draft, file };
        reserved.put(trial)?;
        Ok(reserved)
    }

    fn put(&mut self, content: &[u8]) -> Result<(), Failure> {
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(content))
            .and_then(|()| self.file.set_len(content.len() as u64))
            .and_then(|()| self.file.sync_all());
        written.map_err(|error| Failure::file(self.draft.target(), error))
    }

    pub(crate) fn keep(mut self, content: &[u8]) -> Result<(), Failure> {
        self.put(content)?;
        self.draft.keep(&self.file)
    }
}

/// A file for each holder's share.
pub(crate) struct Handing {
    files: Vec<(String, Reserved)>,
}

impl Handing {
    /// Makes the folder where it is missing, and reserves the files in it.
    pub(crate) fn prepare(recipients: &[Recipient], folder: &Path) -> Result<Self, Failure> {
        make_folder(folder)?;
        let reserve = |one: &Recipient| {
            let path = folder.join(format!("{}.age", one.name));
            let trial = encrypted(one, &TRIAL).map_err(|error| Failure::file(&path, error))?;
            Ok((one.name.clone(), Reserved::at(&path, trial.as_bytes())?))
        };
        Ok(Self { files: recipients.iter().map(reserve).collect::<Result<_, Failure>>()? })
    }

    /// No files: each share is shown, encrypted as it is.
    pub(crate) const fn on_screen() -> Self {
        Self { files: Vec::new() }
    }

    /// Gives each holder their share: name, and encrypted file as text.
    pub(crate) fn deliver(mut self, shares: Vec<(String, String)>) -> Delivered {
        let mut delivered = Delivered { kept: Vec::new(), shown: Vec::new() };
        for (name, text) in shares {
            let Some(at) = self.files.iter().position(|(own, _)| *own == name) else {
                delivered.shown.push((name, text, "none was asked for with --out".into()));
                continue;
            };
            let (_, reserved) = self.files.swap_remove(at);
            let path = reserved.draft.target().display().to_string();
            match reserved.keep(text.as_bytes()) {
                Ok(()) => delivered.kept.push((name, path)),
                Err(failure) => delivered.shown.push((name, text, failure.what())),
            }
        }
        delivered
    }
}

/// Makes a folder for its owner alone, where there is none.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.map_err(|error| Failure::file(folder, error))
}

/// What a daemon says that has encrypted the shares itself: name, and file as text.
pub(crate) fn encrypted_by_the_daemon(answer: &Value) -> Option<Vec<(String, String)>> {
    let shares = answer.get("shares_encrypted")?.as_array()?;
    Some(shares.iter().map(|share| (text(share, "name"), text(share, "age"))).collect())
}

/// Encrypts shares that came in clear, from a daemon of another make. None where they can't be.
pub(crate) fn encrypted_here(
    recipients: &[Recipient],
    shares: &[Zeroizing<String>],
) -> Option<Vec<(String, String)>> {
    let encrypt = |(one, share): (&Recipient, &Zeroizing<String>)| {
        let line = Zeroizing::new(format!("{}\n", **share));
        Some((one.name.clone(), encrypted(one, line.as_bytes()).ok()?))
    };
    (shares.len() == recipients.len()).then(|| recipients.iter().zip(shares).map(encrypt).collect())?
}

fn encrypted(recipient: &Recipient, text: &[u8]) -> io::Result<String> {
    armored(&recipient.encrypt(text)?)
}

/// Where the shares are now.
pub(crate) struct Delivered {
    /// Name and file.
    pub(crate) kept: Vec<(String, String)>,
    /// Name, the encrypted share as text, and why it has no file.
    pub(crate) shown: Vec<(String, String, String)>,
}

impl Delivered {
    pub(crate) fn json(&self) -> (Value, Value) {
        let files: Map<_, _> = self.kept.iter().map(|(name, path)| (name.clone(), json!(path))).collect();
        let shown: Map<_, _> = self.shown.iter().map(|(name, text, _)| (name.clone(), json!(text))).collect();
        (files.into(), shown.into())
    }

    pub(crate) fn show(&self, page: Page) -> Page {
        let page = page.fields(self.kept.iter().map(|(name, path)| (name.clone(), path.clone())));
        self.shown.iter().fold(page, |page, (name, text, why)| {
            page.line("")
                .bad(format!("The share of {name} has no file ({why}): save these lines as {name}.age now."))
                .text(text.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::from_file;
    use crate::shares::tests::share;
    use age::secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_share_whose_file_fails_late_is_shown_encrypted_and_the_others_stand() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let keys = [(); 2].map(|()| age::x25519::Identity::generate());
        let named = [("ada", &keys[0]), ("ben", &keys[1])];
        let recipients =
            named.map(|(name, key)| format!("{name}={}", key.to_public()).parse::<Recipient>().unwrap());
        let handing = Handing::prepare(&recipients, &at("out")).ok().unwrap();
        std::fs::write(at("out/ben.age"), "another's").unwrap();
        let text = share().to_text().unwrap();
        let shares = encrypted_here(&recipients, &[text.clone(), text.clone()]).unwrap();
        let delivered = handing.deliver(shares);
        assert_eq!(std::fs::read(at("out/ben.age")).unwrap(), b"another's");
        assert_eq!(std::fs::metadata(at("out/ada.age")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(at("out")).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(at("out")).unwrap().count(), 2);
        let page = delivered.show(Page::new(Value::Null)).plain();
        assert!(!page.contains(text.as_str()) && page.contains("The share of ben has no file"), "{page}");
        let armor = page.find("-----BEGIN").unwrap();
        std::fs::write(at("ben.age"), &page[armor..]).unwrap();
        for (file, key) in [("out/ada.age", &keys[0]), ("ben.age", &keys[1])] {
            std::fs::write(at("key"), key.to_string().expose_secret()).unwrap();
            assert_eq!(from_file(&at(file), &[at("key")]).ok().unwrap().text, text);
        }
    }

    #[test]
    fn nothing_is_left_where_one_file_can_not_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let key = || age::x25519::Identity::generate().to_public();
        let recipients = ["ada", "ben"].map(|name| format!("{name}={}", key()).parse::<Recipient>().unwrap());
        std::fs::write(folder.path().join("ben.age"), "old").unwrap();
        assert!(matches!(Handing::prepare(&recipients, folder.path()), Err(Failure::FileExists(_))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(Handing::prepare(&recipients, Path::new("/proc/1")), Err(Failure::File { .. })));
    }

    #[test]
    fn holders_are_different_people_and_enough_of_them() {
        let key = || age::x25519::Identity::generate().to_public().to_string();
        let one = key();
        let given = |pairs: &[(&str, &str)]| -> Vec<Recipient> {
            pairs.iter().map(|(name, key)| format!("{name}={key}").parse().unwrap()).collect()
        };
        assert!(check(&given(&[("ada", &one), ("ben", &key())]), 2).is_ok());
        assert!(matches!(check(&given(&[("ada", &one), ("ADA", &key())]), 2), Err(Failure::SameHolder(_))));
        assert!(matches!(check(&given(&[("ada", &one), ("ben", &one)]), 2), Err(Failure::SameHolder(_))));
        assert!(matches!(check(&given(&[("ada", &one)]), 2), Err(Failure::TooFewHolders { .. })));
    }
}
