//! The daemon itself, killed before and after every change of its disk in every ceremony: exactly one set of shares opens
//! the store, its holders have it, no record is unreadable, and what was asked for is there as a whole or not at all.
//!
//! Three hundred kills over all ceremonies, or as many as `COFFER_KILL_STORM` says; `compare/README.md` has the last long run.
mod environments;
mod seals;
mod shares;
mod world;

use coffer_sdk::Client;
use coffer_tests::{Asked, Point, ask};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use world::World;

/// A ceremony and its promises.
trait Ceremony {
    /// What was told before the daemon was gone.
    type Told: Default;
    /// Whether the daemon's start belongs to it.
    const FROM_THE_START: bool = false;

    /// What comes before it, in a daemon that is open and not killed yet.
    async fn before(&self, _world: &World) {}

    /// Asks for it, step by step; none where the daemon died.
    async fn ask(&self, world: &World, told: &mut Self::Told) -> Option<()>;

    /// What must be so after the kill. The daemon does not run yet; afterwards it runs, open.
    async fn check(&self, world: &mut World, told: &Self::Told);
}

/// How many ceremonies there are: each gets its part of the kills.
const CEREMONIES: usize = 15;

/// How often a ceremony with so many points is killed: as often as any, or in a long run at each point at least once.
fn kills(points: usize) -> usize {
    match std::env::var("COFFER_KILL_STORM") {
        Ok(all) => all.parse::<usize>().unwrap().div_ceil(CEREMONIES).max(points),
        Err(_) => 300 / CEREMONIES,
    }
}

/// Lists the points of a ceremony, and kills the daemon at them: at each as often as the number of kills has it, or at
/// some of every kind.
async fn storm<C: Ceremony>(world: &mut World, ceremony: &C) {
    let all = run(world, ceremony, u64::MAX, false).await;
    assert!(all.iter().any(|point| point.call == "fdatasync"), "nothing was made durable: {all:?}");
    let chosen = chosen(&all, kills(all.len()));
    let (mut died, mut kinds) = (0, BTreeSet::new());
    for (count, at) in chosen.iter().enumerate() {
        // Every fourth time others write too, and every second time where all points were met before.
        let is_crowded = if count < all.len() { count % 4 == 3 } else { count % 2 == 1 };
        let mut at = *at;
        let mut points = run(world, ceremony, at, is_crowded).await;
        // Work behind a ceremony goes on as long as the daemon lives: where this run met fewer points, one of those.
        if !points.is_empty() && points.iter().all(|point| point.number != at) {
            at = at % points.len() as u64 + 1;
            points = run(world, ceremony, at, is_crowded).await;
        }
        if let Some(point) = points.iter().find(|point| point.number == at) {
            died += 1;
            kinds.insert(kind(point));
        }
    }
    // No two runs are alike: a late point may not come.
    assert!(died * 10 >= chosen.len() * 8, "of {} kills only {died} came", chosen.len());
    eprintln!("{died} kills at {} kinds of {} points", kinds.len(), all.len());
}

/// One ceremony in a fresh copy of the house, killed at a point; what it met.
async fn run<C: Ceremony>(world: &mut World, ceremony: &C, at: u64, is_crowded: bool) -> Vec<Point> {
    world.lay_out();
    if C::FROM_THE_START {
        world.kills.arm(at);
        world.start_to_be_killed();
    } else {
        world.start_to_be_killed();
        world.open(&world.held).await;
        ceremony.before(world).await;
        world.kills.arm(at);
    }
    let crowd = (is_crowded && !C::FROM_THE_START).then(|| world.crowd());
    let mut told = C::Told::default();
    if world.house.listens_at().is_some() {
        let _died = ceremony.ask(world, &mut told).await;
    }
    let written = match crowd {
        Some(crowd) => crowd.leave().await,
        None => 0,
    };
    world.kill();
    let points = world.kills.points();
    let place = points.iter().find(|point| point.number == at);
    eprintln!("killed at {at}: {place:?}, others writing: {is_crowded}");
    ceremony.check(world, &told).await;
    world.is_all_there(written).await;
    world.close();
    points
}

/// A kind of point: before or after which call on what sort of file.
fn kind(point: &Point) -> (String, String, String) {
    let no_numbers = point.file.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    (point.side.clone(), point.call.clone(), no_numbers)
}

/// So many points: every one in turn where there are enough kills for it; else the first of each kind, as far as they go,
/// and then others, evenly.
fn chosen(all: &[Point], kills: usize) -> Vec<u64> {
    let mut chosen: Vec<u64> = Vec::new();
    if kills >= all.len() {
        return all.iter().map(|point| point.number).cycle().take(kills).collect();
    }
    let mut kinds = BTreeSet::new();
    // What makes things durable first: there are many more writes.
    for is_write in [false, true] {
        let some = all.iter().filter(|point| point.call.contains("write") == is_write);
        chosen.extend(some.filter(|point| kinds.insert(kind(point))).map(|point| point.number));
    }
    // Half at most, evenly over the kinds; then evenly over the rest.
    let mut chosen = evenly(&chosen, kills / 2);
    let rest: Vec<u64> = all.iter().map(|point| point.number).filter(|at| !chosen.contains(at)).collect();
    chosen.extend(evenly(&rest, kills - chosen.len()));
    chosen
}

fn evenly(all: &[u64], count: usize) -> Vec<u64> {
    let count = count.min(all.len());
    (0..count).map(|at| all[at * all.len() / count]).collect()
}

/// A request that is granted; none where the daemon died.
async fn granted(client: &Client, method: &str, path: &str, body: Value) -> Option<Asked> {
    ask(client, method, path, &body).await.ok().map(Asked::ok)
}

/// Gives shares to a ceremony until one answer says that it is complete; none where the daemon died.
async fn give(client: &Client, path: &str, nonce: &str, shares: &[String]) -> Option<Value> {
    for share in shares {
        let body = json!({ "key": share, "nonce": nonce });
        let answer = granted(client, "POST", path, body).await?.body;
        let answer = if answer["data"].is_object() { answer["data"].clone() } else { answer };
        if answer["complete"] == true {
            return Some(answer);
        }
    }
    panic!("{path}: all shares together are not enough");
}

/// The shares of an answer, as people type them.
fn shares_of(world: &World, answer: &Value) -> Vec<String> {
    let texts = answer["shares"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    let texts: Vec<String> = texts.collect();
    texts.iter().for_each(|text| world.house.canaries.add(text));
    texts
}
