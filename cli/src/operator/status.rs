//! `operator status`: whether the daemon is open, what opens it, and what to type next.
use super::seal;
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{flag, number, text};
use crate::words::{Exit, Failure};
use serde_json::Value;

pub(crate) async fn run(connection: &Connection) -> Result<Page, Failure> {
    let api = connection.node()?;
    let answer = api.client.call(coffer_sdk::Method::GET, "sys/seal-status").send().await?;
    Ok(page(&api.address, answer.json()?))
}

/// How the daemon is, and what to type where it is not open.
fn page(address: &str, status: Value) -> Page {
    let threshold = number(&status, "t");
    let several = several(&status);
    let is_initialized = flag(&status, "initialized");
    let is_sealed = flag(&status, "sealed") || !is_initialized;
    let progress = number(&status, "progress");
    let page = Page::new(status.clone());
    let page = match (is_initialized, is_sealed) {
        (false, _) => page.bad("not initialised"),
        (_, true) => page.bad("sealed"),
        _ => page.good("open"),
    };
    let page = page.fields([
        ("Address", address.to_owned()),
        ("Version", text(&status, "version")),
        ("Cluster", text(&status, "cluster_name")),
        ("Store id", text(&status, "cluster_id")),
        ("Seal", if several.is_empty() { single(&status) } else { String::new() }),
        (
            "Given so far",
            if is_initialized && is_sealed {
                format!("{progress} of {threshold} shares")
            } else {
                String::new()
            },
        ),
    ]);
    let page = if several.is_empty() { page } else { strength(page, &status, &several) };
    let page = several.iter().fold(page, |page, seal| unwell(page, seal, is_sealed));
    match (is_initialized, is_sealed) {
        (false, _) => page.note("Next: `coffer operator init`, or `coffer operator snapshot restore FILE` to bring a backup back.").exit(Exit::Sealed),
        (_, true) => next(page, &several).exit(Exit::Sealed),
        _ => page,
    }
}

/// The seals, where there is another beside or in place of the shares.
fn several(status: &Value) -> Vec<&Value> {
    let all: Vec<_> = status.get("seals").and_then(Value::as_array).into_iter().flatten().collect();
    if all.iter().all(|seal| text(seal, "type") == "shamir") { Vec::new() } else { all }
}

fn single(status: &Value) -> String {
    let (threshold, shares) = (number(status, "t"), number(status, "n"));
    match shares {
        0 => text(status, "type"),
        _ => format!("{}, {threshold} of {shares} shares open it", text(status, "type")),
    }
}

/// Each seal, and what it takes to open by it; then the weakest, and why that matters.
fn strength(page: Page, status: &Value, several: &[&Value]) -> Page {
    let weakest = text(status, "weakest_seal");
    let row = |seal: &&Value| vec![text(seal, "name"), text(seal, "type"), seal::opens(seal)];
    let page = page.line("").table(&["SEAL", "TYPE", "OPENED BY"], several.iter().map(row).collect());
    match several.iter().find(|seal| text(seal, "name") == weakest) {
        Some(seal) => page.line(format!("Weakest: {weakest}: {}.", seal::means(seal))),
        None => page,
    }
}

/// A seal that would not open it now: said so that nobody overlooks it.
fn unwell(page: Page, seal: &Value, is_sealed: bool) -> Page {
    let name = text(seal, "name");
    if matches!(text(seal, "type").as_str(), "shamir" | "inherit") || flag(seal, "healthy") {
        return page;
    }
    let why = match (flag(seal, "configured"), is_sealed) {
        (false, _) => "the configuration has no [[seal]] of this name.",
        (true, true) => "the daemon's own log says why.",
        (true, false) => "`coffer operator seal list` says why.",
    };
    page.bad(format!("SEAL {name} IS NOT WELL and would not open it now: {why}"))
}

/// What to type where it is sealed.
fn next(page: Page, several: &[&Value]) -> Page {
    let pins = several.iter().filter(|seal| flag(seal, "waits_for_pin"));
    let page = pins.fold(page, |page, seal| {
        let name = text(seal, "name");
        page.note(format!(
            "Seal {name} waits for its PIN: `coffer operator unseal --pin {name}` asks for it."
        ))
    });
    let is_by_device = |seal: &&&Value| flag(seal, "healthy") && !flag(seal, "waits_for_pin");
    let page = match several.iter().find(is_by_device) {
        Some(seal) => page.note(format!(
            "Seal {} opens it by itself after a start only: restart cofferd where it is to be open.",
            text(seal, "name")
        )),
        None => page,
    };
    let has_shares = several.is_empty() || several.iter().any(|seal| text(seal, "type") == "shamir");
    if has_shares { page.note("Next: `coffer operator unseal`, by each holder of a share.") } else { page }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::golden;
    use serde_json::json;

    fn status(initialized: bool, sealed: bool, progress: u64) -> Value {
        json!({ "type": "shamir", "initialized": initialized, "sealed": sealed, "t": if initialized { 3 } else { 0 },
            "n": if initialized { 5 } else { 0 }, "progress": progress, "version": "0.1.0", "cluster_name": "coffer",
            "cluster_id": if initialized { "0f3a6c1d-0000-4000-8000-00000000002a" } else { "" } })
    }

    #[test]
    fn the_status_says_how_it_is_and_what_to_type_next() {
        let all = [status(true, false, 0), status(true, true, 2), status(false, true, 0)];
        let pages = all.map(|status| page("https://coffer.example.com:8200", status).plain());
        golden("status.txt", &pages.join("\n"));
    }

    fn with_seals(sealed: bool, healthy: bool) -> Value {
        let mut status = status(true, sealed, 0);
        status["type"] = json!("pkcs11");
        status["seals"] = json!([
            { "name": "shares", "type": "shamir", "shares": 5, "threshold": 3 },
            { "name": "hsm", "type": "pkcs11", "configured": true, "healthy": healthy, "waits_for_pin": false },
            { "name": "tpm2", "type": "tpm2", "configured": true, "healthy": true, "waits_for_pin": true },
            { "name": "disk", "type": "file", "configured": healthy, "healthy": healthy, "waits_for_pin": false },
        ]);
        status["weakest_seal"] = json!(if healthy { "disk" } else { "shares" });
        status
    }

    #[test]
    fn the_status_names_the_weakest_of_several_seals_and_those_that_are_not_well() {
        let all = [
            with_seals(false, true),
            with_seals(false, false),
            with_seals(true, true),
            with_seals(true, false),
        ];
        let pages = all.map(|status| page("https://coffer.example.com:8200", status).plain());
        golden("status-seals.txt", &pages.join("\n"));
    }

    #[test]
    fn the_exit_code_tells_a_script_whether_it_is_open() {
        let exit = |value| page("", value).exit_code() as u8;
        assert_eq!(exit(status(true, false, 0)), 0);
        assert_eq!(exit(status(true, true, 0)), 2);
        assert_eq!(exit(status(false, true, 0)), 2);
        assert_eq!(exit(status(false, false, 0)), 2);
    }
}
