//! `sys/generate-root/*`: a root token made by the holders of shares, for when there is none.
//!
//! It is shown only under a one-time pad that whoever began holds, so that no holder of a share sees it.
use super::Desk;
use super::rekey::other_nonce;
use crate::ceremonies::{Collected, RootToken, collect, prove, seal_of};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use coffer_auth::token::TOKEN_CHARACTERS;
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_seal::UnsealProgress;
use coffer_secmem::SecretBytes;
use coffer_types::MountId;
use coffer_wire::{Object, Params};
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) async fn begin(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    super::refuse_pgp(params)?;
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let entropy = desk.environment.entropy();
    let given = params.string("otp")?.filter(|pad| !pad.is_empty());
    let pad = match &given {
        Some(pad) if pad.len() == TOKEN_CHARACTERS => Zeroizing::new(pad.as_bytes().to_vec()),
        Some(_) => {
            return Err(Fault::bad(format!("'otp' must have {TOKEN_CHARACTERS} bytes, as many as a token")));
        }
        None => {
            let mut bytes = Zeroizing::new([0; TOKEN_CHARACTERS]);
            entropy.fill(&mut *bytes)?;
            let mut pad = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into_bytes());
            pad.truncate(TOKEN_CHARACTERS);
            pad
        }
    };
    let shown = if given.is_some() { Zeroizing::default() } else { text(&pad)? };
    let nonce = desk.registry.request_id()?;
    let mut ceremony = desk.environment.ceremonies.root_token();
    if ceremony.is_some() {
        return Err(Fault::bad("a root token is being made already: cancel that, or give it its shares"));
    }
    let progress = UnsealProgress::default();
    let begun = RootToken { nonce: nonce.clone(), pad: SecretBytes::from_vec(pad.to_vec()), progress };
    let described = described(Some(&begun), required(&seal)).string("otp", &shown);
    *ceremony = Some(begun);
    Ok(Outcome::Answer(Answer::system(described).commit("nonce", nonce.as_bytes())))
}

pub(super) async fn status(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let ceremony = desk.environment.ceremonies.root_token();
    let described = described(ceremony.as_ref(), required(&seal)).string("otp", "");
    Ok(Outcome::Answer(Answer::system(described)))
}

fn required(seal: &coffer_seal::Seal) -> u8 {
    seal.status().shares.map_or(0, |(_, need)| need)
}

fn described(ceremony: Option<&RootToken>, required: u8) -> Object {
    Object::new()
        .boolean("started", ceremony.is_some())
        .string("nonce", ceremony.map_or("", |ceremony| &ceremony.nonce))
        .number("progress", ceremony.map_or(0, |ceremony| ceremony.progress.count().into()))
        .number("required", required.into())
        .boolean("complete", false)
        .string("encoded_token", "")
        .string("encoded_root_token", "")
        .string("pgp_fingerprint", "")
        .number("otp_length", TOKEN_CHARACTERS as u64)
}

pub(super) fn cancel(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let ended = desk.environment.ceremonies.root_token().take();
    Ok(Outcome::Answer(match ended {
        Some(ended) => Answer::empty().commit("nonce", ended.nonce.as_bytes()),
        None => Answer::empty(),
    }))
}

/// The same, for the holder of a share who may do no more than give it: with the share and the nonce.
pub(super) async fn cancel_by_share(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let (key, nonce) = (params.required("key")?, params.required("nonce")?);
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let mut ceremony = desk.environment.ceremonies.root_token();
    let begun = ceremony.as_ref().ok_or_else(none_under_way)?;
    if begun.nonce != *nonce {
        return Err(other_nonce());
    }
    prove(&key, &seal, desk.environment.entropy())?;
    *ceremony = None;
    Ok(Outcome::Answer(Answer::empty().commit("nonce", nonce.as_bytes())))
}

/// Takes a share. The last that is needed makes the token.
pub(super) async fn update(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let (key, nonce) = (params.required("key")?, params.required("nonce")?);
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let required = required(&seal);
    let mut ceremony = desk.environment.ceremonies.root_token();
    let begun = ceremony.as_mut().ok_or_else(none_under_way)?;
    if begun.nonce != *nonce {
        return Err(other_nonce());
    }
    let joined = match collect(&mut begun.progress, &key, &seal, desk.environment.entropy())? {
        Collected::Progress => {
            let described = described(Some(begun), required).string("otp", "");
            return Ok(Outcome::Answer(Answer::system(described).commit("nonce", nonce.as_bytes())));
        }
        Collected::Joined(joined) => joined,
    };
    let Some(RootToken { pad, .. }) = ceremony.take() else {
        return Err(Fault::Internal("a ceremony is gone"));
    };
    drop(ceremony);
    let environment = Arc::clone(desk.environment);
    Ok(Outcome::Change(Change::new(move |batch| {
        if !batch.is_root_key(&joined.root_key)? {
            return Err(Fault::Conflict("the root key was changed meanwhile: begin again".into()));
        }
        let issued = environment.tokens.issue_root(&mut batch.mount(MountId::default()))?;
        let padded: Zeroizing<Vec<u8>> =
            Zeroizing::new(issued.token.bytes().zip(pad.expose()).map(|(token, pad)| token ^ pad).collect());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&*padded));
        let answer = Object::new()
            .boolean("started", true)
            .string("nonce", &nonce)
            .number("progress", required.into())
            .number("required", required.into())
            .boolean("complete", true)
            .string("encoded_token", &encoded)
            .string("encoded_root_token", &encoded)
            .string("pgp_fingerprint", "")
            .string("otp", "")
            .number("otp_length", TOKEN_CHARACTERS as u64);
        let answer = Answer::system(answer).commit("nonce", nonce.as_bytes());
        Ok(answer.commit("accessor", issued.accessor.as_bytes()))
    })))
}

fn none_under_way() -> Fault {
    Fault::bad("no root token is being made: begin first")
}

fn text(pad: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let text = core::str::from_utf8(pad).map_err(|_| Fault::Internal("a pad is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}
