//! `operator init`: what is shown once and never again.
use crate::connect::{Connection, PATIENT};
use crate::page::Page;
use crate::words::Failure;
use clap::Args;
use coffer_sdk::Secret;
use serde_json::json;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many shares to make, each for another person
    #[arg(long, alias = "key-shares", default_value_t = 5)]
    shares: u64,
    /// How many of them open the daemon
    #[arg(long, alias = "key-threshold", default_value_t = 3)]
    threshold: u64,
}

pub(crate) async fn run(connection: &Connection, arguments: &Arguments) -> Result<Page, Failure> {
    let api = connection.node_within(PATIENT)?;
    let made = api
        .client
        .sys()
        .init(arguments.shares, arguments.threshold)
        .await
        .map_err(|error| Failure::at("sys/init", error))?;
    let exposed =
        |texts: &[Secret<String>]| texts.iter().map(|text| text.expose().clone()).collect::<Vec<_>>();
    Ok(page(&Made {
        // A daemon of another make gives no Bech32m.
        shares: exposed(if made.shares.is_empty() { &made.shares_base64 } else { &made.shares }),
        hex: exposed(&made.shares_hex),
        base64: exposed(&made.shares_base64),
        root_token: made.root_token.expose().clone(),
        threshold: arguments.threshold,
    }))
}

struct Made {
    shares: Vec<String>,
    hex: Vec<String>,
    base64: Vec<String>,
    root_token: String,
    threshold: u64,
}

fn page(made: &Made) -> Page {
    let (count, threshold) = (made.shares.len(), made.threshold);
    let json = json!({
        "shares": made.shares, "keys": made.hex, "keys_base64": made.base64,
        "root_token": made.root_token, "threshold": threshold,
    });
    let shares =
        made.shares.iter().enumerate().map(|(at, share)| (format!("Share {}", at + 1), share.clone()));
    Page::new(json)
        .good("Initialised. What follows is shown once and never again.")
        .line("")
        .fields(shares.chain([("Root token".to_owned(), made.root_token.clone())]))
        .line("")
        .line(format!("1. Give each share to another person, to be kept offline. Any {threshold} of the {count} open the daemon; without {threshold}, nobody can ever."))
        .line(format!("2. `coffer operator unseal` asks for {threshold} of the shares, one at a time."))
        .line("3. Put the root token where only you can read it, for COFFER_TOKEN_FILE; make policies and roles with it.")
        .line("4. Then end it: `coffer token revoke --self`.")
        .line("5. Clear this screen, and what the terminal keeps of it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initialising_shows_all_once_with_what_to_do() {
        let share = |number: usize| format!("coffer1{}{number}", "q".repeat(74));
        let shares: Vec<_> = (1..=5).map(share).collect();
        let made = Made {
            shares,
            hex: vec![],
            base64: vec![],
            root_token: "s.root-token-of-the-example".into(),
            threshold: 3,
        };
        crate::words::golden("init.txt", &page(&made).plain());
    }
}
