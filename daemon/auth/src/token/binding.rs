//! What ties a token to a client certificate.
use coffer_types::MountId;
use subtle::ConstantTimeEq as _;

/// What of a certificate a token is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BindingMode {
    /// Role, trust anchor and the matched names: a renewed certificate of the same identity goes on.
    Identity = 1,
    /// The public key.
    Key = 2,
    /// This very certificate.
    Certificate = 3,
}

/// A token's binding: which role's identity it needs, and the hash that this identity must give.
#[derive(Clone, PartialEq, Eq)]
pub struct Bound {
    /// The auth mount of the role.
    pub mount: MountId,
    /// The role's name.
    pub role: String,
    /// What of the certificate is hashed.
    pub mode: BindingMode,
    /// The hash.
    pub hash: [u8; 32],
}

/// What a connection's certificate proves now. The certificate room implements it: it knows roles, chains and
/// revocation lists, and answers `None` where the role is gone, the chain does not verify any more, or there is no
/// certificate.
pub trait Peer: Sync {
    /// The hash that this connection gives for the role and mode of `bound`.
    fn hash_for(&self, bound: &Bound) -> Option<[u8; 32]>;
}

/// A connection whose certificate proves nothing: bound tokens are refused over it.
pub struct Unbound;

impl Peer for Unbound {
    fn hash_for(&self, _: &Bound) -> Option<[u8; 32]> {
        None
    }
}

impl Bound {
    /// Whether `peer` is who this token was given to.
    #[must_use]
    pub fn holds(&self, peer: &dyn Peer) -> bool {
        peer.hash_for(self).is_some_and(|hash| hash.ct_eq(&self.hash).into())
    }
}
