//! Sessions, salted to the storage root key: commands and answers are authenticated, and the secret parameter of either is
//! encrypted. Whoever does not hold that key, as a man on the bus, can neither read nor change them.
//! TPM 2.0 Library, Part 1, 17 to 21.
use super::{
    command::{Answer, Code, Entity, NULL, START_AUTH_SESSION, Tpm, sized},
    crypto::{decrypt, encrypt, kdfa, mac, salt_for, sha256, x_of, y_of},
    error::{Result, TpmError},
    srk::Srk,
    writer::Writer,
};
use hmac::Mac;
use keystore_format::{error::Fault, reader::Reader};
use zeroize::Zeroizing;

/// AES-128-CFB, hashed with SHA-256.
const SYMMETRIC: [u8; 6] = [0, 0x06, 0, 0x80, 0, 0x43];
const SHA256: u16 = 0x000b;

const CONTINUE: u8 = 0x01;
/// The first parameter of the command is encrypted.
pub(super) const HIDE_COMMAND: u8 = 0x20;
/// The first parameter of the answer is encrypted.
pub(super) const HIDE_ANSWER: u8 = 0x40;
/// The session authorises nothing and authenticates the exchange alone.
pub(super) const AUDIT: u8 = 0x80;

/// What a session is for.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Kind {
    /// Shows that an authorisation value is known.
    Hmac = 0,
    /// Shows that a policy is met.
    Policy = 1,
}

/// An open session.
pub(super) struct Session {
    pub(super) handle: u32,
    key: Zeroizing<[u8; 32]>,
    nonce_tpm: Vec<u8>,
}

/// A command in a session.
pub(super) struct Call<'a> {
    pub(super) code: Code,
    /// The first is the one that the session authorises, unless [`AUDIT`] is among `attributes`.
    pub(super) entities: &'a [Entity],
    /// The authorisation value of the first, where it has one and the session must show it.
    pub(super) auth: &'a [u8],
    pub(super) attributes: u8,
    pub(super) parameters: Zeroizing<Vec<u8>>,
    pub(super) returns_handle: bool,
}

impl Session {
    /// Opens one that only the TPM which holds `srk` can follow.
    pub(super) fn start(tpm: &mut Tpm, srk: &Srk, kind: Kind) -> Result<Self> {
        let (salt, point) = salt_for(&srk.point)?;
        let nonce: [u8; 32] = tpm.random()?;
        let secret = Writer::new().sized(x_of(&point)).sized(y_of(&point)).done();
        let body = Writer::new().u32(srk.handle).u32(NULL).sized(&nonce).sized(&secret);
        let answer =
            tpm.plain(START_AUTH_SESSION, &body.u8(kind as u8).raw(&SYMMETRIC).u16(SHA256).done())?;
        let mut reader = Reader::new(&answer);
        let handle = reader.u32("session")?;
        tpm.keep(handle);
        let nonce_tpm = sized(&mut reader, "nonce")?.to_vec();
        Ok(Self { handle, key: kdfa(&*salt, b"ATH", &nonce_tpm, &nonce), nonce_tpm })
    }

    /// Runs a command and keeps the session open.
    pub(super) fn run(&mut self, tpm: &mut Tpm, call: Call<'_>) -> Result<Answer> {
        self.exchange(tpm, call, CONTINUE)
    }

    /// Runs a command, with whose success the session ends.
    pub(super) fn run_last(mut self, tpm: &mut Tpm, call: Call<'_>) -> Result<Answer> {
        let answer = self.exchange(tpm, call, 0)?;
        tpm.forget(self.handle);
        Ok(answer)
    }

    fn exchange(&mut self, tpm: &mut Tpm, mut call: Call<'_>, end: u8) -> Result<Answer> {
        let nonce: [u8; 32] = tpm.random()?;
        let attributes = call.attributes | end;
        let key = Writer::new().raw(&*self.key).raw(without_trailing_zeroes(call.auth)).done();
        if call.attributes & HIDE_COMMAND != 0 {
            let secret = first_parameter(&mut call.parameters)?;
            encrypt(&kdfa(&key, b"CFB", &nonce, &self.nonce_tpm), secret)?;
        }

        let mut named: Vec<&[u8]> = vec![];
        let code = call.code.0.to_be_bytes();
        named.push(&code);
        named.extend(call.entities.iter().map(Entity::name));
        named.push(&call.parameters);
        let hash = sha256(&named);
        let proof = mac(&key, &[&hash, &nonce, &self.nonce_tpm, &[attributes]]).finalize().into_bytes();
        let area = Writer::new().u32(self.handle).sized(&nonce).u8(attributes).sized(&proof).done();
        let handles: Vec<u32> = call.entities.iter().map(|entity| entity.handle).collect();
        let mut answer =
            tpm.with_sessions(call.code, &handles, &area, &call.parameters, call.returns_handle)?;

        let mut reader = Reader::new(&answer.sessions);
        let nonce_tpm = sized(&mut reader, "nonce")?;
        let answered = reader.u8("session attributes")?;
        let proof = sized(&mut reader, "HMAC")?;
        reader.end("sessions")?;
        let hash = sha256(&[&0_u32.to_be_bytes(), &code, &answer.parameters]);
        mac(&key, &[&hash, nonce_tpm, &nonce, &[answered]])
            .verify_slice(proof)
            .map_err(|_| TpmError::Forged)?;
        self.nonce_tpm = nonce_tpm.to_vec();
        if call.attributes & HIDE_ANSWER != 0 {
            let secret = first_parameter(&mut answer.parameters)?;
            decrypt(&kdfa(&key, b"CFB", &self.nonce_tpm, &nonce), secret)?;
        }
        Ok(answer)
    }
}

/// Trailing zeroes are no part of an authorisation value: the TPM takes them off.
fn without_trailing_zeroes(auth: &[u8]) -> &[u8] {
    let end = auth.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    auth.get(..end).unwrap_or_default()
}

/// The bytes of the first parameter, which has its length in front.
fn first_parameter(parameters: &mut [u8]) -> Result<&mut [u8]> {
    let fault = Reader::new(parameters).fault("first parameter", Fault::Truncated);
    let (length, rest) = parameters.split_first_chunk_mut::<2>().ok_or(fault)?;
    Ok(rest.get_mut(..u16::from_be_bytes(*length).into()).ok_or(fault)?)
}
