//! `operator rekey`: new shares and a new root key, agreed to by the holders of the present shares.
//!
//! Each holder sees what they agree to before they give their share: the nonce, how many new shares there will be, and who
//! gets them. Unless told otherwise, the new shares are in force only when enough of them were shown.
use super::ceremony::{Holder, OneShare, give, same_nonce};
use super::holders::{self, Delivered, Handing};
use super::seal::with_pins;
use super::sheets::{self, Filed, Sheets};
use crate::api::{Api, Place};
use crate::ask;
use crate::connect::{Connection, PATIENT};
use crate::page::Page;
use crate::shapes::{flag, number, text, texts};
use crate::shares::Recipient;
use crate::words::{CeremonyFault, Exit, Failure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

const INIT: &str = "sys/rekey/init";
const UPDATE: &str = "sys/rekey/update";
const VERIFY: &str = "sys/rekey/verify";
const CANCEL: &str = "sys/rekey/cancel";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Begin: say how many new shares there are to be, and for whom; nothing changes yet
    Begin(Begin),
    /// Give your present share, after you have seen what it is for
    Give(Give),
    /// Show your new share: with enough of them the new ones are in force and the old ones end
    Verify(Holder),
    /// Show what is under way, and what to do next
    Status,
    /// Call it off: nothing has changed then; with `sudo` on the path, or with a present share
    Cancel(Cancel),
}

#[derive(Args)]
pub(crate) struct Begin {
    /// How many new shares to make, each for another person [default: 5, or one for each recipient]
    #[arg(long, alias = "key-shares")]
    shares: Option<u64>,
    /// How many of them are to open it
    #[arg(long, alias = "key-threshold", default_value_t = 3)]
    threshold: u64,
    /// A new holder's name and X25519 public key of age; once for each: the daemon gives no new share in clear then
    #[arg(long = "recipient", value_name = "NAME=age1…")]
    recipients: Vec<Recipient>,
    /// Put the new shares in force at once, before anybody has shown that they arrived
    #[arg(long)]
    without_verification: bool,
    /// A holder leaves: what is written from then on is under keys that no old backup and no old share opens
    #[arg(long, conflicts_with_all = ["without_verification", "keep_root_key"])]
    revoke_holder: bool,
    /// Make new shares for the same root key: only where no share is in wrong hands
    #[arg(long)]
    keep_root_key: bool,
    /// Ask for the PIN of the seal by TPM, without echo: it wraps the new root key too
    #[arg(long = "pin", alias = "ask-pin")]
    ask_pin: bool,
    /// Do not ask whether these are the right holders
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
pub(crate) struct Give {
    #[command(flatten)]
    holder: Holder,
    /// A new holder that you expect; once for each: refused where the ceremony has others
    #[arg(long = "recipient", value_name = "NAME=age1…")]
    recipients: Vec<Recipient>,
    /// Where the last share's giver gets the new shares, encrypted to their holders, as NAME.age
    #[arg(long, value_name = "DIR", conflicts_with = "sheets")]
    out: Option<PathBuf>,
    /// Where the last share's giver gets each new share as a sheet for printing (SVG and PDF), instead of seeing it
    #[arg(long, value_name = "DIR")]
    sheets: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Cancel {
    /// The nonce of the rekey that you mean
    #[arg(long, value_name = "NONCE")]
    nonce: Option<String>,
    /// Prove with a present share that you may: for a holder without `sudo`
    #[arg(long, requires = "nonce")]
    by_share: bool,
    #[command(flatten)]
    share: OneShare,
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api_within(PATIENT)?;
    match command {
        Command::Begin(arguments) => begin(&api, &arguments).await,
        Command::Give(arguments) => give_share(connection, &api, &arguments).await,
        Command::Verify(holder) => verify(&api, &holder).await,
        Command::Status => status(&api).await,
        Command::Cancel(arguments) => cancel(&api, &arguments).await,
    }
}

async fn begin(api: &Api, arguments: &Begin) -> Result<Page, Failure> {
    let (recipients, threshold) = (&arguments.recipients, arguments.threshold);
    let shares = holders::count(arguments.shares, recipients)?;
    if !recipients.is_empty() {
        holders::check(recipients, threshold)?;
        holders::agree(recipients, threshold, arguments.yes)?;
    }
    let pin = pin(arguments.ask_pin).await?;
    let body = json!({
        "secret_shares": shares, "secret_threshold": threshold,
        "require_verification": !arguments.without_verification,
        "refresh": arguments.keep_root_key, "revoke_holder": arguments.revoke_holder,
        "pin": pin.as_deref().map(String::as_str),
        "recipients": recipients.iter().map(Recipient::text).collect::<Vec<_>>(),
    });
    let begun = api.post(INIT, &body).await?.data().clone();
    if texts(&begun, "recipients").len() != recipients.len() {
        // A daemon that does not know them would give the shares to whoever comes last.
        let _ = api.delete(INIT).await;
        return Err(CeremonyFault::NoRecipients.into());
    }
    let page = Page::new(begun.clone())
        .good(format!("A rekey of {} has begun. Nothing has changed yet.", api.environment()))
        .line("")
        .fields(fields(&begun));
    Ok(next(page.line(""), &begun, &api.place()))
}

/// The PIN of a TPM, which is never an argument.
async fn pin(is_asked: bool) -> Result<Option<Zeroizing<String>>, Failure> {
    if is_asked { ask::required("PIN of the TPM (not shown): ").await.map(Some) } else { Ok(None) }
}

/// What a rekey is to bring.
fn fields(rekey: &Value) -> Vec<(String, String)> {
    let field = |name: &str, value: String| (name.to_owned(), value);
    let mut all = vec![
        field("Nonce", text(rekey, "nonce")),
        field("New shares", format!("{}, any {} of which open it", number(rekey, "n"), number(rekey, "t"))),
    ];
    for recipient in texts(rekey, "recipients") {
        let (name, key) = recipient.split_once('=').unwrap_or((&recipient, ""));
        all.push(field("  encrypted to", format!("{name}  {key}")));
    }
    if texts(rekey, "recipients").is_empty() {
        all.push(field("  shown to", "whoever gives the last of the present shares: all of them".to_owned()));
    }
    if flag(rekey, "refresh") {
        all.push(field(
            "Root key",
            "stays: whoever has it, or enough old shares and a backup, still has it".to_owned(),
        ));
    }
    if flag(rekey, "revoke_holder") {
        all.push(field("A holder leaves", "records move to new keys that no old backup holds".to_owned()));
    }
    all.push(field("Given so far", given(rekey)));
    all.push(field(
        "Old shares end",
        if flag(rekey, "verification_required") {
            format!("when {} of the new ones were shown", number(rekey, "t"))
        } else {
            "when the new ones are first used or shown".to_owned()
        },
    ));
    all
}

fn given(rekey: &Value) -> String {
    let (has, need) = (number(rekey, "progress"), number(rekey, "required"));
    if text(rekey, "verification_nonce").is_empty() {
        format!("{has} of {need} present shares")
    } else {
        "all that are needed; the new shares wait to be shown".to_owned()
    }
}

/// What to type next.
fn next(page: Page, rekey: &Value, place: &Place) -> Page {
    let (nonce, flags) = (text(rekey, "nonce"), &place.flags);
    let cancel = format!("To call it off: `coffer operator rekey cancel{flags}`.");
    if !text(rekey, "verification_nonce").is_empty() {
        return page
            .note(format!(
                "Next: each new holder runs `coffer operator rekey verify{flags}` with the new share."
            ))
            .line(cancel);
    }
    let last = match texts(rekey, "recipients").is_empty() {
        true => {
            "The last of them gets all new shares; --sheets DIR writes them to sheets for printing instead."
        }
        false => {
            "The last of them gets the new shares, encrypted; --out DIR writes a file for each new holder."
        }
    };
    page.note(format!("Next: tell the holders of present shares this nonce. Each runs `coffer operator rekey give{flags}` and compares it, or adds --nonce {nonce}."))
        .line(last)
        .line(cancel)
}

async fn give_share(connection: &Connection, api: &Api, arguments: &Give) -> Result<Page, Failure> {
    let source = arguments.holder.share.source()?;
    let rekey = api.get(INIT).await?.data().clone();
    if !flag(&rekey, "started") {
        return Err(CeremonyFault::NoRekey.into());
    }
    if !text(&rekey, "verification_nonce").is_empty() {
        return Err(CeremonyFault::AllGiven.into());
    }
    let named = texts(&rekey, "recipients");
    expected(&arguments.recipients, &named)?;
    match (&arguments.out, &arguments.sheets, named.is_empty()) {
        (Some(_), _, true) => return Err(CeremonyFault::NotEncrypted.into()),
        (_, Some(_), false) => return Err(CeremonyFault::Encrypted.into()),
        _ => {}
    }
    let nonce = text(&rekey, "nonce");
    let mut lines = vec![format!("A rekey of {} is under way:", api.environment())];
    lines.extend(fields(&rekey).into_iter().map(|(name, value)| format!("  {name:16}{value}")));
    let question = "You give your share for exactly this. Is it what you agreed to with the others?";
    arguments.holder.agree(&nonce, &lines, question)?;
    let is_last = number(&rekey, "progress") + 1 >= number(&rekey, "required");
    let sheets = match &arguments.sheets {
        Some(folder) if is_last => Some(Sheets::prepare(folder, number(&rekey, "n"))?),
        _ => None,
    };
    let handing = match &arguments.out {
        Some(folder) if is_last => {
            let recipients = named.iter().map(|text| text.parse()).collect::<Result<Vec<Recipient>, _>>();
            Handing::prepare(&recipients.map_err(|_| CeremonyFault::NoRecipients)?, folder)?
        }
        _ => Handing::on_screen(),
    };
    let prompt = format!(
        "Your present share ({} of {}): ",
        number(&rekey, "progress") + 1,
        number(&rekey, "required")
    );
    let answer = give(api, (UPDATE, INIT), &nonce, source, &prompt).await?;
    if !flag(&answer, "complete") {
        return Ok(counted(answer, &rekey, &api.place()));
    }
    // From here on nothing may be lost: what can't be written is shown.
    if let Some(shares) = holders::encrypted_by_the_daemon(&answer) {
        let page = encrypted(&handing.deliver(shares), &answer, &rekey, &api.place());
        return Ok(pinned(page, &answer, api).await);
    }
    let shares = texts(&answer, "shares");
    let filed = match sheets {
        Some(sheets) => {
            let node = connection.node()?;
            let about = sheets::about(&node, api.environment(), number(&rekey, "t"), shares.len()).await;
            Some(sheets.deliver(&shares, &about))
        }
        None => None,
    };
    let page = match &filed {
        Some(filed) => on_sheets(filed, &answer, &rekey, &api.place()),
        None => in_clear(&shares, &answer, &rekey, &api.place()),
    };
    Ok(pinned(page, &answer, api).await)
}

/// Where the new root key is in force already, what that means for seals that are pinned.
async fn pinned(page: Page, answer: &Value, api: &Api) -> Page {
    if flag(answer, "verification_required") { page } else { with_pins(page, api).await }
}

/// Refuses recipients other than those that the caller expects.
fn expected(wanted: &[Recipient], named: &[String]) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut wanted: Vec<_> = wanted.iter().map(Recipient::text).collect();
    let mut named = named.to_vec();
    wanted.sort();
    named.sort();
    if wanted == named { Ok(()) } else { Err(CeremonyFault::OtherRecipients.into()) }
}

fn counted(answer: Value, before: &Value, place: &Place) -> Page {
    let (has, need) = (number(&answer, "progress"), number(&answer, "required"));
    let is_known = has == number(before, "progress");
    let page = Page::new(answer.clone());
    let page = match is_known {
        true => page.note(format!("That share was given already: {has} of {need} are given.")),
        false => {
            page.good(format!("Taken: {has} of {need} present shares are given. Nothing has changed yet."))
        }
    };
    page.note(format!(
        "Next: another holder runs `coffer operator rekey give{} --nonce {}`.",
        place.flags,
        text(&answer, "nonce")
    ))
}

/// How the page of new shares ends: what is in force, and what to do.
fn handed(page: Page, answer: &Value, before: &Value, place: &Place) -> Page {
    let (flags, proof, need) = (&place.flags, text(answer, "verification_nonce"), number(before, "t"));
    let verify = format!("`coffer operator rekey verify{flags} --nonce {proof}`");
    if flag(answer, "verification_required") {
        return page
            .note("The OLD shares are still the ones in force. The new ones open nothing yet.")
            .line(format!("1. Give each new share to its holder. Each runs {verify}."))
            .line(format!("2. With {need} new shares shown, the new ones are in force and the old ones end."))
            .line("3. A seal or a restart before that forgets the new shares: then begin again.");
    }
    page.note(
        "The new shares are in force. The old ones open it too, until the new ones are first used or shown.",
    )
    .line(format!(
        "1. Give each new share to its holder. {need} of them run {verify}: that ends the old ones."
    ))
    .line("2. Backups made before now still open with the old shares.")
}

/// What a script gets of an answer that hands shares out; the shares themselves where the caller puts them.
fn told(answer: &Value, more: &[(&str, Value)]) -> Value {
    let json = json!({
        "complete": true, "nonce": text(answer, "nonce"),
        "verification_required": flag(answer, "verification_required"),
        "verification_nonce": text(answer, "verification_nonce"),
    });
    let own = json.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    own.chain(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()))).collect()
}

fn in_clear(shares: &[String], answer: &Value, before: &Value, place: &Place) -> Page {
    let json = told(
        answer,
        &[
            ("shares", json!(shares)),
            ("keys", answer["keys"].clone()),
            ("keys_base64", answer["keys_base64"].clone()),
        ],
    );
    let numbered =
        shares.iter().enumerate().map(|(at, share)| (format!("New share {}", at + 1), share.clone()));
    let page = Page::new(json)
        .good("All present shares that are needed are given. What follows is shown once and never again.")
        .line("")
        .fields(numbered)
        .line("");
    handed(page, answer, before, place)
        .line("Clear this screen afterwards, and what the terminal keeps of it.")
}

fn encrypted(delivered: &Delivered, answer: &Value, before: &Value, place: &Place) -> Page {
    let (files, shown) = delivered.json();
    let page = Page::new(told(answer, &[("files", files), ("encrypted", shown)]))
        .good("All present shares that are needed are given. Each new share is encrypted to its holder.")
        .line("");
    let page = handed(delivered.show(page).line(""), answer, before, place);
    if delivered.kept.is_empty() || delivered.shown.is_empty() { page } else { page.exit(Exit::Failed) }
}

fn on_sheets(filed: &Filed, answer: &Value, before: &Value, place: &Place) -> Page {
    let page = Page::new(told(answer, &[("sheets", filed.json()), ("shares", json!(filed.shown()))]))
        .good("All present shares that are needed are given. Each new share is on a sheet of its own, to be printed.")
        .line("");
    let page = handed(filed.show(page).line(""), answer, before, place);
    let page = page.line("Print each sheet for its holder, then delete the files.");
    if filed.is_whole() { page } else { page.exit(Exit::Failed) }
}

async fn verify(api: &Api, holder: &Holder) -> Result<Page, Failure> {
    let source = holder.share.source()?;
    let waiting = api.get(VERIFY).await?.data().clone();
    let (nonce, has, need) = (text(&waiting, "nonce"), number(&waiting, "progress"), number(&waiting, "t"));
    let lines = [
        format!("New shares of {} wait to be shown: {has} of {need} were.", api.environment()),
        format!("  Nonce           {nonce}"),
    ];
    let question = format!("With {need} of them shown, the old shares end. Show yours?");
    holder.agree(&nonce, &lines, &question)?;
    let prompt = format!("Your NEW share ({} of {need}): ", has + 1);
    let answer = give(api, (VERIFY, VERIFY), &nonce, source, &prompt).await?;
    let is_complete = flag(&answer, "complete");
    let page = verified(answer, need, &api.place());
    Ok(if is_complete { with_pins(page, api).await } else { page })
}

fn verified(answer: Value, need: u64, place: &Place) -> Page {
    let page = Page::new(answer.clone());
    if flag(&answer, "complete") {
        return page
            .good(format!("Done: {} opens with the new shares, and with them alone.", place.environment))
            .line("The old shares open nothing but backups that were made before now: destroy them when those are gone.");
    }
    page.good(format!(
        "Shown: {} of {need} new shares. The old ones still open it.",
        number(&answer, "progress")
    ))
    .note(format!("Next: another new holder runs `coffer operator rekey verify{}`.", place.flags))
}

async fn status(api: &Api) -> Result<Page, Failure> {
    let rekey = api.get(INIT).await?.data().clone();
    Ok(status_page(rekey, &api.place()))
}

fn status_page(rekey: Value, place: &Place) -> Page {
    let page = Page::new(rekey.clone());
    if !flag(&rekey, "started") {
        return page
            .line(format!("No rekey of {} is under way.", place.environment))
            .note(format!("`coffer operator rekey begin{}` begins one.", place.flags));
    }
    let page = page
        .good(format!("A rekey of {} is under way. Nothing has changed yet.", place.environment))
        .line("")
        .fields(fields(&rekey))
        .line("");
    next(page, &rekey, place)
}

async fn cancel(api: &Api, arguments: &Cancel) -> Result<Page, Failure> {
    let source = arguments.share.source()?;
    let nonce = match &arguments.nonce {
        Some(nonce) if arguments.by_share => {
            give(api, (CANCEL, INIT), nonce.trim(), source, "Your present share: ").await?;
            nonce.clone()
        }
        meant => {
            let rekey = api.get(INIT).await?.data().clone();
            if !flag(&rekey, "started") {
                return Ok(Page::new(json!({ "cancelled": false, "nonce": "" })).good(format!(
                    "No rekey of {} is under way: there is nothing to cancel.",
                    api.environment()
                )));
            }
            same_nonce(meant.as_deref(), &text(&rekey, "nonce"))?;
            api.delete(INIT).await?;
            text(&rekey, "nonce")
        }
    };
    Ok(Page::new(json!({ "cancelled": true, "nonce": nonce.trim() }))
        .good("Cancelled: nothing has changed, and the shares given so far are forgotten.")
        .line("New shares that were handed out and not shown open nothing: destroy them."))
}

/// `operator rotate-root`: a new root key under the same shares.
pub(crate) async fn rotate_root(connection: &Connection, asks_pin: bool) -> Result<Page, Failure> {
    let api = connection.api()?;
    let pin = pin(asks_pin).await?;
    api.post("sys/rotate/root", &json!({ "pin": pin.as_deref().map(String::as_str) })).await?;
    Ok(with_pins(rotated(&api.place()), &api).await)
}

fn rotated(place: &Place) -> Page {
    Page::new(json!({ "rotated": true, "environment": place.environment }))
        .good(format!("Done: {} has a new root key.", place.environment))
        .line("Its shares stay as they are, and nobody has to do anything. Backups made before now open with them too.")
        .line(format!(
            "Where a share may be in wrong hands this does not help: `coffer operator rekey begin{}` makes new ones.",
            place.flags
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::golden;

    fn place(flags: &str) -> Place {
        let environment = if flags.is_empty() { "the root environment" } else { "environment acme/prod" };
        Place { environment: environment.into(), flags: flags.into() }
    }

    fn rekey(progress: u64, recipients: &[&str], is_verified_first: bool, proof: &str) -> Value {
        json!({
            "started": true, "nonce": "0f3a6c1d-0000-4000-8000-00000000002a", "t": 2, "n": 2, "progress": progress,
            "required": 3, "verification_required": is_verified_first, "verification_nonce": proof,
            "recipients": recipients, "refresh": recipients.is_empty() && !is_verified_first,
            "revoke_holder": !recipients.is_empty(),
        })
    }

    const HOLDERS: [&str; 2] = ["ada=age1ada", "ben=age1ben"];
    const PROOF: &str = "7b21e0c4-0000-4000-8000-00000000002b";

    #[test]
    fn the_status_says_what_each_holder_agrees_to_and_what_to_type_next() {
        let pages = [
            status_page(json!({ "started": false }), &place("")),
            status_page(rekey(0, &HOLDERS, true, ""), &place(" -n acme/prod")),
            status_page(rekey(2, &[], false, ""), &place("")),
            status_page(rekey(0, &HOLDERS, true, PROOF), &place("")),
        ];
        golden("rekey-status.txt", &pages.map(|page| page.plain()).join("\n"));
    }

    #[test]
    fn each_step_says_what_is_in_force_now() {
        let before = rekey(2, &[], true, "");
        let answer = |is_verified_first: bool| {
            json!({
                "complete": true, "nonce": "0f3a6c1d", "keys": [], "keys_base64": [],
                "verification_required": is_verified_first, "verification_nonce": PROOF,
            })
        };
        let shares = ["coffer1new-share-of-the-example".to_owned(), "coffer1another".to_owned()];
        let delivered = Delivered {
            kept: vec![("ada".into(), "new/ada.age".into())],
            shown: vec![("ben".into(), "-----BEGIN…\n".into(), "new/ben.age: the disk is full".into())],
        };
        let half = encrypted(&delivered, &answer(true), &before, &place(" -n acme/prod"));
        assert_eq!(half.exit_code(), Exit::Failed);
        let pages = [
            counted(rekey(1, &[], true, ""), &rekey(0, &[], true, ""), &place("")),
            counted(rekey(1, &[], true, ""), &rekey(1, &[], true, ""), &place("")),
            in_clear(&shares, &answer(false), &before, &place("")),
            half,
            verified(json!({ "progress": 1 }), 2, &place("")),
            verified(json!({ "complete": true }), 2, &place(" -n acme/prod")),
            rotated(&place("")),
        ];
        golden("rekey-steps.txt", &pages.map(|page| page.plain()).join("\n"));
    }

    #[test]
    fn the_recipients_are_those_that_the_holder_expects_and_all_of_them() {
        let [one, two] = [1, 2].map(|_| format!("h={}", age::x25519::Identity::generate().to_public()));
        let parsed = |texts: &[&String]| -> Vec<Recipient> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let named = [one.clone(), two.clone()];
        assert!(expected(&[], &named).is_ok());
        assert!(expected(&parsed(&[&two, &one]), &named).is_ok());
        for other in [parsed(&[&one]), parsed(&[&one, &one]), parsed(&[&one, &two, &two])] {
            assert!(expected(&other, &named).is_err());
        }
    }
}
