//! `capabilities`: what the caller may do, and with `--ask` or `--accessor` what another may.
use crate::ask;
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::texts;
use crate::words::Failure;
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Paths as the API has them, such as secret/data/app/db
    #[arg(required = true)]
    paths: Vec<String>,
    /// Of the token with this accessor
    #[arg(long, conflicts_with = "ask")]
    accessor: Option<String>,
    /// Of a token that is typed, or read from standard input
    #[arg(long)]
    ask: bool,
}

pub(crate) async fn run(connection: &Connection, arguments: Arguments) -> Result<Page, Failure> {
    let api = connection.api()?;
    let paths = &arguments.paths;
    let (path, body) = match (&arguments.accessor, arguments.ask) {
        (Some(accessor), _) => ("sys/capabilities-accessor", json!({ "paths": paths, "accessor": accessor })),
        (None, true) => {
            let token = ask::required("Token (not shown): ").await?;
            ("sys/capabilities", json!({ "paths": paths, "token": *token }))
        }
        (None, false) => ("sys/capabilities-self", json!({ "paths": paths })),
    };
    let found = api.post(path, &body).await?.data().clone();
    let row = |path: &String| vec![path.clone(), texts(&found, path).join(", ")];
    let rows = paths.iter().map(row).collect();
    Ok(Page::new(found).table(&["PATH", "CAPABILITIES"], rows))
}
