//! The bytes of a token's records, inside the barrier: version, then fields in a fixed order, integers big-endian,
//! texts with a length before them. Version 1 is never changed, only added to.
use crate::token::{BindingMode, Bound};
use coffer_barrier::BarrierError;
use coffer_types::{Kind, MountId, Timestamp};
use keystore_format::error::{Fault, FormatError};
use keystore_format::fields::{Writer, flag, many, optional, text, texts};
use keystore_format::reader::Reader;
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// What is kept of a token.
#[derive(Clone)]
pub(crate) struct TokenRecord {
    /// SHA-256 of the token: enough to index it anew, not enough to show it.
    pub(crate) digest: Zeroizing<[u8; 32]>,
    pub(crate) accessor: String,
    /// Sorted, each once.
    pub(crate) policies: Vec<String>,
    /// The API path that made it.
    pub(crate) path: String,
    pub(crate) display_name: String,
    pub(crate) meta: Vec<(String, String)>,
    /// The token role it was made by; empty for none.
    pub(crate) role: String,
    /// The auth mount at the root of its tree.
    pub(crate) mount: MountId,
    pub(crate) created: Timestamp,
    /// `None`: it does not expire.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) renewed: Option<Timestamp>,
    pub(crate) ttl_seconds: u64,
    /// From creation, renewals included; 0 for none.
    pub(crate) max_seconds: u64,
    /// As `max_seconds`, and for periodic tokens too.
    pub(crate) explicit_max_seconds: u64,
    pub(crate) period_seconds: u64,
    /// `None`: as often as one likes.
    pub(crate) uses_left: Option<u64>,
    pub(crate) parent: Option<[u8; 32]>,
    /// An upper bound of how many ancestors it has.
    pub(crate) depth: u8,
    pub(crate) is_renewable: bool,
    pub(crate) binding: Option<Bound>,
    /// The bucket of the expiry table that names it; `None` where it does not expire.
    pub(crate) filed: Option<u64>,
}

/// A token role: what tokens may be made through `create/<name>`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct TokenRole {
    pub(crate) allowed: Vec<String>,
    pub(crate) allowed_globs: Vec<String>,
    pub(crate) disallowed: Vec<String>,
    pub(crate) disallowed_globs: Vec<String>,
    pub(crate) path_suffix: String,
    pub(crate) is_orphan: bool,
    pub(crate) is_renewable: bool,
    pub(crate) no_default_policy: bool,
    pub(crate) period_seconds: u64,
    pub(crate) explicit_max_seconds: u64,
}

impl TokenRecord {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new(VERSION);
        out.bytes(&*self.digest);
        out.text(&self.accessor);
        out.texts(&self.policies);
        out.text(&self.path);
        out.text(&self.display_name);
        out.count(self.meta.len());
        for (name, value) in &self.meta {
            out.text(name);
            out.text(value);
        }
        out.text(&self.role);
        out.bytes(&self.mount.0);
        out.number(self.created.0);
        out.optional(self.expires.map(|time| time.0));
        out.optional(self.renewed.map(|time| time.0));
        out.number(self.ttl_seconds);
        out.number(self.max_seconds);
        out.number(self.explicit_max_seconds);
        out.number(self.period_seconds);
        out.optional(self.uses_left);
        out.flag(self.parent.is_some());
        out.bytes(self.parent.as_ref().map_or(&[], |parent| parent.as_slice()));
        out.bytes(&[self.depth]);
        out.flag(self.is_renewable);
        out.flag(self.binding.is_some());
        if let Some(bound) = &self.binding {
            out.bytes(&bound.mount.0);
            out.text(&bound.role);
            out.bytes(&[bound.mode as u8]);
            out.bytes(&bound.hash);
        }
        out.optional(self.filed);
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        Self::read(bytes).map_err(|_| BarrierError::Damaged(Kind::Token))
    }

    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let from = &mut reader;
        from.version(VERSION)?;
        let record = Self {
            digest: Zeroizing::new(*from.array("digest")?),
            accessor: text(from)?,
            policies: texts(from)?,
            path: text(from)?,
            display_name: text(from)?,
            meta: many(from, |from| Ok((text(from)?, text(from)?)))?,
            role: text(from)?,
            mount: MountId(*from.array("mount")?),
            created: Timestamp(from.u64("created")?),
            expires: optional(from)?.map(Timestamp),
            renewed: optional(from)?.map(Timestamp),
            ttl_seconds: from.u64("ttl")?,
            max_seconds: from.u64("max")?,
            explicit_max_seconds: from.u64("explicit max")?,
            period_seconds: from.u64("period")?,
            uses_left: optional(from)?,
            parent: if flag(from)? { Some(*from.array("parent")?) } else { None },
            depth: from.u8("depth")?,
            is_renewable: flag(from)?,
            binding: if flag(from)? { Some(bound(from)?) } else { None },
            filed: optional(from)?,
        };
        reader.end("token")?;
        Ok(record)
    }
}

impl TokenRole {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new(VERSION);
        for list in [&self.allowed, &self.allowed_globs, &self.disallowed, &self.disallowed_globs] {
            out.texts(list);
        }
        out.text(&self.path_suffix);
        out.flag(self.is_orphan);
        out.flag(self.is_renewable);
        out.flag(self.no_default_policy);
        out.number(self.period_seconds);
        out.number(self.explicit_max_seconds);
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        Self::read(bytes).map_err(|_| BarrierError::Damaged(Kind::TokenRole))
    }

    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let from = &mut reader;
        from.version(VERSION)?;
        let role = Self {
            allowed: texts(from)?,
            allowed_globs: texts(from)?,
            disallowed: texts(from)?,
            disallowed_globs: texts(from)?,
            path_suffix: text(from)?,
            is_orphan: flag(from)?,
            is_renewable: flag(from)?,
            no_default_policy: flag(from)?,
            period_seconds: from.u64("period")?,
            explicit_max_seconds: from.u64("explicit max")?,
        };
        reader.end("role")?;
        Ok(role)
    }
}

fn bound(from: &mut Reader<'_>) -> Result<Bound, FormatError> {
    let mount = MountId(*from.array("mount")?);
    let role = text(from)?;
    let mode = match from.u8("mode")? {
        1 => BindingMode::Identity,
        2 => BindingMode::Key,
        3 => BindingMode::Certificate,
        _ => return Err(from.fault("mode", Fault::Invalid)),
    };
    Ok(Bound { mount, role, mode, hash: *from.array("hash")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> TokenRecord {
        TokenRecord {
            digest: Zeroizing::new([1; 32]),
            accessor: "accessor".into(),
            policies: vec!["a".into(), "default".into()],
            path: "auth/token/create".into(),
            display_name: "token-é".into(),
            meta: vec![("k".into(), String::new())],
            role: "r".into(),
            mount: MountId([2; 16]),
            created: Timestamp(3),
            expires: Some(Timestamp(u64::MAX)),
            renewed: None,
            ttl_seconds: 4,
            max_seconds: 5,
            explicit_max_seconds: 6,
            period_seconds: 7,
            uses_left: Some(8),
            parent: Some([9; 32]),
            depth: 10,
            is_renewable: true,
            binding: Some(Bound {
                mount: MountId([11; 16]),
                role: "w".into(),
                mode: BindingMode::Key,
                hash: [12; 32],
            }),
            filed: Some(13),
        }
    }

    #[test]
    fn a_token_comes_back_as_it_was_written() {
        let written = token().encode();
        assert_eq!(TokenRecord::decode(&written).unwrap().encode(), written);
        let bare = TokenRecord {
            expires: None,
            uses_left: None,
            parent: None,
            binding: None,
            filed: None,
            ..token()
        };
        assert_eq!(TokenRecord::decode(&bare.encode()).unwrap().encode(), bare.encode());
    }

    #[test]
    fn a_role_comes_back_as_it_was_written() {
        let role = TokenRole {
            allowed: vec!["a".into()],
            disallowed_globs: vec!["*".into()],
            is_orphan: true,
            ..TokenRole::default()
        };
        assert_eq!(TokenRole::decode(&role.encode()).unwrap(), role);
    }

    #[test]
    fn altered_bytes_are_named_as_damaged_or_read_as_something_else_but_never_panic() {
        let written = token().encode();
        for cut in 0..written.len() {
            assert!(TokenRecord::decode(written.get(..cut).unwrap()).is_err(), "{cut}");
        }
        assert!(TokenRecord::decode(&[written.as_slice(), &[0]].concat()).is_err());
        for at in 0..written.len() {
            for bit in 0..8 {
                let mut altered = written.to_vec();
                altered[at] ^= 1 << bit;
                if let Ok(read) = TokenRecord::decode(&altered) {
                    assert_eq!(*read.encode(), altered, "{at}.{bit}");
                }
            }
        }
        // A count of four billion backed by nothing.
        let mut huge = written.to_vec();
        huge[33..37].fill(0xff);
        assert!(TokenRecord::decode(&huge).is_err());
    }
}
