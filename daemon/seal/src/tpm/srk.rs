//! The storage root key: what a TPM seals under, and how it is known again.
use super::{
    command::{CREATE_PRIMARY, EVICT_CONTROL, Entity, NULL, OWNER, READ_PUBLIC, Tpm, sized},
    crypto::name_of,
    error::{Name, Result, TpmError},
    session::{Call, HIDE_ANSWER, HIDE_COMMAND, Kind, Session},
    writer::Writer,
};
use keystore_format::{error::Fault, reader::Reader};

/// Where TCG's provisioning guidance puts it.
const PERSISTENT: u32 = 0x8100_0001;
/// TCG's template for ECC P-256, up to the point: ECC, SHA-256, `fixedTPM | fixedParent | sensitiveDataOrigin |
/// userWithAuth | noDA | restricted | decrypt`, no policy, AES-128-CFB, no scheme, NIST P-256, no KDF.
const TEMPLATE: [u8; 22] =
    [0, 0x23, 0, 0x0b, 0, 0x03, 0x04, 0x72, 0, 0, 0, 0x06, 0, 0x80, 0, 0x43, 0, 0x10, 0, 0x03, 0, 0x10];

/// `TPM_RC_HANDLE`: nothing has this handle.
const NO_SUCH_HANDLE: u32 = 0x08b;
/// `TPM_RC_NV_DEFINED`: something has this handle.
const NV_DEFINED: u32 = 0x14c;
/// `TPM_RC_AUTH_FAIL` and `TPM_RC_BAD_AUTH`.
const WRONG_AUTH: [u32; 2] = [0x08e, 0x0a2];

/// A storage root key in the TPM.
pub(super) struct Srk {
    pub(super) handle: u32,
    pub(super) name: Name,
    /// Its public key, uncompressed.
    pub(super) point: [u8; 65],
}

impl Srk {
    /// The key: the persistent one where it is there and right, else the same made anew, which takes an empty owner
    /// password. Where a name is given, no other key will do: a TPM that was replaced, or a man on the bus, is told by it.
    pub(super) fn find(tpm: &mut Tpm, wanted: Option<&Name>) -> Result<Self> {
        let persistent = Self::persistent(tpm)?;
        let found = persistent.as_ref().map(|srk| srk.name);
        if let Some(srk) = persistent.filter(|srk| wanted.is_none_or(|wanted| *wanted == srk.name)) {
            return Ok(srk);
        }
        let answer = tpm.with_empty_password(CREATE_PRIMARY, &[OWNER], &template(), true).map_err(
            |error| match error.code() {
                Some(code) if WRONG_AUTH.contains(&code) => {
                    found.map_or(TpmError::NoKey, |found| TpmError::OtherKey { found })
                }
                _ => error,
            },
        )?;
        let srk = read_created(answer.handle, &answer.parameters)?;
        match wanted {
            Some(wanted) if *wanted != srk.name => Err(TpmError::OtherKey { found: srk.name }),
            _ => Ok(srk),
        }
    }

    /// As [`Srk::find`], for an operator with the owner password: makes the key persistent where it isn't.
    pub(super) fn provide(tpm: &mut Tpm, wanted: Option<&Name>, owner: &[u8]) -> Result<Self> {
        if owner.is_empty() {
            return Self::find(tpm, wanted);
        }
        let srk = match Self::persistent(tpm)? {
            Some(srk) => srk,
            None => Self::make_persistent(tpm, owner)?,
        };
        match wanted {
            Some(wanted) if *wanted != srk.name => Err(TpmError::OtherKey { found: srk.name }),
            _ => Ok(srk),
        }
    }

    fn persistent(tpm: &mut Tpm) -> Result<Option<Self>> {
        let answer = match tpm.plain(READ_PUBLIC, &PERSISTENT.to_be_bytes()) {
            Err(error) if error.code() == Some(NO_SUCH_HANDLE) => return Ok(None),
            answer => answer?,
        };
        let mut reader = Reader::new(&answer);
        let public = sized(&mut reader, "public area")?;
        // Another kind of key may lie there, which is no fault of the TPM.
        if public.starts_with(&TEMPLATE) { read_public(PERSISTENT, public).map(Some) } else { Ok(None) }
    }

    /// There is no key of the owner's yet that a session could be salted to: a key of the null hierarchy lends itself, so
    /// that listening gives no way to guess the password.
    fn make_persistent(tpm: &mut Tpm, owner: &[u8]) -> Result<Self> {
        let answer = tpm.with_empty_password(CREATE_PRIMARY, &[NULL], &template(), true)?;
        let lent = read_created(answer.handle, &answer.parameters)?;
        let mut session = Session::start(tpm, &lent, Kind::Hmac)?;
        let call = Call {
            code: CREATE_PRIMARY,
            entities: &[Entity::fixed(OWNER)],
            auth: owner,
            attributes: HIDE_COMMAND | HIDE_ANSWER,
            parameters: template(),
            returns_handle: true,
        };
        let answer = session.run(tpm, call).map_err(wrong_owner)?;
        let srk = read_created(answer.handle, &answer.parameters)?;
        let call = Call {
            code: EVICT_CONTROL,
            entities: &[Entity::fixed(OWNER), Entity::named(srk.handle, &srk.name)],
            auth: owner,
            attributes: 0,
            parameters: Writer::new().u32(PERSISTENT).done(),
            returns_handle: false,
        };
        session.run(tpm, call).map_err(|error| match error.code() {
            Some(NV_DEFINED) => TpmError::Configuration(
                "another key lies at 0x81000001 in the TPM, where its storage root key belongs: move it elsewhere with \
                 tpm2_evictcontrol",
            ),
            _ => wrong_owner(error),
        })?;
        Ok(srk)
    }
}

/// A refusal of a command that the owner's password authorises.
pub(super) fn wrong_owner(error: TpmError) -> TpmError {
    if error.code().is_some_and(|code| WRONG_AUTH.contains(&code)) { TpmError::WrongOwner } else { error }
}

fn template() -> zeroize::Zeroizing<Vec<u8>> {
    let public = Writer::new().raw(&TEMPLATE).sized(&[]).sized(&[]).done();
    // No authorisation value and no data; no outside information; no registers.
    Writer::new().sized(&[0; 4]).sized(&public).sized(&[]).u32(0).done()
}

fn read_created(handle: Option<u32>, parameters: &[u8]) -> Result<Srk> {
    let mut reader = Reader::new(parameters);
    let absent = reader.fault("handle", Fault::Truncated);
    read_public(handle.ok_or(absent)?, sized(&mut reader, "public area")?)
}

fn read_public(handle: u32, public: &[u8]) -> Result<Srk> {
    let mut reader = Reader::new(public);
    reader.literal(&TEMPLATE, "public area", Fault::Invalid)?;
    let mut point = [0; 65];
    let (format, coordinates) = point.split_at_mut(1);
    format.fill(4);
    let (x, y) = coordinates.split_at_mut(32);
    for (field, coordinate) in [("point x", x), ("point y", y)] {
        let fault = reader.fault(field, Fault::TooLong);
        let bytes = sized(&mut reader, field)?;
        // Some TPMs leave leading zeroes out.
        let start = coordinate.len().checked_sub(bytes.len()).ok_or(fault)?;
        coordinate.get_mut(start..).ok_or(fault)?.copy_from_slice(bytes);
    }
    reader.end("public area")?;
    Ok(Srk { handle, name: name_of(public), point })
}
