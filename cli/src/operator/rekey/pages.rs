//! What is said of a rekey: what it is to bring, how far it is, and what to type next.
use crate::api::Place;
use crate::operator::ceremony::call_holders;
use crate::operator::handout::Placed;
use crate::page::Page;
use crate::shapes::{flag, number, text, texts};
use serde_json::{Value, json};

/// What a rekey is to bring.
pub(super) fn fields(rekey: &Value) -> Vec<(String, String)> {
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
pub(super) fn next(page: Page, rekey: &Value, place: &Place) -> Page {
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
    call_holders(page, "rekey", "present shares", &nonce, flags).line(last).line(cancel)
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

/// New shares, wherever they are now.
pub(super) fn new_shares(placed: &Placed, answer: &Value, before: &Value, place: &Place) -> Page {
    let mut more = placed.json();
    let what = match placed {
        Placed::Encrypted(_) => "Each new share is encrypted to its holder.",
        Placed::Sheets(_) => "Each new share is on a sheet of its own, to be printed.",
        Placed::Shown(_) => {
            more.extend(["keys", "keys_base64"].map(|form| (form, answer[form].clone())));
            "What follows is shown once and never again."
        }
    };
    let page = Page::new(told(answer, &more))
        .good(format!("All present shares that are needed are given. {what}"))
        .line("");
    let page = handed(placed.show(page, "New share").line(""), answer, before, place);
    placed.exit(match placed {
        Placed::Encrypted(_) => page,
        Placed::Sheets(_) => page.line("Print each sheet for its holder, then delete the files."),
        Placed::Shown(_) => page.line("Clear this screen afterwards, and what the terminal keeps of it."),
    })
}

pub(super) fn verified(answer: Value, need: u64, place: &Place) -> Page {
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

pub(super) fn status(rekey: Value, place: &Place) -> Page {
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

pub(super) fn rotated(place: &Place) -> Page {
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
    use crate::operator::ceremony::counted;
    use crate::operator::holders::Delivered;
    use crate::words::{Exit, golden};
    use zeroize::Zeroizing;

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
            status(json!({ "started": false }), &place("")),
            status(rekey(0, &HOLDERS, true, ""), &place(" -n acme/prod")),
            status(rekey(2, &[], false, ""), &place("")),
            status(rekey(0, &HOLDERS, true, PROOF), &place("")),
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
        let shares = ["coffer1new-share-of-the-example", "coffer1another"];
        let shown = Placed::Shown(shares.map(|share| Zeroizing::new(share.to_owned())).into());
        let delivered = Placed::Encrypted(Delivered {
            kept: vec![("ada".into(), "new/ada.age".into())],
            shown: vec![("ben".into(), "-----BEGIN…\n".into(), "new/ben.age: the disk is full".into())],
        });
        let half = new_shares(&delivered, &answer(true), &before, &place(" -n acme/prod"));
        assert_eq!(half.exit_code(), Exit::Failed);
        let of = ("rekey", "present shares");
        let pages = [
            counted(rekey(1, &[], true, ""), &rekey(0, &[], true, ""), of, &place("")),
            counted(rekey(1, &[], true, ""), &rekey(1, &[], true, ""), of, &place("")),
            new_shares(&shown, &answer(false), &before, &place("")),
            half,
            verified(json!({ "progress": 1 }), 2, &place("")),
            verified(json!({ "complete": true }), 2, &place(" -n acme/prod")),
            rotated(&place("")),
        ];
        golden("rekey-steps.txt", &pages.map(|page| page.plain()).join("\n"));
    }
}
