//! A rotation job, started by a scheduler: a new database password, a new transit key version, a new epoch.
//!
//! Set COFFER_ADDR, COFFER_CACERT, COFFER_CLIENT_CERT, COFFER_CLIENT_KEY and COFFER_NAMESPACE. It may be killed and
//! started again at any point. It needs no right to read a secret or to decrypt.
#![allow(clippy::print_stdout)]
use coffer_sdk::{Cas, Client, Error, Result, Secret};
use serde::Serialize;
use std::fmt::Write as _;

/// What it changes in the secret; the user's name stays as it is.
#[derive(Serialize)]
struct NewPassword {
    #[serde(serialize_with = "coffer_sdk::exposed")]
    password: Secret<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::from_env()?;

    // Written only if nobody else has written since we looked: two jobs at once can't overwrite each other.
    let kv = client.kv("secret");
    let current = kv.metadata("app/db").await?.current_version;
    let next = NewPassword { password: new_password()? };
    match kv.patch("app/db", &next, Cas::Version(current)).await {
        Ok(written) => println!("the password is now version {}", written.version),
        // The answer was lost. The client does not repeat a write by itself: look what became of it.
        Err(error) if error.may_have_happened() => {
            println!("{error}; the newest version is {}", kv.metadata("app/db").await?.current_version);
        }
        Err(error) => return Err(error),
    }

    // Old ciphertexts stay readable; whoever keeps them moves them on with `Transit::rewrap` when it suits.
    let transit = client.transit("transit");
    transit.rotate("app").await?;
    println!("transit encrypts with version {}", transit.key("app").await?.latest_version);

    // The environment's own data key: records move to the new epoch in the background.
    client.sys().rotate().await?;
    println!("records are now sealed under epoch {}", client.sys().key_status().await?.term);
    Ok(())
}

/// 32 random bytes, in hexadecimal.
fn new_password() -> Result<Secret<String>> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    // Room for all of it, so that the text does not move and leave a copy behind.
    let mut text = String::with_capacity(64);
    for byte in bytes {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Secret::new(text))
}
