//! Files of the age format: shares are encrypted to their holders, and read with a holder's identity file.
//!
//! X25519 only: no ssh keys, no plugins that are programs of somebody else, and no passphrases, which people choose.
use crate::words::{Failure, ShareFault};
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor, IdentityFile};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::Zeroizing;

const BINARY: &[u8] = b"age-encryption.org/v";
const ARMORED: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// A share is 82 characters and a newline.
const MAX_TEXT_BYTES: u64 = 4096;

/// A holder: the name that the share's file gets, and the key that it is encrypted to.
#[derive(Clone)]
pub(crate) struct Recipient {
    pub(crate) name: String,
    key: age::x25519::Recipient,
}

impl Recipient {
    /// The public key, as the holder gave it.
    pub(crate) fn key(&self) -> String {
        self.key.to_string()
    }

    /// As it is typed, and as the daemon takes it.
    pub(crate) fn text(&self) -> String {
        format!("{}={}", self.name, self.key)
    }

    /// Encrypts a text to this holder alone.
    pub(crate) fn encrypt(&self, text: &[u8]) -> io::Result<Vec<u8>> {
        let recipients = std::iter::once(&self.key as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        let mut writer = encryptor.wrap_output(Vec::new())?;
        writer.write_all(text)?;
        writer.finish()
    }
}

/// An encrypted file as text, for a terminal.
pub(crate) fn armored(file: &[u8]) -> io::Result<String> {
    let mut writer = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    writer.write_all(file)?;
    String::from_utf8(writer.finish()?).map_err(io::Error::other)
}

impl FromStr for Recipient {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let (name, key) = text.split_once('=').ok_or(Mistake::Shape)?;
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(is_plain) {
            return Err(Mistake::Name);
        }
        let key = age::x25519::Recipient::from_str(key.trim()).map_err(|_| match key.trim() {
            // Somebody who mixes the two up has typed a secret.
            secret if secret.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") => Mistake::Identity,
            _ => Mistake::Key,
        })?;
        Ok(Self { name: name.to_owned(), key })
    }
}

/// What is wrong with a recipient; never what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    Shape,
    Name,
    Key,
    Identity,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "write it as NAME=age1…",
            Self::Name => "a name is letters, digits and - _ . and becomes a file's name",
            Self::Key => "the key is not an X25519 recipient of age (age1…, as `age-keygen -y` shows it)",
            Self::Identity => {
                "that is a secret key, which now stands in your shell's history; give the public one (age1…)"
            }
        })
    }
}

impl std::error::Error for Mistake {}

pub(super) fn is_one(content: &[u8]) -> bool {
    content.starts_with(BINARY) || content.trim_ascii_start().starts_with(ARMORED)
}

/// Decrypts a file that holds a share.
pub(super) fn open(
    path: &Path,
    content: &[u8],
    identities: &[PathBuf],
) -> Result<Zeroizing<String>, Failure> {
    let at = |fault| Failure::Share { path: path.to_owned(), fault };
    if identities.is_empty() {
        return Err(at(ShareFault::NeedsIdentity));
    }
    let keys = identities.iter().map(|file| keys(file)).collect::<Result<Vec<_>, _>>()?;
    let damaged = |_| at(ShareFault::Damaged);
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(content)).map_err(damaged)?;
    if decryptor.is_scrypt() {
        return Err(at(ShareFault::Passphrase));
    }
    let keys = keys.iter().flatten().map(|key| &**key as &dyn age::Identity);
    let reader = decryptor.decrypt(keys).map_err(|error| {
        at(match error {
            DecryptError::NoMatchingKeys => ShareFault::WrongIdentity,
            _ => ShareFault::Damaged,
        })
    })?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT_BYTES as usize));
    reader.take(MAX_TEXT_BYTES).read_to_string(&mut text).map_err(|error| {
        at(match error.kind() {
            io::ErrorKind::InvalidData if error.get_ref().is_none() => ShareFault::NoShareInside,
            _ => ShareFault::Damaged,
        })
    })?;
    Ok(text)
}

type Keys = Vec<Box<dyn age::Identity + Send + Sync>>;

/// The secret keys of an identity file, as `age-keygen` writes it.
fn keys(path: &Path) -> Result<Keys, Failure> {
    let at = |fault| Failure::Share { path: path.to_owned(), fault };
    let content = crate::files::bytes(path)?;
    if is_one(&content) {
        return Err(at(ShareFault::IdentityIsEncrypted));
    }
    let read = IdentityFile::from_buffer(&content[..]).map_err(|_| at(ShareFault::NoIdentity))?;
    let keys = read.into_identities().map_err(|_| at(ShareFault::NoIdentity))?;
    if keys.is_empty() { Err(at(ShareFault::NoIdentity)) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::super::{from_file, tests::share};
    use super::*;
    use age::secrecy::ExposeSecret;

    fn fault(path: &Path, identities: &[PathBuf]) -> ShareFault {
        match from_file(path, identities) {
            Err(Failure::Share { fault, .. }) => fault,
            _ => panic!("{} is no fault", path.display()),
        }
    }

    #[test]
    fn a_share_comes_back_with_its_holders_identity_and_with_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let [own, other] = [(); 2].map(|()| age::x25519::Identity::generate());
        let recipient: Recipient = format!("ada={}", own.to_public()).parse().unwrap();
        let text = share().to_text().unwrap();
        let file = recipient.encrypt(format!("{}\n", *text).as_bytes()).unwrap();
        std::fs::write(at("ada.age"), &file).unwrap();
        std::fs::write(at("ada.txt"), armored(&file).unwrap()).unwrap();
        std::fs::write(at("own"), format!("# a comment\n{}\n", own.to_string().expose_secret())).unwrap();
        std::fs::write(at("other"), other.to_string().expose_secret()).unwrap();
        std::fs::write(at("empty"), "# nothing\n").unwrap();
        for name in ["ada.age", "ada.txt"] {
            assert_eq!(from_file(&at(name), &[at("other"), at("own")]).ok().unwrap().text, text);
            assert_eq!(fault(&at(name), &[at("other")]), ShareFault::WrongIdentity);
            assert_eq!(fault(&at(name), &[]), ShareFault::NeedsIdentity);
            assert_eq!(fault(&at(name), &[at("empty")]), ShareFault::NoIdentity);
            assert_eq!(fault(&at(name), &[at("ada.age")]), ShareFault::IdentityIsEncrypted);
        }
        std::fs::write(at("note.age"), recipient.encrypt(b"hello\n").unwrap()).unwrap();
        assert_eq!(fault(&at("note.age"), &[at("own")]), ShareFault::NoShareInside);
    }

    #[test]
    fn a_file_that_is_damaged_anywhere_gives_no_share() {
        let folder = tempfile::tempdir().unwrap();
        let own = age::x25519::Identity::generate();
        let recipient: Recipient = format!("ada={}", own.to_public()).parse().unwrap();
        let file = recipient.encrypt(share().to_text().unwrap().as_bytes()).unwrap();
        let (path, key) = (folder.path().join("ada.age"), folder.path().join("own"));
        std::fs::write(&key, own.to_string().expose_secret()).unwrap();
        for at in (0..file.len()).step_by(7).chain([file.len() - 1]) {
            let mut altered = file.clone();
            altered[at] ^= 1;
            std::fs::write(&path, &altered).unwrap();
            assert!(from_file(&path, std::slice::from_ref(&key)).is_err(), "byte {at}");
        }
        std::fs::write(&path, &file[..file.len() - 9]).unwrap();
        assert_eq!(fault(&path, &[key]), ShareFault::Damaged);
    }

    #[test]
    fn recipients_are_named_and_of_the_right_kind() {
        let identity = age::x25519::Identity::generate();
        let public = identity.to_public().to_string();
        let mistake = |text: String| text.parse::<Recipient>().err();
        assert_eq!(mistake(format!("ada={public}")), None);
        assert_eq!(mistake(public.clone()), Some(Mistake::Shape));
        for name in ["", ".ada", "a/b", "a b", "..", "ä"] {
            assert_eq!(mistake(format!("{name}={public}")), Some(Mistake::Name), "{name}");
        }
        assert_eq!(mistake(format!("ada={}", &public[..61])), Some(Mistake::Key));
        assert_eq!(mistake("ada=ssh-ed25519 AAAA".to_owned()), Some(Mistake::Key));
        assert_eq!(mistake(format!("a={}", identity.to_string().expose_secret())), Some(Mistake::Identity));
    }
}
