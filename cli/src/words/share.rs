//! The words for what is wrong with a share, or with the file that should hold one.

/// Why there is no share. Never carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShareFault {
    /// Begins like a share, and its checksum does not hold.
    Mistyped,
    NoShare,
    /// Neither text, nor age, nor a picture.
    UnknownKind,
    TooLarge,
    NeedsIdentity,
    WrongIdentity,
    /// The file of the identity holds none.
    NoIdentity,
    IdentityIsEncrypted,
    Passphrase,
    Damaged,
    NoShareInside,
    DamagedPicture,
    NoCode,
    UnreadableCode,
    SeveralCodes(usize),
    CodeIsNoShare,
}

impl ShareFault {
    #[cfg(test)]
    pub(super) const ALL: [Self; 16] = [
        Self::Mistyped,
        Self::NoShare,
        Self::UnknownKind,
        Self::TooLarge,
        Self::NeedsIdentity,
        Self::WrongIdentity,
        Self::NoIdentity,
        Self::IdentityIsEncrypted,
        Self::Passphrase,
        Self::Damaged,
        Self::NoShareInside,
        Self::DamagedPicture,
        Self::NoCode,
        Self::UnreadableCode,
        Self::SeveralCodes(2),
        Self::CodeIsNoShare,
    ];

    /// What is so, of a file that is named before it.
    pub(super) fn what(self) -> String {
        match self {
            Self::Mistyped => "holds a share that is damaged: some character of it is wrong or missing",
            Self::NoShare => "holds no share",
            Self::UnknownKind => "is neither text, nor an age file, nor a PNG or JPEG picture",
            Self::TooLarge => "is larger than any file with a share",
            Self::NeedsIdentity => "is encrypted to its holder",
            Self::WrongIdentity => "is encrypted to somebody else: the identity does not open it",
            Self::NoIdentity => "holds no identity of age",
            Self::IdentityIsEncrypted => "is itself encrypted, so that no identity can be read from it",
            Self::Passphrase => "is encrypted by a passphrase and not to a holder",
            Self::Damaged => "is damaged: it can't be decrypted",
            Self::NoShareInside => "was decrypted, and what is inside is no share",
            Self::DamagedPicture => "is a picture that is damaged or not all there",
            Self::NoCode => "shows no QR code",
            Self::UnreadableCode => "shows a QR code that can't be read",
            Self::SeveralCodes(count) => return format!("shows {count} QR codes"),
            Self::CodeIsNoShare => "shows a QR code that is no share",
        }
        .to_owned()
    }

    pub(super) const fn next(self) -> &'static str {
        match self {
            Self::Mistyped | Self::NoShare | Self::NoShareInside => {
                "A share begins with coffer1 and has 82 characters; blanks between them do not matter."
            }
            Self::UnknownKind => {
                "Give the share as text, as its .age file with --identity FILE, or as a PNG or JPEG picture of its QR code."
            }
            Self::TooLarge => "Give a smaller picture of the QR code.",
            Self::NeedsIdentity => "Give the holder's identity file with --identity FILE.",
            Self::WrongIdentity => "Give the identity of the holder whose name the file has.",
            Self::NoIdentity => "Give a file as `age-keygen` writes it, with a line AGE-SECRET-KEY-1….",
            Self::IdentityIsEncrypted => "Decrypt it with `age -d` into a file of your own first.",
            Self::Passphrase => "Decrypt it with `age -d`, and send the share on standard input.",
            Self::Damaged => "Take another copy of it.",
            Self::DamagedPicture => "Take the picture again, or copy it again.",
            Self::NoCode | Self::UnreadableCode => {
                "Take it again from straight above, sharp, in even light and with the white margin, or type the share."
            }
            Self::SeveralCodes(_) => "Take the picture of one sheet alone.",
            Self::CodeIsNoShare => "Take the picture of the code on the share's sheet.",
        }
    }
}
