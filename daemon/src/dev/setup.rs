//! A new house: initialised, unsealed, three environments with a secret, a transit key, policies and roles.
use super::{certificates, say, step};
use coffer_sdk::{Cas, Client, KeyType, Method, NewMount, Secret};
use coffer_wire::Object;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The environments that are made.
pub(super) const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];

/// A daemon that is set up, and what its first operator holds.
pub(super) struct House {
    pub(super) folder: PathBuf,
    pub(super) address: SocketAddr,
    pub(super) operator: Client,
    pub(super) shares: Vec<Secret<String>>,
}

/// What an application may do in its environment.
const APPLICATION: &str = r#"
path "secret/data/app/*" { capabilities = ["read"] }
path "transit/datakey/plaintext/app" { capabilities = ["update"] }
path "transit/decrypt/app" { capabilities = ["update"] }
"#;

/// What the rotation job may do: rotate in every environment, and write a new password without reading the old one.
const ROTATION: &str = r#"
path "sys/rotate" { capabilities = ["update", "sudo"] }
path "sys/rotate" { environments = ["prod"] capabilities = ["update", "sudo"] }
path "sys/key-status" { environments = ["prod"] capabilities = ["read"] }
path "transit/keys/app" { environments = ["prod"] capabilities = ["read"] }
path "transit/keys/app/rotate" { environments = ["prod"] capabilities = ["update"] }
path "secret/metadata/app/db" { environments = ["prod"] capabilities = ["read"] }
path "secret/data/app/db" { environments = ["prod"] capabilities = ["patch"] }
"#;

impl House {
    /// A client that shows the certificate of `name`, and no token.
    pub(super) fn client(&self, name: &str) -> Result<Client, String> {
        step("the client's certificate", client(&self.folder, self.address, name))
    }

    /// The same in an environment.
    pub(super) fn client_in(&self, name: &str, environment: &str) -> Result<Client, String> {
        step("the namespace", self.client(name)?.with_namespace(environment))
    }
}

fn client(folder: &Path, address: SocketAddr, name: &str) -> coffer_sdk::Result<Client> {
    Client::builder()
        .address(&format!("https://{address}"))
        .ca_file(folder.join("ca.pem"))
        .identity_files(folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")))
        .build()
}

pub(super) async fn set_up(folder: &Path, address: SocketAddr) -> Result<House, String> {
    let operator = step("the operator's certificate", client(folder, address, "operator"))?;
    let made = step("init", operator.sys().init(5, 3).await)?;
    let text: String = made.shares.iter().map(|share| format!("{}\n", share.expose())).collect();
    certificates::write(folder, "shares.txt", &text)?;
    certificates::write(folder, "root-token.txt", made.root_token.expose())?;
    for share in made.shares.iter().take(3) {
        step("unseal", operator.sys().unseal(share).await)?;
    }
    say("operator", "initialised: 5 shares, any 3 of them unseal; unsealed");
    let operator = step("the root token", operator.with_token(made.root_token.expose().as_str()))?;
    let authority = std::fs::read_to_string(folder.join("ca.pem")).map_err(|error| error.to_string())?;
    step("policy", operator.sys().put_policy("rotation", ROTATION).await)?;
    roles(&operator, &authority, &[("rotation", "spiffe://coffer.dev/rotation", "rotation")]).await?;
    for name in ENVIRONMENTS {
        environment(&operator, &authority, name).await?;
    }
    say(
        "operator",
        format_args!(
            "environments {}: each with keys, policies and an audit log of its own",
            ENVIRONMENTS.join(", ")
        ),
    );
    Ok(House { folder: folder.to_owned(), address, operator, shares: made.shares })
}

async fn environment(operator: &Client, authority: &str, name: &str) -> Result<(), String> {
    step("environment", operator.sys().create_namespace(name).await)?;
    let here = step("namespace", operator.with_namespace(name))?;
    step("secrets engine", here.sys().mount("secret", &NewMount::kv_v2()).await)?;
    step("transit", here.sys().mount("transit", &NewMount::of("transit")).await)?;
    step("transit key", here.transit("transit").create("app", KeyType::Aes256Gcm96).await)?;
    step("policy", here.sys().put_policy("app", APPLICATION).await)?;
    let uri = format!("spiffe://coffer.dev/{name}/app");
    roles(&here, authority, &[("app", &uri, "app")]).await?;
    let secret =
        Object::new().string("user", "app").string("password", &format!("{name}-{}", random_word()?));
    let secret: serde_json::Value =
        serde_json::from_slice(&secret.finish()).map_err(|error| error.to_string())?;
    step("secret", here.kv("secret").put("app/db", &secret, Cas::New).await)?;
    Ok(())
}

/// Certificate roles: name, the URI of the certificate, the policy.
async fn roles(here: &Client, authority: &str, roles: &[(&str, &str, &str)]) -> Result<(), String> {
    step("auth method", here.sys().enable_auth("cert", &NewMount::of("cert")).await)?;
    for (name, uri, policy) in roles {
        let role = Object::new()
            .string("certificate", authority)
            .strings("allowed_uri_sans", [uri])
            .strings("token_policies", [policy])
            .finish();
        step("role", here.request(Method::POST, &format!("auth/cert/certs/{name}"), Some(&role)).await)?;
    }
    Ok(())
}

/// 24 random letters and digits.
pub(super) fn random_word() -> Result<String, String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
        .map(|&letter| char::from(letter))
        .collect())
}
