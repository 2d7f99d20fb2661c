//! Adding and removing seals, from the first question to the page that says what is in force.
use super::share::{Collected, collect};
use super::{CHANGE, Conditions, NewHolders, SEALS, SHARES, pages};
use crate::api::{Api, Place};
use crate::ask;
use crate::connect::Connection;
use crate::operator::handout::Placed;
use crate::operator::holders;
use crate::operator::unseal::Source;
use crate::page::{Page, say};
use crate::shapes::{flag, number, text};
use crate::words::{Failure, SealFault};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A change as it was typed.
pub(super) struct Wanted<'a> {
    /// The new seal's name.
    pub(super) add: &'a str,
    /// The name of the one that it takes the place of, or nothing.
    pub(super) remove: &'a str,
    pub(super) conditions: Conditions,
    pub(super) holders: NewHolders,
    pub(super) accept_loss: bool,
}

/// Adds a seal, in the place of another where one is named.
pub(super) async fn run(
    connection: &Connection,
    api: &Api,
    wanted: Wanted<'_>,
    source: Source,
) -> Result<Page, Failure> {
    let (new, of_tpm) = (&wanted.holders, &wanted.conditions);
    let is_shares = wanted.add.eq_ignore_ascii_case(SHARES);
    let has_holders = new.shares.is_some() || new.threshold.is_some() || new.destination.is_given();
    let has_conditions = of_tpm.pin || of_tpm.pcrs.is_some() || of_tpm.owner_password;
    match is_shares {
        false if has_holders => return Err(SealFault::ForSharesOnly.into()),
        true if has_conditions => return Err(SealFault::NotForShares.into()),
        _ => {}
    }
    check_loss(api, wanted.remove, wanted.accept_loss).await?;
    if is_shares {
        return new_shares(connection, api, &wanted).await;
    }
    let pin = match of_tpm.pin {
        true => Some(ask::new_secret(&format!("New PIN for {} (not shown): ", wanted.add)).await?),
        false => None,
    };
    let owner = match of_tpm.owner_password {
        true => Some(ask::required("Owner password of the TPM (not shown): ").await?),
        false => None,
    };
    let secret = |given: &Option<Zeroizing<String>>| given.as_ref().map(|text| text.to_string());
    let body = json!({
        "add": wanted.add, "remove": wanted.remove, "accept_loss": wanted.accept_loss,
        "pcrs": of_tpm.pcrs, "pin": secret(&pin), "owner_password": secret(&owner),
    });
    let begun = api.post(CHANGE, &body).await?.data().clone();
    given(api, begun, source).await
}

/// Removes a seal, after a person has typed its name.
pub(super) async fn remove(
    api: &Api,
    name: &str,
    accept_loss: bool,
    is_confirmed: bool,
    source: Source,
) -> Result<Page, Failure> {
    check_loss(api, name, accept_loss).await?;
    let what = format!(
        "This removes seal {name} of {}: it opens nothing any more but backups made before now.",
        api.environment()
    );
    ask::confirm(&what, name, is_confirmed)?;
    let body = json!({ "remove": name, "accept_loss": accept_loss });
    let begun = api.post(CHANGE, &body).await?.data().clone();
    given(api, begun, source).await
}

/// Says before anything is asked what would be lost with the last shares. The daemon refuses it in any case.
async fn check_loss(api: &Api, name: &str, is_accepted: bool) -> Result<(), Failure> {
    if name.is_empty() || is_accepted {
        return Ok(());
    }
    let seals = api.look(SEALS).await;
    let mut named = pages::seals(&seals).filter(|seal| text(seal, "name").eq_ignore_ascii_case(name));
    if named.any(|seal| text(seal, "type") == "shamir") { Err(SealFault::LastShares.into()) } else { Ok(()) }
}

/// The change to its end, or as far as the shares here go.
async fn given(api: &Api, begun: Value, mut source: Source) -> Result<Page, Failure> {
    if flag(&begun, "complete") {
        return Ok(in_force(api, begun).await);
    }
    let place = api.place();
    if source.is_person() {
        say(&format!(
            "This takes {} shares of {}. Nothing changes before the last. What you type is not shown; Enter alone stops.",
            number(&begun, "required"),
            api.environment()
        ));
        say(&pages::others(&begun, &place));
    }
    let Collected { last, .. } = collect(api, begun, &mut source, "Share").await?;
    if flag(&last, "complete") { Ok(in_force(api, last).await) } else { Ok(pages::waiting(last, &place)) }
}

pub(super) async fn in_force(api: &Api, done: Value) -> Page {
    pages::in_force(done, &api.look(SEALS).await, &api.place())
}

/// New shares: handed out, and in force when enough of them were shown; then the seal ends whose place they take.
async fn new_shares(connection: &Connection, api: &Api, wanted: &Wanted<'_>) -> Result<Page, Failure> {
    let new = &wanted.holders;
    let threshold = new.threshold.unwrap_or(3);
    let shares = holders::count(new.shares, &new.destination.recipients)?;
    let (prepared, node) = (new.destination.prepare(shares, threshold)?, connection.node()?);
    let body = json!({
        "add": SHARES, "secret_shares": shares, "secret_threshold": threshold,
        "recipients": new.destination.recipients(),
    });
    let begun = api.post(CHANGE, &body).await?.data().clone();
    // From here on nothing may be lost: what can't be written is shown.
    let placed = prepared.deliver(&begun, &node, api.environment(), threshold).await;
    let is_asked = ask::is_terminal();
    let place = api.place();
    if !is_asked {
        return Ok(handed(&placed, false, &begun, wanted.remove, &place));
    }
    placed.say("New share");
    say(&pages::to_show(&begun, &place));
    let mut source = Source::Asked;
    let Collected { last, shares: shown } = collect(api, begun.clone(), &mut source, "New share").await?;
    if !flag(&last, "complete") {
        return Ok(handed(&placed, true, &begun, wanted.remove, &place));
    }
    if wanted.remove.is_empty() {
        return Ok(in_force(api, last).await);
    }
    say("The new shares are in force. Now the other seal ends.");
    let body = json!({ "remove": wanted.remove, "accept_loss": wanted.accept_loss });
    let begun = api.post(CHANGE, &body).await?.data().clone();
    // Whoever has just shown their share for this migration is not asked for it once more.
    given(api, begun, Source::Files(shown.into_iter())).await
}

/// The page of new shares that are still to be shown. Where somebody `was_told`, they stand on the screen already.
fn handed(placed: &Placed, was_told: bool, begun: &Value, remove: &str, place: &Place) -> Page {
    let mut json = json!({
        "complete": false, "nonce": text(begun, "nonce"), "add": SHARES, "required": number(begun, "required"),
    });
    if let Some(members) = json.as_object_mut() {
        members.extend(placed.json().into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    let page = Page::new(json).note("The new shares are handed out, and open nothing yet.");
    let page = if was_told { page } else { placed.show(page.line(""), "New share") };
    let page = page.line("").line(pages::to_show(begun, place));
    let page = match placed {
        Placed::Sheets(_) => page.line("Print each sheet for its holder, then delete the files."),
        _ => page,
    };
    let page = match remove {
        "" => page,
        other => page.line(format!(
            "When they are in force: `coffer operator seal remove {other}{}` ends {other}.",
            place.flags
        )),
    };
    placed.exit(page)
}
