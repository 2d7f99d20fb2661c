//! `login`: a token by the client certificate. Nothing is stored unless a file is named.
use crate::connect::Connection;
use crate::page::Page;
use crate::token::issued;
use crate::words::Failure;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Get a token by your client certificate. It is needed only to hand it on or to make tokens below it:
/// a request without a token is authenticated by the certificate itself.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The auth mount
    #[arg(long, default_value = "cert")]
    mount: String,
    /// The role, where your certificate matches several
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    to: TokenTo,
}

/// Where a new token goes.
#[derive(Args)]
pub(crate) struct TokenTo {
    /// Print the token alone, for COFFER_TOKEN=$(…)
    #[arg(long, conflicts_with = "out")]
    pub(crate) token_only: bool,
    /// Write the token to a file that only you can read, and do not show it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "out")]
    pub(crate) overwrite: bool,
}

pub(crate) async fn run(connection: &Connection, arguments: Arguments) -> Result<Page, Failure> {
    let mut api = connection.api()?;
    // A wrong token would come before the certificate.
    api.client = api.client.without_token();
    let body = match &arguments.role {
        Some(role) => json!({ "name": role }),
        None => json!({}),
    };
    let path = format!("auth/{}/login", arguments.mount.trim_matches('/'));
    let answered = api.post(&path, &body).await?;
    Ok(issued(&answered, &arguments.to)?.warnings(answered.warnings()))
}
