//! Making tokens, inside the transaction that records them.
use crate::token::records::TokenRecord;
use crate::token::revoke::file;
use crate::token::store::{self, MAX_DEPTH, PREFIX};
use crate::token::{Bound, TokenStore, TtlLimits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coffer_barrier::{BarrierError, Tx};
use coffer_room::Fault;
use coffer_types::{CanonicalPath, EntropyError, Kind, MountId, Timestamp};
use coffer_wire::Object;
use keystore_format::token::{TOKEN_LEN, digest};
use zeroize::Zeroizing;

/// A token to be made. Whoever fills it in has decided that the policies may be given; see [`crate::token::policy_name`].
#[derive(Clone)]
pub struct NewToken {
    /// Sorted, each once, read by [`crate::token::policy_name`]. With `root` in it, and neither ttl, period nor explicit
    /// maximum, the token does not expire.
    pub policies: Vec<String>,
    /// The API path that makes it, as `auth/cert/login`.
    pub path: String,
    /// The name shown to people.
    pub display_name: String,
    /// Names and values for people and templates.
    pub meta: Vec<(String, String)>,
    /// The token role, or empty.
    pub role: String,
    /// The auth mount that it comes from; a child takes its parent's.
    pub mount: MountId,
    /// The parent's index, in the same environment; `None` makes an orphan.
    pub parent: Option<[u8; 32]>,
    /// Seconds; 0 for the default of `limits`.
    pub ttl_seconds: u64,
    /// Seconds from creation that no renewal passes; 0 for none.
    pub explicit_max_seconds: u64,
    /// Seconds that each renewal gives, without other end than the explicit maximum; 0 for none.
    pub period_seconds: u64,
    /// How often it may be used; 0 for as often as one likes.
    pub uses: u64,
    /// Whether it can be renewed.
    pub is_renewable: bool,
    /// The certificate identity that it is bound to. A child takes its parent's.
    pub binding: Option<Bound>,
    /// The mount's, narrowed by the role's.
    pub limits: TtlLimits,
}

/// A token that was made. Its text exists here and with whoever it is handed to, nowhere else.
pub struct Issued {
    /// The token.
    pub token: Zeroizing<String>,
    /// Its accessor.
    pub accessor: String,
    /// Where its record lies.
    pub index: [u8; 32],
    /// Seconds it lives without renewal; 0 where it does not expire.
    pub ttl_seconds: u64,
    record: TokenRecord,
}

impl TokenStore {
    /// Makes a token. `tx` writes the environment's own tables (`MountId::default()`).
    ///
    /// # Errors
    /// 403 where the parent is not live any more, 400 where it has too many ancestors; and what the barrier gives.
    pub fn issue(&self, tx: &mut Tx<'_, '_>, new: &NewToken) -> Result<Issued, Fault> {
        let now = tx.now();
        let parent = match &new.parent {
            Some(index) => Some(store::live_in(tx, index)?.ok_or(Fault::PermissionDenied)?),
            None => None,
        };
        let depth = parent.as_ref().map_or(0, |parent| parent.depth.saturating_add(1));
        if depth > MAX_DEPTH {
            return Err(Fault::bad("a token has at most 32 ancestors"));
        }
        let mut secret = Zeroizing::new([0; TOKEN_LEN]);
        tx.random(secret.as_mut_slice())?;
        let digest = digest(&secret);
        let index = self.index_of_digest(&digest)?;
        let mut record = TokenRecord {
            digest,
            accessor: accessor(tx)?,
            policies: new.policies.clone(),
            path: new.path.clone(),
            display_name: new.display_name.clone(),
            meta: new.meta.clone(),
            role: new.role.clone(),
            mount: parent.as_ref().map_or(new.mount, |parent| parent.mount),
            created: now,
            expires: None,
            renewed: None,
            ttl_seconds: 0,
            max_seconds: new.limits.max_seconds,
            explicit_max_seconds: new.explicit_max_seconds,
            period_seconds: new.period_seconds,
            uses_left: (new.uses > 0).then_some(new.uses),
            parent: new.parent,
            depth,
            is_renewable: new.is_renewable,
            binding: parent.map_or_else(|| new.binding.clone(), |parent| parent.binding),
            filed: None,
        };
        if new.may_expire() {
            let wished = if new.ttl_seconds > 0 { new.ttl_seconds } else { new.limits.default_seconds };
            record.expires = Some(record.expiry_after(now, wished));
        } else {
            record.is_renewable = false;
            record.max_seconds = 0;
        }
        record.ttl_seconds = record.seconds_left(now);
        file(tx, &index, &mut record)?;
        store::put(tx, &index, &record)?;
        tx.put(Kind::TokenAccessor, &CanonicalPath::parse(&record.accessor)?, None, &index)?;
        if let Some(parent) = &new.parent {
            tx.put(Kind::TokenChild, &child_path(parent, &index)?, None, &[])?;
        }
        let mut token = Zeroizing::new(String::with_capacity(64));
        token.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut token);
        Ok(Issued {
            token,
            accessor: record.accessor.clone(),
            index,
            ttl_seconds: record.ttl_seconds,
            record,
        })
    }

    /// Makes the root token of a new environment: it does not expire.
    ///
    /// # Errors
    /// What the barrier gives.
    pub fn issue_root(&self, tx: &mut Tx<'_, '_>) -> Result<Issued, Fault> {
        self.issue(tx, &NewToken::root("auth/token/root", "root"))
    }
}

impl NewToken {
    /// A root token, made by `path`.
    #[must_use]
    pub fn root(path: &str, display_name: &str) -> Self {
        Self { policies: vec!["root".to_owned()], is_renewable: false, ..Self::login(path, display_name) }
    }

    /// What a login starts from: no policy, no limit of its own, an orphan that can be renewed.
    #[must_use]
    pub fn login(path: &str, display_name: &str) -> Self {
        Self {
            policies: Vec::new(),
            path: path.to_owned(),
            display_name: display_name.to_owned(),
            meta: Vec::new(),
            role: String::new(),
            mount: MountId::default(),
            parent: None,
            ttl_seconds: 0,
            explicit_max_seconds: 0,
            period_seconds: 0,
            uses: 0,
            is_renewable: true,
            binding: None,
            limits: TtlLimits::default(),
        }
    }

    /// Whether this token expires at all: a root token does only where somebody says so.
    pub(crate) fn may_expire(&self) -> bool {
        let is_root = self.policies.iter().any(|name| name == "root");
        !is_root || self.ttl_seconds > 0 || self.period_seconds > 0 || self.explicit_max_seconds > 0
    }
}

impl Issued {
    /// The `auth` block of the answer.
    #[must_use]
    pub fn auth(&self) -> Object {
        auth(&self.record, &self.token, self.ttl_seconds)
    }
}

/// The `auth` block of a token; `token` is empty where only its accessor was named.
pub(crate) fn auth(record: &TokenRecord, token: &str, lease_seconds: u64) -> Object {
    let meta = if record.meta.is_empty() { None } else { Some(object_of(&record.meta)) };
    let out = Object::new()
        .string("client_token", token)
        .string("accessor", &record.accessor)
        .strings("policies", &record.policies)
        .strings("token_policies", &record.policies);
    match meta {
        Some(meta) => out.object("metadata", meta),
        None => out.null("metadata"),
    }
    .number("lease_duration", lease_seconds)
    .boolean("renewable", record.is_renewable)
    .string("entity_id", "")
    .string("token_type", "service")
    .boolean("orphan", record.parent.is_none())
    .null("mfa_requirement")
    .number("num_uses", record.uses_left.unwrap_or(0))
}

pub(crate) fn object_of(pairs: &[(String, String)]) -> Object {
    pairs.iter().fold(Object::new(), |object, (name, value)| object.string(name, value))
}

/// Where a parent's record of its child lies.
pub(crate) fn child_path(parent: &[u8; 32], child: &[u8; 32]) -> Result<CanonicalPath, BarrierError> {
    CanonicalPath::parse(&format!("{}/{}", hex::encode(parent), hex::encode(child)))
        .map_err(BarrierError::Path)
}

/// 24 random letters and digits: 142 bits.
fn accessor(tx: &Tx<'_, '_>) -> Result<String, EntropyError> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(24);
    while text.len() < 24 {
        let mut bytes = [0; 32];
        tx.random(&mut bytes)?;
        // 248 = 4 * 62: what lies above would make some letters likelier.
        let letters =
            bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| ALPHABET.get(usize::from(*byte % 62)));
        text.extend(letters.take(24 - text.len()).map(|letter| char::from(*letter)));
    }
    Ok(text)
}

/// Seconds between two instants of a record, for people.
pub(crate) fn unix(time: Timestamp) -> u64 {
    time.seconds()
}
