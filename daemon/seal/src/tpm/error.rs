//! What can go wrong with a TPM, and the one table that turns it into a sentence for the operator.
use crate::device::{DeviceError, DeviceTrouble};
use keystore_format::{error::FormatError, tpm_wrap::NAME_LEN};
use std::fmt::Write as _;
use std::time::Duration;

/// A TPM's name for a key or an NV index: `000b ‖ SHA-256(public area)`.
pub type Name = [u8; NAME_LEN];

pub(super) type Result<T> = std::result::Result<T, TpmError>;

/// Why a TPM does not do what it is asked.
#[derive(Debug)]
pub(super) enum TpmError {
    /// There is nothing where it should be.
    Absent(std::io::ErrorKind),
    /// It does not answer in time.
    Silent,
    /// The connection ended, or the TPM was started anew in between.
    Lost,
    /// Its answer has a shape that no TPM gives.
    Malformed(FormatError),
    /// It answers a command with a code other than success.
    Refused { command: &'static str, code: u32 },
    /// The answer was not made by the TPM of the storage root key.
    Forged,
    /// The storage root key is another than the one that was pinned or sealed under.
    OtherKey { found: Name },
    /// The storage root key can't be made without the owner's password.
    NoKey,
    /// A PIN, or what stands for one, is wrong.
    WrongPin(Option<Tries>),
    /// Too many wrong PINs.
    Locked(Option<Tries>),
    /// The owner's password is wrong.
    WrongOwner,
    /// The policy was not met, and why.
    Policy(PolicyFault),
    /// The sealed object was altered, or is another TPM's.
    Altered,
    /// A counter is not the one that was defined.
    Counter(&'static str),
    /// What it was asked can't be right.
    Configuration(&'static str),
    /// No randomness.
    Entropy,
    /// A trouble that has its sentence already, as that of a PIN's source.
    Said(DeviceError),
}

/// How many wrong tries there were and may be, and how long one of them counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    pub(super) wrong: u32,
    pub(super) allowed: u32,
    pub(super) forgets_one_in: Duration,
}

/// Why a policy is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyFault {
    /// The NV index is not there.
    NoApproval,
    /// It is there and was made otherwise.
    ForeignApproval,
    /// An operator took the approval back.
    Withdrawn,
    /// What was started is not what was approved.
    OtherState,
    /// The object asks for another policy than its wrap says.
    OtherObject,
}

impl From<FormatError> for TpmError {
    fn from(error: FormatError) -> Self {
        Self::Malformed(error)
    }
}

impl From<coffer_types::EntropyError> for TpmError {
    fn from(_: coffer_types::EntropyError) -> Self {
        Self::Entropy
    }
}

impl From<DeviceError> for TpmError {
    fn from(error: DeviceError) -> Self {
        Self::Said(error)
    }
}

impl TpmError {
    /// The code of a refusal, without the numbers of session, handle or parameter that it is about.
    pub(super) fn code(&self) -> Option<u32> {
        match self {
            // A code of format one (bit 7) keeps its kind in the low six bits.
            Self::Refused { code, .. } if code & 0x80 != 0 => Some(code & 0xbf),
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// For the operator; `place` says which TPM.
    pub(super) fn into_device_error(self, place: &str) -> DeviceError {
        use DeviceTrouble as T;
        let (kind, sentence) = match self {
            Self::Said(error) => return error,
            Self::Absent(kind) => (
                T::Unreachable,
                format!(
                    "there is no TPM at {place} ({kind}): it must be there, and the daemon's user be allowed to use it"
                ),
            ),
            Self::Silent => (
                T::Unreachable,
                format!(
                    "the TPM at {place} does not answer in time: whoever else holds its connection must let go of it, and a TPM that hangs be started anew"
                ),
            ),
            Self::Lost => (
                T::Unreachable,
                format!(
                    "the connection to the TPM at {place} was lost, or it was started anew meanwhile: it must stay there until it has answered"
                ),
            ),
            Self::Malformed(error) => (
                T::Failed,
                format!(
                    "the TPM at {place} answers nonsense ({error}): there must be a TPM 2.0 at this address"
                ),
            ),
            Self::Refused { command, code } => (
                T::Failed,
                format!(
                    "the TPM at {place} refuses {command} with code {code:#05x}: `tpm2_rc_decode {code:#05x}` says what it means"
                ),
            ),
            Self::Forged => (
                T::NotAuthentic,
                format!(
                    "an answer of the TPM at {place} was altered on its way: somebody is on the bus, and must be found"
                ),
            ),
            Self::OtherKey { found } => (
                T::NotAuthentic,
                format!(
                    "the TPM at {place} is not the one that sealed this: its storage root key is {}; it was replaced or \
                     cleared, or somebody on the bus put a key of theirs in its place: open by another seal, and add this one anew \
                     where the change was meant",
                    hex(&found)
                ),
            ),
            Self::NoKey => (
                T::Configuration,
                format!(
                    "the TPM at {place} has an owner password and no storage root key at 0x81000001: approving once with \
                     that password puts one there"
                ),
            ),
            Self::WrongPin(tries) => {
                let so_far = so_far(tries);
                let right = "it must be the one that the seal was added with";
                (T::WrongPin, format!("the PIN for the TPM at {place} is wrong{so_far}: {right}"))
            }
            Self::Locked(tries) => {
                (T::Locked, format!("the TPM at {place} is locked after too many wrong PINs{}", until(tries)))
            }
            Self::WrongOwner => {
                let right = "it must be the one that was set with tpm2_changeauth -c owner";
                (
                    T::WrongPin,
                    format!("the owner password of the TPM at {place} is not the one given: {right}"),
                )
            }
            Self::Policy(fault) => (T::Policy, format!("the TPM at {place} keeps the key: {}", fault.why())),
            Self::Altered => (
                T::NotAuthentic,
                format!(
                    "the TPM at {place} does not know the sealed object, which was altered, or is another TPM's: open by another \
                     seal, and add this one anew"
                ),
            ),
            Self::Counter(what) => (T::NotAuthentic, format!("the counter in the TPM at {place} {what}")),
            Self::Configuration(what) => (T::Configuration, what.to_owned()),
            Self::Entropy => (T::Failed, "the operating system gave no randomness".to_owned()),
        };
        DeviceError::new(kind, sentence)
    }
}

impl PolicyFault {
    const fn why(self) -> &'static str {
        match self {
            Self::NoApproval => {
                "no approval lies in it; an operator approves what was started, with the owner password"
            }
            Self::ForeignApproval => {
                "the NV index for approvals holds something else; choose another index, or delete what is there"
            }
            Self::Withdrawn => "the approval was withdrawn; only a new one opens this seal",
            Self::OtherState => {
                "the machine was started with other firmware or software than was approved; if the change was meant, \
                 approve it, else look for who changed it"
            }
            Self::OtherObject => {
                "the sealed object has another policy than its seal record says; one of them was altered"
            }
        }
    }
}

fn so_far(tries: Option<Tries>) -> String {
    tries.map_or_else(String::new, |tries| {
        format!("; {} of {} wrong tries are used", tries.wrong, tries.allowed)
    })
}

fn until(tries: Option<Tries>) -> String {
    match tries {
        Some(tries) if !tries.forgets_one_in.is_zero() => {
            format!(": it takes the next one in {} seconds at the latest", tries.forgets_one_in.as_secs())
        }
        _ => ": only its lockout password ends that".to_owned(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}
