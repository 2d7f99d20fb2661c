//! Finding a token, and telling whether it is live.
use crate::token::records::TokenRecord;
use crate::token::{Bound, Peer};
use crate::{Caller, TokenRef};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coffer_barrier::{Barrier, BarrierError, Tx, View};
use coffer_room::Fault;
use coffer_types::{CanonicalPath, EnvironmentId, EnvironmentPath, Kind, MountId, Timestamp};
use keystore_format::token::{TOKEN_LEN, digest};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How every token begins, as clients of the Vault API expect of a service token.
pub(crate) const PREFIX: &str = "hvs.";

/// Characters of every token: the prefix, and the token in base64 without padding.
pub const TOKEN_CHARACTERS: usize = PREFIX.len() + (TOKEN_LEN * 4).div_ceil(3);

/// Most ancestors that a token may have.
pub(crate) const MAX_DEPTH: u8 = 32;

/// Why a token proves nothing here.
pub enum AuthFault {
    /// No such token in this environment: one of its ancestors may know it.
    Unknown,
    /// Known, and refused: expired, revoked with an ancestor, used up, or shown over another's certificate.
    Refused,
    /// It could not be read.
    Failed(BarrierError),
}

impl From<AuthFault> for Fault {
    fn from(fault: AuthFault) -> Self {
        match fault {
            AuthFault::Unknown | AuthFault::Refused => Self::PermissionDenied,
            AuthFault::Failed(error) => error.into(),
        }
    }
}

impl From<BarrierError> for AuthFault {
    fn from(error: BarrierError) -> Self {
        Self::Failed(error)
    }
}

/// The tokens of one open environment.
#[derive(Clone)]
pub struct TokenStore {
    home_path: EnvironmentPath,
    barrier: Arc<Barrier>,
    pub(crate) view: View,
}

impl TokenStore {
    /// The tokens in the tables of `barrier`'s environment, which stands at `home_path`.
    #[must_use]
    pub fn new(barrier: Arc<Barrier>, home_path: EnvironmentPath) -> Self {
        let view = barrier.view(MountId::default());
        Self { home_path, barrier, view }
    }

    /// The environment whose tokens these are.
    #[must_use]
    pub fn home(&self) -> EnvironmentId {
        self.barrier.environment()
    }

    /// Who shows `token` over a connection that proves `peer`. Looks in this environment only.
    ///
    /// # Errors
    /// [`AuthFault::Unknown`] where an ancestor environment may know the token, [`AuthFault::Refused`] where nobody will.
    pub async fn authenticate(
        &self,
        token: &str,
        peer: &dyn Peer,
        now: Timestamp,
    ) -> Result<Caller, AuthFault> {
        let index = self.index_of(token)?.ok_or(AuthFault::Unknown)?;
        let record = self.record(&index).await?.ok_or(AuthFault::Unknown)?;
        if !self.is_live(&record, now).await? {
            return Err(AuthFault::Refused);
        }
        if record.binding.as_ref().is_some_and(|bound| !bound.holds(peer)) {
            return Err(AuthFault::Refused);
        }
        Ok(self.caller(index, record))
    }

    /// The policies of a live token of this environment.
    ///
    /// # Errors
    /// What the barrier gives.
    pub async fn policies_of_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<[String]>>, BarrierError> {
        let Some(index) = self.index_of(token)? else { return Ok(None) };
        Ok(self.live(&index, now).await?.map(|record| record.policies.into()))
    }

    /// The policies of the live token of `accessor`.
    ///
    /// # Errors
    /// What the barrier gives.
    pub async fn policies_of_accessor(
        &self,
        accessor: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<[String]>>, BarrierError> {
        let Some(index) = self.by_accessor(accessor).await? else { return Ok(None) };
        Ok(self.live(&index, now).await?.map(|record| record.policies.into()))
    }

    /// Where the record of `token` would lie; `None` for a text that is no token of ours.
    ///
    /// # Errors
    /// Where the environment is sealed.
    pub fn index_of(&self, token: &str) -> Result<Option<[u8; 32]>, BarrierError> {
        let mut bytes = Zeroizing::new([0; TOKEN_LEN]);
        let text = token.strip_prefix(PREFIX).unwrap_or_default();
        match URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()) {
            Ok(TOKEN_LEN) => self.index_of_digest(&digest(&bytes)).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn index_of_digest(&self, digest: &[u8; 32]) -> Result<[u8; 32], BarrierError> {
        self.barrier.token_index(digest)
    }

    /// The record at `index`, live or not.
    pub(crate) async fn record(&self, index: &[u8; 32]) -> Result<Option<TokenRecord>, BarrierError> {
        match self.view.get(Kind::Token, &path_of(index)?, None).await? {
            Some(plain) => Ok(Some(TokenRecord::decode(&plain.bytes)?)),
            None => Ok(None),
        }
    }

    /// The live record at `index`.
    pub(crate) async fn live(
        &self,
        index: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenRecord>, BarrierError> {
        match self.record(index).await? {
            Some(record) if self.is_live(&record, now).await? => Ok(Some(record)),
            _ => Ok(None),
        }
    }

    /// Where the token of `accessor` lies.
    pub(crate) async fn by_accessor(&self, accessor: &str) -> Result<Option<[u8; 32]>, BarrierError> {
        let Some(path) = accessor_path(accessor) else { return Ok(None) };
        let Some(plain) = self.view.get(Kind::TokenAccessor, &path, None).await? else { return Ok(None) };
        index_in(&plain.bytes).map(Some)
    }

    /// Whether the token and all its ancestors are there and unexpired.
    async fn is_live(&self, record: &TokenRecord, now: Timestamp) -> Result<bool, BarrierError> {
        let mut is_live = record.is_live(now);
        let mut parent = record.parent;
        while let (true, Some(index)) = (is_live, parent) {
            let Some(ancestor) = self.record(&index).await? else { return Ok(false) };
            is_live = ancestor.is_live(now);
            parent = ancestor.parent;
        }
        Ok(is_live)
    }

    fn caller(&self, index: [u8; 32], record: TokenRecord) -> Caller {
        Caller {
            home: self.home(),
            home_path: self.home_path.clone(),
            subject: format!("token:{}", record.accessor).into(),
            display_name: record.display_name.as_str().into(),
            policies: record.policies.into(),
            auth_mount: record.mount,
            token: Some(TokenRef { index, is_use_limited: record.uses_left.is_some() }),
            binding: record.binding.map(Arc::<Bound>::new),
        }
    }
}

/// The live record at `index` as of this very transaction.
pub(crate) fn live_in(tx: &mut Tx<'_, '_>, index: &[u8; 32]) -> Result<Option<TokenRecord>, BarrierError> {
    let now = tx.now();
    let Some(record) = record_in(tx, index)? else { return Ok(None) };
    let mut is_live = record.is_live(now);
    let mut parent = record.parent;
    while let (true, Some(above)) = (is_live, parent) {
        let Some(ancestor) = record_in(tx, &above)? else { return Ok(None) };
        is_live = ancestor.is_live(now);
        parent = ancestor.parent;
    }
    Ok(is_live.then_some(record))
}

/// The record at `index` as of this very transaction, live or not.
pub(crate) fn record_in(tx: &mut Tx<'_, '_>, index: &[u8; 32]) -> Result<Option<TokenRecord>, BarrierError> {
    match tx.get(Kind::Token, &path_of(index)?, None)? {
        Some(plain) => Ok(Some(TokenRecord::decode(&plain.bytes)?)),
        None => Ok(None),
    }
}

/// Writes a token's record.
pub(crate) fn put(tx: &mut Tx<'_, '_>, index: &[u8; 32], record: &TokenRecord) -> Result<(), BarrierError> {
    tx.put(Kind::Token, &path_of(index)?, None, &record.encode()).map(drop)
}

/// A record's name: its index in hexadecimal.
pub(crate) fn path_of(index: &[u8; 32]) -> Result<CanonicalPath, BarrierError> {
    CanonicalPath::parse(&hex::encode(index)).map_err(BarrierError::Path)
}

/// The name of an accessor's record; `None` for a text that is no accessor of ours.
pub(crate) fn accessor_path(accessor: &str) -> Option<CanonicalPath> {
    let is_ours = accessor.len() == 24 && accessor.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_ours { CanonicalPath::parse(accessor).ok() } else { None }
}

/// An index as an accessor's record or a directory's name holds it.
pub(crate) fn index_in(bytes: &[u8]) -> Result<[u8; 32], BarrierError> {
    bytes.try_into().map_err(|_| BarrierError::Damaged(Kind::TokenAccessor))
}
