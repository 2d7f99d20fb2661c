//! Versions: deleted, taken back, destroyed; and what is known of a secret beside its values.
use super::At;
use super::place::Place;
use crate::api::Api;
use crate::page::Page;
use crate::shapes::{counted, flag, number, text, yes_no};
use crate::words::Failure;
use crate::{ask, pairs};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// A secret's versions and settings
    Get(At),
    /// Change a secret's settings
    Put(Settings),
    /// Remove a secret with all its versions for good
    Delete {
        #[command(flatten)]
        at: At,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    at: At,
    /// How many versions are kept
    #[arg(long, value_name = "N")]
    max_versions: Option<u64>,
    /// Whether every write must name the version it replaces
    #[arg(long, value_name = "true|false")]
    cas_required: Option<bool>,
    /// After how long a version is deleted by itself
    #[arg(long, value_name = "TIME", value_parser = pairs::period)]
    delete_version_after: Option<String>,
    /// A pair to keep with the secret, as key=value; all that are given replace those of before
    #[arg(long = "custom-metadata", value_name = "KEY=VALUE")]
    custom_metadata: Vec<String>,
}

pub(super) async fn metadata(api: &Api, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Get(at) => {
            let place = Place::find_versions(api, &at).await?;
            let known = api.get(&place.api("metadata")).await?;
            Ok(page(&place.shown(), known.data()))
        }
        Command::Put(settings) => {
            let place = Place::find_versions(api, &settings.at).await?;
            api.post(&place.api("metadata"), &body(&settings)?).await?;
            Ok(match api.look(&place.api("metadata")).await {
                Value::Null => {
                    Page::new(json!({ "path": place.shown() })).good(format!("Changed: {}.", place.shown()))
                }
                known => page(&place.shown(), &known),
            })
        }
        Command::Delete { at, yes } => {
            let place = Place::find_versions(api, &at).await?;
            let what = format!("This removes {} with all its versions for good.", place.shown());
            ask::confirm(&what, &place.shown(), yes)?;
            api.delete(&place.api("metadata")).await?;
            Ok(Page::new(json!({ "path": place.shown() }))
                .good(format!("Gone: {} with all its versions.", place.shown())))
        }
    }
}

pub(super) async fn delete(
    api: &Api,
    at: &At,
    versions: &[u64],
    is_confirmed: bool,
) -> Result<Page, Failure> {
    let place = Place::find(api, at).await?.secret()?;
    let shown = place.shown();
    let page = Page::new(json!({ "path": shown, "versions": versions }));
    if !place.has_versions {
        if !versions.is_empty() {
            return Err(Failure::NeedsVersions(shown));
        }
        ask::confirm(
            &format!("This removes {shown} for good: its mount keeps no versions."),
            &shown,
            is_confirmed,
        )?;
        api.delete(&place.api("data")).await?;
        return Ok(page.good(format!("Gone: {shown}.")));
    }
    if versions.is_empty() {
        api.delete(&place.api("data")).await?;
        return Ok(page.good(format!("Deleted: the newest version of {shown}.")).note(format!(
            "`coffer kv metadata get {shown}` shows its number; `coffer kv undelete` takes it back."
        )));
    }
    api.post(&place.api("delete"), &json!({ "versions": versions })).await?;
    let list = listed(versions);
    Ok(page
        .good(format!("Deleted: version {list} of {shown}."))
        .note(format!("`coffer kv undelete {shown} --versions {list}` takes it back.")))
}

pub(super) async fn undelete(api: &Api, at: &At, versions: &[u64]) -> Result<Page, Failure> {
    let place = Place::find_versions(api, at).await?;
    api.post(&place.api("undelete"), &json!({ "versions": versions })).await?;
    let page = Page::new(json!({ "path": place.shown(), "versions": versions }));
    Ok(page.good(format!(
        "Back, unless it was destroyed: version {} of {}.",
        listed(versions),
        place.shown()
    )))
}

pub(super) async fn destroy(
    api: &Api,
    at: &At,
    versions: &[u64],
    is_confirmed: bool,
) -> Result<Page, Failure> {
    let place = Place::find_versions(api, at).await?;
    let (shown, list) = (place.shown(), listed(versions));
    ask::confirm(&format!("This destroys version {list} of {shown} for good."), &shown, is_confirmed)?;
    api.post(&place.api("destroy"), &json!({ "versions": versions })).await?;
    let page = Page::new(json!({ "path": shown, "versions": versions }));
    Ok(page.good(format!("Destroyed: version {list} of {shown}; its value is gone for good.")))
}

fn listed(versions: &[u64]) -> String {
    versions.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

fn body(settings: &Settings) -> Result<Value, Failure> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    put("max_versions", json!(settings.max_versions));
    put("cas_required", json!(settings.cas_required));
    put("delete_version_after", json!(settings.delete_version_after));
    if !settings.custom_metadata.is_empty() {
        put("custom_metadata", Value::Object(pairs::texts(&settings.custom_metadata)?));
    }
    if body.is_empty() { Err(Failure::NothingToChange) } else { Ok(Value::Object(body)) }
}

fn page(path: &str, known: &Value) -> Page {
    let mut versions: Vec<(u64, &Value)> = known
        .get("versions")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(number, version)| Some((number.parse().ok()?, version)))
        .collect();
    versions.sort_by_key(|(number, _)| *number);
    let state = |version: &Value| {
        let when = text(version, "deletion_time");
        match (flag(version, "destroyed"), when.is_empty()) {
            (true, _) => "destroyed".to_owned(),
            (_, false) => format!("deleted or due: {when}"),
            _ => String::new(),
        }
    };
    let rows = versions
        .iter()
        .map(|(number, version)| vec![number.to_string(), text(version, "created_time"), state(version)]);
    let kept = number(known, "max_versions");
    Page::new(known.clone())
        .fields([
            ("Secret", path.to_owned()),
            ("Current version", text(known, "current_version")),
            (
                "Keeps",
                if kept == 0 {
                    "as many versions as its mount says".to_owned()
                } else {
                    counted(kept, "version", "versions")
                },
            ),
            ("Writes must name the version", yes_no(flag(known, "cas_required")).to_owned()),
            ("Versions are deleted after", text(known, "delete_version_after")),
            ("Metadata", text(known, "custom_metadata")),
            ("Made", text(known, "created_time")),
            ("Changed", text(known, "updated_time")),
        ])
        .line("")
        .table(&["VERSION", "WRITTEN", "STATE"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_listed_in_the_order_of_numbers_with_what_became_of_them() {
        let version = |deleted: &str, destroyed: bool| json!({ "created_time": "2026-11-21T10:00:00Z", "deletion_time": deleted, "destroyed": destroyed });
        let known = json!({
            "current_version": 10, "max_versions": 0, "cas_required": true, "delete_version_after": "0s",
            "custom_metadata": { "owner": "team-a" }, "created_time": "2026-11-20T10:00:00Z", "updated_time": "2026-11-21T10:00:00Z",
            "versions": { "10": version("", false), "9": version("2026-11-22T03:00:00Z", false), "8": version("", true) },
        });
        crate::words::golden("kv-metadata.txt", &page("secret/app/db", &known).plain());
    }
}
