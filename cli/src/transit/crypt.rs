//! Encrypting, decrypting, data keys: bytes in and out by files and pipes, never by arguments.
use super::{Key, Out};
use crate::api::Api;
use crate::files;
use crate::page::Page;
use crate::words::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// The file; standard input unless given
    #[arg(default_value = "-")]
    file: PathBuf,
    /// A text that is not in the ciphertext, but is needed again to decrypt it
    #[arg(long, value_name = "TEXT", default_value = "")]
    associated: String,
    #[command(flatten)]
    out: Out,
}

#[derive(Args)]
pub(crate) struct DataKey {
    #[command(flatten)]
    key: Key,
    /// Show the key in clear as well, in base64
    #[arg(long)]
    plaintext: bool,
}

pub(super) async fn encrypt(api: &Api, arguments: &Arguments) -> Result<Page, Failure> {
    let plaintext = files::bytes(&arguments.file)?;
    let transit = api.client.transit(&arguments.key.mount);
    let encrypted = transit.encrypt(&arguments.key.key, &plaintext, arguments.associated.as_bytes()).await;
    let ciphertext = encrypted.map_err(|error| Failure::at(&arguments.key.at("encrypt"), error))?;
    arguments.out.page(json!({ "ciphertext": ciphertext }), format!("{ciphertext}\n").as_bytes())
}

pub(super) async fn decrypt(api: &Api, arguments: &Arguments) -> Result<Page, Failure> {
    let ciphertext = files::text(&arguments.file)?;
    let transit = api.client.transit(&arguments.key.mount);
    let decrypted =
        transit.decrypt(&arguments.key.key, ciphertext.trim(), arguments.associated.as_bytes()).await;
    let plaintext = decrypted.map_err(|error| Failure::at(&arguments.key.at("decrypt"), error))?;
    let plaintext = plaintext.expose();
    arguments.out.page(json!({ "plaintext": STANDARD.encode(plaintext) }), plaintext)
}

pub(super) async fn rewrap(api: &Api, arguments: &Arguments) -> Result<Page, Failure> {
    let ciphertext = files::text(&arguments.file)?;
    let transit = api.client.transit(&arguments.key.mount);
    let rewrapped =
        transit.rewrap(&arguments.key.key, ciphertext.trim(), arguments.associated.as_bytes()).await;
    let ciphertext = rewrapped.map_err(|error| Failure::at(&arguments.key.at("rewrap"), error))?;
    arguments.out.page(json!({ "ciphertext": ciphertext }), format!("{ciphertext}\n").as_bytes())
}

pub(super) async fn data_key(api: &Api, arguments: &DataKey) -> Result<Page, Failure> {
    let transit = api.client.transit(&arguments.key.mount);
    let key = &arguments.key.key;
    if !arguments.plaintext {
        let wrapped = transit.wrapped_data_key(key).await;
        let wrapped = wrapped.map_err(|error| Failure::at(&arguments.key.at("datakey/wrapped"), error))?;
        return Ok(Page::new(json!({ "ciphertext": wrapped })).fields([("Wrapped", wrapped)]));
    }
    let made = transit
        .data_key(key)
        .await
        .map_err(|error| Failure::at(&arguments.key.at("datakey/plaintext"), error))?;
    let plaintext = STANDARD.encode(made.plain.expose());
    let json = json!({ "ciphertext": made.wrapped, "plaintext": plaintext });
    Ok(Page::new(json).fields([("Wrapped", made.wrapped), ("In clear", plaintext)]))
}
