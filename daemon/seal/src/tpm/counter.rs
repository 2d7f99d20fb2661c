//! A number in the TPM that only grows, beside which the store's head is laid: an older store shows by a smaller number.
//! Whoever knows the authorisation value counts on; nobody counts back, not even by deleting and defining it anew.
use super::{
    command::{NV_INCREMENT, Tpm},
    error::{Result, TpmError},
    nv::{Found, Place},
    session::{Kind, Session},
    srk::Srk,
};
use keystore_format::{error::Fault, reader::Reader};
use zeroize::Zeroizing;

/// COUNTER, AUTHWRITE, AUTHREAD, NO_DA.
const ATTRIBUTES: u32 = 1 << 4 | 1 << 2 | 1 << 18 | 1 << 25;
const SIZE: u16 = 8;
/// `TPM_RC_AUTH_FAIL` and `TPM_RC_BAD_AUTH`.
const WRONG_AUTH: [u32; 2] = [0x08e, 0x0a2];

/// A counter by its index.
#[derive(Clone, Copy)]
pub(super) struct Counter(pub(super) u32);

impl Counter {
    const fn place(self) -> Place {
        Place { index: self.0, attributes: ATTRIBUTES, size: SIZE }
    }

    /// Defines it, by the owner, and counts once: before that it has no value.
    pub(super) fn define(self, tpm: &mut Tpm, srk: &Srk, owner: &[u8], auth: &[u8; 32]) -> Result<u64> {
        let mut session = Session::start(tpm, srk, Kind::Hmac)?;
        match self.place().look(tpm)? {
            Found::Nothing => self.place().define(tpm, &mut session, owner, auth)?,
            Found::Foreign => return Err(foreign()),
            // An earlier attempt may have ended here.
            Found::Empty => {}
            Found::Written => return Err(TpmError::Counter("is there already")),
        }
        self.raise(tpm, &mut session, auth, false)?;
        self.value(tpm, &mut session, auth)
    }

    /// Its value.
    pub(super) fn read(self, tpm: &mut Tpm, srk: &Srk, auth: &[u8; 32]) -> Result<u64> {
        self.check(tpm)?;
        let mut session = Session::start(tpm, srk, Kind::Hmac)?;
        self.value(tpm, &mut session, auth)
    }

    /// Counts one on where that gives `wanted`, and gives the value that it then has. May be repeated.
    pub(super) fn raise_to(self, tpm: &mut Tpm, srk: &Srk, auth: &[u8; 32], wanted: u64) -> Result<u64> {
        self.check(tpm)?;
        let mut session = Session::start(tpm, srk, Kind::Hmac)?;
        let value = self.value(tpm, &mut session, auth)?;
        if value.checked_add(1) != Some(wanted) {
            return Ok(value);
        }
        self.raise(tpm, &mut session, auth, true)?;
        self.value(tpm, &mut session, auth)
    }

    fn check(self, tpm: &mut Tpm) -> Result<()> {
        match self.place().look(tpm)? {
            Found::Written => Ok(()),
            Found::Nothing => Err(TpmError::Counter("is not there: it was deleted, or this is another TPM")),
            Found::Foreign | Found::Empty => Err(foreign()),
        }
    }

    fn raise(self, tpm: &mut Tpm, session: &mut Session, auth: &[u8; 32], is_written: bool) -> Result<()> {
        let by = (self.place().entity(is_written), auth.as_slice());
        let nothing = Zeroizing::new(Vec::new());
        self.place().change(tpm, session, NV_INCREMENT, by, is_written, nothing).map_err(another)
    }

    fn value(self, tpm: &mut Tpm, session: &mut Session, auth: &[u8; 32]) -> Result<u64> {
        let data = self.place().read(tpm, session, auth).map_err(another)?;
        let fault = Reader::new(&data).fault("NV data", Fault::Invalid);
        Ok(u64::from_be_bytes(data.as_slice().try_into().map_err(|_| fault)?))
    }
}

const fn foreign() -> TpmError {
    TpmError::Counter("was defined otherwise than this daemon does it: somebody put another in its place")
}

fn another(error: TpmError) -> TpmError {
    if error.code().is_some_and(|code| WRONG_AUTH.contains(&code)) {
        TpmError::Counter("does not know its authorisation: somebody put another in its place")
    } else {
        error
    }
}
