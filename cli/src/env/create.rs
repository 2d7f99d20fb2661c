//! `env create`: an environment, and what opens it: the one above, seals of the configuration, or shares of its own, which
//! go to their holders as those of the daemon do.
use super::place;
use crate::api::Api;
use crate::connect::Connection;
use crate::operator::{Destination, Placed, count};
use crate::page::Page;
use crate::shapes::{number, text};
use crate::words::{Exit, Failure};
use clap::Args;
use serde_json::{Map, Value, json};

/// What is to open a new environment.
#[derive(Args)]
pub(crate) struct Seals {
    /// Give it shares of its own, so many, each for another person: the environment above does not open it then
    /// [default: 5, or one for each recipient, where any of the options for shares is given]
    #[arg(long, alias = "key-shares")]
    shares: Option<u64>,
    /// How many of them are to open it [default: 3]
    #[arg(long, alias = "key-threshold")]
    threshold: Option<u64>,
    #[command(flatten)]
    destination: Destination,
    /// A seal that the configuration names for it, or `inherit`; once for each
    #[arg(long = "seal", value_name = "NAME")]
    seals: Vec<String>,
}

impl Seals {
    fn has_shares(&self) -> bool {
        self.shares.is_some() || self.threshold.is_some() || self.destination.is_given()
    }
}

pub(super) async fn run(
    connection: &Connection,
    api: &Api,
    path: &str,
    metadata: Map<String, Value>,
    seals: Seals,
) -> Result<Page, Failure> {
    let (above, place) = place(api, path)?;
    if !seals.has_shares() {
        let body = json!({ "custom_metadata": metadata, "seals": seals.seals });
        let made = above.post(&place, &body).await?.data().clone();
        let (page, path) = begun(&made, made.clone());
        return Ok(ended(page, &path));
    }
    let threshold = seals.threshold.unwrap_or(3);
    let shares = count(seals.shares, &seals.destination.recipients)?;
    let (prepared, node) = (seals.destination.prepare(shares, threshold)?, connection.node()?);
    let body = json!({
        "custom_metadata": metadata, "seals": seals.seals, "secret_shares": shares,
        "secret_threshold": threshold, "recipients": seals.destination.recipients(),
    });
    let made = above.post(&place, &body).await?.data().clone();
    let path = text(&made, "path");
    let environment = format!("environment {}", path.trim_end_matches('/'));
    // From here on nothing may be lost: what can't be written is shown.
    let placed = prepared.deliver(&made, &node, environment, threshold).await;
    Ok(with_shares(&made, &placed, !seals.seals.is_empty()))
}

/// An environment that is there now, and its path.
fn begun(made: &Value, json: Value) -> (Page, String) {
    let path = text(made, "path").trim_end_matches('/').to_owned();
    let page = Page::new(json).good(format!("Environment {path} is there, with keys of its own."));
    (page.fields([("Id", text(made, "uuid"))]), path)
}

fn ended(page: Page, path: &str) -> Page {
    page.note(format!("`coffer -n {path} …` acts in it."))
}

/// One with shares of its own, wherever they are now.
fn with_shares(made: &Value, placed: &Placed, has_seals: bool) -> Page {
    let need = number(made, "key_threshold");
    if need == 0 {
        let (page, path) = begun(made, made.clone());
        let was_there = format!(
            "It was there before, and opens as it did: no shares were made. `coffer env show {path}` says more."
        );
        return page.bad(was_there).exit(Exit::Mistake);
    }
    let (page, path) = begun(made, told(made, placed));
    let page = placed.show(page.line(""), "Share").line("");
    let nothing_else = match has_seals {
        true => "beside its other seals",
        false => "and nothing else does unless you add a seal",
    };
    let opened = format!("Any {need} of them open {path} after each start, {nothing_else}.");
    let page = match placed {
        Placed::Shown(_) => page.line(format!(
            "These shares are shown now and never again: give each to another person. {opened}"
        )),
        Placed::Sheets(_) => page
            .line(format!("Print each sheet and give it to its holder, then delete the files. {opened}"))
            .line(format!("Each holder: `coffer env unseal {path}`, and types it, or gives a picture of its code with --file.")),
        Placed::Encrypted(_) => page
            .line(format!("Give each file to its holder. {opened}"))
            .line(format!("Each holder: `coffer env unseal {path} --file NAME.age --identity FILE`.")),
    };
    placed.exit(ended(page, &path))
}

/// What a script gets: shares in clear only where they are shown to people too.
fn told(made: &Value, placed: &Placed) -> Value {
    if matches!(placed, Placed::Shown(_)) {
        return made.clone();
    }
    let is_share = |name: &str| matches!(name, "shares" | "shares_encrypted" | "key_shares" | "keys_base64");
    let members = made.as_object().into_iter().flatten().filter(|(name, _)| !is_share(name));
    let mut told: Map<String, Value> = members.map(|(name, value)| (name.clone(), value.clone())).collect();
    told.extend(placed.json().into_iter().map(|(name, value)| (name.to_owned(), value)));
    told.into()
}
