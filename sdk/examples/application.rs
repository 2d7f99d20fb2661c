//! An application: it fetches its database password and keeps a file sealed.
//!
//! Set COFFER_ADDR, COFFER_CACERT, COFFER_CLIENT_CERT, COFFER_CLIENT_KEY and COFFER_NAMESPACE; the client
//! certificate is the identity, no token is needed. `cofferd dev` prints the lines to paste.
#![allow(clippy::print_stdout)]
use coffer_sdk::{Client, Secret};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Database {
    user: String,
    password: Secret<String>,
}

#[tokio::main]
async fn main() -> coffer_sdk::Result<()> {
    let client = Client::from_env()?;

    // The newest version of the secret, as our own type. The password is cleared when `database` is dropped.
    let database: Database = client.kv("secret").get("app/db").await?;
    connect(&database.user, database.password.expose());

    // The file never leaves this machine: only the key that it is sealed with travels, wrapped by the daemon.
    // What the file is for goes in as context, so that it can't be passed off as another.
    let invoices = client.envelope("transit", "app");
    let (plain, sealed, opened) =
        (Path::new("invoices.csv"), Path::new("invoices.sealed"), Path::new("invoices.opened"));
    tokio::fs::write(plain, "number,amount\n1,100\n").await?;
    let bytes = invoices.seal_file(plain, sealed, b"invoices 2026").await?;
    invoices.open_file(sealed, opened, b"invoices 2026").await?;
    println!("sealed {bytes} bytes and opened them again");
    Ok(())
}

fn connect(user: &str, password: &str) {
    println!("connecting as {user} with a password of {} characters", password.chars().count());
}
