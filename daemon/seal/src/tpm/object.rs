//! The sealed object: made with a root key in it, loaded and asked for it.
use super::{
    command::{CREATE, Entity, LOAD, Tpm, UNSEAL, sized},
    crypto::{name_of, sha256},
    error::{PolicyFault, Result, TpmError},
    session::{Call, HIDE_ANSWER, HIDE_COMMAND, Session},
    srk::Srk,
    writer::Writer,
};
use coffer_secmem::Key32;
use keystore_format::{error::Fault, reader::Reader, tpm_wrap::TpmBlob};
use zeroize::Zeroizing;

/// `fixedTPM | fixedParent | adminWithPolicy`: nothing but the policy opens it.
const POLICY_ONLY: u32 = 1 << 1 | 1 << 4 | 1 << 7;
/// Wrong tries at it do not count towards lockout, and lockout does not touch it: right where there is no PIN.
const NO_DA: u32 = 1 << 10;
/// The longest authorisation value is as long as the digest of the object's name.
const MAX_PIN: usize = 32;

/// The authorisation value that stands for a PIN: itself, or its hash where it is longer than a TPM takes.
pub(super) fn auth_value(pin: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(if pin.len() > MAX_PIN { sha256(&[pin]).to_vec() } else { pin.to_vec() })
}

fn public_area(policy: &[u8; 32], has_pin: bool) -> Writer {
    let attributes = POLICY_ONLY | if has_pin { 0 } else { NO_DA };
    // KEYEDHASH by SHA-256, no scheme.
    Writer::new().u16(0x0008).u16(0x000b).u32(attributes).sized(policy).u16(0x0010)
}

/// Makes the object. The key and the PIN travel encrypted.
pub(super) fn create(
    tpm: &mut Tpm,
    srk: &Srk,
    mut session: Session,
    root_key: &Key32,
    auth: &[u8],
    policy: &[u8; 32],
) -> Result<TpmBlob> {
    let sensitive = Writer::new().sized(auth).sized(root_key.expose()).done();
    let public = public_area(policy, !auth.is_empty()).sized(&[]).done();
    let call = Call {
        code: CREATE,
        entities: &[Entity::named(srk.handle, &srk.name)],
        auth: &[],
        attributes: HIDE_COMMAND | HIDE_ANSWER,
        parameters: Writer::new().sized(&sensitive).sized(&public).sized(&[]).u32(0).done(),
        returns_handle: false,
    };
    let answer = session.run(tpm, call)?;
    let mut reader = Reader::new(&answer.parameters);
    let private = sized(&mut reader, "private area")?.to_vec();
    let public = sized(&mut reader, "public area")?.to_vec();
    Ok(TpmBlob { public, private })
}

/// Loads it. Anybody may, and a forged answer only leads to a session that fails, because it holds the object's name.
pub(super) fn load(
    tpm: &mut Tpm,
    srk: &Srk,
    blob: &TpmBlob,
    policy: &[u8; 32],
    has_pin: bool,
) -> Result<Entity> {
    // The PIN is shown to an object of this policy only, and of these attributes.
    if !blob.public.starts_with(&public_area(policy, has_pin).done()) {
        return Err(TpmError::Policy(PolicyFault::OtherObject));
    }
    let parameters = Writer::new().sized(&blob.private).sized(&blob.public).done();
    let answer = tpm.with_empty_password(LOAD, &[srk.handle], &parameters, true).map_err(altered)?;
    let absent = Reader::new(&[]).fault("handle", Fault::Truncated);
    Ok(Entity::named(answer.handle.ok_or(absent)?, &name_of(&blob.public)))
}

/// A refusal to load a blob is about the blob: everything else in the command is ours.
fn altered(error: TpmError) -> TpmError {
    match error {
        TpmError::Refused { code, .. } if code & 0x80 != 0 => TpmError::Altered,
        error => error,
    }
}

/// Asks it for the root key, which travels encrypted.
pub(super) fn unseal(tpm: &mut Tpm, object: Entity, session: Session, auth: &[u8]) -> Result<Key32> {
    let call = Call {
        code: UNSEAL,
        entities: &[object],
        auth,
        attributes: HIDE_ANSWER,
        parameters: Zeroizing::new(Vec::new()),
        returns_handle: false,
    };
    tpm.has_shown_pin = !auth.is_empty();
    let answer = session.run_last(tpm, call)?;
    let mut reader = Reader::new(&answer.parameters);
    let fault = reader.fault("sealed data", Fault::Invalid);
    let data = sized(&mut reader, "sealed data")?;
    let mut root_key = Zeroizing::new(<[u8; 32]>::try_from(data).map_err(|_| fault)?);
    Ok(Key32::from_bytes(&mut root_key))
}
