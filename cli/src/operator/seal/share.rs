//! Giving shares for a change: by whoever began it, and by the others at terminals of their own.
use super::change::in_force;
use super::{CHANGE, SHARES, UPDATE, pages};
use crate::api::Api;
use crate::operator::ceremony::{Holder, give};
use crate::operator::unseal::Source;
use crate::page::{Page, one_line, say};
use crate::shapes::{flag, number, text};
use crate::words::{Failure, SealFault};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// What came of the shares that were given here.
pub(super) struct Collected {
    /// The daemon's last answer.
    pub(super) last: Value,
    /// The shares that it took.
    pub(super) shares: Vec<Zeroizing<String>>,
}

/// Gives shares until the change is in force or there are no more.
pub(super) async fn collect(
    api: &Api,
    begun: Value,
    source: &mut Source,
    what: &str,
) -> Result<Collected, Failure> {
    let nonce = text(&begun, "nonce");
    let (mut last, mut shares) = (begun, Vec::new());
    while !flag(&last, "complete") {
        let (has, need) = (number(&last, "progress"), number(&last, "required"));
        let Some(share) = source.next(format!("{what} {} of {need}: ", has + 1)).await? else { break };
        match api.post(UPDATE, &json!({ "key": *share, "nonce": nonce })).await {
            Ok(answered) => {
                last = answered.data().clone();
                let now = number(&last, "progress");
                if !flag(&last, "complete") && now == has {
                    say(&format!("That share was given already: still {now} of {need}."));
                } else {
                    shares.push(share);
                    if !flag(&last, "complete") {
                        say(&format!("{now} of {need}"));
                    }
                }
            }
            // A typo, or a share of another set: the others still count, so the person may try again.
            Err(failure) if source.is_person() && failure.is_bad_request() => {
                let now = api.get(CHANGE).await?.data().clone();
                if text(&now, "nonce") != nonce {
                    return Err(SealFault::Ended.into());
                }
                let counts = format!("{} of {need} still count.", number(&now, "progress"));
                say(&one_line(&failure.what(), &counts));
                last = now;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Collected { last, shares })
}

/// A holder's share for a change that another began.
pub(super) async fn run(api: &Api, holder: &Holder) -> Result<Page, Failure> {
    let source = holder.share.source()?;
    let found = api.get(CHANGE).await?.data().clone();
    if !flag(&found, "started") {
        return Err(SealFault::None.into());
    }
    let (nonce, place) = (text(&found, "nonce"), api.place());
    let is_new = text(&found, "add") == SHARES;
    let question = if is_new {
        "With enough of the new shares shown, they open it. Show yours?"
    } else {
        "You give your share for exactly this. Is it what you agreed to with the others?"
    };
    holder.agree(&nonce, &pages::under_way(&found, &place), question)?;
    let (has, need) = (number(&found, "progress"), number(&found, "required"));
    let whose = if is_new { "NEW" } else { "present" };
    let prompt = format!("Your {whose} share ({} of {need}): ", has + 1);
    let last = give(api, (UPDATE, CHANGE), &nonce, source, &prompt).await?;
    if flag(&last, "complete") { Ok(in_force(api, last).await) } else { Ok(pages::waiting(last, &place)) }
}
