//! Which registers and which PIN a policy asks for: its digest, worked out here, and its commands.
//! TPM 2.0 Library, Part 3, 23.
use super::{
    command::{Entity, PCR_READ, POLICY_AUTH_VALUE, POLICY_PCR, Tpm, sized},
    crypto::sha256,
    error::{Result, TpmError},
    session::{AUDIT, Call, Session},
    writer::Writer,
};
use keystore_format::{
    error::Fault,
    reader::Reader,
    tpm_wrap::{PcrBank, PcrSelection},
};
use zeroize::Zeroizing;

/// A `TPML_PCR_SELECTION` of one bank.
fn selection(pcrs: PcrSelection) -> Zeroizing<Vec<u8>> {
    Writer::new().u32(1).u16(pcrs.bank as u16).u8(3).raw(&pcrs.mask).done()
}

/// The digest of a policy session after [`satisfy`], where the registers hash to `pcr_digest`.
pub(super) fn digest(pcrs: Option<(PcrSelection, [u8; 32])>, has_pin: bool) -> [u8; 32] {
    let mut digest = [0; 32];
    if let Some((pcrs, values)) = pcrs {
        digest = sha256(&[&digest, &POLICY_PCR.0.to_be_bytes(), &selection(pcrs), &values]);
    }
    if has_pin {
        digest = sha256(&[&digest, &POLICY_AUTH_VALUE.0.to_be_bytes()]);
    }
    digest
}

/// Takes a policy session through the conditions: the registers as they are now, and that a PIN will be shown.
pub(super) fn satisfy(tpm: &mut Tpm, session: u32, pcrs: Option<PcrSelection>, has_pin: bool) -> Result<()> {
    if let Some(pcrs) = pcrs {
        tpm.plain(POLICY_PCR, &Writer::new().u32(session).sized(&[]).raw(&selection(pcrs)).done())?;
    }
    if has_pin {
        tpm.plain(POLICY_AUTH_VALUE, &session.to_be_bytes())?;
    }
    Ok(())
}

/// The hash of the registers as they are now, lowest first, in an authenticated session: whoever approves must not be
/// shown others.
pub(super) fn read_pcrs(tpm: &mut Tpm, session: &mut Session, pcrs: PcrSelection) -> Result<[u8; 32]> {
    let (mut left, mut values) = (pcrs.mask, Vec::new());
    // A TPM gives up to eight at once, and says which.
    while left != [0; 3] {
        let call = Call {
            code: PCR_READ,
            entities: &[] as &[Entity],
            auth: &[],
            attributes: AUDIT,
            parameters: selection(PcrSelection { mask: left, ..pcrs }),
            returns_handle: false,
        };
        let answer = session.run(tpm, call)?;
        let read = read_values(&answer.parameters, pcrs.bank, &mut values)?;
        if read == [0; 3] || left.iter().zip(read).any(|(left, read)| read & !left != 0) {
            return Err(TpmError::Configuration(
                "the TPM does not have all of the chosen registers: see its banks with tpm2_getcap pcrs",
            ));
        }
        left.iter_mut().zip(read).for_each(|(left, read)| *left &= !read);
    }
    Ok(sha256(&[&values]))
}

/// Appends the values and gives the mask of the registers that they are of.
pub(super) fn read_values(parameters: &[u8], bank: PcrBank, values: &mut Vec<u8>) -> Result<[u8; 3]> {
    let mut reader = Reader::new(parameters);
    reader.u32("update counter")?;
    let fault = reader.fault("PCR selection", Fault::Invalid);
    if reader.u32("PCR selection")? != 1
        || reader.u16("PCR bank")? != bank as u16
        || reader.u8("PCR mask size")? != 3
    {
        return Err(fault.into());
    }
    let mask: [u8; 3] = *reader.array("PCR mask")?;
    let fault = reader.fault("PCR values", Fault::Invalid);
    let count = reader.u32("PCR values")?;
    if mask.iter().map(|byte| byte.count_ones()).sum::<u32>() != count {
        return Err(fault.into());
    }
    let length = match bank {
        PcrBank::Sha256 => 32,
        PcrBank::Sha384 => 48,
        PcrBank::Sha512 => 64,
    };
    for _ in 0..count {
        let fault = reader.fault("PCR value", Fault::Invalid);
        let value = sized(&mut reader, "PCR value")?;
        if value.len() != length {
            return Err(fault.into());
        }
        values.extend_from_slice(value);
    }
    Ok(mask)
}

/// Reads a selection as tpm2-tools write one: `sha256:7,11`.
///
/// # Errors
/// What would be right.
pub fn parse_pcrs(text: &str) -> std::result::Result<PcrSelection, &'static str> {
    const WANTED: &str =
        "registers are given as a bank and their numbers: sha256:7,11 (sha256, sha384, sha512; 0 to 23)";
    let (bank, numbers) = text.split_once(':').ok_or(WANTED)?;
    let bank = match bank {
        "sha256" => PcrBank::Sha256,
        "sha384" => PcrBank::Sha384,
        "sha512" => PcrBank::Sha512,
        _ => return Err(WANTED),
    };
    let mut mask = [0; 3];
    for number in numbers.split(',') {
        // Digits only: `parse` would take a sign.
        let number: usize = number
            .bytes()
            .all(|digit| digit.is_ascii_digit())
            .then(|| number.parse().ok())
            .flatten()
            .ok_or(WANTED)?;
        let byte: &mut u8 = mask.get_mut(number / 8).ok_or(WANTED)?;
        if *byte >> (number % 8) & 1 == 1 {
            return Err(WANTED);
        }
        *byte |= 1 << (number % 8);
    }
    Ok(PcrSelection { bank, mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_read_as_tpm2_tools_write_it() {
        let read = parse_pcrs("sha256:7,11").unwrap();
        assert_eq!((read.bank, read.mask), (PcrBank::Sha256, [0x80, 0x08, 0]));
        assert_eq!(parse_pcrs("sha512:23,0").unwrap().mask, [1, 0, 0x80]);
        for wrong in
            ["", "sha256", "sha256:", "sha1:7", "sha256:24", "sha256:7,7", "sha256:+7", "sha256: 7", "7"]
        {
            assert!(parse_pcrs(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_of_other_registers_than_were_asked_for_are_none() {
        let good = |mask: u8, count: u8, value: u8| {
            let mut bytes = vec![0, 0, 0, 9, 0, 0, 0, 1, 0, 0x0b, 3, mask, 0, 0, 0, 0, 0, count];
            bytes.extend_from_slice(&[0, value]);
            bytes.resize(bytes.len() + usize::from(value), 7);
            bytes
        };
        let mut values = Vec::new();
        assert_eq!(read_values(&good(1, 1, 32), PcrBank::Sha256, &mut values).unwrap(), [1, 0, 0]);
        assert_eq!(values, [7; 32]);
        for wrong in [good(3, 1, 32), good(1, 1, 31), good(1, 2, 32)] {
            assert!(matches!(
                read_values(&wrong, PcrBank::Sha256, &mut Vec::new()),
                Err(TpmError::Malformed(_))
            ));
        }
        assert!(read_values(&good(1, 1, 32), PcrBank::Sha384, &mut Vec::new()).is_err());
    }
}
