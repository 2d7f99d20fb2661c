//! The words for what is wrong with a ceremony of several holders.

/// Why a share was not given, or what came of it can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CeremonyFault {
    NoRekey,
    NoRootToken,
    /// Another one is under way than was meant.
    OtherNonce {
        found: String,
    },
    OtherRecipients,
    /// All present shares that are needed are given.
    AllGiven,
    /// The daemon does not know recipients.
    NoRecipients,
    /// Sheets were asked for, and the new shares are for recipients.
    Encrypted,
    /// Files for recipients were asked for, and there are none.
    NotEncrypted,
    WrongPad,
}

impl CeremonyFault {
    #[cfg(test)]
    pub(super) fn all() -> [Self; 9] {
        [
            Self::NoRekey,
            Self::NoRootToken,
            Self::OtherNonce { found: "0f3a6c1d-0000-4000-8000-00000000002a".into() },
            Self::OtherRecipients,
            Self::AllGiven,
            Self::NoRecipients,
            Self::Encrypted,
            Self::NotEncrypted,
            Self::WrongPad,
        ]
    }

    pub(super) fn what(&self) -> String {
        match self {
            Self::NoRekey => "no rekey is under way: your share was not asked for",
            Self::NoRootToken => "no root token is being made: your share was not asked for",
            Self::OtherNonce { found } => {
                return format!(
                    "another ceremony is under way than the one that you mean: its nonce is {found}"
                );
            }
            Self::OtherRecipients => {
                "the new shares are for others than you expect: your share was not given"
            }
            Self::AllGiven => "all present shares that are needed are given already",
            Self::NoRecipients => {
                "the daemon does not encrypt shares to recipients: the rekey was called off"
            }
            Self::Encrypted => "the new shares are encrypted to their holders, so there is nothing to print",
            Self::NotEncrypted => "the rekey names no recipients, so no share is encrypted",
            Self::WrongPad => "the encoded token and the pad do not belong together",
        }
        .to_owned()
    }

    pub(super) const fn next(&self) -> &'static str {
        match self {
            Self::NoRekey => "`coffer operator rekey begin` begins one; check -n for the environment.",
            Self::NoRootToken => {
                "`coffer operator generate-root begin` begins; check -n for the environment."
            }
            Self::OtherNonce { .. } => {
                "Your share was not given. Ask whoever began which nonce is theirs; if nobody knows this one, call it off with `cancel`."
            }
            Self::OtherRecipients => {
                "`coffer operator rekey status` shows them; if they are wrong, call it off with `coffer operator rekey cancel`."
            }
            Self::AllGiven => {
                "The new holders go on: `coffer operator rekey verify`. If nobody has the new shares: `coffer operator rekey cancel`, and begin again."
            }
            Self::NoRecipients => "`coffer status` shows its version.",
            Self::Encrypted => "Give --out DIR for their files, or leave both out.",
            Self::NotEncrypted => "Give --sheets DIR to print the shares, or leave both out to see them.",
            Self::WrongPad => {
                "Check both: the pad is the file that `generate-root begin` wrote, the token the line that the last holder saw."
            }
        }
    }
}
