//! `auth`: methods as mounts, and the roles of certificate authentication.
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{shown, texts};
use crate::words::Failure;
use crate::{ask, mounts, values};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Mounts(mounts::Command),
    /// Roles of certificate authentication: which certificates get which policies
    #[command(subcommand)]
    CertRole(CertRole),
}

#[derive(Subcommand)]
pub(crate) enum CertRole {
    /// The roles' names
    List {
        #[command(flatten)]
        at: Mount,
    },
    /// A role
    Read {
        /// The role
        name: String,
        #[command(flatten)]
        at: Mount,
    },
    /// Make or change a role, such as: write app certificate=@ca.pem allowed_dns_sans=app.example.com token_policies=app
    Write {
        /// The role
        name: String,
        /// key=value, key=@FILE, or @FILE with a JSON object: certificate (the CA, PEM), allowed_common_names,
        /// allowed_dns_sans, allowed_uri_sans, allowed_email_sans, token_policies, token_ttl, token_max_ttl, …
        #[arg(required = true, value_name = "KEY=VALUE")]
        pairs: Vec<String>,
        #[command(flatten)]
        at: Mount,
    },
    /// Remove a role; who came by it comes no more
    Delete {
        /// The role
        name: String,
        #[command(flatten)]
        at: Mount,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct Mount {
    /// The auth mount
    #[arg(long, default_value = "cert")]
    mount: String,
}

impl Mount {
    fn role(&self, name: &str) -> String {
        format!("auth/{}/certs/{name}", self.mount.trim_matches('/'))
    }
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Mounts(command) => mounts::run(connection, mounts::Kind::Auth, command).await,
        Command::CertRole(command) => cert_role(connection, command).await,
    }
}

async fn cert_role(connection: &Connection, command: CertRole) -> Result<Page, Failure> {
    let api = connection.api()?;
    match command {
        CertRole::List { at } => {
            let found = api.list(&at.role("")).await?;
            let rows = texts(&found, "keys").into_iter().map(|name| vec![name]).collect();
            Ok(Page::new(found).table(&["ROLE"], rows))
        }
        CertRole::Read { name, at } => {
            let found = api.get(&at.role(&name)).await?.data().clone();
            let members: Vec<_> = found
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), shown(value)))
                .collect();
            Ok(Page::new(found).fields(members))
        }
        CertRole::Write { name, pairs, at } => {
            let body = Value::Object(values::object(&pairs, false).await?);
            let answered = api.post(&at.role(&name), &body).await?;
            let page = Page::new(json!({ "name": name }))
                .good(format!("Role {name} is in force in {}.", api.environment()));
            Ok(page.warnings(answered.warnings()))
        }
        CertRole::Delete { name, at, yes } => {
            ask::confirm(&format!("This removes role {name} from {}.", api.environment()), &name, yes)?;
            api.delete(&at.role(&name)).await?;
            Ok(Page::new(json!({ "name": name }))
                .good(format!("Role {name} is gone from {}.", api.environment())))
        }
    }
}
