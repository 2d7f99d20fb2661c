//! encrypt, decrypt, rewrap, datakey.
//!
//! Encrypting is a read of the key as long as nonces are in reserve. Where they are not, or the key is to be made, it is
//! a change: the commit that reserves them, or makes the key, also makes the ciphertext.
use super::{
    aead,
    batch::{Batch, Failures, key_version, refuse_foreign, sentence},
    key_type::KeyType,
    keys::{self, Birth, NO_KEY, may_use},
    nonces::{self, Granted, Needs, Nonces},
    records::Key,
    text::{Sentence, Tagged, base64_secret, parse_tagged, tagged},
};
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, WriteMode};
use coffer_wire::{Object, Params};
use std::sync::Arc;
use zeroize::Zeroizing;

/// One thing to encrypt.
struct Sealing {
    source: Source,
    associated_data: Zeroizing<Vec<u8>>,
    /// 0 for the newest.
    version: u32,
}

enum Source {
    Plaintext(Zeroizing<Vec<u8>>),
    /// To be decrypted first.
    Ciphertext(Zeroizing<String>),
}

/// What the answer shows beside the ciphertext.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Ciphertext,
    Plaintext,
}

/// Everything that a change needs to run, as often as it is run.
struct Job {
    name: CanonicalPath,
    mode: WriteMode,
    batch: Batch<Sealing>,
    failures: Failures,
    show: Show,
    /// How to make the key where there is none; without it that is refused.
    birth: Option<Birth>,
}

pub(super) async fn encrypt(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    let params = &request.params;
    refuse_foreign(params).map_err(Fault::bad)?;
    let batch = Batch::read(params, |item| {
        refuse_foreign(item)?;
        let plaintext =
            item.base64("plaintext").map_err(sentence)?.ok_or("'plaintext' must be given, in base64")?;
        Ok(Sealing {
            source: Source::Plaintext(plaintext),
            associated_data: associated_data(item)?,
            version: key_version(item)?,
        })
    })?;
    let job = job(request, name, batch, Failures::Refuse, Show::Ciphertext)?;
    seal(room, job, Some(params)).await
}

pub(super) async fn rewrap(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    let params = &request.params;
    refuse_foreign(params).map_err(Fault::bad)?;
    let batch = Batch::read(params, |item| {
        refuse_foreign(item)?;
        Ok(Sealing {
            source: Source::Ciphertext(item.required("ciphertext").map_err(sentence)?),
            associated_data: associated_data(item)?,
            version: key_version(item)?,
        })
    })?;
    seal(room, job(request, name, batch, Failures::Tell, Show::Ciphertext)?, None).await
}

pub(super) async fn data_key(
    room: &Room,
    request: &Request,
    form: &str,
    name: &str,
) -> Result<Outcome, Fault> {
    let params = &request.params;
    let show = match form {
        "plaintext" => Show::Plaintext,
        "wrapped" => Show::Ciphertext,
        _ => return Err(Fault::bad("the path must be datakey/plaintext/<key> or datakey/wrapped/<key>")),
    };
    refuse_foreign(params).map_err(Fault::bad)?;
    let bytes = match params.number("bits")?.unwrap_or(256) {
        bits @ (128 | 256 | 512) => bits as usize / 8,
        _ => return Err(Fault::bad("'bits' must be 128, 256 or 512")),
    };
    let mut key = Zeroizing::new(vec![0; bytes]);
    room.entropy.fill(&mut key)?;
    let batch = Batch::of(Sealing {
        source: Source::Plaintext(key),
        associated_data: associated_data(params).map_err(Fault::bad)?,
        version: key_version(params).map_err(Fault::bad)?,
    });
    seal(room, job(request, name, batch, Failures::Tell, show)?, None).await
}

pub(super) async fn decrypt(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    refuse_foreign(&request.params).map_err(Fault::bad)?;
    let batch = Batch::read(&request.params, |item| {
        refuse_foreign(item)?;
        Ok((item.required("ciphertext").map_err(sentence)?, associated_data(item)?))
    })?;
    let key = keys::existing(room, name, request.write_mode).await?;
    keys::apart(key.key_type, move || {
        let answer = batch.answer(Failures::Refuse, |(ciphertext, associated_data)| {
            let plaintext = open(&key, ciphertext, associated_data)?;
            Ok(Object::new().string("plaintext", &base64_secret(&plaintext)))
        });
        answer.map(Outcome::Answer)
    })
    .await
}

fn job(
    request: &Request,
    name: &str,
    batch: Batch<Sealing>,
    failures: Failures,
    show: Show,
) -> Result<Job, Fault> {
    let name = CanonicalPath::parse(name)?;
    Ok(Job { name, mode: request.write_mode, batch, failures, show, birth: None })
}

/// Encrypts. Makes the key where there is none, if `creation` (the parameters that say how) is given.
async fn seal(room: &Room, mut job: Job, creation: Option<&Params>) -> Result<Outcome, Fault> {
    let nonces = room.view.memory::<Nonces>()?;
    match Key::load(&room.view, &job.name).await? {
        Some(key) => {
            may_use(job.mode)?;
            if !key.key_type.can_encrypt() {
                return Err(Fault::bad(aead::cannot_encrypt(key.key_type)));
            }
            if let Some(mut granted) = nonces.take(key.id, &job.needs(&key)) {
                return keys::apart(key.key_type, move || job.run(&key, &mut granted).map(Outcome::Answer))
                    .await;
            }
        }
        None => {
            let Some(params) = creation else { return Err(Fault::bad(NO_KEY)) };
            job.birth = Some(birth(room, &job, params).await?);
        }
    }
    let entropy = Arc::clone(&room.entropy);
    Ok(room.change(move |tx| {
        let mut key = match (Key::get(tx, &job.name)?, &job.birth) {
            (Some(key), _) => {
                may_use(job.mode)?;
                key
            }
            (None, Some(birth)) => birth.bear(tx, &job.name)?,
            (None, None) => return Err(Fault::bad(NO_KEY)),
        };
        let count = job.needs(&key).get(&key.latest()).copied().unwrap_or(0);
        if count > 0 {
            let key_type = key.key_type;
            let fresh = || super::records::Version::generate(key_type, &*entropy);
            nonces::rotate_if_spent(tx, &job.name, &mut key, count, fresh)?;
        }
        let mut granted = nonces::reserve(tx, &nonces, &job.name, key.id, &job.needs(&key))?;
        job.run(&key, &mut granted)
    }))
}

/// How the key is made by an encryption that finds none.
async fn birth(room: &Room, job: &Job, params: &Params) -> Result<Birth, Fault> {
    if job.mode == WriteMode::UpdateOnly {
        return Err(Fault::PermissionDenied);
    }
    let key_type = keys::wanted_type(params)?;
    if !key_type.can_encrypt() {
        return Err(Fault::bad(aead::cannot_encrypt(key_type)));
    }
    if job.batch.inputs().next().is_none() {
        return Err(Fault::bad("there is no key of this name, and nothing in the request to make one for"));
    }
    Birth::prepare(room, key_type).await
}

impl Job {
    /// The nonces that it takes. What fails later has taken one all the same.
    fn needs(&self, key: &Key) -> Needs {
        let mut needs = Needs::new();
        if key.key_type.is_aead() {
            for version in self.batch.inputs().filter_map(|item| key.for_making(item.version).ok()) {
                *needs.entry(version).or_default() += 1;
            }
        }
        needs
    }

    fn run(&self, key: &Key, granted: &mut Granted) -> Result<Answer, Fault> {
        if !key.key_type.can_encrypt() {
            return Err(Fault::bad(aead::cannot_encrypt(key.key_type)));
        }
        self.batch.answer(self.failures, |item| {
            let number = key.for_making(item.version)?;
            let version = key.version(number).ok_or("this version of the key is gone")?;
            let opened;
            let plaintext = match &item.source {
                Source::Plaintext(plaintext) => plaintext,
                Source::Ciphertext(ciphertext) => {
                    opened = open(key, ciphertext, &item.associated_data)?;
                    &opened
                }
            };
            let sealed = if key.key_type.is_rsa() {
                no_associated_data(key.key_type, &item.associated_data)?;
                aead::seal_rsa(version, plaintext)?
            } else {
                let nonce = granted.next(number).ok_or("no nonce was reserved for it")?;
                aead::seal(key.key_type, version, nonce, &item.associated_data, plaintext)?
            };
            let result = Object::new()
                .string("ciphertext", &tagged(number, &sealed, false))
                .number("key_version", number.into());
            Ok(match self.show {
                Show::Ciphertext => result,
                Show::Plaintext => result.string("plaintext", &base64_secret(plaintext)),
            })
        })
    }
}

fn open(key: &Key, ciphertext: &str, associated_data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Sentence> {
    if !key.key_type.can_encrypt() {
        return Err(aead::cannot_encrypt(key.key_type));
    }
    let Tagged { version, bytes } =
        parse_tagged(ciphertext, false).map_err(|why| about("ciphertext", &why))?;
    if key.key_type.is_rsa() {
        no_associated_data(key.key_type, associated_data)?;
    }
    let version = key.for_opening(version).map_err(|why| about("ciphertext", &why))?;
    aead::open(key.key_type, version, associated_data, bytes).map_err(|why| about("ciphertext", &why))
}

/// `'field': why`.
pub(super) fn about(field: &'static str, why: &str) -> Sentence {
    format!("'{field}': {why}").into()
}

fn associated_data(params: &Params) -> Result<Zeroizing<Vec<u8>>, Sentence> {
    Ok(params.base64("associated_data").map_err(sentence)?.unwrap_or_default())
}

fn no_associated_data(key_type: KeyType, associated_data: &[u8]) -> Result<(), Sentence> {
    if associated_data.is_empty() {
        return Ok(());
    }
    Err(format!("'associated_data' is for AEAD keys; a key of type {} has no place for it", key_type.name())
        .into())
}
