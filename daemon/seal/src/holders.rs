//! The holders of shares, as the one who makes the shares names them: each gets one, encrypted in the age format, so
//! that it leaves the daemon in no other form.
//!
//! What can go wrong goes wrong before there are shares, which are made once: names and keys are read, and randomness is
//! drawn. After that encrypting can't fail.
use crate::{SealError, Threshold};
use coffer_types::Entropy;
use keystore_format::{
    age::{Randomness, Recipient, armored},
    share::Share,
};
use std::fmt;
use zeroize::Zeroizing;

/// The longest name, in characters: it becomes a file's name.
const MAX_NAME: usize = 64;

/// A holder: a name for people, and whom the share is encrypted to.
struct Holder {
    name: String,
    key: Recipient,
    /// As it was given: `NAME=age1…`.
    text: String,
}

/// The holders of a set of shares, in the order of the shares; at least one.
pub struct Holders(Vec<Holder>);

/// Why these can't be the holders. No variant carries input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolderError {
    /// Not `NAME=age1…`.
    Shape,
    /// Not a name.
    Name,
    /// Not an X25519 recipient.
    Key,
    /// Two of one name or of one key.
    Same,
    /// Not as many as there are shares.
    Count,
}

impl HolderError {
    /// One sentence that says what would be right.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Shape => "'recipients' must be a list of NAME=age1…",
            Self::Name => "'recipients': a name is 1 to 64 letters, digits and - _ . and begins with no dot",
            Self::Key => {
                "'recipients': a key is an X25519 recipient of age (age1…, as `age-keygen -y` shows it)"
            }
            Self::Same => {
                "'recipients' names the same holder twice: each is another person with a key of their own"
            }
            Self::Count => "'recipients' must name as many holders as there are shares",
        }
    }
}

impl fmt::Display for HolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for HolderError {}

impl Holder {
    fn parse(text: &str) -> Result<Self, HolderError> {
        let (name, key) = text.split_once('=').ok_or(HolderError::Shape)?;
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.bytes().all(is_plain) {
            return Err(HolderError::Name);
        }
        let key = Recipient::parse(key).map_err(|_| HolderError::Key)?;
        Ok(Self { name: name.to_owned(), key, text: text.to_owned() })
    }
}

impl Holders {
    /// Reads `NAME=age1…`, one for each of the shares.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(texts: &[String], threshold: Threshold) -> Result<Self, HolderError> {
        let all = texts.iter().map(|text| Holder::parse(text)).collect::<Result<Vec<_>, _>>()?;
        for (at, one) in all.iter().enumerate() {
            let same = |other: &Holder| other.name.eq_ignore_ascii_case(&one.name) || other.key == one.key;
            if all.iter().skip(at + 1).any(same) {
                return Err(HolderError::Same);
            }
        }
        if all.len() == usize::from(threshold.shares()) { Ok(Self(all)) } else { Err(HolderError::Count) }
    }

    /// `NAME=age1…` of each, in the order of the shares.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|holder| holder.text.as_str())
    }

    /// Draws what encrypting to them takes.
    ///
    /// # Errors
    /// [`SealError::Entropy`].
    pub fn draw(&self, entropy: &dyn Entropy) -> Result<Vec<Randomness>, SealError> {
        let draw = |_: &Holder| {
            let mut one = Randomness {
                ephemeral: Zeroizing::new([0; 32]),
                file_key: Zeroizing::new([0; 16]),
                nonce: [0; 16],
            };
            entropy.fill(&mut *one.ephemeral)?;
            entropy.fill(&mut *one.file_key)?;
            entropy.fill(&mut one.nonce)?;
            Ok(one)
        };
        self.0.iter().map(draw).collect()
    }

    /// Each holder's name, and their share in an armored file that only they can open: the share's text and a newline.
    /// `None` only where the three are not as many.
    #[must_use]
    pub fn encrypt(&self, drawn: Vec<Randomness>, shares: &[Share]) -> Option<Vec<(String, String)>> {
        if shares.len() != self.0.len() || drawn.len() != self.0.len() {
            return None;
        }
        let encrypt = |((holder, randomness), share): ((&Holder, Randomness), &Share)| {
            let mut line = share.to_text().ok()?;
            line.push('\n');
            let file = holder.key.encrypt(randomness, line.as_bytes()).ok()?;
            Some((holder.name.clone(), armored(&file)))
        };
        self.0.iter().zip(drawn).zip(shares).map(encrypt).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "ada=age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const BEN: &str = "ben=age1pyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqsrn2kkm";

    fn parse(texts: &[&str], shares: u64) -> Result<Vec<String>, HolderError> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        let threshold = Threshold::new(shares, shares).unwrap();
        Holders::parse(&texts, threshold).map(|holders| holders.texts().map(str::to_owned).collect())
    }

    #[test]
    fn each_holder_gets_one_share_in_their_order_and_all_of_them_or_none() {
        let texts = [BEN, ADA].map(str::to_owned);
        let holders = Holders::parse(&texts, Threshold::new(2, 2).unwrap()).unwrap();
        let share = |x| Share { set_id: [7; 8], x, k: 2, y: Zeroizing::new([x; 32]) };
        let shares = [share(1), share(2)];
        let drawn = || holders.draw(&Counting).unwrap();
        let encrypted = holders.encrypt(drawn(), &shares).unwrap();
        assert_eq!(encrypted.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["ben", "ada"]);
        assert_ne!(encrypted[0].1, encrypted[1].1);
        assert!(holders.encrypt(drawn(), &shares[..1]).is_none());
        assert!(holders.draw(&Nothing).is_err());
    }

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), coffer_types::EntropyError> {
            bytes.iter_mut().zip(1..).for_each(|(byte, number)| *byte = number);
            Ok(())
        }
    }

    struct Nothing;

    impl Entropy for Nothing {
        fn fill(&self, _: &mut [u8]) -> Result<(), coffer_types::EntropyError> {
            Err(coffer_types::EntropyError)
        }
    }

    #[test]
    fn holders_are_different_people_with_keys_and_as_many_as_shares() {
        assert_eq!(parse(&[ADA, BEN], 2), Ok(vec![ADA.to_owned(), BEN.to_owned()]));
        let key = ADA.split_once('=').unwrap().1;
        let other = BEN.split_once('=').unwrap().1;
        for (texts, error) in [
            (vec![key], HolderError::Shape),
            (vec!["=x"], HolderError::Name),
            (vec!["ada=age1"], HolderError::Key),
            (vec![ADA, ADA], HolderError::Same),
            (vec![ADA], HolderError::Count),
            (vec![], HolderError::Count),
        ] {
            assert_eq!(parse(&texts, 2), Err(error), "{texts:?}");
        }
        let (same_name, same_key) = (format!("ADA={other}"), format!("ben={key}"));
        assert_eq!(parse(&[ADA, &same_name], 2), Err(HolderError::Same));
        assert_eq!(parse(&[ADA, &same_key], 2), Err(HolderError::Same));
        for name in [".ada", "a/b", "a b", "..", "ä", &"a".repeat(65)] {
            assert_eq!(parse(&[&format!("{name}={key}")], 1), Err(HolderError::Name), "{name}");
        }
        assert!(parse(&[&format!("{}={key}", "a".repeat(64))], 1).is_ok());
    }
}
