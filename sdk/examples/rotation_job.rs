//! A rotation job, started by a scheduler: a new database password, a new transit key version, a new epoch.
//!
//! Set COFFER_ADDR, COFFER_CACERT, COFFER_CLIENT_CERT, COFFER_CLIENT_KEY and COFFER_NAMESPACE. It may be killed and
//! started again at any point.
#![allow(clippy::print_stdout)]
use coffer_sdk::{Cas, Client, Error, Result, Secret};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

#[derive(Serialize, Deserialize)]
struct Database {
    user: String,
    #[serde(serialize_with = "coffer_sdk::exposed")]
    password: Secret<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::from_env()?;

    // Written only if nobody else has written since we read: two jobs at once can't overwrite each other.
    let kv = client.kv("secret");
    let current = kv.get_newest::<Database>("app/db").await?;
    let next = Database { user: current.value.user, password: new_password()? };
    match kv.put("app/db", &next, Cas::Version(current.info.version)).await {
        Ok(written) => println!("the password is now version {}", written.version),
        // The answer was lost. The client does not repeat a write by itself: look what became of it.
        Err(error) if error.may_have_happened() => {
            let seen = kv.get_newest::<Database>("app/db").await?;
            println!("{error}; the newest version is {}", seen.info.version);
        }
        Err(error) => return Err(error),
    }

    // Old ciphertexts stay readable; rewrapping moves one to the new version without showing its plaintext.
    let transit = client.transit("transit");
    let kept = transit.encrypt("invoices", b"a value kept in our own database", b"row 7").await?;
    transit.rotate("invoices").await?;
    let kept = transit.rewrap("invoices", &kept, b"row 7").await?;
    println!("rewrapped as {}", kept.split(':').take(2).collect::<Vec<_>>().join(":"));

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
