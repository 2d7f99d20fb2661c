//! `secrets` and the like part of `auth`: what hangs where.
use crate::api::Api;
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{number, text};
use crate::words::Failure;
use crate::{ask, pairs};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

/// What is mounted: engines or methods.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secrets,
    Auth,
}

impl Kind {
    const fn base(self) -> &'static str {
        match self {
            Self::Secrets => "sys/mounts",
            Self::Auth => "sys/auth",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Secrets => "secrets engine",
            Self::Auth => "auth method",
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// What is mounted where
    List,
    /// Mount one
    Enable(Enable),
    /// Unmount one, and erase all that it holds
    Disable {
        /// Where it hangs
        path: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show or change a mount's settings
    Tune {
        /// Where it hangs
        path: String,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Args)]
pub(crate) struct Enable {
    /// Its type: kv, kv-v2 or transit; for `auth`: cert
    kind: String,
    /// Where it is to hang; at its type's name unless given
    #[arg(long)]
    path: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(crate) struct Settings {
    /// A sentence for people
    #[arg(long)]
    description: Option<String>,
    /// How long leases and tokens live where nothing else is said
    #[arg(long, value_name = "TIME", value_parser = pairs::period)]
    default_lease_ttl: Option<String>,
    /// How long they can live at most
    #[arg(long, value_name = "TIME", value_parser = pairs::period)]
    max_lease_ttl: Option<String>,
    /// For kv: 1 or 2; 2 keeps versions
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    version: Option<u8>,
}

impl Settings {
    fn times(&self) -> Map<String, Value> {
        let times = [("default_lease_ttl", &self.default_lease_ttl), ("max_lease_ttl", &self.max_lease_ttl)];
        times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), json!(time.as_ref()?)))).collect()
    }
}

pub(crate) async fn run(connection: &Connection, kind: Kind, command: Command) -> Result<Page, Failure> {
    let api = connection.api()?;
    match command {
        Command::List => Ok(listed(api.get(kind.base()).await?.data())),
        Command::Enable(enable) => mount(&api, kind, &enable).await,
        Command::Disable { path, yes } => {
            let path = path.trim_matches('/');
            let what = match kind {
                Kind::Secrets => {
                    format!("This erases every secret and key at {path}/ in {}.", api.environment())
                }
                Kind::Auth => format!("This ends every role and token of {path}/ in {}.", api.environment()),
            };
            ask::confirm(&what, path, yes)?;
            api.delete(&format!("{}/{path}", kind.base())).await?;
            let json = json!({ "path": format!("{path}/") });
            Ok(Page::new(json).good(format!(
                "The {} at {path}/ is gone from {}.",
                kind.noun(),
                api.environment()
            )))
        }
        Command::Tune { path, settings } => tune(&api, kind, &path, &settings).await,
    }
}

fn listed(mounts: &Value) -> Page {
    let row = |(path, mount): (&String, &Value)| {
        let version = mount.get("options").map(|options| text(options, "version")).unwrap_or_default();
        let kind = text(mount, "type");
        let kind = if version.is_empty() { kind } else { format!("{kind} (version {version})") };
        vec![path.clone(), kind, text(mount, "accessor"), text(mount, "description")]
    };
    let rows = mounts.as_object().into_iter().flatten().map(row).collect();
    Page::new(mounts.clone()).table(&["PATH", "TYPE", "ACCESSOR", "DESCRIPTION"], rows)
}

async fn mount(api: &Api, kind: Kind, enable: &Enable) -> Result<Page, Failure> {
    let (name, version) = match (enable.kind.as_str(), enable.settings.version) {
        ("kv-v2", _) => ("kv", Some(2)),
        (name, version) => (name, version),
    };
    let path = enable.path.as_deref().unwrap_or(name).trim_matches('/');
    let mut body = json!({ "type": name, "config": enable.settings.times() });
    if let Some(members) = body.as_object_mut() {
        if let Some(description) = &enable.settings.description {
            members.insert("description".to_owned(), json!(description));
        }
        if let Some(version) = version {
            members.insert("options".to_owned(), json!({ "version": version.to_string() }));
        }
    }
    let answered = api.post(&format!("{}/{path}", kind.base()), &body).await?;
    let said = format!("The {} {} hangs at {path}/ in {}.", kind.noun(), enable.kind, api.environment());
    Ok(Page::new(json!({ "path": format!("{path}/") })).good(said).warnings(answered.warnings()))
}

async fn tune(api: &Api, kind: Kind, path: &str, settings: &Settings) -> Result<Page, Failure> {
    let path = path.trim_matches('/');
    let place = format!("{}/{path}/tune", kind.base());
    let mut body = settings.times();
    if let Some(description) = &settings.description {
        body.insert("description".to_owned(), json!(description));
    }
    if let Some(version) = settings.version {
        body.insert("options".to_owned(), json!({ "version": version.to_string() }));
    }
    let tuned = if body.is_empty() {
        api.get(&place).await?.data().clone()
    } else {
        api.post(&place, &Value::Object(body)).await?;
        api.look(&place).await
    };
    if tuned.is_null() {
        return Ok(Page::new(json!({ "path": format!("{path}/") })).good(format!("Tuned: {path}/.")));
    }
    let ttl = |name| crate::shapes::duration(number(&tuned, name));
    let fields = [
        ("Mount", format!("{path}/")),
        ("Description", text(&tuned, "description")),
        ("Default lease", ttl("default_lease_ttl")),
        ("Longest lease", ttl("max_lease_ttl")),
        ("Options", text(&tuned, "options")),
    ];
    Ok(Page::new(tuned.clone()).fields(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_listed_with_the_version_that_matters() {
        let mounts = json!({
            "secret/": { "type": "kv", "options": { "version": "2" }, "accessor": "kv_0a1b2c3d", "description": "the application's" },
            "transit/": { "type": "transit", "options": null, "accessor": "transit_99887766", "description": "" },
        });
        crate::words::golden("secrets-list.txt", &listed(&mounts).plain());
    }
}
