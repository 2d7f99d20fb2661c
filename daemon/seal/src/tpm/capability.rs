//! What a TPM says of itself. Not authenticated: good for sentences, not for decisions.
use super::{
    command::{GET_CAPABILITY, Tpm},
    error::{Result, Tries},
    writer::Writer,
};
use keystore_format::{error::Fault, reader::Reader};
use std::time::Duration;

const TPM_PROPERTIES: u32 = 6;
/// `TPM_PT_PERMANENT`, whose bit 9 is `inLockout`.
const PERMANENT: u32 = 0x200;
const IN_LOCKOUT: u32 = 1 << 9;
/// `TPM_PT_LOCKOUT_COUNTER`, followed by `_MAX_AUTH_FAIL` and `_LOCKOUT_INTERVAL`.
const LOCKOUT_COUNTER: u32 = 0x20e;

/// Whether it takes no PIN at present.
pub(super) fn is_locked(tpm: &mut Tpm) -> Result<bool> {
    let [permanent] = properties(tpm, PERMANENT)?;
    Ok(permanent & IN_LOCKOUT != 0)
}

/// How many wrong tries there were.
pub(super) fn tries(tpm: &mut Tpm) -> Result<Tries> {
    let [wrong, allowed, interval] = properties(tpm, LOCKOUT_COUNTER)?;
    Ok(Tries { wrong, allowed, forgets_one_in: Duration::from_secs(interval.into()) })
}

fn properties<const N: usize>(tpm: &mut Tpm, first: u32) -> Result<[u32; N]> {
    let count = u32::try_from(N).unwrap_or(u32::MAX);
    let answer =
        tpm.plain(GET_CAPABILITY, &Writer::new().u32(TPM_PROPERTIES).u32(first).u32(count).done())?;
    let mut reader = Reader::new(&answer);
    reader.u8("more data")?;
    let fault = reader.fault("capability", Fault::Invalid);
    if reader.u32("capability")? != TPM_PROPERTIES || reader.u32("capability")? != count {
        return Err(fault.into());
    }
    let mut values = [0; N];
    for (wanted, value) in (first..).zip(&mut values) {
        let fault = reader.fault("property", Fault::Invalid);
        if reader.u32("property")? != wanted {
            return Err(fault.into());
        }
        *value = reader.u32("property")?;
    }
    Ok(values)
}
