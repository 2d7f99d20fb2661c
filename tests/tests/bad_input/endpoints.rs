//! Every row of the authorisation matrix that takes a body, with a body that it takes.
use super::furniture::Furniture;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An endpoint that takes a body.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Its name in the matrix.
    pub(crate) route: &'static str,
    /// `POST` or `PATCH`.
    pub(crate) method: &'static str,
    /// A path that takes the route, below `/v1/`.
    pub(crate) path: String,
    /// What it takes.
    pub(crate) takes: Takes,
    /// Who asks, if not root: what is about the caller's own token may not be about root's.
    pub(crate) token: Option<String>,
}

/// What an endpoint takes.
#[derive(Clone)]
pub(crate) enum Takes {
    /// These members, each with a good value.
    Members(Value),
    /// No members of its own: why.
    Nothing(&'static str),
}

impl Endpoint {
    /// A body that it takes.
    pub(crate) fn good(&self) -> Value {
        match &self.takes {
            Takes::Members(body) => body.clone(),
            Takes::Nothing(_) => json!({}),
        }
    }

    /// The content type that its method wants.
    pub(crate) fn content_type(&self) -> &'static str {
        if self.method == "PATCH" { "application/merge-patch+json" } else { "application/json" }
    }
}

/// Holders of shares.
const RECIPIENTS: [&str; 3] = [
    "ada=age1pyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqsrn2kkm",
    "ben=age1pgqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqsfen93n",
    "cleo=age1pvqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs0lrntv",
];

/// The whole list.
pub(crate) fn endpoints(of: &Furniture) -> Vec<Endpoint> {
    let mut all = system(of);
    all.extend(tokens(of));
    all.extend(methods(of));
    all.extend(secrets());
    all.extend(transit(of));
    all
}

fn post(route: &'static str, path: &'static str, body: Value) -> Endpoint {
    Endpoint { route, method: "POST", path: path.to_owned(), takes: Takes::Members(body), token: None }
}

fn patch(route: &'static str, path: &'static str, body: Value) -> Endpoint {
    Endpoint { route, method: "PATCH", path: path.to_owned(), takes: Takes::Members(body), token: None }
}

fn bare(route: &'static str, path: &'static str, why: &'static str) -> Endpoint {
    Endpoint { route, method: "POST", path: path.to_owned(), takes: Takes::Nothing(why), token: None }
}

fn system(of: &Furniture) -> Vec<Endpoint> {
    let tuning = json!({
        "max_lease_ttl": "2h", "default_lease_ttl": "1h", "description": "x", "listing_visibility": "hidden",
    });
    let text = "path \"x\" { capabilities = [\"read\"] }";
    vec![
        post(
            "sys/mounts/:path",
            "sys/mounts/new",
            json!({
                "type": "kv", "description": "x", "options": { "version": "2" }, "config": tuning, "local": false,
                "seal_wrap": false,
            }),
        ),
        post("sys/mounts/:path/tune", "sys/mounts/secret/tune", {
            let mut body = tuning.clone();
            body["options"] = json!({ "version": "2" });
            body
        }),
        post(
            "sys/auth/:path",
            "sys/auth/new",
            json!({ "type": "cert", "description": "x", "config": tuning, "local": false, "seal_wrap": false }),
        ),
        post("sys/auth/:path/tune", "sys/auth/cert/tune", tuning),
        post("sys/policies/acl/:name", "sys/policies/acl/kept", json!({ "policy": text })),
        post("sys/policy/:name", "sys/policy/kept", json!({ "policy": text })),
        post("sys/policy/:name", "sys/policy/kept", json!({ "rules": text })),
        post("sys/capabilities", "sys/capabilities", json!({ "token": of.token, "paths": ["x"] })),
        post("sys/capabilities", "sys/capabilities", json!({ "token": of.token, "path": "x" })),
        post(
            "sys/capabilities-accessor",
            "sys/capabilities-accessor",
            json!({ "accessor": of.accessor, "paths": ["x"] }),
        ),
        post("sys/capabilities-self", "sys/capabilities-self", json!({ "paths": ["x"] })),
        post("sys/namespaces/:path", "sys/namespaces/fresh", json!({ "custom_metadata": { "a": "b" } })),
        post(
            "sys/namespaces/:path",
            "sys/namespaces/fresh",
            json!({ "secret_shares": 3, "secret_threshold": 2, "recipients": RECIPIENTS, "seals": ["inherit"] }),
        ),
        bare("sys/namespaces/:path/seal", "sys/namespaces/kept/seal", "it only seals"),
        bare(
            "sys/namespaces/:path/unseal",
            "sys/namespaces/kept/unseal",
            "it takes shares; `seals_of_children` gives it wrong ones",
        ),
        patch("sys/namespaces/:path", "sys/namespaces/kept", json!({ "custom_metadata": { "a": "b" } })),
        bare("sys/seal", "sys/seal", "it only seals"),
        bare("sys/rotate", "sys/rotate", "it only rotates"),
        bare("sys/rotate/keyring", "sys/rotate/keyring", "it only rotates"),
        bare("sys/rotate/root", "sys/rotate/root", "it only rotates; `seals` gives it a PIN"),
        post(
            "sys/rekey/init",
            "sys/rekey/init",
            json!({
                "secret_shares": 3, "secret_threshold": 2, "require_verification": true, "backup": false,
                "pgp_keys": [], "refresh": false, "revoke_holder": false, "recipients": RECIPIENTS,
            }),
        ),
        bare("sys/rekey/update", "sys/rekey/update", "it takes shares; `ceremonies` gives it wrong ones"),
        bare("sys/rekey/verify", "sys/rekey/verify", "it takes shares; `ceremonies` gives it wrong ones"),
        bare("sys/rekey/cancel", "sys/rekey/cancel", "it takes shares; `holders_agree` gives it wrong ones"),
        bare("sys/rotate/root/init", "sys/rotate/root/init", "sys/rekey/init by another name"),
        bare("sys/rotate/root/update", "sys/rotate/root/update", "sys/rekey/update by another name"),
        bare("sys/rotate/root/verify", "sys/rotate/root/verify", "sys/rekey/verify by another name"),
        bare("sys/rotate/root/cancel", "sys/rotate/root/cancel", "sys/rekey/cancel by another name"),
        bare("sys/seals/change", "sys/seals/change", "it names seals; `seals` names wrong ones"),
        bare("sys/seals/update", "sys/seals/update", "it takes shares; `seals` gives it wrong ones"),
        bare("sys/seals/counter", "sys/seals/counter", "it needs a TPM; `rollback` gives it one"),
        bare("sys/seals/approve", "sys/seals/approve", "it names a seal; `seals` names wrong ones"),
        bare("sys/seals/verify", "sys/seals/verify", "it names a seal; `seals` names wrong ones"),
        post(
            "sys/generate-root/attempt",
            "sys/generate-root/attempt",
            json!({ "otp": "x".repeat(coffer_auth::token::TOKEN_CHARACTERS), "pgp_key": "" }),
        ),
        bare(
            "sys/generate-root/update",
            "sys/generate-root/update",
            "it takes shares; `ceremonies` gives it wrong ones",
        ),
        bare(
            "sys/generate-root/cancel",
            "sys/generate-root/cancel",
            "it takes shares; `holders_agree` gives it wrong ones",
        ),
        bare(
            "sys/generate-root-token/cancel",
            "sys/generate-root-token/cancel",
            "sys/generate-root by another name",
        ),
        bare(
            "sys/generate-root-token/attempt",
            "sys/generate-root-token/attempt",
            "sys/generate-root by another name",
        ),
        bare(
            "sys/generate-root-token/update",
            "sys/generate-root-token/update",
            "sys/generate-root by another name",
        ),
        post("sys/audit/disclose/:index", "sys/audit/disclose/2", json!({ "field": "path" })),
        bare("sys/storage/raft/snapshot", "sys/storage/raft/snapshot", "a snapshot is restored elsewhere"),
        bare("sys/init", "sys/init", "it is initialised; `the_node` asks one that is not"),
        bare("sys/unseal", "sys/unseal", "it is unsealed; `the_node` asks one that is not"),
        bare(
            "sys/storage/raft/snapshot-restore",
            "sys/storage/raft/snapshot-restore",
            "its body is a snapshot; `the_node` uploads others",
        ),
    ]
}

fn tokens(of: &Furniture) -> Vec<Endpoint> {
    let new = json!({
        "policies": ["default"], "ttl": "1h", "num_uses": 9, "meta": { "a": "b" }, "explicit_max_ttl": "1h",
        "period": "1h", "renewable": true, "display_name": "x", "no_parent": false, "no_default_policy": false,
        "type": "service", "id": "", "entity_alias": "",
    });
    let by_token = json!({ "token": of.token });
    let by_accessor = json!({ "accessor": of.accessor });
    vec![
        post("token/create", "auth/token/create", new.clone()),
        post("token/create-orphan", "auth/token/create-orphan", new.clone()),
        post("token/create-role", "auth/token/create/kept", new),
        post("token/lookup", "auth/token/lookup", by_token),
        post("token/lookup-accessor", "auth/token/lookup-accessor", by_accessor),
        bare("token/lookup-self", "auth/token/lookup-self", "it is about the token in the header"),
        post("token/renew", "auth/token/renew", json!({ "token": of.token, "increment": "1h" })),
        post(
            "token/renew-accessor",
            "auth/token/renew-accessor",
            json!({ "accessor": of.accessor, "increment": "1h" }),
        ),
        Endpoint {
            token: Some(of.token.clone()),
            ..post("token/renew-self", "auth/token/renew-self", json!({ "increment": "1h" }))
        },
        post("token/revoke", "auth/token/revoke", json!({ "token": of.spare[0] })),
        post("token/revoke-accessor", "auth/token/revoke-accessor", json!({ "accessor": of.spare_accessor })),
        post("token/revoke-orphan", "auth/token/revoke-orphan", json!({ "token": of.spare[1] })),
        bare("token/revoke-self", "auth/token/revoke-self", "it is about the token in the header"),
        post(
            "token/roles",
            "auth/token/roles/new",
            json!({
                "allowed_policies": ["default"], "allowed_policies_glob": ["a*"], "disallowed_policies": ["b"],
                "disallowed_policies_glob": ["c*"], "token_period": "1h", "period": "1h",
                "token_explicit_max_ttl": "1h", "explicit_max_ttl": "1h", "orphan": true, "renewable": true,
                "token_no_default_policy": false, "path_suffix": "x", "token_type": "service",
                "token_bound_cidrs": [], "bound_cidrs": [], "allowed_entity_aliases": [],
            }),
        ),
        bare("token/tidy", "auth/token/tidy", "it only tidies"),
    ]
}

fn methods(of: &Furniture) -> Vec<Endpoint> {
    let issued = json!({
        "token_policies": ["default"], "token_no_default_policy": false, "token_ttl": "1h", "token_max_ttl": "2h",
        "token_explicit_max_ttl": "1h", "token_period": "1h", "token_num_uses": 9, "token_type": "service",
        "token_bound_cidrs": [], "bound_cidrs": [], "token_strictly_bind_ip": false,
    });
    let mut role = json!({
        "certificate": of.authority, "display_name": "x", "allowed_names": ["x"], "allowed_common_names": ["x"],
        "allowed_dns_sans": ["x"], "allowed_email_sans": ["x"], "allowed_uri_sans": ["x"],
        "allowed_organizational_units": ["x"], "required_extensions": ["1.2.3:x"],
        "allowed_metadata_extensions": ["1.2.3"], "bind": "key", "login_required": false, "ocsp_enabled": false,
    });
    let mut user = json!({ "password": "a password" });
    for (name, value) in issued.as_object().unwrap() {
        role[name] = value.clone();
        user[name] = value.clone();
    }
    vec![
        post("cert/certs", "auth/cert/certs/kept", role),
        post("cert/crls", "auth/cert/crls/new", json!({ "crl": of.revocation_list, "url": "" })),
        post(
            "cert/config",
            "auth/cert/config",
            json!({ "disable_binding": false, "enable_identity_alias_metadata": true }),
        ),
        post("cert/login", "auth/cert/login", json!({ "name": "operator" })),
        post("userpass/login", "auth/userpass/login/kept", json!({ "password": "a password" })),
        post("userpass/users", "auth/userpass/users/kept", user),
        post(
            "userpass/users/password",
            "auth/userpass/users/kept/password",
            json!({ "password": "a password" }),
        ),
        post(
            "userpass/users/policies",
            "auth/userpass/users/kept/policies",
            json!({ "token_policies": ["default"] }),
        ),
        post(
            "userpass/users/policies",
            "auth/userpass/users/kept/policies",
            json!({ "policies": "default" }),
        ),
    ]
}

fn secrets() -> Vec<Endpoint> {
    let kept = json!({
        "max_versions": 3, "cas_required": true, "delete_version_after": "1h", "metadata_cas_required": false,
    });
    let mut described = kept.clone();
    described["custom_metadata"] = json!({ "a": "b" });
    let value = json!({ "data": {}, "options": { "cas": 1 } });
    vec![
        bare("kv1/secret", "kv1/kept", "each member is the caller's own"),
        bare("kv1 (all)", "kv1", "no value has no name"),
        post("kv2/config", "secret/config", kept),
        post("kv2/data", "secret/data/kept", value.clone()),
        patch("kv2/data", "secret/data/patched", value),
        post("kv2/delete", "secret/delete/kept", json!({ "versions": [1] })),
        post("kv2/undelete", "secret/undelete/kept", json!({ "versions": [1] })),
        post("kv2/destroy", "secret/destroy/kept", json!({ "versions": [1] })),
        post("kv2/metadata", "secret/metadata/kept", described.clone()),
        patch("kv2/metadata", "secret/metadata/kept", described),
        bare("kv2/metadata (all)", "secret/metadata", "no secret has no name"),
        Endpoint {
            method: "PATCH",
            ..bare("kv2/metadata (all)", "secret/metadata", "no secret has no name")
        },
    ]
}

fn transit(of: &Furniture) -> Vec<Endpoint> {
    let scheme = json!({
        "input": "aGk=", "prehashed": false,
        "marshaling_algorithm": "asn1", "signature_algorithm": "pss", "salt_length": "auto",
    });
    let (mut signing, mut verifying) = (scheme.clone(), scheme);
    (signing["key_version"], signing["hash_algorithm"]) = (json!(1), json!("sha2-256"));
    verifying["algorithm"] = json!("sha2-256");
    verifying["signature"] = json!(of.signature);
    let batch = |item: Value| json!({ "batch_input": [item], "partial_failure_response_code": 400 });
    vec![
        post(
            "transit/keys/name",
            "transit/keys/new",
            json!({
                "type": "ecdsa-p256", "derived": false, "convergent_encryption": false, "exportable": false,
                "allow_plaintext_backup": false, "key_size": 0, "auto_rotate_period": "24h",
            }),
        ),
        post(
            "transit/keys/name/config",
            "transit/keys/kept/config",
            json!({
                "min_decryption_version": 1, "min_encryption_version": 1, "deletion_allowed": true,
                "auto_rotate_period": "24h", "exportable": false, "allow_plaintext_backup": false,
            }),
        ),
        bare("transit/keys/name/rotate", "transit/keys/kept/rotate", "it only rotates"),
        post("transit/keys/name/trim", "transit/keys/kept/trim", json!({ "min_available_version": 1 })),
        post(
            "transit/encrypt",
            "transit/encrypt/kept",
            json!({ "plaintext": "aGk=", "associated_data": "aGk=", "key_version": 1 }),
        ),
        post("transit/encrypt", "transit/encrypt/kept", batch(json!({ "plaintext": "aGk=" }))),
        post(
            "transit/decrypt",
            "transit/decrypt/kept",
            json!({ "ciphertext": of.ciphertext, "associated_data": "" }),
        ),
        post("transit/decrypt", "transit/decrypt/kept", batch(json!({ "ciphertext": of.ciphertext }))),
        post(
            "transit/rewrap",
            "transit/rewrap/kept",
            json!({ "ciphertext": of.ciphertext, "associated_data": "", "key_version": 1 }),
        ),
        post(
            "transit/datakey",
            "transit/datakey/plaintext/kept",
            json!({ "bits": 256, "associated_data": "aGk=", "key_version": 1 }),
        ),
        post("transit/sign", "transit/sign/signer", signing),
        post("transit/sign", "transit/sign/signer", batch(json!({ "input": "aGk=" }))),
        post("transit/verify", "transit/verify/signer", verifying),
        post(
            "transit/hmac",
            "transit/hmac/kept",
            json!({ "input": "aGk=", "algorithm": "sha2-256", "key_version": 1 }),
        ),
        post("transit/random", "transit/random", json!({ "bytes": 32, "format": "hex" })),
        post(
            "transit/hash",
            "transit/hash",
            json!({ "input": "aGk=", "algorithm": "sha2-256", "format": "hex" }),
        ),
    ]
}

/// Routes and operations of the matrix.
pub(crate) fn rows() -> BTreeSet<(&'static str, &'static str)> {
    include_str!("../authorisation-matrix.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (route, rest) = line.split_at(34);
            (route.trim(), rest.split_ascii_whitespace().next().unwrap())
        })
        .collect()
}

#[test]
fn every_row_of_the_matrix_that_takes_a_body_is_asked_with_bad_ones() {
    let endpoints = endpoints(&Furniture::default());
    for endpoint in &endpoints {
        let is_told = !matches!(&endpoint.takes, Takes::Nothing(why) if why.is_empty());
        assert!(is_told, "{}: it must take members, or there is a reason", endpoint.path);
    }
    let asked: BTreeSet<_> = endpoints
        .iter()
        .map(|endpoint| (endpoint.route, if endpoint.method == "PATCH" { "patch" } else { "write" }))
        .collect();
    let rows: BTreeSet<_> =
        rows().into_iter().filter(|(_, operation)| matches!(*operation, "write" | "patch")).collect();
    let missing: Vec<_> = rows.symmetric_difference(&asked).collect();
    assert!(missing.is_empty(), "not in both the matrix and endpoints(): {missing:?}");
}
