//! The words for what is wrong with a change of seals.

/// Why a change of seals is not begun, or a share not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SealFault {
    /// No change is under way.
    None,
    /// It ended while a share was typed.
    Ended,
    LastShares,
    ForSharesOnly,
    NotForShares,
    PinsDiffer,
}

impl SealFault {
    #[cfg(test)]
    pub(super) fn all() -> [Self; 6] {
        [Self::None, Self::Ended, Self::LastShares, Self::ForSharesOnly, Self::NotForShares, Self::PinsDiffer]
    }

    pub(super) fn what(&self) -> String {
        match self {
            Self::None => "no change of the seals is under way: your share was not asked for",
            Self::Ended => "the change has ended while you typed: it is in force, or was called off",
            Self::LastShares => {
                "these are the only shares: without them, nobody opens it once its other seals are lost"
            }
            Self::ForSharesOnly => {
                "--shares, --threshold, --recipient, --out and --sheets are for `seal add shares`"
            }
            Self::NotForShares => "shares take no PIN, registers or owner password",
            Self::PinsDiffer => "the two PINs are not the same: nothing was sent",
        }
        .to_owned()
    }

    pub(super) const fn next(&self) -> &'static str {
        match self {
            Self::None => "`coffer operator seal list` shows what is in force; check -n for the environment.",
            Self::Ended => "`coffer operator seal list` shows what is in force.",
            Self::LastShares => "Add --i-accept-loss where that is what you want.",
            Self::ForSharesOnly | Self::NotForShares => "Leave those options out.",
            Self::PinsDiffer => "Run it again and type the same PIN twice.",
        }
    }
}
