//! `operator unseal --all`: each share is typed once and given to every daemon and environment that it fits.
//!
//! A share of another set is not a mistake while some target takes it. A target that is down stops no other.
use super::targets::{self, Target};
use super::unseal::Source;
use crate::api::Api;
use crate::connect::{Connection, PATIENT};
use crate::kept::Kept;
use crate::page::{Page, say};
use crate::shapes::{flag, number, text};
use crate::words::{Exit, Failure, TargetFault};
use coffer_sdk::{Error, Method, SealStatus};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// How a target is, as far as is known.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Open,
    Sealed {
        progress: u64,
        threshold: u64,
    },
    NotInitialized,
    /// Nobody answers there.
    Unreachable(String),
    /// It refuses what has nothing to do with shares, or fails.
    Failed(String),
}

/// What became of one share at one target.
#[derive(PartialEq, Eq, Debug)]
enum Taken {
    Yes,
    /// It belongs to another set.
    NotThisOnes,
    /// It is no share, or was given before; in the daemon's words.
    No(String),
    /// Its daemon has to open first.
    Later,
}

struct Door {
    target: Target,
    state: State,
    /// How many of the shares it has been offered.
    offered: usize,
    /// What was seen of its log before, where it is a daemon.
    kept: Kept,
    /// What it said when it opened, if it did now.
    opened: Option<SealStatus>,
}

/// What the command line says of targets.
pub(crate) struct Where<'a> {
    pub(crate) targets: &'a [Target],
    pub(crate) file: Option<&'a Path>,
}

pub(crate) async fn run(
    connection: &Connection,
    places: Where<'_>,
    mut source: Source,
) -> Result<Page, Failure> {
    let targets = targets::all(places.targets, places.file)?;
    if targets.is_empty() {
        let path = places.file.map_or_else(|| PathBuf::from("--target"), Path::to_owned);
        return Err(Failure::Target { path, fault: TargetFault::None });
    }
    let apis =
        targets.iter().map(|target| connection.target(target, PATIENT)).collect::<Result<Vec<_>, _>>()?;
    let state = State::Sealed { progress: 0, threshold: 0 };
    let door =
        |target| Door { target, state: state.clone(), offered: 0, kept: Kept::default(), opened: None };
    let mut doors: Vec<_> = targets.into_iter().map(door).collect();
    look(&mut doors, &apis).await;
    say(&table(&doors));
    let mut shares: Vec<Zeroizing<String>> = Vec::new();
    let mut is_refused = false;
    while doors.iter().any(Door::is_sealed) {
        let sealed = doors.iter().filter(|door| door.is_sealed()).count();
        let prompt = format!("A share for any of {sealed} sealed (Enter alone stops): ");
        let Some(share) = source.next(prompt).await? else { break };
        shares.push(share);
        let taken = offer(&mut doors, &apis, &shares).await;
        if let Some(why) = refusal(&taken) {
            is_refused = true;
            say(&format!("No target takes this share: {why}"));
        }
        say(&table(&doors));
    }
    let keep = |page, door: &Door| match &door.opened {
        Some(status) => door.kept.clone().renew(status, page),
        None => page,
    };
    let page = doors.iter().fold(page(&doors), keep);
    // Said for scripts too: one of the shares was of no use, and something stays closed.
    Ok(if is_refused && !doors.iter().all(|door| door.state == State::Open) {
        page.note("One of the shares was taken by no target.")
    } else {
        page
    })
}

impl Door {
    fn is_sealed(&self) -> bool {
        matches!(self.state, State::Sealed { .. })
    }

    fn words(&self) -> String {
        match &self.state {
            State::Open => "open".into(),
            State::Sealed { threshold: 0, .. } => "sealed".into(),
            State::Sealed { progress, threshold } => {
                format!("sealed, {progress} of {threshold} shares are given")
            }
            State::NotInitialized => "not initialised".into(),
            State::Unreachable(why) => format!("unreachable: {why}"),
            State::Failed(why) => format!("failed: {why}"),
        }
    }

    fn place(&self) -> String {
        match &self.target.environment {
            Some(environment) => format!("{} {environment}", self.target.address),
            None => self.target.address.clone(),
        }
    }
}

/// Asks all of them at once how they are.
async fn look(doors: &mut [Door], apis: &[Api]) {
    let mut asked = JoinSet::new();
    for (at, (door, api)) in doors.iter().zip(apis).enumerate() {
        let (api, target) = (api.clone(), door.target.clone());
        asked.spawn(async move { (at, status(&api, &target).await) });
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok((at, state)) = answer
            && let Some(door) = doors.get_mut(at)
        {
            (door.state, door.kept) = state;
        }
    }
}

async fn status(api: &Api, target: &Target) -> (State, Kept) {
    let answer = api.client.call(Method::GET, &target.path("seal-status")).send().await;
    match answer.and_then(|answer| answer.json()) {
        Ok(answer) => (state_of(&answer), Kept::of(&text(&answer, "cluster_id"))),
        // Not told to everybody, nor while the one above is sealed; giving a share tells.
        Err(Error::Refused(refusal))
            if target.environment.is_some() && matches!(refusal.status, 403 | 503) =>
        {
            (State::Sealed { progress: 0, threshold: 0 }, Kept::default())
        }
        Err(error) => (failed(error), Kept::default()),
    }
}

fn state_of(answer: &Value) -> State {
    // With an envelope or without.
    let answer = answer.get("data").filter(|data| data.is_object()).unwrap_or(answer);
    let is_initialized = answer.get("initialized").is_none_or(|is| *is == true);
    match (is_initialized, flag(answer, "sealed")) {
        (false, _) => State::NotInitialized,
        (_, false) => State::Open,
        _ => State::Sealed { progress: number(answer, "progress"), threshold: number(answer, "t") },
    }
}

fn failed(error: Error) -> State {
    let is_there = !matches!(error, Error::Connect(_) | Error::TimedOut | Error::Interrupted(_));
    let why = Failure::at("", error).what();
    if is_there { State::Failed(why) } else { State::Unreachable(why) }
}

/// Gives every sealed target the shares that it has not seen; again, where one that opened may let another be asked.
async fn offer(doors: &mut [Door], apis: &[Api], shares: &[Zeroizing<String>]) -> Vec<Taken> {
    let mut all = Vec::new();
    loop {
        let before = doors.iter().filter(|door| door.state == State::Open).count();
        let mut asked = JoinSet::new();
        for (at, (door, api)) in doors.iter().zip(apis).enumerate().filter(|(_, (door, _))| door.is_sealed())
        {
            let (api, target, kept) = (api.clone(), door.target.clone(), door.kept.clone());
            let state = door.state.clone();
            let new: Vec<_> = shares.iter().skip(door.offered).cloned().collect();
            asked.spawn(async move { (at, give(&api, &target, (state, &kept), &new).await) });
        }
        while let Some(answer) = asked.join_next().await {
            let Ok((at, (state, taken, opened))) = answer else { continue };
            let Some(door) = doors.get_mut(at) else { continue };
            (door.state, door.opened) = (state, opened);
            door.offered += taken.iter().filter(|one| **one != Taken::Later).count();
            all.extend(taken);
        }
        let now = doors.iter().filter(|door| door.state == State::Open).count();
        if now == before {
            return all;
        }
    }
}

async fn give(
    api: &Api,
    target: &Target,
    (mut state, kept): (State, &Kept),
    shares: &[Zeroizing<String>],
) -> (State, Vec<Taken>, Option<SealStatus>) {
    let (mut taken, mut opened) = (Vec::new(), None);
    for share in shares {
        let body =
            Zeroizing::new(json!({ "key": **share, "checkpoints": kept.notes() }).to_string().into_bytes());
        let answer = api.client.call(Method::POST, &target.path("unseal")).json(body).send().await;
        match answer.and_then(|answer| answer.json::<Value>()) {
            Ok(answer) => {
                let now = state_of(&answer);
                opened = serde_json::from_value(answer.clone()).ok();
                let is_known = now == state && now != State::Open;
                state = now;
                taken.push(if is_known { Taken::No("it was given already".into()) } else { Taken::Yes });
            }
            Err(Error::Refused(refusal)) if refusal.status == 400 => {
                let said = refusal.sentences.join("; ");
                let is_foreign = said.contains("another environment or another store");
                taken.push(if is_foreign { Taken::NotThisOnes } else { Taken::No(said) });
            }
            // An environment of a daemon that is still sealed.
            Err(Error::Refused(refusal)) if refusal.status == 503 && target.environment.is_some() => {
                taken.push(Taken::Later);
                return (state, taken, None);
            }
            Err(error) => return (failed(error), taken, None),
        }
        if state == State::Open {
            break;
        }
    }
    (state, taken, opened)
}

/// Why no target took a share; none where one did, or may later.
fn refusal(taken: &[Taken]) -> Option<String> {
    if taken.is_empty() || taken.iter().any(|one| matches!(one, Taken::Yes | Taken::Later)) {
        return None;
    }
    let said = taken.iter().find_map(|one| if let Taken::No(said) = one { Some(said.clone()) } else { None });
    Some(said.unwrap_or_else(|| "it belongs to another environment or another store".into()))
}

/// How far all of them are, for standard error.
fn table(doors: &[Door]) -> String {
    let width = doors.iter().map(|door| door.target.name.len()).max().unwrap_or_default();
    let lines: Vec<_> =
        doors.iter().map(|door| format!("  {:width$}  {}", door.target.name, door.words())).collect();
    lines.join("\n")
}

fn page(doors: &[Door]) -> Page {
    let (open, of) = (doors.iter().filter(|door| door.state == State::Open).count(), doors.len());
    let rows = doors.iter().map(|door| vec![door.target.name.clone(), door.place(), door.words()]).collect();
    let page =
        Page::new(json!({ "open": open, "of": of, "targets": doors.iter().map(told).collect::<Vec<_>>() }));
    let page = if open == of {
        page.good(format!("Open: all {of}."))
    } else {
        page.bad(format!("Open: {open} of {of}."))
    };
    let page = page.line("").table(&["TARGET", "WHERE", "STATE"], rows);
    if open == of {
        return page;
    }
    let is_unreachable = |door: &Door| matches!(door.state, State::Unreachable(_));
    if doors.iter().all(is_unreachable) {
        return page
            .note("Nobody answers anywhere: check the addresses and your network.")
            .exit(Exit::Failed);
    }
    let page = if doors.iter().any(Door::is_sealed) {
        page.note("The next holder runs the same command: what was given counts.")
    } else {
        page
    };
    page.exit(Exit::Sealed)
}

fn told(door: &Door) -> Value {
    let (state, progress, threshold, error) = match &door.state {
        State::Open => ("open", 0, 0, ""),
        State::Sealed { progress, threshold } => ("sealed", *progress, *threshold, ""),
        State::NotInitialized => ("not_initialized", 0, 0, ""),
        State::Unreachable(why) => ("unreachable", 0, 0, why.as_str()),
        State::Failed(why) => ("failed", 0, 0, why.as_str()),
    };
    json!({
        "name": door.target.name, "address": door.target.address,
        "environment": door.target.environment.clone().unwrap_or_default(), "state": state,
        "progress": progress, "t": threshold, "error": error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(name: &str, environment: Option<&str>, state: State) -> Door {
        let target = Target {
            name: name.into(),
            address: format!("https://{name}:8200"),
            environment: environment.map(str::to_owned),
            ..Target::default()
        };
        Door { target, state, offered: 0, kept: Kept::default(), opened: None }
    }

    #[test]
    fn the_page_tells_of_each_and_the_exit_code_of_all() {
        let sealed = State::Sealed { progress: 1, threshold: 3 };
        let down = || State::Unreachable("the server could not be reached: Connection refused".into());
        let pages = [
            page(&[door("coffer-1", None, State::Open), door("coffer-2", Some("acme/prod"), State::Open)]),
            page(&[
                door("coffer-1", None, State::Open),
                door("coffer-2", None, sealed),
                door("coffer-3", None, down()),
            ]),
            page(&[door("coffer-1", None, down()), door("coffer-2", None, down())]),
            page(&[door("coffer-1", None, State::NotInitialized)]),
        ];
        assert_eq!(pages.each_ref().map(|page| page.exit_code() as u8), [0, 2, 3, 2]);
        crate::words::golden("unseal-all.txt", &pages.map(|page| page.plain()).join("\n"));
    }

    #[test]
    fn a_share_of_another_set_is_no_mistake_while_some_target_takes_it() {
        let no = || Taken::No("the share is mistyped".into());
        assert_eq!(refusal(&[Taken::NotThisOnes, Taken::Yes]), None);
        assert_eq!(refusal(&[Taken::NotThisOnes, Taken::Later]), None);
        assert_eq!(refusal(&[]), None);
        assert!(refusal(&[Taken::NotThisOnes]).unwrap().contains("another store"));
        assert!(refusal(&[Taken::NotThisOnes, no()]).unwrap().contains("mistyped"));
    }

    #[test]
    fn the_state_is_read_with_an_envelope_and_without() {
        let sealed = json!({ "sealed": true, "progress": 1, "t": 2 });
        let state = State::Sealed { progress: 1, threshold: 2 };
        assert_eq!(state_of(&sealed), state);
        assert_eq!(state_of(&json!({ "request_id": "x", "data": sealed })), state);
        assert_eq!(state_of(&json!({ "sealed": true, "initialized": false })), State::NotInitialized);
        assert_eq!(state_of(&json!({ "sealed": false, "initialized": true })), State::Open);
    }
}
