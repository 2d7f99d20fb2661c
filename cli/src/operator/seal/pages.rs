//! What is said of seals: what opens what, which is the weakest and what that means, and what to type next.
use super::SHARES;
use crate::api::Place;
use crate::page::Page;
use crate::shapes::{flag, number, text, texts};
use serde_json::Value;

/// The seals in an answer of `sys/seals` or `sys/seal-status`.
pub(super) fn seals(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("seals").and_then(Value::as_array).into_iter().flatten()
}

/// What it takes to open a seal.
pub(crate) fn opens(seal: &Value) -> String {
    let (shares, threshold) = (number(seal, "shares"), number(seal, "threshold"));
    match text(seal, "type").as_str() {
        "shamir" if shares == 0 => "enough of its shares".to_owned(),
        "shamir" => format!("{threshold} of {shares} shares"),
        "inherit" => "the environment above, when it is open".to_owned(),
        _ if flag(seal, "waits_for_pin") => "a PIN that an operator gives".to_owned(),
        _ => "by itself, after a start".to_owned(),
    }
}

/// Who can open a seal: why it matters that it is the weakest.
pub(crate) fn means(seal: &Value) -> String {
    let who = match text(seal, "type").as_str() {
        "file" => "whoever copies its key file".to_owned(),
        "shamir" => match number(seal, "threshold") {
            0 => "whoever has enough of its shares".to_owned(),
            1 => "whoever has one of its shares".to_owned(),
            threshold => format!("whoever has {threshold} of its shares"),
        },
        "tpm2" if flag(seal, "waits_for_pin") => {
            "whoever has this machine, started as it was approved, and the PIN".to_owned()
        }
        "tpm2" => "whoever starts this machine as it was approved".to_owned(),
        "pkcs11" => "whoever can use its key in the HSM".to_owned(),
        "transit" => "whoever may use its key in the other daemon".to_owned(),
        "inherit" => "whoever opens the environment above".to_owned(),
        _ => "whoever opens it".to_owned(),
    };
    format!("with the store's files, {who} reads everything, however strong the other seals are")
}

fn is_device(seal: &Value) -> bool {
    !matches!(text(seal, "type").as_str(), "shamir" | "inherit")
}

fn health(seal: &Value) -> String {
    match (text(seal, "state").as_str(), is_device(seal), flag(seal, "healthy")) {
        ("pending", ..) => "the old shares' way back, until the new ones are used".to_owned(),
        (_, false, _) => String::new(),
        (_, true, true) if flag(seal, "pinned") => "well, pinned".to_owned(),
        (_, true, true) => "well".to_owned(),
        _ => "NOT WELL".to_owned(),
    }
}

/// All seals of an environment.
pub(super) fn list(answer: Value, place: &Place) -> Page {
    let row = |seal: &Value| vec![text(seal, "name"), text(seal, "type"), opens(seal), health(seal)];
    let rows: Vec<_> = seals(&answer).map(row).collect();
    let mut page = Page::new(answer.clone()).table(&["SEAL", "TYPE", "OPENED BY", "STATE"], rows);
    page = page.line("");
    for seal in seals(&answer).filter(|seal| is_device(seal) && !flag(seal, "healthy")) {
        page = page.bad(format!(
            "Seal {} would not open {} now: {}.",
            text(seal, "name"),
            place.environment,
            text(seal, "trouble").trim_end_matches('.')
        ));
        page = page.note(format!(
            "Once that is put right, `coffer operator seal verify {}{}` asks it again; a PIN that was refused waits for the next start.",
            text(seal, "name"),
            place.flags
        ));
    }
    let page = strength(page, &answer, place).fields([("Root id", text(&answer, "root_id"))]);
    let available = texts(&answer, "available");
    match available.first() {
        Some(first) => page.note(format!(
            "Configured and not in use: {}. `coffer operator seal add {first}{}` adds it.",
            available.join(", "),
            place.flags
        )),
        None => page,
    }
}

/// The weakest seal and what that means; and whether anything is left when the devices are lost.
fn strength(page: Page, answer: &Value, place: &Place) -> Page {
    let weakest = text(answer, "weakest");
    let mut page = page;
    // Of one alone there is nothing to compare.
    if let Some(seal) =
        seals(answer).filter(|_| seals(answer).nth(1).is_some()).find(|seal| text(seal, "name") == weakest)
    {
        page = page.line(format!("Weakest: {weakest}: {}.", means(seal)));
    }
    let names = |seals: &mut dyn Iterator<Item = &Value>| {
        seals.map(|seal| text(seal, "name")).collect::<Vec<_>>().join(" and ")
    };
    let devices = names(&mut seals(answer).filter(|seal| is_device(seal)));
    let has = |kind: &str| seals(answer).any(|seal| text(seal, "type") == kind);
    match (devices.as_str(), has("shamir"), has("inherit")) {
        ("", ..) => page,
        (devices, true, false) => {
            page.line(format!("Keep the shares: with {devices} lost, they alone open it."))
        }
        (_, _, true) => page,
        (devices, false, false) => page.bad(format!(
            "There are no shares: with {devices} lost, everything is lost. `coffer operator seal add shares{}` makes some.",
            place.flags
        )),
    }
}

/// What is in force now. `all` is nothing where the caller may not look.
pub(super) fn in_force(done: Value, all: &Value, place: &Place) -> Page {
    let (add, remove) = (text(&done, "add"), text(&done, "remove"));
    let page = Page::new(done.clone());
    let page = match (add.as_str(), remove.as_str()) {
        (add, "") => page.good(format!("Done: seal {add} is in force for {}.", place.environment)),
        ("", gone) => page.good(format!("Done: seal {gone} of {} is gone.", place.environment)),
        (add, gone) => {
            page.good(format!("Done: seal {add} has taken the place of {gone} for {}.", place.environment))
        }
    };
    let mut page = match seals(all).find(|seal| text(seal, "name") == add) {
        Some(seal) => page.line(opened_by(seal, place)),
        None => page,
    };
    page = match text(all, "weakest").as_str() {
        "" => page.line(format!("Weakest: {}.", text(&done, "weakest"))),
        _ => strength(page, all, place),
    };
    if !remove.is_empty() {
        page = page.note(format!("Backups that were made before now still open by {remove}."));
    }
    match seals(all).find(|seal| text(seal, "name") == add) {
        Some(seal) if is_device(seal) && !flag(seal, "pinned") => page.note(format!(
            "To let it give out this root key only, write root_ids = [\"{}\"] in its [[seal]] section and start cofferd again.",
            text(all, "root_id")
        )),
        _ => page,
    }
}

/// After another root key: what is to be written where a seal gives out certain root keys only.
pub(crate) fn pins(page: Page, all: &Value) -> Page {
    let root_id = text(all, "root_id");
    seals(all).filter(|seal| flag(seal, "pinned")).fold(page, |page, seal| {
        page.bad(format!(
            "Seal {} is pinned to the root key: write root_ids = [\"{root_id}\"] in its [[seal]] section, and start cofferd again when it suits you. It does not open before.",
            text(seal, "name")
        ))
    })
}

/// What a new seal changes for whoever starts the daemon.
fn opened_by(seal: &Value, place: &Place) -> String {
    let (name, flags) = (text(seal, "name"), &place.flags);
    let it = if flags.is_empty() { "The store" } else { "The environment" };
    match text(seal, "type").as_str() {
        "shamir" => format!("{it} now opens with {}, whatever happens to its devices.", opens(seal)),
        "inherit" => format!("{it} now opens with the one above it, without anybody's help."),
        _ if flag(seal, "waits_for_pin") => format!(
            "After a start it waits for the PIN: `coffer operator unseal --pin {name}` asks for it. A wrong PIN is not tried again."
        ),
        _ => format!("{it} now opens by itself after a start."),
    }
}

fn what(change: &Value) -> String {
    match (text(change, "add").as_str(), text(change, "remove").as_str()) {
        (add, "") => format!("add {add}"),
        ("", remove) => format!("remove {remove}"),
        (add, remove) => format!("put {add} in the place of {remove}"),
    }
}

/// What a holder sees before they agree.
pub(super) fn under_way(change: &Value, place: &Place) -> Vec<String> {
    let (has, need) = (number(change, "progress"), number(change, "required"));
    let kind = if text(change, "add") == SHARES { "new shares" } else { "shares" };
    vec![
        format!("A change of the seals of {} is under way:", place.environment),
        format!("  To do         {}", what(change)),
        format!("  Nonce         {}", text(change, "nonce")),
        format!("  Given so far  {has} of {need} {kind}"),
    ]
}

/// What the other holders type.
pub(super) fn others(change: &Value, place: &Place) -> String {
    let (nonce, flags) = (text(change, "nonce"), &place.flags);
    format!(
        "Other holders, elsewhere: `coffer operator seal share{flags}`, and compare the nonce, or add --nonce {nonce}."
    )
}

/// What the holders of new shares type.
pub(super) fn to_show(change: &Value, place: &Place) -> String {
    let (nonce, flags) = (text(change, "nonce"), &place.flags);
    format!(
        "They are in force when {} of them were shown, and a seal or a restart before that forgets them. Each holder: `coffer operator seal share{flags} --nonce {nonce}`.",
        number(change, "required")
    )
}

/// A change that still needs shares.
pub(super) fn waiting(change: Value, place: &Place) -> Page {
    let (has, need) = (number(&change, "progress"), number(&change, "required"));
    let next = if text(&change, "add") == SHARES { to_show(&change, place) } else { others(&change, place) };
    Page::new(change.clone())
        .note(format!("To {}: {has} of {need} shares are given. Nothing has changed yet.", what(&change)))
        .fields([("Nonce", text(&change, "nonce"))])
        .line(next)
        .line(format!("To call it off: `coffer operator seal cancel{}`.", place.flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::golden;
    use serde_json::json;

    fn place(flags: &str) -> Place {
        let environment = if flags.is_empty() { "the root environment" } else { "environment acme/prod" };
        Place { environment: environment.into(), flags: flags.into() }
    }

    fn shares() -> Value {
        json!({ "name": "shares", "type": "shamir", "state": "current", "shares": 5, "threshold": 3 })
    }

    fn device(name: &str, kind: &str, trouble: &str, is_pinned: bool, waits: bool) -> Value {
        json!({
            "name": name, "type": kind, "state": "current", "healthy": trouble.is_empty(), "trouble": trouble,
            "pinned": is_pinned, "waits_for_pin": waits,
        })
    }

    fn all(seals: &[Value], weakest: &str, available: &[&str]) -> Value {
        json!({ "seals": seals, "weakest": weakest, "available": available, "root_id": "9d2f5c0a", "generation": 4 })
    }

    #[test]
    fn the_list_says_what_opens_it_which_is_the_weakest_and_what_is_not_well() {
        let hsm = device("hsm", "pkcs11", "", true, false);
        let gone = device("hsm", "pkcs11", "there is no token \"coffer\"", false, false);
        let tpm = device("tpm2", "tpm2", "", false, true);
        let inherit = json!({ "name": "inherit", "type": "inherit", "state": "current" });
        let pages = [
            list(all(&[shares()], "shares", &["hsm", "tpm2"]), &place("")),
            list(all(&[shares(), hsm, tpm.clone()], "hsm", &[]), &place("")),
            list(all(&[gone], "hsm", &["disk"]), &place(" -n acme/prod")),
            list(all(&[inherit, tpm], "inherit", &[]), &place(" -n acme/prod")),
        ];
        golden("seal-list.txt", &pages.map(|page| page.plain()).join("\n"));
    }

    #[test]
    fn each_step_says_what_is_in_force_now_and_what_to_type_next() {
        let done = |add: &str, remove: &str| json!({ "complete": true, "nonce": "0f3a6c1d", "add": add, "remove": remove, "weakest": "hsm" });
        let under_way = |add: &str, remove: &str, progress: u64| {
            json!({
                "started": true, "complete": false, "nonce": "0f3a6c1d", "add": add, "remove": remove,
                "progress": progress, "required": 3,
            })
        };
        let hsm = device("hsm", "pkcs11", "", false, false);
        let pinned = device("hsm", "pkcs11", "", true, false);
        let tpm = device("tpm2", "tpm2", "", false, true);
        let both = all(&[shares(), hsm.clone()], "hsm", &[]);
        let pages = [
            waiting(under_way("hsm", "", 1), &place("")),
            waiting(under_way("shares", "", 2), &place(" -n acme/prod")),
            in_force(done("hsm", ""), &both, &place("")),
            in_force(done("hsm", "disk"), &all(&[shares(), pinned], "hsm", &[]), &place(" -n acme/prod")),
            in_force(done("tpm2", ""), &all(&[shares(), tpm], "tpm2", &[]), &place("")),
            in_force(done("shares", ""), &both, &place("")),
            in_force(done("", "shares"), &all(&[hsm], "hsm", &[]), &place("")),
            in_force(done("hsm", ""), &Value::Null, &place("")),
        ];
        let seen = super::under_way(&under_way("hsm", "disk", 1), &place("")).join("\n");
        golden("seal-steps.txt", &format!("{}\n{seen}\n", pages.map(|page| page.plain()).join("\n")));
    }
}
