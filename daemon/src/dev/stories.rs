//! The main job, one function for each who does it.
use super::setup::{House, random_word};
use super::{say, step};
use coffer_sdk::{Cas, Secret};
use serde::{Deserialize, Serialize};

/// The secret of the stories.
#[derive(Deserialize)]
struct Database {
    user: String,
    password: Secret<String>,
}

/// What the rotation job changes in it.
#[derive(Serialize)]
struct NewPassword<'a> {
    password: &'a str,
}

/// Fetches its password, and seals and opens a file with a data key.
pub(super) async fn application(house: &House) -> Result<(), String> {
    let client = house.client_in("app-prod", "prod")?;
    let database: Database = step("the application's secret", client.kv("secret").get("app/db").await)?;
    let length = database.password.expose().len();
    say(
        "application",
        format_args!(
            "prod's database: user {}, a password of {length} characters; no login, the certificate is the identity",
            database.user
        ),
    );
    let plain = house.folder.join("report.txt");
    std::fs::write(&plain, "quarterly report\n".repeat(1000)).map_err(|error| error.to_string())?;
    let (sealed, opened) = (house.folder.join("report.sealed"), house.folder.join("report.opened"));
    let envelope = client.envelope("transit", "app");
    step("sealing a file", envelope.seal_file(&plain, &sealed, b"report.txt").await)?;
    step("opening the file", envelope.open_file(&sealed, &opened, b"report.txt").await)?;
    let read = |path| std::fs::read(path).map_err(|error: std::io::Error| error.to_string());
    if read(&plain)? != read(&opened)? {
        return Err("the opened file is not the sealed one".into());
    }
    say("application", "a file sealed with a data key and opened again; the daemon never saw it");
    Ok(())
}

/// Seals, and unseals with shares.
pub(super) async fn operator(house: &House) -> Result<(), String> {
    let sys = house.operator.sys();
    step("seal", sys.seal().await)?;
    let client = house.client_in("app-prod", "prod")?;
    if client.kv("secret").get::<Database>("app/db").await.is_ok() {
        return Err("a sealed daemon gave a secret".into());
    }
    let mut status = step("seal status", sys.seal_status().await)?;
    for share in house.shares.iter().rev().take(3) {
        status = step("unseal", sys.unseal(share).await)?;
    }
    if status.sealed {
        return Err("three shares did not unseal".into());
    }
    step("the secret after unseal", client.kv("secret").get::<Database>("app/db").await)?;
    say("operator", "sealed: no key is in memory; unsealed with three other shares");
    Ok(())
}

/// Rotates a transit key, the barrier's key, and the password as a new version.
pub(super) async fn rotation_job(house: &House) -> Result<(), String> {
    let root = house.client("rotation")?;
    let prod = house.client_in("rotation", "prod")?;
    step("rotating the transit key", prod.transit("transit").rotate("app").await)?;
    step("rotating prod's keyring", prod.sys().rotate().await)?;
    step("rotating root's keyring", root.sys().rotate().await)?;
    let before = step("the old version", prod.kv("secret").metadata("app/db").await)?.current_version;
    let password = random_word()?;
    let new = NewPassword { password: &password };
    let version =
        step("the new password", prod.kv("secret").patch("app/db", &new, Cas::Version(before)).await)?;
    let after: Database =
        step("the new secret", house.client_in("app-prod", "prod")?.kv("secret").get("app/db").await)?;
    if after.password.expose() != &password || after.user != "app" || version.version != before + 1 {
        return Err("the application does not see the new password".into());
    }
    if prod.kv("secret").get::<Database>("app/db").await.is_ok() {
        return Err("the rotation job may read what it writes".into());
    }
    say(
        "rotation job",
        format_args!(
            "transit key, both keyrings, and the password, now version {}; it may write it and not read it",
            version.version
        ),
    );
    Ok(())
}

/// Verifies the log from its files alone.
pub(super) async fn auditor(house: &House) -> Result<(), String> {
    let report = step("the audit log", super::auditor::verify(&house.folder.join("data").join("audit")))?;
    say("auditor", report);
    Ok(())
}

/// An identity of dev asks for prod's secret.
pub(super) async fn stranger(house: &House) -> Result<(), String> {
    let client = house.client_in("app-dev", "prod")?;
    match client.kv("secret").get::<Database>("app/db").await {
        Ok(_) => Err("an identity of dev was given prod's secret".into()),
        Err(error) if error.status() == Some(403) => {
            say("dev's app", "asks for prod's secret and is refused; the refusal is in prod's log");
            Ok(())
        }
        Err(error) => Err(format!("an identity of dev was not refused but met: {error}")),
    }
}
