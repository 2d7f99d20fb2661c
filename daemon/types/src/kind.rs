//! The register of record kinds. A number once released is never given to another meaning.

/// What a record is: part of its key, its header and its derivation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
#[allow(missing_docs, reason = "the names are the field's own terms")]
pub enum Kind {
    Keyring = 1,
    Head = 2,
    Outbox = 3,
    /// Key under which the openings of one month and data subject are sealed in the log.
    OpeningKey = 4,
    /// Where re-encryption has got to.
    Progress = 5,

    Mounts = 16,
    Policy = 17,
    /// A child environment as its parent knows it: id and state.
    Environment = 18,
    /// A backup that was made, and when it is to be gone.
    Backup = 19,

    Token = 32,
    TokenAccessor = 33,
    TokenChild = 34,
    CertRole = 35,
    CertRevocation = 36,
    AuthConfig = 37,
    TokenRole = 38,
    /// Which tokens expire by when, for the sweep.
    TokenExpiry = 39,
    /// A user of a userpass mount, with its password's verifier.
    UserpassUser = 40,

    KvV1 = 64,
    KvV2Config = 65,
    KvV2Metadata = 66,
    KvV2Version = 67,

    TransitKey = 80,
    TransitNonces = 81,
}
