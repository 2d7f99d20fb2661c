//! Transit keys themselves.
use super::Key;
use crate::api::Api;
use crate::ask;
use crate::page::Page;
use crate::shapes::{flag, number, text, texts, yes_no};
use crate::words::Failure;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The keys' names
    List {
        /// The transit mount
        #[arg(long, default_value = "transit")]
        mount: String,
    },
    /// Make a key, unless it is there
    Create {
        #[command(flatten)]
        key: Key,
        /// What it is for: the first encrypts, the others sign
        #[arg(long = "type", value_enum, default_value_t = KeyType::Aes256Gcm96)]
        kind: KeyType,
    },
    /// A key's versions and settings
    Read(Key),
    /// Add a version, which new ciphertexts and signatures use; old ones stay readable
    Rotate(Key),
    /// Change which versions may be used, or whether the key may be deleted
    Config(Config),
    /// Delete a key that allows it, and with it all that it encrypted
    Delete {
        #[command(flatten)]
        key: Key,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum KeyType {
    #[value(name = "aes256-gcm96")]
    Aes256Gcm96,
    Ed25519,
    EcdsaP256,
}

#[derive(Args)]
pub(crate) struct Config {
    #[command(flatten)]
    key: Key,
    /// The oldest version that still decrypts and verifies
    #[arg(long, value_name = "N")]
    min_decryption_version: Option<u64>,
    /// The oldest version that may still encrypt and sign; 0 for the newest only
    #[arg(long, value_name = "N")]
    min_encryption_version: Option<u64>,
    /// Whether the key may be deleted
    #[arg(long, value_name = "true|false")]
    deletion_allowed: Option<bool>,
}

pub(super) async fn run(api: &Api, command: Command) -> Result<Page, Failure> {
    match command {
        Command::List { mount } => {
            let found = api.list(&format!("{}/keys", mount.trim_matches('/'))).await?;
            let rows = texts(&found, "keys").into_iter().map(|name| vec![name]).collect();
            Ok(Page::new(found).table(&["KEY"], rows))
        }
        Command::Create { key, kind } => {
            let kind = kind.to_possible_value().map(|value| value.get_name().to_owned());
            api.post(&key.at("keys"), &json!({ "type": kind })).await?;
            Ok(changed(api, &key).await)
        }
        Command::Read(key) => read(api, &key).await,
        Command::Rotate(key) => {
            api.post(&format!("{}/rotate", key.at("keys")), &json!({})).await?;
            let known = api.look(&key.at("keys")).await;
            let version = match number(&known, "latest_version") {
                0 => "a new version".to_owned(),
                version => format!("version {version}"),
            };
            Ok(Page::new(known).good(format!("Rotated: key {} uses {version} from now on.", key.key)).line(
                "What older versions made stays readable; `coffer transit rewrap` brings ciphertexts to the newest.",
            ))
        }
        Command::Config(config) => {
            api.post(&format!("{}/config", config.key.at("keys")), &body(&config)?).await?;
            Ok(changed(api, &config.key).await)
        }
        Command::Delete { key, yes } => {
            let what = format!(
                "This deletes transit key {} in {}: nothing that it encrypted can ever be read again.",
                key.key,
                api.environment()
            );
            ask::confirm(&what, &key.key, yes)?;
            api.delete(&key.at("keys")).await?;
            Ok(Page::new(json!({ "name": key.key })).good(format!("Key {} is gone.", key.key)))
        }
    }
}

fn body(config: &Config) -> Result<Value, Failure> {
    let settings = [
        ("min_decryption_version", json!(config.min_decryption_version)),
        ("min_encryption_version", json!(config.min_encryption_version)),
        ("deletion_allowed", json!(config.deletion_allowed)),
    ];
    let body: Map<_, _> = settings
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if body.is_empty() { Err(Failure::NothingToChange) } else { Ok(Value::Object(body)) }
}

/// A key that was made or changed, as far as the caller may look at it.
async fn changed(api: &Api, key: &Key) -> Page {
    match api.look(&key.at("keys")).await {
        Value::Null => Page::new(json!({ "name": key.key })).good(format!("Done: key {}.", key.key)),
        known => page(&key.key, &known),
    }
}

async fn read(api: &Api, key: &Key) -> Result<Page, Failure> {
    let known = api.get(&key.at("keys")).await?;
    Ok(page(&key.key, known.data()))
}

fn page(name: &str, known: &Value) -> Page {
    let mut versions: Vec<(u64, String)> = known
        .get("keys")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(number, version)| Some((number.parse().ok()?, text(version, "public_key"))))
        .collect();
    versions.sort();
    let page = Page::new(known.clone()).fields([
        ("Key", name.to_owned()),
        ("Type", text(known, "type")),
        ("Newest version", text(known, "latest_version")),
        ("Decrypts and verifies from", format!("version {}", number(known, "min_decryption_version"))),
        (
            "Encrypts and signs from",
            match number(known, "min_encryption_version") {
                0 => "the newest version only".to_owned(),
                version => format!("version {version}"),
            },
        ),
        ("May be deleted", yes_no(flag(known, "deletion_allowed")).to_owned()),
    ]);
    if versions.iter().all(|(_, public)| public.is_empty()) {
        return page;
    }
    let rows =
        versions.into_iter().map(|(number, public)| vec![number.to_string(), public.trim_end().to_owned()]);
    page.line("").table(&["VERSION", "PUBLIC KEY"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_shown_with_its_public_keys() {
        let known = json!({
            "type": "ed25519", "latest_version": 2, "min_decryption_version": 1, "min_encryption_version": 0,
            "deletion_allowed": false,
            "keys": { "2": { "public_key": "mcMcbZ2ZSGxbT8vF+Yx1HVgMEM/vTgqKRVOKJ9oRiFk=" }, "1": { "public_key": "s1q2Wl0kQ0bXWvWn3VO0QYDVXkm2qE7PQYyXU7tQ9lo=" } },
        });
        crate::words::golden("transit-key.txt", &page("release", &known).plain());
    }
}
