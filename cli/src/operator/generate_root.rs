//! `operator generate-root`: a root token by the holders of shares, for when there is none.
//!
//! The token comes under a one-time pad that only the one who began has, so no holder of a share sees it. The pad is made
//! here and lies in a file; it is never an argument, and never shown.
use super::ceremony::{Cancel, Holder, call_holders, cancelled, counted, give};
use super::holders::Reserved;
use crate::api::{Api, Place};
use crate::ask;
use crate::connect::{Connection, PATIENT};
use crate::files;
use crate::page::Page;
use crate::shapes::{flag, number, text};
use crate::words::{CeremonyFault, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

const ATTEMPT: &str = "sys/generate-root/attempt";
const UPDATE: &str = "sys/generate-root/update";
const CANCEL: &str = "sys/generate-root/cancel";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Begin: make the one-time pad that the token will come under; nothing changes yet
    Begin {
        /// Where the pad is kept until the token comes; only you can read it
        #[arg(long, value_name = "FILE", default_value = "root-token.pad")]
        pad: PathBuf,
    },
    /// Give your share, after you have seen what it is for
    Give(Holder),
    /// Show what is under way, and what to do next
    Status,
    /// Call it off; with `sudo` on the path, or with a share
    Cancel(Cancel),
    /// Take the pad off the token, without asking the daemon
    Decode(Decode),
}

#[derive(Args)]
pub(crate) struct Decode {
    /// The pad, as `begin` wrote it
    #[arg(long, value_name = "FILE", default_value = "root-token.pad")]
    pad: PathBuf,
    /// The encoded token, as the last holder saw it; asked for where it is left out. It is no secret without the pad
    #[arg(long, value_name = "TEXT")]
    encoded: Option<String>,
    /// Write the token to a file that only you can read, do not show it, and delete the pad
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Begin { pad } => begin(&connection.api()?, pad).await,
        Command::Give(holder) => give_share(&connection.api_within(PATIENT)?, &holder).await,
        Command::Status => {
            let api = connection.api()?;
            let found = api.get(ATTEMPT).await?.data().clone();
            Ok(status_page(found, &api.place()))
        }
        Command::Cancel(arguments) => cancel(&connection.api()?, &arguments).await,
        Command::Decode(arguments) => decode(&arguments).await,
    }
}

async fn begin(api: &Api, path: PathBuf) -> Result<Page, Failure> {
    let length = usize::try_from(number(api.get(ATTEMPT).await?.data(), "otp_length")).unwrap_or_default();
    let pad = pad(length)?;
    // On disk before the ceremony begins: without it the token is lost.
    let file = Reserved::at(&path, pad.as_bytes())?;
    let begun = api.post(ATTEMPT, &json!({ "otp": *pad })).await?.data().clone();
    if let Err(failure) = file.keep(pad.as_bytes()) {
        let _ = api.delete(ATTEMPT).await;
        return Err(failure);
    }
    Ok(begun_page(&begun, &path.display().to_string(), &api.place()))
}

/// As many characters as the token has, of which each is as likely as another.
fn pad(length: usize) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::Input(std::io::ErrorKind::Other.into()))?;
    let mut pad = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
    pad.truncate(length);
    Ok(pad)
}

fn begun_page(begun: &Value, path: &str, place: &Place) -> Page {
    let json = json!({
        "nonce": text(begun, "nonce"), "required": number(begun, "required"),
        "progress": number(begun, "progress"), "pad_file": path,
    });
    let page = Page::new(json)
        .good(format!("A root token of {} is to be made. Nothing has changed yet.", place.environment))
        .line("")
        .fields([("Nonce", text(begun, "nonce")), ("Given so far", given(begun)), ("Pad in", path.to_owned())])
        .line("")
        .line("Keep the pad to yourself, and keep it until you have the token: nothing else takes the pad off it.");
    next(page, begun, place)
}

fn given(ceremony: &Value) -> String {
    format!("{} of {} shares", number(ceremony, "progress"), number(ceremony, "required"))
}

fn next(page: Page, ceremony: &Value, place: &Place) -> Page {
    let (flags, nonce) = (&place.flags, text(ceremony, "nonce"));
    call_holders(page, "generate-root", "shares", &nonce, flags)
        .line(format!("To call it off: `coffer operator generate-root cancel{flags}`."))
}

fn status_page(found: Value, place: &Place) -> Page {
    let page = Page::new(found.clone());
    if !flag(&found, "started") {
        return page
            .line(format!("No root token of {} is being made.", place.environment))
            .note(format!("`coffer operator generate-root begin{}` begins.", place.flags));
    }
    let page = page
        .good(format!("A root token of {} is to be made. Nothing has changed yet.", place.environment))
        .line("")
        .fields([("Nonce", text(&found, "nonce")), ("Given so far", given(&found))])
        .line("");
    next(page, &found, place)
}

async fn give_share(api: &Api, holder: &Holder) -> Result<Page, Failure> {
    let source = holder.share.source()?;
    let found = api.get(ATTEMPT).await?.data().clone();
    if !flag(&found, "started") {
        return Err(CeremonyFault::NoRootToken.into());
    }
    let nonce = text(&found, "nonce");
    let lines = [
        format!("A root token of {} is to be made, which may do everything there:", api.environment()),
        format!("  Nonce           {nonce}"),
        format!("  Given so far    {}", given(&found)),
        "  It goes to      whoever began this, and to nobody else".to_owned(),
    ];
    let question = "Do you know who began this, and do you agree?";
    holder.agree(&nonce, &lines, question)?;
    let prompt =
        format!("Your share ({} of {}): ", number(&found, "progress") + 1, number(&found, "required"));
    let answer = give(api, (UPDATE, ATTEMPT), &nonce, source, &prompt).await?;
    Ok(given_page(answer, &found, &api.place()))
}

fn given_page(answer: Value, before: &Value, place: &Place) -> Page {
    if flag(&answer, "complete") {
        let encoded = text(&answer, "encoded_token");
        let json = json!({ "complete": true, "nonce": text(&answer, "nonce"), "encoded_token": encoded });
        return Page::new(json)
            .good(format!("Done: {} has a new root token.", place.environment))
            .line("")
            .fields([("Encoded token", encoded)])
            .line("")
            .note("Next: give this line to whoever began; it is nothing without their pad. They run `coffer operator generate-root decode`.");
    }
    counted(answer, before, ("generate-root", "shares"), place)
}

async fn cancel(api: &Api, arguments: &Cancel) -> Result<Page, Failure> {
    let ended = arguments.run(api, (CANCEL, ATTEMPT), "Your share: ").await?;
    let page = cancelled(ended.as_deref());
    Ok(match ended {
        None => page.good("No root token is being made: there is nothing to cancel."),
        Some(_) => page
            .good("Cancelled: no token was made, and the shares given so far are forgotten.")
            .line("The pad is of no use any more: whoever began deletes it."),
    })
}

async fn decode(arguments: &Decode) -> Result<Page, Failure> {
    let pad = files::text(&arguments.pad)?;
    let out = match &arguments.out {
        Some(path) => Some((path, Reserved::at(path, &[b' '; 128])?)),
        None => None,
    };
    let encoded = match &arguments.encoded {
        Some(text) => Zeroizing::new(text.clone()),
        None => ask::required("Encoded token: ").await?,
    };
    let token = without_pad(encoded.trim(), pad.trim()).ok_or(CeremonyFault::WrongPad)?;
    let Some((path, reserved)) = out else {
        return Ok(Page::new(json!({ "token": *token }))
            .fields([("Root token", token.to_string())])
            .line("")
            .line("Put it where only you can read it, for COFFER_TOKEN_FILE. End it when you are done: `coffer token revoke --self`.")
            .line(format!("Delete {}, and clear this screen.", arguments.pad.display())));
    };
    let line = Zeroizing::new(format!("{}\n", *token));
    reserved.keep(line.as_bytes())?;
    let page = Page::new(json!({ "token_file": path.display().to_string() }))
        .good(format!("The root token is in {}, for COFFER_TOKEN_FILE.", path.display()))
        .line("End it when you are done: `coffer token revoke --self`.");
    Ok(match std::fs::remove_file(&arguments.pad) {
        Ok(()) => page,
        Err(error) => {
            page.note(format!("Delete {}: it could not be deleted here ({error}).", arguments.pad.display()))
        }
    })
}

/// The token, if these two belong together: then all of it can be read.
fn without_pad(encoded: &str, pad: &str) -> Option<Zeroizing<String>> {
    let bytes = STANDARD_NO_PAD.decode(encoded).or_else(|_| STANDARD.decode(encoded)).ok()?;
    if bytes.len() != pad.len() {
        return None;
    }
    let token: Zeroizing<Vec<u8>> =
        Zeroizing::new(bytes.iter().zip(pad.bytes()).map(|(byte, pad)| byte ^ pad).collect());
    if !token.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    core::str::from_utf8(&token).ok().map(|token| Zeroizing::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::golden;

    #[test]
    fn a_token_comes_out_whole_or_not_at_all() {
        let token = "s.root-token-of-the-example";
        let pad = pad(token.len()).ok().unwrap();
        assert_eq!(pad.len(), token.len());
        let padded: Vec<_> = token.bytes().zip(pad.bytes()).map(|(byte, pad)| byte ^ pad).collect();
        for encoded in [STANDARD.encode(&padded), STANDARD_NO_PAD.encode(&padded)] {
            assert_eq!(without_pad(&encoded, &pad).as_deref().map(String::as_str), Some(token));
        }
        let encoded = STANDARD.encode(&padded);
        assert!(without_pad(&encoded, &pad[1..]).is_none());
        assert!(without_pad("no base64", &pad).is_none());
        let other: String = pad.bytes().map(|byte| char::from(byte ^ 0x60)).collect();
        assert!(without_pad(&encoded, &other).is_none(), "another pad gives no text");
    }

    #[test]
    fn pages_say_what_to_type_next_and_nothing_of_the_pad() {
        let place = Place { environment: "the root environment".into(), flags: String::new() };
        let found = |progress: u64| {
            json!({
                "started": true, "nonce": "0f3a6c1d-0000-4000-8000-00000000002a", "progress": progress, "required": 2,
                "otp": "", "otp_length": 26,
            })
        };
        let done = json!({ "complete": true, "nonce": "0f3a6c1d", "encoded_token": "AAECAwQFBgcICQ" });
        let pages = [
            begun_page(&found(0), "root-token.pad", &place),
            status_page(json!({ "started": false }), &place),
            status_page(found(1), &place),
            given_page(found(1), &found(0), &place),
            given_page(done, &found(1), &place),
        ];
        golden("generate-root.txt", &pages.map(|page| page.plain()).join("\n"));
    }
}
