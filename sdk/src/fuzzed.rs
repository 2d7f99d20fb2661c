//! For the fuzzer: whatever a server sends, and whatever stands in a client's own files, without a connection.
use crate::client::Answer;
use crate::error::Error;
use crate::kv::{Keys, Metadata, Read, VersionInfo};
use crate::sys::{Health, Initialized, KeyStatus, Mount, Namespace, SealStatus, Text};
use crate::tls::{self, Material};
use crate::tokens::{TokenInfo, token};
use crate::transport::Whole;
use crate::{config, receipt, transit};
use http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Reads `bytes` as an answer of every type that a call expects, and its first line as the texts that an answer or a
/// person names things by. What can't be used is refused by fixed words.
pub fn answers(bytes: &[u8]) {
    let (line, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default());
    let line = core::str::from_utf8(line).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(line) {
        headers.insert(header::RETRY_AFTER, value);
    }
    let whole = Whole { status: 500, headers, body: Zeroizing::new(body.to_vec()) };
    let refusal = whole.refusal();
    assert!(refusal.retry_after.is_none_or(|seconds| line.contains(&seconds.to_string())));
    let answer = Answer::from(whole);
    config::fuzz(line);
    let _ = crate::fsck::event(body);
    receipt::fuzz(line, &answer);
    transit::fuzz(&answer);
    if let Some(metadata) = data::<Metadata>(&answer) {
        assert!(metadata.versions().is_sorted_by_key(|info| info.version));
    }
    if let Ok(token) = token(&answer) {
        assert!(answer.envelope().is_ok_and(|envelope| {
            envelope.auth.is_some_and(|auth| *auth.client_token == *token.token.expose())
        }));
    }
    let _ = (data::<Health>(&answer), data::<SealStatus>(&answer), data::<Initialized>(&answer));
    let _ = (data::<KeyStatus>(&answer), data::<Namespace>(&answer), data::<TokenInfo>(&answer));
    let _ = (data::<BTreeMap<String, Mount>>(&answer), data::<BTreeMap<String, Vec<String>>>(&answer));
    let _ = (data::<Keys>(&answer), data::<Text>(&answer), data::<VersionInfo>(&answer));
    let _ = (data::<Read<serde_json::Value>>(&answer), answer.warnings());
}

/// The answer's data, or all of it, as `T`.
pub(crate) fn data<T: DeserializeOwned>(answer: &Answer) -> Option<T> {
    let results = [answer.data(), answer.json()];
    // Words of our own, which can't have anything of the answer in them.
    let is_fixed = |result: &Result<T, Error>| matches!(result, Ok(_) | Err(Error::Unexpected(_)));
    assert!(results.iter().all(is_fixed));
    results.into_iter().find_map(Result::ok)
}

/// Reads three files as the CA and the identity of a client: what is refused is refused in one short line, which has no
/// room for what stands in them.
pub fn files(contents: [&[u8]; 3]) {
    let [ca, certificate, key] = contents.map(Material::pem);
    if let Err(error) = tls::configuration(&ca, Some(&(certificate, key))) {
        let sentence = error.to_string();
        assert!(sentence.len() < 200 && !sentence.contains('\n'), "{sentence}");
    }
}
