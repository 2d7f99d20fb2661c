//! An operator: unseals the daemon with shares typed in, makes an environment, takes a backup.
//!
//! Set COFFER_ADDR, COFFER_CACERT, COFFER_CLIENT_CERT, COFFER_CLIENT_KEY and COFFER_TOKEN. The `coffer` command does
//! all this, and asks for shares without echo; here they come one a line from standard input.
#![allow(clippy::print_stdout)]
use coffer_sdk::{Client, Error, NewMount, Result, Secret};

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::from_env()?;
    let sys = client.sys();

    let mut status = sys.seal_status().await?;
    let mut lines = std::io::stdin().lines();
    while status.sealed {
        println!("sealed: {} of {} shares given; type the next one", status.progress, status.threshold);
        let Some(share) = lines.next() else { break };
        match sys.unseal(&Secret::new(share?)).await {
            Ok(now) => status = now,
            // A typo or a foreign share is named; what was given before still counts.
            Err(Error::Refused(refusal)) => println!("{}", refusal.sentences.join("; ")),
            Err(error) => return Err(error),
        }
    }

    let staging = match sys.create_namespace("staging").await {
        Ok(_) => client.with_namespace("staging")?,
        Err(error) => {
            println!("staging is not made: {error}");
            client.with_namespace("staging")?
        }
    };
    if !staging.sys().mounts().await?.contains_key("secret/") {
        staging.sys().mount("secret", &NewMount::kv_v2()).await?;
    }
    let policy = "path \"secret/data/app/*\" { capabilities = [\"read\"] }";
    staging.sys().put_policy("app", policy).await?;

    // Sealed by the daemon: whoever finds the file needs the shares to open it.
    let file = tokio::fs::File::create("coffer.snapshot").await?;
    println!("snapshot of {} bytes", sys.save_snapshot(file).await?);
    Ok(())
}
