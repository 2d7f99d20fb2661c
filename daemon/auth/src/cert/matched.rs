//! A certificate that is one of a role's: the identity, and what it makes.
use crate::Caller;
use crate::cert::CertMount;
use crate::cert::facts::{Facts, Name};
use crate::cert::records::Bind;
use crate::cert::role::Role;
use crate::token::{BindingMode, Bound, NewToken, TtlLimits};
use coffer_types::{EnvironmentId, EnvironmentPath, MountId};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The identity that a certificate has by a role. Made only after its chain was verified.
pub struct Matched {
    mount: MountId,
    mount_path: Arc<str>,
    role: Arc<Role>,
    leaf: Arc<Facts>,
    anchor: [u8; 32],
    identity: [u8; 32],
    bound: Arc<Bound>,
    subject: Arc<str>,
    display_name: Arc<str>,
}

impl Matched {
    pub(crate) fn new(
        mount: &CertMount,
        role: &Arc<Role>,
        leaf: &Arc<Facts>,
        anchor: &[u8; 32],
        names: &[Name],
    ) -> Self {
        let mut identity = begin(BindingMode::Identity, mount.id, role);
        identity.update(anchor);
        identity.update((names.len() as u64).to_be_bytes());
        for name in names {
            identity.update([name.kind as u8]);
            identity.update((name.value.len() as u64).to_be_bytes());
            identity.update(name.value.as_bytes());
        }
        let identity: [u8; 32] = identity.finalize().into();
        let short = hex::encode(identity.get(..16).unwrap_or_default());
        let mode = match role.record.bind {
            Bind::Identity => BindingMode::Identity,
            Bind::Key => BindingMode::Key,
            Bind::Cert => BindingMode::Certificate,
        };
        let mut matched = Self {
            mount: mount.id,
            mount_path: Arc::clone(&mount.path),
            role: Arc::clone(role),
            leaf: Arc::clone(leaf),
            anchor: *anchor,
            identity,
            bound: Arc::new(Bound { mount: mount.id, role: role.name.to_string(), mode, hash: identity }),
            subject: format!("cert:{}/{}/{short}", mount.path, role.name).into(),
            display_name: format!("{}-{}", mount.path.replace('/', "-"), role.record.display_name).into(),
        };
        let hash = matched.hash(mode);
        matched.bound = Arc::new(Bound { hash, ..Bound::clone(&matched.bound) });
        matched
    }

    /// The role's name.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role.name
    }

    /// Stable words for this identity, `cert:<mount>/<role>/<identity>`: a renewed certificate keeps them.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// SHA-256 of the public key of the CA that vouched for it, or of its own where the role names the certificate itself.
    #[must_use]
    pub fn anchor_key_hash(&self) -> &[u8; 32] {
        &self.anchor
    }

    pub(crate) fn is_login_required(&self) -> bool {
        self.role.record.login_required
    }

    /// Who asks without a token.
    #[must_use]
    pub fn caller(&self, home: EnvironmentId, home_path: EnvironmentPath) -> Caller {
        Caller {
            home,
            home_path,
            subject: Arc::clone(&self.subject),
            display_name: Arc::clone(&self.display_name),
            policies: Arc::clone(&self.role.policies),
            token: None,
            binding: Some(Arc::clone(&self.bound)),
            auth_mount: self.mount,
        }
    }

    /// The token that a login gives, bound to this identity.
    #[must_use]
    pub fn token(&self, limits: TtlLimits) -> NewToken {
        let (record, leaf) = (&self.role.record, &self.leaf);
        let mut meta = vec![
            ("cert_name".to_owned(), self.role.name.to_string()),
            ("common_name".to_owned(), leaf.common_name().map(|name| name.value.clone()).unwrap_or_default()),
            ("serial_number".to_owned(), leaf.serial_decimal.clone()),
            ("subject_key_id".to_owned(), leaf.subject_key_id.clone()),
            ("authority_key_id".to_owned(), leaf.authority_key_id.clone()),
        ];
        let shown = leaf.texts.iter().filter(|(oid, _)| record.allowed_metadata_extensions.contains(oid));
        meta.extend(shown.map(|(oid, text)| (oid.replace('.', "-"), text.clone())));
        NewToken {
            policies: self.role.policies.to_vec(),
            meta,
            mount: self.mount,
            ttl_seconds: record.token_ttl,
            explicit_max_seconds: record.token_explicit_max_ttl,
            period_seconds: record.token_period,
            uses: record.token_num_uses,
            binding: Some(Bound::clone(&self.bound)),
            limits: limits.within(0, record.token_max_ttl),
            ..NewToken::login(&format!("auth/{}/login", self.mount_path), &self.display_name)
        }
    }

    /// The hash that binds a token to this certificate in the given mode.
    pub(crate) fn hash(&self, mode: BindingMode) -> [u8; 32] {
        let mut hash = begin(mode, self.mount, &self.role);
        match mode {
            BindingMode::Identity => return self.identity,
            BindingMode::Key => hash.update(self.leaf.key),
            BindingMode::Certificate => hash.update(self.leaf.hash),
        }
        hash.finalize().into()
    }
}

/// All modes count the role's id in, so that no token outlives its role.
fn begin(mode: BindingMode, mount: MountId, role: &Role) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(b"coffer/v1/cert-binding\0");
    hash.update([mode as u8]);
    hash.update(mount.as_bytes());
    hash.update(role.record.id);
    hash
}
