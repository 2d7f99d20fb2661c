//! A share as its holder has it: typed, in a text file, encrypted by age, or as a picture of its QR code.
mod age_file;
mod picture;

pub(crate) use age_file::{Recipient, armored};

use crate::words::{Failure, ShareFault};
use keystore_format::share::{PREFIX, Share};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than any photograph of a sheet.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A share that was read, and proved to be one by its checksum.
pub(crate) struct Given {
    /// As Coffer writes it.
    pub(crate) text: Zeroizing<String>,
}

impl Given {
    /// What was typed or stood in a file.
    pub(crate) fn parse(text: &str) -> Result<Self, ShareFault> {
        let text = tidy(text);
        let share = Share::parse_any(&text).map_err(|_| match begins_like_one(&text) {
            true => ShareFault::Mistyped,
            false => ShareFault::NoShare,
        })?;
        let text = share.to_text().map_err(|_| ShareFault::NoShare)?;
        Ok(Self { text })
    }
}

/// Reads a share from any kind of file, told apart by how it begins. `-` is standard input.
pub(crate) fn from_file(path: &Path, identities: &[PathBuf]) -> Result<Given, Failure> {
    let at = |fault| Failure::Share { path: path.to_owned(), fault };
    let content = content(path)?;
    if age_file::is_one(&content) {
        let text = age_file::open(path, &content, identities)?;
        return Given::parse(&text).map_err(|_| at(ShareFault::NoShareInside));
    }
    if picture::is_one(&content) {
        let text = picture::read(&content).map_err(at)?;
        return Given::parse(&text).map_err(|_| at(ShareFault::CodeIsNoShare));
    }
    let text = core::str::from_utf8(&content).map_err(|_| at(ShareFault::UnknownKind))?;
    Given::parse(text).map_err(at)
}

/// Without the blanks that a sheet prints between groups of characters.
pub(crate) fn tidy(text: &str) -> Zeroizing<String> {
    // Of its full length from the beginning, so that it grows without leaving copies.
    let mut tidied = Zeroizing::new(String::with_capacity(text.len()));
    text.chars().filter(|character| !character.is_whitespace()).for_each(|character| tidied.push(character));
    tidied
}

fn begins_like_one(text: &str) -> bool {
    text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut content = Zeroizing::new(Vec::new());
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content))
    };
    read.map_err(|error| Failure::file(path, error))?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::Share { path: path.to_owned(), fault: ShareFault::TooLarge });
    }
    Ok(content)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const TEXT: &str =
        "coffer1qy9pyxzpv93zgfpqqgpszqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgp";

    /// Share 2 of a set of which any 3 open.
    pub(crate) fn share() -> Share {
        Share { set_id: *b"\x0a\x12\x18\x41\x61\x62\x24\x24", x: 2, k: 3, y: Zeroizing::new([0x5a; 32]) }
    }

    #[test]
    fn a_share_is_read_however_it_is_grouped_and_in_any_case() {
        let text = share().to_text().unwrap();
        let mut grouped = String::new();
        for (at, character) in text.to_uppercase().chars().enumerate() {
            if at % 5 == 2 {
                grouped.push_str(if at % 25 == 2 { "\r\n" } else { "  " });
            }
            grouped.push(character);
        }
        let given = Given::parse(&grouped).ok().unwrap();
        assert_eq!(given.text, text);
        assert!(matches!(Given::parse(&text[..81]), Err(ShareFault::Mistyped)));
        assert!(matches!(Given::parse(TEXT), Err(ShareFault::Mistyped)));
        assert!(matches!(Given::parse("hunter2"), Err(ShareFault::NoShare)));
        assert!(matches!(Given::parse(""), Err(ShareFault::NoShare)));
    }
}
