//! Ceremonies of shares and keys: `init`, `rekey` in its ways, opening after one, `rotate` and `rotate/root`.
use super::world::World;
use super::{Ceremony, give, granted, shares_of, storm};
use coffer_sdk::Cas;
use coffer_tests::Ask;
use keystore_format::seal_record::WrapType::Shamir;
use serde_json::{Value, json};

/// `init`, from the first start of the daemon on.
struct Init;

#[derive(Default)]
struct Initialised {
    shares: Vec<String>,
    token: String,
}

impl Ceremony for Init {
    type Told = Initialised;
    const FROM_THE_START: bool = true;

    async fn ask(&self, world: &World, told: &mut Initialised) -> Option<()> {
        let made = world.house.client(&world.house.operator).sys().init(3, 2).await.ok()?;
        told.shares = made.shares.iter().map(|text| text.expose().clone()).collect();
        told.shares.iter().for_each(|text| world.house.canaries.add(text));
        told.token.clone_from(made.root_token.expose());
        Some(())
    }

    async fn check(&self, world: &mut World, told: &Initialised) {
        let house = &mut world.house;
        house.start_process().await;
        let is_initialised = house.client(&house.operator).sys().seal_status().await.unwrap().initialized;
        assert!(is_initialised || told.shares.is_empty(), "shares were handed out that open nothing");
        (house.shares, house.root_token) = (told.shares.clone(), told.token.clone());
        if is_initialised {
            assert!(house.stop().success());
            let wraps = world.wraps();
            assert_eq!(wraps.root().count(Shamir), 1);
            assert!(told.shares.is_empty() || wraps.root().opens_by(&told.shares));
            world.house.start_process().await;
        }
        if told.shares.is_empty() {
            if is_initialised {
                // The answer was lost, and with it what opens the store: nothing was ever in it.
                world.clear();
                world.house.start_process().await;
            }
            world.house.init().await;
        }
        world.house.unseal().await;
        let home = world.furnished("").await;
        world.is_there(&home).await;
    }
}

/// New shares by the old ones.
struct Rekey(Shown);

/// What is done with new shares.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// They are in force when they are handed out; whoever opens the store next settles it.
    Never,
    /// They are in force then too, and shown after it.
    Afterwards,
    /// They are shown before they are in force.
    First,
}

#[derive(Default)]
struct Rekeyed {
    new: Vec<String>,
    is_settled: bool,
}

impl Ceremony for Rekey {
    type Told = Rekeyed;

    async fn ask(&self, world: &World, told: &mut Rekeyed) -> Option<()> {
        let root = world.at("");
        let body = json!({ "secret_shares": 3, "secret_threshold": 2, "require_verification": self.0 == Shown::First });
        let nonce = granted(&root, "POST", "sys/rekey/init", body).await?.text("nonce");
        let made = give(&root, "sys/rekey/update", &nonce, &world.held).await?;
        told.new = shares_of(world, &made);
        if self.0 != Shown::Never {
            let proof = made["verification_nonce"].as_str().unwrap();
            give(&root, "sys/rekey/verify", proof, &told.new).await?;
            told.is_settled = true;
        }
        Some(())
    }

    async fn check(&self, world: &mut World, told: &Rekeyed) {
        let wraps = world.wraps();
        let (sets, by_old) = (wraps.root().count(Shamir), wraps.root().opens_by(&world.held));
        let by_new = !told.new.is_empty() && wraps.root().opens_by(&told.new);
        match (self.0, told.new.is_empty()) {
            // Nothing was in force before it was shown, and then nothing else.
            (Shown::First, true) => assert!(sets == 1 && by_old),
            (Shown::First, false) => assert!(sets == 1 && by_old != by_new),
            // The old ones have a way back until somebody has shown the new ones: decision 0093.
            (_, true) => assert!(sets <= 2 && by_old),
            (Shown::Never, false) => assert!(sets == 2 && by_old && by_new),
            (Shown::Afterwards, false) => assert!(by_new && (sets == 2) == by_old),
        }
        assert!(!told.is_settled || !by_old, "the old shares open after the new ones were shown");
        // Whichever set is used is the only one from then on.
        let (used, other) = match (by_old, by_new) {
            (_, true) => (told.new.clone(), world.held.clone()),
            _ => (world.held.clone(), told.new.clone()),
        };
        world.reopen(&used).await;
        only(world, &used, &other).await;
    }
}

/// Seals an open daemon: one set opens it, and the other does not.
async fn only(world: &mut World, used: &[String], other: &[String]) {
    world.at("").ask("POST", "sys/seal", json!({})).await.done();
    assert!(world.refuses(other).await, "two sets of shares open the store");
    world.open(used).await;
    assert!(world.house.stop().success());
    let wraps = world.wraps();
    assert!(wraps.root().count(Shamir) == 1 && wraps.root().opens_by(used));
    world.reopen(used).await;
}

/// The first opening after a rekey whose new shares nobody has shown yet.
struct Opening {
    by: Vec<String>,
    other: Vec<String>,
}

impl Ceremony for Opening {
    /// Whether it opened.
    type Told = bool;
    const FROM_THE_START: bool = true;

    async fn ask(&self, world: &World, is_open: &mut bool) -> Option<()> {
        let sys = world.house.client(&world.house.operator).sys();
        for share in &self.by {
            *is_open = !sys.unseal(&share.clone().into()).await.ok()?.sealed;
            if *is_open {
                return Some(());
            }
        }
        panic!("these shares do not open the store");
    }

    async fn check(&self, world: &mut World, is_open: &bool) {
        let wraps = world.wraps();
        assert!(wraps.root().opens_by(&self.by));
        let by_other = wraps.root().opens_by(&self.other);
        assert!(wraps.root().count(Shamir) == 1 + usize::from(by_other));
        assert!(!is_open || !by_other, "two sets of shares open a store that one has opened");
        world.reopen(&self.by).await;
        only(world, &self.by, &self.other).await;
    }
}

/// New epochs of the data keys, and records that move to them.
struct Rotate;

impl Ceremony for Rotate {
    /// How many were made.
    type Told = u64;

    async fn ask(&self, world: &World, made: &mut u64) -> Option<()> {
        let prod = world.at("prod");
        for at in 0..3 {
            granted(&prod, "POST", "sys/rotate", json!({})).await?;
            *made += 1;
            // Time for the records, and one more of them.
            let body = json!({ "data": { "at": at } });
            granted(&prod, "POST", &format!("secret/data/rotated/{at}"), body).await?;
        }
        Some(())
    }

    async fn check(&self, world: &mut World, made: &u64) {
        is_opened_by_the_held_alone(world).await;
        let status = world.at("prod").ask("GET", "sys/key-status", Value::Null).await.ok();
        let term = status.data()["term"].as_u64().unwrap();
        assert!((1 + made..=2 + made).contains(&term), "{term} after {made}");
    }
}

/// New root keys under the same shares.
struct RotateRoot;

impl Ceremony for RotateRoot {
    /// The last root key's id that was told.
    type Told = String;

    async fn ask(&self, world: &World, told: &mut String) -> Option<()> {
        for name in ["prod", ""] {
            granted(&world.at(name), "POST", "sys/rotate/root", json!({})).await?;
        }
        let seals = granted(&world.at(""), "GET", "sys/seals", Value::Null).await?;
        *told = seals.text("root_id");
        Some(())
    }

    async fn check(&self, world: &mut World, told: &String) {
        is_opened_by_the_held_alone(world).await;
        let now = world.at("").ask("GET", "sys/seals", Value::Null).await.ok().text("root_id");
        assert!(told.is_empty() || *told == now, "a root key that was told of is not in force");
    }
}

async fn is_opened_by_the_held_alone(world: &mut World) {
    let wraps = world.wraps();
    assert!(wraps.root().count(Shamir) == 1 && wraps.root().opens_by(&world.held));
    let held = world.held.clone();
    world.reopen(&held).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_killed_at_any_point_leaves_what_was_told_or_nothing() {
    let mut world = World::empty().await;
    world.clear();
    world.keep();
    storm(&mut world, &Init).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_killed_at_any_point_leaves_a_set_that_its_holders_have() {
    let mut world = World::new().await;
    world.keep();
    storm(&mut world, &Rekey(Shown::Never)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_shown_afterwards_killed_at_any_point_leaves_a_set_that_its_holders_have() {
    let mut world = World::new().await;
    world.keep();
    storm(&mut world, &Rekey(Shown::Afterwards)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_shown_first_killed_at_any_point_leaves_exactly_one_set() {
    let mut world = World::new().await;
    world.keep();
    storm(&mut world, &Rekey(Shown::First)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_after_a_rekey_killed_at_any_point_leaves_the_set_that_opens() {
    let mut world = World::new().await;
    let mut told = Rekeyed::default();
    Rekey(Shown::Never).ask(&world, &mut told).await.unwrap();
    // So the start has to finish what a kill before it left.
    world.house.kill9();
    world.keep();
    let ceremony = Opening { by: told.new, other: world.held.clone() };
    storm(&mut world, &ceremony).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_killed_at_any_point_leave_every_record_readable() {
    let mut world = World::new().await;
    // More than move to a new epoch in one commit.
    let prod = world.at("prod").kv("secret");
    for at in 0..130 {
        prod.put(&format!("many/{at}"), &json!({ "at": at }), Cas::New).await.unwrap();
    }
    world.keep();
    storm(&mut world, &Rotate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_of_the_root_key_killed_at_any_point_leaves_the_shares_as_they_are() {
    let mut world = World::new().await;
    world.keep();
    storm(&mut world, &RotateRoot).await;
}
