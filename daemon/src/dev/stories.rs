//! The main job, one function for each who does it.
use super::setup::{House, random_word};
use super::{say, step};
use coffer_sdk::{Cas, Method, Secret};
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
    refused(503, "the application's secret, sealed", client.kv("secret").get::<Database>("app/db").await)?;
    let mut status = step("seal status", sys.seal_status().await)?;
    if !status.sealed {
        return Err("the daemon says that it is open after a seal".into());
    }
    // The last three, of which the first unseal needed one only: any three open it.
    for share in house.shares.iter().rev().take(3) {
        status = step("unseal", sys.unseal(share).await)?;
    }
    if status.sealed {
        return Err("three shares did not unseal".into());
    }
    step("the secret after unseal", client.kv("secret").get::<Database>("app/db").await)?;
    say(
        "operator",
        "sealed: the application is refused (503); unsealed with shares 5, 4 and 3, and it has its secret",
    );
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
    refused(403, "the password, to the rotation job", prod.kv("secret").get::<Database>("app/db").await)?;
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

/// An identity of dev asks for prod's secret; the refusal is looked for in prod's log.
pub(super) async fn stranger(house: &House) -> Result<(), String> {
    let log = house.folder.join("data").join("audit");
    let known = step("prod's id", house.operator.request(Method::GET, "sys/namespaces/prod", None).await)?;
    let known: serde_json::Value = step("prod's id", known.json())?;
    let prod = known.pointer("/data/uuid").and_then(serde_json::Value::as_str).unwrap_or_default();
    let before = super::auditor::last_refusal(&log, prod)?;
    let client = house.client_in("app-dev", "prod")?;
    refused(403, "prod's secret, to dev's app", client.kv("secret").get::<Database>("app/db").await)?;
    match super::auditor::last_refusal(&log, prod)? {
        Some(leaf) if Some(leaf) > before => {
            say(
                "dev's app",
                format_args!("asks for prod's secret and is refused (403): leaf {leaf} of prod's log"),
            );
            Ok(())
        }
        _ => Err("the refusal is not in prod's log".into()),
    }
}

/// That it was answered with this status, and neither given nor failed otherwise.
fn refused<T>(status: u16, what: &str, result: coffer_sdk::Result<T>) -> Result<(), String> {
    match result {
        Ok(_) => Err(format!("{what}: it was given")),
        Err(error) if error.status() == Some(status) => Ok(()),
        Err(error) => Err(format!("{what}: not refused with {status} but: {error}")),
    }
}
