//! `kv put` and `kv patch`.
use super::At;
use super::place::Place;
use crate::api::{Answered, Api};
use crate::page::Page;
use crate::shapes::text;
use crate::values;
use crate::words::Failure;
use clap::Args;
use serde_json::{Map, Value, json};

#[derive(Args)]
pub(crate) struct Put {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    values: Values,
    /// Write only if this is the current version; 0: only if there is nothing yet
    #[arg(long, value_name = "VERSION")]
    cas: Option<u64>,
}

#[derive(Args)]
pub(crate) struct Patch {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    values: Values,
    /// A key to remove; give it again for each
    #[arg(long = "remove", value_name = "KEY")]
    removed: Vec<String>,
    /// Write only if this is the current version
    #[arg(long, value_name = "VERSION")]
    cas: Option<u64>,
}

#[derive(Args)]
struct Values {
    /// key=value (which your shell's history keeps), key=@FILE (the file's text to the last byte), key=- (asked for
    /// without echo, or standard input without the newline at its end), or @FILE (a JSON object). Write \@ and \- for
    /// a value that begins so.
    #[arg(value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    /// Read a JSON object from standard input
    #[arg(long)]
    stdin_json: bool,
}

impl Values {
    async fn read(&self) -> Result<Map<String, Value>, Failure> {
        values::object(&self.pairs, self.stdin_json).await
    }

    const fn is_empty(&self) -> bool {
        self.pairs.is_empty() && !self.stdin_json
    }
}

pub(super) async fn put(api: &Api, put: &Put) -> Result<Page, Failure> {
    let data = put.values.read().await?;
    let place = Place::find(api, &put.at).await?.secret()?;
    if !place.has_versions {
        if put.cas.is_some() {
            return Err(Failure::NeedsVersions(place.shown()));
        }
        let answered = api.post(&place.api("data"), &Value::Object(data)).await?;
        let page = Page::new(json!({ "path": place.shown() }));
        return Ok(page.good(format!("Written: {}.", place.shown())).warnings(answered.warnings()));
    }
    let answered = api.post(&place.api("data"), &body(data, put.cas)).await?;
    Ok(written(&place.shown(), &answered))
}

pub(super) async fn patch(api: &Api, patch: &Patch) -> Result<Page, Failure> {
    let mut change = match patch.values.is_empty() && !patch.removed.is_empty() {
        true => Map::new(),
        false => patch.values.read().await?,
    };
    for key in &patch.removed {
        if change.insert(key.clone(), Value::Null).is_some() {
            return Err(Failure::RepeatedKey(key.clone()));
        }
    }
    let place = Place::find_versions(api, &patch.at).await?;
    let answered = api.patch(&place.api("data"), &body(change, patch.cas)).await?;
    Ok(written(&place.shown(), &answered))
}

fn body(data: Map<String, Value>, cas: Option<u64>) -> Value {
    match cas {
        Some(cas) => json!({ "data": data, "options": { "cas": cas } }),
        None => json!({ "data": data }),
    }
}

fn written(path: &str, answered: &Answered) -> Page {
    let version = text(answered.data(), "version");
    Page::new(answered.data().clone())
        .good(format!("Written: version {version} of {path}."))
        .warnings(answered.warnings())
}
