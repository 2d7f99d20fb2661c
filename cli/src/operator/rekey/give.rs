//! A present share, given by its holder; with the last that is needed come the new ones.
use super::{INIT, UPDATE, pages};
use crate::api::Api;
use crate::connect::Connection;
use crate::operator::ceremony::{Holder, counted, give};
use crate::operator::handout::Prepared;
use crate::operator::seal::with_pins;
use crate::page::Page;
use crate::shapes::{flag, number, text, texts};
use crate::shares::Recipient;
use crate::words::{CeremonyFault, Failure};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
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

pub(super) async fn run(connection: &Connection, api: &Api, arguments: &Arguments) -> Result<Page, Failure> {
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
    lines.extend(pages::fields(&rekey).into_iter().map(|(name, value)| format!("  {name:16}{value}")));
    let question = "You give your share for exactly this. Is it what you agreed to with the others?";
    arguments.holder.agree(&nonce, &lines, question)?;
    let is_last = number(&rekey, "progress") + 1 >= number(&rekey, "required");
    let prepared = match (&arguments.sheets, &arguments.out) {
        (Some(folder), _) if is_last => Prepared::on_sheets(folder, number(&rekey, "n"))?,
        (_, Some(folder)) if is_last => {
            let recipients = named.iter().map(|text| text.parse()).collect::<Result<Vec<Recipient>, _>>();
            Prepared::for_holders(&recipients.map_err(|_| CeremonyFault::NoRecipients)?, folder)?
        }
        _ => Prepared::OnScreen,
    };
    let node = connection.node()?;
    let prompt = format!(
        "Your present share ({} of {}): ",
        number(&rekey, "progress") + 1,
        number(&rekey, "required")
    );
    let answer = give(api, (UPDATE, INIT), &nonce, source, &prompt).await?;
    if !flag(&answer, "complete") {
        return Ok(counted(answer, &rekey, ("rekey", "present shares"), &api.place()));
    }
    // From here on nothing may be lost: what can't be written is shown.
    let placed = prepared.deliver(&answer, &node, api.environment(), number(&rekey, "t")).await;
    let page = pages::new_shares(&placed, &answer, &rekey, &api.place());
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

#[cfg(test)]
mod tests {
    use super::*;

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
