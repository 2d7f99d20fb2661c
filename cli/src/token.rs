//! `token`: made, looked up, renewed and revoked. A token itself is never an argument.
use crate::api::{Answered, Api};
use crate::connect::Connection;
use crate::login::TokenTo;
use crate::page::Page;
use crate::shapes::{flag, number, text, texts, time_to_live, yes_no};
use crate::words::Failure;
use crate::{ask, files, pairs};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a token, a child of yours
    Create(Box<Create>),
    /// Show what a token is: your own, unless said otherwise
    Lookup(Which),
    /// Let a token live on: your own, unless said otherwise
    Renew {
        #[command(flatten)]
        which: Which,
        /// For how long from now
        #[arg(long, value_name = "TIME", value_parser = pairs::period)]
        increment: Option<String>,
    },
    /// End a token and all that were made with it
    Revoke(Which),
    /// The accessors of all tokens here
    ListAccessors {
        /// Look each of them up
        #[arg(long)]
        details: bool,
    },
}

/// Which token is meant.
#[derive(Args)]
pub(crate) struct Which {
    /// Your own
    #[arg(long = "self", conflicts_with_all = ["accessor", "ask"])]
    own: bool,
    /// The one with this accessor
    #[arg(long, conflicts_with = "ask")]
    accessor: Option<String>,
    /// One that is typed without echo, or read from standard input
    #[arg(long)]
    ask: bool,
    /// Whoever types a token here is told why not.
    #[arg(hide = true, num_args = 0..)]
    tokens: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Create {
    /// A policy that it has; give it again for each. Your own policies unless given
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
    /// How long it lives
    #[arg(long, value_name = "TIME", value_parser = pairs::period)]
    ttl: Option<String>,
    /// How long it can live by being renewed
    #[arg(long, value_name = "TIME", value_parser = pairs::period)]
    explicit_max_ttl: Option<String>,
    /// It lives as long as it is renewed within this time
    #[arg(long, value_name = "TIME", value_parser = pairs::period)]
    period: Option<String>,
    /// How many requests it is good for
    #[arg(long, value_name = "N")]
    use_limit: Option<u64>,
    /// It outlives yours
    #[arg(long)]
    orphan: bool,
    /// It goes without the policy `default`
    #[arg(long)]
    no_default_policy: bool,
    /// A name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A pair that the audit log shows, as key=value
    #[arg(long = "metadata", value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Make it as this token role says
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    to: TokenTo,
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    if let Command::Lookup(which) | Command::Renew { which, .. } | Command::Revoke(which) = &command
        && !which.tokens.is_empty()
    {
        return Err(Failure::TokenAsArgument);
    }
    let api = connection.api()?;
    match command {
        Command::Create(create) => {
            let path = match &create.role {
                Some(role) => format!("auth/token/create/{role}"),
                None => "auth/token/create".to_owned(),
            };
            let answered = api.post(&path, &body(&create)?).await?;
            Ok(issued(&answered, &create.to)?.warnings(answered.warnings()))
        }
        Command::Lookup(which) => lookup(&api, &which).await,
        Command::Renew { which, increment } => {
            let (path, mut body) = target("renew", &which).await?;
            if let (Some(increment), Some(members)) = (increment, body.as_object_mut()) {
                members.insert("increment".to_owned(), increment.into());
            }
            let answered = api.post(&path, &body).await?;
            let ttl = number(answered.auth(), "lease_duration");
            let json = json!({ "accessor": text(answered.auth(), "accessor"), "ttl": ttl });
            Ok(Page::new(json)
                .good(format!("Renewed: it lives for {}.", time_to_live(ttl)))
                .warnings(answered.warnings()))
        }
        Command::Revoke(which) => revoke(&api, &which).await,
        Command::ListAccessors { details } => accessors(&api, details).await,
    }
}

fn body(create: &Create) -> Result<Value, Failure> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && value != json!([]) && value != json!({}) && value != json!(false) {
            body.insert(name.to_owned(), value);
        }
    };
    put("policies", json!(create.policies));
    put("ttl", json!(create.ttl));
    put("explicit_max_ttl", json!(create.explicit_max_ttl));
    put("period", json!(create.period));
    put("num_uses", json!(create.use_limit));
    put("no_parent", json!(create.orphan));
    put("no_default_policy", json!(create.no_default_policy));
    put("display_name", json!(create.display_name));
    put("meta", Value::Object(pairs::texts(&create.metadata)?));
    Ok(Value::Object(body))
}

/// A token that was just given, where the caller wants it.
pub(crate) fn issued(answered: &Answered, to: &TokenTo) -> Result<Page, Failure> {
    let auth = answered.auth();
    let token = text(auth, "client_token");
    if to.token_only {
        return Ok(Page::new(json!(token)).raw(token));
    }
    if let Some(path) = &to.out {
        files::write(path, token.as_bytes(), to.overwrite)?;
        let mut shown = auth.clone();
        if let Some(members) = shown.as_object_mut() {
            members.remove("client_token");
        }
        let page =
            Page::new(shown).good(format!("The token is in {}, which only you can read.", path.display()));
        return Ok(details(page, auth, String::new()));
    }
    Ok(details(Page::new(auth.clone()), auth, token))
}

fn details(page: Page, auth: &Value, token: String) -> Page {
    page.fields([
        ("Token", token),
        ("Accessor", text(auth, "accessor")),
        ("Policies", text(auth, "policies")),
        ("Lives for", time_to_live(number(auth, "lease_duration"))),
        ("Renewable", yes_no(flag(auth, "renewable")).to_owned()),
        ("Metadata", text(auth, "metadata")),
    ])
}

async fn lookup(api: &Api, which: &Which) -> Result<Page, Failure> {
    let (path, body) = target("lookup", which).await?;
    let found = if path.ends_with("-self") { api.get(&path).await? } else { api.post(&path, &body).await? };
    let mut found = found.data().clone();
    // Whoever asks has it; nobody needs it on the screen.
    if let Some(members) = found.as_object_mut() {
        members.remove("id");
    }
    let uses = number(&found, "num_uses");
    let fields = [
        ("Name", text(&found, "display_name")),
        ("Policies", text(&found, "policies")),
        ("Lives for", time_to_live(number(&found, "ttl"))),
        ("Expires", text(&found, "expire_time")),
        ("Renewable", yes_no(flag(&found, "renewable")).to_owned()),
        ("Uses left", if uses == 0 { String::new() } else { uses.to_string() }),
        ("Orphan", yes_no(flag(&found, "orphan")).to_owned()),
        ("Made at", text(&found, "path")),
        ("Made on", text(&found, "issue_time")),
        ("Metadata", text(&found, "meta")),
        ("Accessor", text(&found, "accessor")),
    ];
    Ok(Page::new(found).fields(fields))
}

async fn revoke(api: &Api, which: &Which) -> Result<Page, Failure> {
    if !which.own && !which.ask && which.accessor.is_none() {
        return Err(Failure::WhichToken);
    }
    let (path, body) = target("revoke", which).await?;
    api.post(&path, &body).await?;
    Ok(Page::new(json!({ "revoked": true })).good("Revoked, with every token that was made with it."))
}

/// The API's path and body for an operation on that token.
async fn target(operation: &str, which: &Which) -> Result<(String, Value), Failure> {
    if which.ask {
        let token = ask::required("Token (not shown): ").await?;
        return Ok((format!("auth/token/{operation}"), json!({ "token": *token })));
    }
    Ok(match &which.accessor {
        Some(accessor) => (format!("auth/token/{operation}-accessor"), json!({ "accessor": accessor })),
        None => (format!("auth/token/{operation}-self"), json!({})),
    })
}

async fn accessors(api: &Api, with_details: bool) -> Result<Page, Failure> {
    let found = api.list("auth/token/accessors").await?;
    let accessors = texts(&found, "keys");
    if !with_details {
        let rows = accessors.into_iter().map(|accessor| vec![accessor]).collect();
        return Ok(Page::new(found).table(&["ACCESSOR"], rows));
    }
    let (mut all, mut rows) = (Map::new(), Vec::new());
    for accessor in accessors {
        let path = "auth/token/lookup-accessor";
        let known = match api.post(path, &json!({ "accessor": accessor })).await {
            Ok(known) => known.data().clone(),
            // It ended between the list and the look.
            Err(Failure::Server { error, .. }) if matches!(error.status(), Some(403 | 404)) => continue,
            Err(failure) => return Err(failure),
        };
        rows.push(vec![
            accessor.clone(),
            text(&known, "display_name"),
            text(&known, "policies"),
            time_to_live(number(&known, "ttl")),
        ]);
        all.insert(accessor, known);
    }
    Ok(Page::new(Value::Object(all)).table(&["ACCESSOR", "NAME", "POLICIES", "LIVES FOR"], rows))
}
