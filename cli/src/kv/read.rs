//! `kv get` and `kv list`.
use super::At;
use super::place::Place;
use crate::api::Api;
use crate::page::Page;
use crate::pairs;
use crate::shapes::{flag, number, shown, text, texts};
use crate::words::Failure;
use clap::Args;
use coffer_sdk::Method;
use serde_json::{Value, json};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: At,
    /// Only this field's value, as it is, for a script or a pipe
    #[arg(long, value_name = "KEY")]
    field: Option<String>,
    /// This version, not the newest
    #[arg(long, value_parser = pairs::version, value_name = "N")]
    version: Option<u64>,
}

pub(super) async fn get(api: &Api, arguments: &Arguments) -> Result<Page, Failure> {
    let place = Place::find(api, &arguments.at).await?.secret()?;
    if !place.has_versions && arguments.version.is_some() {
        return Err(Failure::NeedsVersions(place.shown()));
    }
    let path = place.api("data");
    let mut call = api.client.call(Method::GET, &path);
    if let Some(version) = arguments.version {
        call = call.query("version", &version.to_string());
    }
    let at = |error| Failure::at(&path, error);
    let answer = call.send_any_status().await.map_err(at)?;
    // A version that is gone answers 404 and says how it went.
    if answer.status() == 404
        && let Ok(read) = answer.data::<Value>()
        && let Some(failure) = gone(&place.shown(), &read)
    {
        return Err(failure);
    }
    let read: Value = answer.accepted().and_then(|answer| answer.data()).map_err(at)?;
    let (data, metadata) = if place.has_versions {
        (read.get("data").cloned().unwrap_or_default(), read.get("metadata").cloned().unwrap_or_default())
    } else {
        (read.clone(), Value::Null)
    };
    match &arguments.field {
        Some(field) => one(&data, field),
        None => Ok(page(&place.shown(), read, &data, &metadata)),
    }
}

fn gone(path: &str, read: &Value) -> Option<Failure> {
    let metadata = read.get("metadata")?;
    let version = number(metadata, "version");
    if flag(metadata, "destroyed") {
        return Some(Failure::VersionDestroyed { path: path.to_owned(), version });
    }
    let when = text(metadata, "deletion_time");
    (!when.is_empty()).then(|| Failure::VersionDeleted { path: path.to_owned(), version, when })
}

fn one(data: &Value, field: &str) -> Result<Page, Failure> {
    match data.get(field) {
        Some(Value::String(text)) => Ok(Page::new(json!(text)).raw(text.as_bytes())),
        Some(other) => Ok(Page::new(other.clone()).raw(other.to_string())),
        None => {
            let present = data.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
            Err(Failure::NoField { field: field.to_owned(), present })
        }
    }
}

fn page(path: &str, read: Value, data: &Value, metadata: &Value) -> Page {
    let rows = data.as_object().into_iter().flatten();
    let rows = rows.map(|(key, value)| vec![key.clone(), shown(value)]).collect();
    let page = Page::new(read);
    let page = if metadata.is_null() {
        page
    } else {
        page.fields([
            ("Secret", path.to_owned()),
            ("Version", text(metadata, "version")),
            ("Written", text(metadata, "created_time")),
            ("Deleted on", text(metadata, "deletion_time")),
            ("Metadata", text(metadata, "custom_metadata")),
        ])
        .line("")
    };
    page.table(&["KEY", "VALUE"], rows)
}

pub(super) async fn list(api: &Api, at: &At) -> Result<Page, Failure> {
    let place = Place::find(api, at).await?;
    let found = api.list(&place.api("metadata")).await?;
    let names = texts(&found, "keys");
    let page = Page::new(found);
    if names.is_empty() {
        return Ok(page.line(format!("Nothing is kept at {} in {}.", place.shown(), api.environment())));
    }
    Ok(page.table(&["NAME"], names.into_iter().map(|name| vec![name]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Value {
        json!({
            "data": { "user": "app", "password": "correct horse", "port": 5432, "hosts": ["a", "b"] },
            "metadata": { "version": 3, "created_time": "2026-11-22T02:58:00.123456789Z", "deletion_time": "",
                "destroyed": false, "custom_metadata": { "owner": "team-a" } },
        })
    }

    #[test]
    fn a_secret_is_shown_with_its_version() {
        let page = page("secret/app/db", read(), &read()["data"], &read()["metadata"]);
        crate::words::golden("kv-get.txt", &page.plain());
        assert_eq!(page.json(), &read());
    }

    #[test]
    fn one_field_is_its_value_and_nothing_else() {
        assert_eq!(one(&read()["data"], "password").ok().unwrap().plain(), "correct horse");
        assert_eq!(one(&read()["data"], "port").ok().unwrap().plain(), "5432");
        assert_eq!(one(&read()["data"], "hosts").ok().unwrap().plain(), r#"["a","b"]"#);
        assert!(
            matches!(one(&read()["data"], "pasword"), Err(Failure::NoField { present, .. }) if present.len() == 4)
        );
    }

    #[test]
    fn a_version_that_is_gone_says_how_it_went() {
        let metadata = |deleted: &str, destroyed: bool| json!({ "data": null, "metadata": { "version": 2, "deletion_time": deleted, "destroyed": destroyed } });
        assert!(matches!(
            gone("a", &metadata("2026-11-22T03:00:00Z", false)),
            Some(Failure::VersionDeleted { version: 2, .. })
        ));
        assert!(matches!(
            gone("a", &metadata("2026-11-22T03:00:00Z", true)),
            Some(Failure::VersionDestroyed { .. })
        ));
        assert!(gone("a", &metadata("", false)).is_none());
        assert!(gone("a", &json!({})).is_none());
    }
}
