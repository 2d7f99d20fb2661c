//! `operator init`: what is shown once and never again, or goes to its holders' files without being shown.
use super::handout::{Destination, Placed};
use super::holders::{self, Delivered, Reserved};
use super::sheets::Filed;
use crate::connect::{Connection, PATIENT};
use crate::page::Page;
use crate::shapes::{text, texts};
use crate::words::{Exit, Failure};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A root token and a newline are shorter.
const TOKEN_TRIAL: [u8; 128] = [b' '; 128];

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many shares to make, each for another person [default: 5, or one for each recipient]
    #[arg(long, alias = "key-shares")]
    shares: Option<u64>,
    /// How many of them open the daemon
    #[arg(long, alias = "key-threshold", default_value_t = 3)]
    threshold: u64,
    #[command(flatten)]
    destination: Destination,
    /// Write the root token to a file that only you can read, and do not show it
    #[arg(long, value_name = "FILE")]
    root_token_out: Option<PathBuf>,
}

pub(crate) async fn run(connection: &Connection, arguments: &Arguments) -> Result<Page, Failure> {
    let api = connection.node_within(PATIENT)?;
    let (destination, threshold) = (&arguments.destination, arguments.threshold);
    let shares = holders::count(arguments.shares, &destination.recipients)?;
    let prepared = destination.prepare(shares, threshold)?;
    let token_file = match arguments.root_token_out.as_deref() {
        Some(path) => Some((path, Reserved::at(path, &TOKEN_TRIAL)?)),
        None => None,
    };
    let recipients = destination.recipients();
    let body = json!({ "secret_shares": shares, "secret_threshold": threshold, "recipients": recipients });
    let made = api.ceremony("sys/init", &body).await?;
    // From here on nothing may be lost: what can't be written is shown.
    let root_token = text(&made, "root_token");
    let token = token_file.map(|(path, reserved)| {
        let line = Zeroizing::new(format!("{root_token}\n"));
        reserved.keep(line.as_bytes()).map(|()| path.display().to_string()).map_err(|failure| failure.what())
    });
    let environment = "the root environment".to_owned();
    let placed = prepared.deliver(&made, &api, environment, threshold).await;
    let in_clear = match &placed {
        Placed::Shown(shares) => shares.iter().map(|share| share.to_string()).collect(),
        Placed::Encrypted(_) | Placed::Sheets(_) => Vec::new(),
    };
    let made = Made {
        shares: in_clear,
        hex: texts(&made, "keys"),
        base64: texts(&made, "keys_base64"),
        root_token,
        threshold,
        count: shares,
    };
    Ok(match &placed {
        Placed::Encrypted(delivered) => handed(delivered, &made, token),
        Placed::Sheets(filed) => on_sheets(filed, &made, token),
        Placed::Shown(_) if recipients.is_empty() => page(&made, token),
        Placed::Shown(_) => page(&made, token)
            .bad("The shares could not be encrypted, so they stand above as they are.")
            .exit(Exit::Failed),
    })
}

struct Made {
    shares: Vec<String>,
    hex: Vec<String>,
    base64: Vec<String>,
    root_token: String,
    threshold: u64,
    /// How many shares there are, in clear or not.
    count: u64,
}

/// What became of the file for the root token, where one was asked for.
type Token = Option<Result<String, String>>;

fn page(made: &Made, token: Token) -> Page {
    let (count, threshold) = (made.count, made.threshold);
    let mut json = json!({
        "shares": made.shares, "keys": made.hex, "keys_base64": made.base64, "threshold": threshold,
    });
    let shares =
        made.shares.iter().enumerate().map(|(at, share)| (format!("Share {}", at + 1), share.clone()));
    let fields = shares.chain([root_token(made, &token, &mut json)]);
    let page = Page::new(json)
        .good("Initialised. What follows is shown once and never again.")
        .line("")
        .fields(fields)
        .line("")
        .line(format!("1. Give each share to another person, to be kept offline. Any {threshold} of the {count} open the daemon; without {threshold}, nobody can ever."))
        .line(format!("2. `coffer operator unseal` asks for {threshold} of the shares, one at a time."));
    ended(page, &token, true)
}

/// The page of shares that went to their holders' files.
fn handed(delivered: &Delivered, made: &Made, token: Token) -> Page {
    let (count, threshold) = (made.count, made.threshold);
    let (files, shown) = delivered.json();
    let mut json = json!({ "files": files, "encrypted": shown, "threshold": threshold });
    let root_token = root_token(made, &token, &mut json);
    let page = Page::new(json).good("Initialised. Each share is encrypted to its holder.").line("");
    let page = delivered.show(page).line("").fields([root_token]).line("");
    let page = page
        .line(format!("1. Give each file to its holder. Any {threshold} of the {count} open the daemon; without {threshold}, nobody can ever."))
        .line("2. Each holder: `coffer operator unseal --file NAME.age --identity FILE`.");
    let page = ended(page, &token, false);
    if delivered.shown.is_empty() { page } else { page.exit(Exit::Failed) }
}

/// The page of shares that went to sheets.
fn on_sheets(filed: &Filed, made: &Made, token: Token) -> Page {
    let (count, threshold) = (made.count, made.threshold);
    let mut json = json!({ "sheets": filed.json(), "shares": filed.shown(), "threshold": threshold });
    let root_token = root_token(made, &token, &mut json);
    let page =
        Page::new(json).good("Initialised. Each share is on a sheet of its own, to be printed.").line("");
    let page = filed.show(page).line("").fields([root_token]).line("");
    let page = page
        .line(format!("1. Print each sheet and give it to its holder, then delete the files. Any {threshold} of the {count} shares open the daemon; without {threshold}, nobody can ever."))
        .line("2. Each holder: `coffer operator unseal`, and types it, or gives a picture of its code with --file.");
    let page = ended(page, &token, !filed.is_whole());
    if filed.is_whole() { page } else { page.exit(Exit::Failed) }
}

/// The root token as it is shown: itself, or the file that it lies in.
fn root_token(made: &Made, token: &Token, json: &mut serde_json::Value) -> (String, String) {
    let (member, name, value) = match token {
        Some(Ok(path)) => ("root_token_file", "Root token in", path),
        _ => ("root_token", "Root token", &made.root_token),
    };
    if let Some(members) = json.as_object_mut() {
        members.insert(member.to_owned(), value.clone().into());
    }
    (name.to_owned(), value.clone())
}

fn ended(page: Page, token: &Token, are_shares_shown: bool) -> Page {
    let page = page
        .line("3. Put the root token where only you can read it, for COFFER_TOKEN_FILE; make policies and roles with it.")
        .line("4. Then end it: `coffer token revoke --self`.");
    let is_shown = !matches!(token, Some(Ok(_)));
    let page = match are_shares_shown || is_shown {
        true => page.line("5. Clear this screen, and what the terminal keeps of it."),
        false => page,
    };
    match token {
        Some(Err(why)) => {
            page.bad(format!("The root token has no file ({why}): it is shown instead.")).exit(Exit::Failed)
        }
        _ => page,
    }
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
            count: 5,
        };
        crate::words::golden("init.txt", &page(&made, None).plain());
    }

    #[test]
    fn shares_that_went_to_sheets_are_not_shown() {
        let made = Made {
            shares: vec!["coffer1hunter2".into(), "coffer1hunter3".into()],
            hex: vec!["hunter2".into()],
            base64: vec![],
            root_token: "s.root-token-of-the-example".into(),
            threshold: 2,
            count: 2,
        };
        let kept = |number: usize| {
            (number, format!("sheets/share-{number}-of-2.svg"), format!("sheets/share-{number}-of-2.pdf"))
        };
        let whole = Filed { kept: vec![kept(1), kept(2)], shown: vec![] };
        let page = on_sheets(&whole, &made, Some(Ok("root-token".into())));
        assert!(!page.json().to_string().contains("hunter"));
        assert_eq!(page.exit_code(), Exit::Fine);
        let shown = vec![(2, "coffer1hunter3".into(), "the disk is full".into())];
        let half = on_sheets(&Filed { kept: vec![kept(1)], shown }, &made, None);
        assert_eq!((half.exit_code(), &half.json()["shares"][0]), (Exit::Failed, &json!("coffer1hunter3")));
        crate::words::golden("init-sheets.txt", &[page.plain(), half.plain()].join("\n"));
    }

    #[test]
    fn shares_that_went_to_files_are_not_shown() {
        let made = Made {
            shares: vec!["coffer1hunter2".into(), "coffer1hunter3".into()],
            hex: vec!["hunter2".into()],
            base64: vec![],
            root_token: "s.root-token-of-the-example".into(),
            threshold: 2,
            count: 2,
        };
        let kept = vec![("ada".into(), "shares/ada.age".into()), ("ben".into(), "shares/ben.age".into())];
        let mut delivered = Delivered { kept, shown: vec![] };
        let whole = handed(&delivered, &made, Some(Ok("root-token".into())));
        assert!(!whole.json().to_string().contains("hunter") && !whole.json().to_string().contains("s.root"));
        assert_eq!(whole.exit_code(), Exit::Fine);
        let (name, path) = delivered.kept.pop().unwrap();
        let armor = "-----BEGIN AGE ENCRYPTED FILE-----\n…\n-----END AGE ENCRYPTED FILE-----\n";
        delivered.shown.push((name, armor.into(), format!("{path}: the disk is full")));
        let half = handed(&delivered, &made, Some(Err("root-token: the disk is full".into())));
        assert_eq!(half.exit_code(), Exit::Failed);
        assert_eq!(half.json()["encrypted"]["ben"], armor);
        let both = [whole.plain(), half.plain()].join("\n");
        assert!(!both.contains("hunter"));
        crate::words::golden("init-recipients.txt", &both);
    }
}
