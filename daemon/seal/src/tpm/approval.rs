//! The approval above a policy (PolicyAuthorizeNV): the sealed object asks for nothing but that a policy was met which an
//! NV index holds. An operator with the owner password writes another policy there after a firmware update, or takes it
//! back; the object stays as it is.
//!
//! Whoever knows the owner password can approve what they like. Where it is empty, that is whoever starts any system on
//! the machine, and registers protect nothing; so it may be empty only where there are no registers.
use super::{
    command::{Entity, NV_READ, NV_WRITE, OWNER, POLICY_AUTHORIZE_NV, Tpm, sized},
    crypto::sha256,
    error::{PolicyFault, Result, TpmError},
    nv::{Found, Place},
    session::Session,
    srk::wrong_owner,
    writer::Writer,
};
use keystore_format::reader::Reader;

/// Where the approval lies unless another index is chosen.
pub const APPROVAL_INDEX: u32 = 0x01c0_ff01;

/// OWNERWRITE, WRITEALL, OWNERREAD, AUTHREAD, NO_DA: everybody may read, only the owner writes, and all of it.
const ATTRIBUTES: u32 = 1 << 1 | 1 << 12 | 1 << 17 | 1 << 18 | 1 << 25;
/// A hash's number and a digest.
const SIZE: u16 = 2 + 32;
/// No policy hashes to this. Zeroes would not do: a session that has not begun has them.
const WITHDRAWN: [u8; 32] = [0xff; 32];

/// What an index for approvals holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Approval {
    /// Nothing is defined there, or nothing was written.
    Missing,
    /// Something else is there.
    Foreign,
    /// The approval was taken back.
    Withdrawn,
    /// This policy is approved.
    Policy([u8; 32]),
}

pub(super) const fn place(index: u32) -> Place {
    Place { index, attributes: ATTRIBUTES, size: SIZE }
}

/// The policy of every object under this index.
pub(super) fn object_policy(index: u32) -> [u8; 32] {
    sha256(&[&[0; 32], &POLICY_AUTHORIZE_NV.0.to_be_bytes(), &place(index).name(true)])
}

/// Writes what is approved, or that nothing is.
pub(super) fn write(
    tpm: &mut Tpm,
    session: &mut Session,
    index: u32,
    owner: &[u8],
    policy: Option<[u8; 32]>,
) -> Result<()> {
    let place = place(index);
    let is_written = match place.look(tpm)? {
        Found::Foreign => return Err(TpmError::Policy(PolicyFault::ForeignApproval)),
        // There is nothing to withdraw.
        Found::Nothing if policy.is_none() => return Err(TpmError::Policy(PolicyFault::NoApproval)),
        Found::Nothing => {
            place.define(tpm, session, owner, &[])?;
            false
        }
        Found::Empty => false,
        Found::Written => true,
    };
    let data = Writer::new().u16(0x000b).raw(&policy.unwrap_or(WITHDRAWN)).done();
    let parameters = Writer::new().sized(&data).u16(0).done();
    let by = (Entity::fixed(OWNER), owner);
    place.change(tpm, session, NV_WRITE, by, is_written, parameters).map_err(wrong_owner)
}

/// What the index says. Not authenticated: good to explain a refusal, not to decide anything.
pub(super) fn read(tpm: &mut Tpm, index: u32) -> Result<Approval> {
    match place(index).look(tpm)? {
        Found::Nothing | Found::Empty => return Ok(Approval::Missing),
        Found::Foreign => return Ok(Approval::Foreign),
        Found::Written => {}
    }
    let parameters = Writer::new().u16(SIZE).u16(0).done();
    let answer = tpm.with_empty_password(NV_READ, &[index, index], &parameters, false)?;
    let mut reader = Reader::new(&answer.parameters);
    Ok(match sized(&mut reader, "NV data")?.split_at_checked(2) {
        Some((_, digest)) if digest == WITHDRAWN => Approval::Withdrawn,
        Some((&[0, 0x0b], digest)) => digest.try_into().map_or(Approval::Foreign, Approval::Policy),
        _ => Approval::Foreign,
    })
}

/// Lets the TPM compare what a policy session has met with what is approved; says why where it is not the same.
pub(super) fn authorize(tpm: &mut Tpm, session: u32, index: u32) -> Result<()> {
    let met = tpm.with_empty_password(POLICY_AUTHORIZE_NV, &[index, index, session], &[], false);
    let Err(refused @ TpmError::Refused { .. }) = met else { return met.map(|_| ()) };
    Err(match read(tpm, index)? {
        Approval::Missing => TpmError::Policy(PolicyFault::NoApproval),
        Approval::Foreign => TpmError::Policy(PolicyFault::ForeignApproval),
        Approval::Withdrawn => TpmError::Policy(PolicyFault::Withdrawn),
        Approval::Policy(_) if refused.code().is_some_and(is_comparison) => {
            TpmError::Policy(PolicyFault::OtherState)
        }
        Approval::Policy(_) => refused,
    })
}

/// `TPM_RC_VALUE` and `TPM_RC_POLICY_FAIL`, of either format; `TPM_RC_PCR_CHANGED`.
fn is_comparison(code: u32) -> bool {
    [0x084, 0x09d, 0x126, 0x128].contains(&code)
}
