//! Disclosures: made by the daemon, checked without it.
use super::keys;
use crate::connect::Connection;
use crate::files;
use crate::page::Page;
use crate::shapes::text;
use crate::words::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_sdk::offline::is_signed;
use keystore_format::checkpoint::Checkpoint;
use keystore_format::disclosure::Disclosure;
use keystore_format::error::FormatError;
use keystore_format::ids::EnvironmentId;
use keystore_format::logcheck::{json_line, unhex};
use keystore_format::note::Note;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(super) async fn disclose(
    connection: &Connection,
    index: u64,
    field: &str,
    out: Option<PathBuf>,
    overwrite: bool,
) -> Result<Page, Failure> {
    let api = connection.api()?;
    let found = api.post(&format!("sys/audit/disclose/{index}"), &json!({ "field": field })).await?;
    let path = out.unwrap_or_else(|| default_name(index, field).into());
    files::write(&path, text(found.data(), "disclosure").as_bytes(), overwrite)?;
    let shown = path.display().to_string();
    Ok(Page::new(json!({ "file": shown, "index": index, "field": field }))
        .good(format!("Field {field} of leaf {index} of {} is disclosed in {shown}.", api.environment()))
        .note(format!("It holds the value in clear. The auditor checks it with `coffer audit check-disclosure {shown} --key KEY`.")))
}

/// A file's name that no field can lead elsewhere.
fn default_name(index: u64, field: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    format!("disclosure-{index}-{}.txt", field.chars().map(safe).collect::<String>())
}

pub(super) fn check(path: &Path, given: &[String], log: Option<&Path>) -> Result<Page, Failure> {
    let refused = |error: FormatError| Failure::Disclosure { path: path.to_owned(), error };
    let mut known = keys::given(given)?;
    if let Some(dir) = log {
        known.extend(keys::of_folder(dir)?);
    }
    if known.is_empty() {
        return Err(Failure::NoKeyGiven);
    }
    let disclosure = Disclosure::parse(&files::text(path)?).map_err(refused)?;
    let origin = origin(&disclosure).map_err(refused)?;
    let key =
        known.iter().find(|key| key.name() == origin).ok_or_else(|| Failure::NoKeyFor(origin.clone()))?;
    let (leaf, checkpoint) = disclosure.verify(key, is_signed).map_err(refused)?;
    let value = match core::str::from_utf8(&disclosure.value) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("(base64) {}", STANDARD.encode(&*disclosure.value)),
    };
    let index = disclosure.proof.index;
    let line = json_line(log_of(&origin), index, &leaf);
    let json = json!({
        "holds": true, "origin": origin, "index": index, "field": disclosure.field,
        "value": STANDARD.encode(&*disclosure.value), "size": checkpoint.size,
        "leaf": serde_json::from_str::<Value>(&line).unwrap_or_default(),
    });
    let page = Page::new(json)
        .good(format!("Holds: leaf {index} of the log committed to exactly this when it was written."))
        .fields([
            ("Field", disclosure.field.clone()),
            ("Value", value),
            ("Log", origin),
            ("Checkpoint", format!("over {} leaves, signed by the log's key", checkpoint.size)),
            ("Leaf", line),
        ]);
    Ok(if given.is_empty() {
        page.note("The key was taken from the log's folder: it proves nothing against whoever had that folder and the daemon's keys.")
    } else {
        page
    })
}

/// The log that the file says it is of; proved only by the key.
fn origin(disclosure: &Disclosure) -> Result<String, FormatError> {
    let note = Note::parse(disclosure.proof.checkpoint.as_bytes())?;
    Ok(Checkpoint::parse(note.text())?.origin)
}

fn log_of(origin: &str) -> (EnvironmentId, [u8; 16]) {
    let mut parts = origin.rsplit('/');
    let incarnation = parts.next().and_then(unhex).unwrap_or_default();
    (EnvironmentId(parts.next().and_then(unhex).unwrap_or_default()), incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_can_not_lead_the_file_elsewhere() {
        assert_eq!(default_name(7, "../../etc/passwd"), "disclosure-7-______etc_passwd.txt");
        assert_eq!(default_name(7, "path"), "disclosure-7-path.txt");
    }
}
