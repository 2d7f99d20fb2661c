//! What the seal by a TPM does, done by tss-esapi and libtss2: `esapi seal|unseal PORT INDEX PIN`, hexadecimal lines on
//! standard input and output.
//!
//! tss-esapi 7.7 has no PolicyAuthorizeNV. `unseal` leaves it out: whoever runs this sends it, between the last step of the
//! policy and the unsealing.
#![forbid(unsafe_code)]
use std::{
    error::Error,
    io::{Read as _, stdin},
};
use tss_esapi::{
    Context, TctiNameConf,
    attributes::{ObjectAttributesBuilder, SessionAttributesBuilder},
    constants::SessionType,
    handles::{KeyHandle, NvIndexHandle, NvIndexTpmHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        resource_handles::{Hierarchy, NvAuth},
        session_handles::{AuthSession, PolicySession},
    },
    structures::{
        Auth, Digest, KeyedHashScheme, MaxBuffer, PcrSelectionListBuilder, PcrSlot, Private, Public,
        PublicBuilder, PublicKeyedHashParameters, SensitiveData, SymmetricDefinition,
    },
    traits::{Marshall as _, UnMarshall as _},
};

type Done<T> = Result<T, Box<dyn Error>>;

/// Where TCG's guidance puts the storage root key.
const SRK: u32 = 0x8100_0001;
/// `TPM_CC_PolicyAuthorizeNV`.
const POLICY_AUTHORIZE_NV: [u8; 4] = [0, 0, 0x01, 0x92];

fn main() -> Done<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, port, index, pin] = words.as_slice() else {
        return Err("usage: esapi seal|unseal PORT INDEX PIN".into());
    };
    let mut input = String::new();
    stdin().read_to_string(&mut input)?;
    let input = input.lines().map(bytes).collect::<Done<Vec<_>>>()?;
    let address: TctiNameConf = format!("swtpm:host=127.0.0.1,port={port}").parse()?;
    let mut tpm = Context::new(address)?;
    let index = NvIndexTpmHandle::new(u32::from_str_radix(index.trim_start_matches("0x"), 16)?)?;
    let index: NvIndexHandle = tpm.tr_from_tpm_public(TpmHandle::NvIndex(index))?.into();
    let srk = TpmHandle::Persistent(PersistentTpmHandle::new(SRK)?);
    let srk: KeyHandle = tpm.tr_from_tpm_public(srk)?.into();
    match (what.as_str(), input.as_slice()) {
        ("seal", [key]) => seal(&mut tpm, srk, index, pin, key),
        ("unseal", [public, private]) => unseal(&mut tpm, srk, index, pin, public, private),
        _ => Err("seal wants a key, unseal a public and a private area".into()),
    }
}

/// Makes an object as the format says, with the policy worked out from the index's name by the TPM itself.
fn seal(tpm: &mut Context, srk: KeyHandle, index: NvIndexHandle, pin: &str, key: &[u8]) -> Done<()> {
    let (_, name) = tpm.nv_read_public(index)?;
    let policy = [&[0; 32], POLICY_AUTHORIZE_NV.as_slice(), name.value()].concat();
    let (policy, _) = tpm.hash(MaxBuffer::try_from(policy)?, HashingAlgorithm::Sha256, Hierarchy::Null)?;
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_admin_with_policy(true)
        .build()?;
    let public = PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()?;
    let (pin, key) = (Auth::try_from(pin.as_bytes())?, SensitiveData::try_from(key)?);
    let made =
        tpm.execute_with_nullauth_session(|tpm| tpm.create(srk, public, Some(pin), Some(key), None, None))?;
    println!("public {}", hex(&made.out_public.marshall()?));
    println!("private {}", hex(made.out_private.value()));
    Ok(())
}

/// Opens an object by registers 7 and 11 and a PIN; says also what the session's policy is, and what is approved.
fn unseal(
    tpm: &mut Context,
    srk: KeyHandle,
    index: NvIndexHandle,
    pin: &str,
    public: &[u8],
    private: &[u8],
) -> Done<()> {
    let (public, private) = (Public::unmarshall(public)?, Private::try_from(private)?);
    let approved =
        tpm.execute_with_nullauth_session(|tpm| tpm.nv_read(NvAuth::NvIndex(index), index, 34, 0))?;
    println!("approved {}", hex(approved.value()));
    let object = tpm.execute_with_nullauth_session(|tpm| tpm.load(srk, private, public))?;
    let session = tpm
        .start_auth_session(
            Some(srk),
            None,
            None,
            SessionType::Policy,
            SymmetricDefinition::AES_128_CFB,
            HashingAlgorithm::Sha256,
        )?
        .ok_or("no session")?;
    let (attributes, mask) = SessionAttributesBuilder::new().with_encrypt(true).build();
    tpm.tr_sess_set_attributes(session, attributes, mask)?;
    let policy = PolicySession::try_from(session)?;
    let registers = PcrSelectionListBuilder::new()
        .with_selection(HashingAlgorithm::Sha256, &[PcrSlot::Slot7, PcrSlot::Slot11])
        .build()?;
    tpm.policy_pcr(policy, Digest::default(), registers)?;
    tpm.policy_auth_value(policy)?;
    println!("policy {}", hex(tpm.policy_get_digest(policy)?.value()));
    tpm.tr_set_auth(object.into(), Auth::try_from(pin.as_bytes())?)?;
    let by: Option<AuthSession> = Some(session);
    let key = tpm.execute_with_session(by, |tpm| tpm.unseal(object.into()))?;
    println!("key {}", hex(key.value()));
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Done<Vec<u8>> {
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(&pair.iter().collect::<String>(), 16)?)).collect()
}
