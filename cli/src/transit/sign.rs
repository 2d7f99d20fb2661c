//! Signatures: made and checked.
use super::{Key, Out};
use crate::api::Api;
use crate::files;
use crate::page::Page;
use crate::words::{Exit, Failure};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    key: Key,
    /// The file; standard input unless given
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    out: Out,
}

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    key: Key,
    /// The file that was signed; standard input unless given
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The signature, vault:vN:…, or @FILE
    #[arg(long, value_name = "SIGNATURE")]
    signature: String,
}

pub(super) async fn sign(api: &Api, arguments: &Sign) -> Result<Page, Failure> {
    let message = files::bytes(&arguments.file)?;
    let signed = api.client.transit(&arguments.key.mount).sign(&arguments.key.key, &message).await;
    let signature = signed.map_err(|error| Failure::at(&arguments.key.at("sign"), error))?;
    arguments.out.page(json!({ "signature": signature }), format!("{signature}\n").as_bytes())
}

pub(super) async fn verify(api: &Api, arguments: &Verify) -> Result<Page, Failure> {
    let message = files::bytes(&arguments.file)?;
    let signature = match arguments.signature.strip_prefix('@') {
        Some(path) => files::text(Path::new(path))?.trim().to_owned(),
        None => arguments.signature.clone(),
    };
    let verified =
        api.client.transit(&arguments.key.mount).verify(&arguments.key.key, &message, &signature).await;
    let is_valid = verified.map_err(|error| Failure::at(&arguments.key.at("verify"), error))?;
    Ok(verdict(&arguments.key.key, is_valid))
}

fn verdict(key: &str, is_valid: bool) -> Page {
    let page = Page::new(json!({ "valid": is_valid }));
    if is_valid {
        return page.good(format!("Valid: key {key} signed exactly this."));
    }
    page.bad(format!("Not valid: this is not what key {key} signed, or another signature."))
        .note("Do not use the file before you know why.")
        .exit(Exit::Altered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_not_miss_that_a_signature_is_not_valid() {
        assert_eq!(verdict("release", true).exit_code(), Exit::Fine);
        assert_eq!(verdict("release", false).exit_code(), Exit::Altered);
    }
}
