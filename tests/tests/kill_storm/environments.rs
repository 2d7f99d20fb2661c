//! Environments: made, converted from one seal to another, and deleted; each as a whole or not at all.
use super::world::{Home, World};
use super::{Ceremony, give, granted, shares_of, storm};
use coffer_tests::{Ask, eventually};
use keystore_format::seal_record::WrapType::{Inherit, Shamir};
use serde_json::{Value, json};
use std::time::Duration;

/// Whether an environment is listed, with its id.
async fn listed(world: &World, name: &str) -> Option<String> {
    let listed = world.at("").sys().namespaces().await.unwrap().contains(&format!("{name}/"));
    let about = world.at("").ask("GET", &format!("sys/namespaces/{name}"), Value::Null).await;
    assert!(!listed || about.status == 200, "{}", about.body);
    listed.then(|| about.text("uuid"))
}

async fn unseal(world: &World, name: &str, shares: &[String]) {
    for share in shares {
        let path = format!("sys/namespaces/{name}/unseal");
        world.at("").ask("POST", &path, json!({ "key": share })).await.done();
    }
}

async fn is_closed(world: &World, name: &str) {
    world.at(name).ask("GET", "sys/mounts", Value::Null).await.refused(503);
}

async fn is_destroyed(world: &World, name: &str) {
    eventually("the end of the deletion", || async {
        let asked = world.at("").ask("GET", &format!("sys/namespaces/{name}"), Value::Null).await.ok();
        (asked.text("state") == "destroyed").then_some(())
    })
    .await;
}

/// A new environment, sealed as the body says.
struct Create(Value);

#[derive(Default)]
struct Created {
    is_done: bool,
    shares: Vec<String>,
}

impl Create {
    fn has_shares(&self) -> bool {
        self.0["secret_shares"].is_number()
    }
}

impl Ceremony for Create {
    type Told = Created;

    async fn ask(&self, world: &World, told: &mut Created) -> Option<()> {
        let made = granted(&world.at(""), "POST", "sys/namespaces/fresh", self.0.clone()).await?;
        told.is_done = true;
        if self.has_shares() {
            told.shares = shares_of(world, made.data());
        }
        Some(())
    }

    async fn check(&self, world: &mut World, told: &Created) {
        let held = world.held.clone();
        world.reopen(&held).await;
        let id = listed(world, "fresh").await;
        assert!(id.is_some() || !told.is_done, "an environment that was told of is gone");
        if let Some(id) = &id {
            assert!(world.house.stop().success());
            let wraps = world.wraps();
            let seal = wraps.of(id).expect("what is listed has a seal");
            assert_eq!(seal.count(Shamir), usize::from(self.has_shares()));
            assert_eq!(seal.count(Inherit), usize::from(!self.has_shares()));
            assert!(told.shares.is_empty() || seal.opens_by(&told.shares));
            world.reopen(&held).await;
        }
        let mut shares = told.shares.clone();
        if id.is_some() && self.has_shares() {
            is_closed(world, "fresh").await;
        }
        if id.is_some() && self.has_shares() && shares.is_empty() {
            // The answer was lost: nobody has its shares, and nothing is in it. It goes, and its name is free.
            let path = "sys/namespaces/fresh/delete-sealed";
            world.at("").ask("DELETE", path, Value::Null).await.done();
            is_destroyed(world, "fresh").await;
        }
        if id.is_none() || (self.has_shares() && shares.is_empty()) {
            let mut again = Created::default();
            self.ask(world, &mut again).await.unwrap();
            shares = again.shares;
        } else {
            unseal(world, "fresh", &shares).await;
        }
        let home = world.furnished("fresh").await;
        world.house.restart().await;
        unseal(world, "fresh", &shares).await;
        world.is_there(&home).await;
    }
}

/// From its parent's key to shares of its own, in two steps.
struct ToShares(Home);

#[derive(Default)]
struct Converted {
    shares: Vec<String>,
    is_added: bool,
    is_removed: bool,
}

impl Ceremony for ToShares {
    type Told = Converted;

    async fn ask(&self, world: &World, told: &mut Converted) -> Option<()> {
        let here = world.at(&self.0.name);
        let body = json!({ "add": "shares", "secret_shares": 3, "secret_threshold": 2 });
        let begun = granted(&here, "POST", "sys/seals/change", body).await?;
        told.shares = shares_of(world, begun.data());
        give(&here, "sys/seals/update", &begun.text("nonce"), &told.shares).await?;
        told.is_added = true;
        let begun = granted(&here, "POST", "sys/seals/change", json!({ "remove": "inherit" })).await?;
        give(&here, "sys/seals/update", &begun.text("nonce"), &told.shares).await?;
        told.is_removed = true;
        Some(())
    }

    async fn check(&self, world: &mut World, told: &Converted) {
        let wraps = world.wraps();
        let seal = wraps.of(&self.0.id).expect("it has a seal");
        let (shared, inherits) = (seal.count(Shamir), seal.count(Inherit) == 1);
        assert!(shared == 1 || (shared == 0 && inherits), "nothing opens it, or more than should");
        assert!(shared == 0 || seal.opens_by(&told.shares), "shares are in force that nobody has");
        assert!(shared == 1 || !told.is_added, "shares that were told to be in force are not");
        assert!(inherits || told.is_added, "it was taken out without being asked to");
        assert!(!inherits || !told.is_removed, "what was told to be taken out is there");
        let held = world.held.clone();
        world.reopen(&held).await;
        if !inherits {
            is_closed(world, &self.0.name).await;
            unseal(world, &self.0.name, &told.shares).await;
        }
        world.is_there(&self.0).await;
    }
}

/// From shares of its own to its parent's key, in one step.
struct ToInherit {
    home: Home,
    own: Vec<String>,
}

impl Ceremony for ToInherit {
    type Told = bool;

    async fn before(&self, world: &World) {
        unseal(world, &self.home.name, &self.own).await;
    }

    async fn ask(&self, world: &World, is_done: &mut bool) -> Option<()> {
        let here = world.at(&self.home.name);
        let body = json!({ "add": "inherit", "remove": "shares", "accept_loss": true });
        let begun = granted(&here, "POST", "sys/seals/change", body).await?;
        give(&here, "sys/seals/update", &begun.text("nonce"), &self.own).await?;
        *is_done = true;
        Some(())
    }

    async fn check(&self, world: &mut World, is_done: &bool) {
        let wraps = world.wraps();
        let seal = wraps.of(&self.home.id).expect("it has a seal");
        let (by_shares, inherits) = (seal.opens_by(&self.own), seal.count(Inherit) == 1);
        assert_eq!(seal.count(Shamir), usize::from(by_shares));
        assert!(by_shares != inherits, "not exactly one of two seals opens it");
        assert!(inherits || !is_done, "not as it was told");
        let held = world.held.clone();
        world.reopen(&held).await;
        if by_shares {
            is_closed(world, &self.home.name).await;
            unseal(world, &self.home.name, &self.own).await;
        }
        world.is_there(&self.home).await;
    }
}

/// Deleted, until nothing of it is left.
struct Delete(Home);

#[derive(Default)]
struct Deleted {
    is_deleted: bool,
    is_destroyed: bool,
}

impl Ceremony for Delete {
    type Told = Deleted;

    async fn ask(&self, world: &World, told: &mut Deleted) -> Option<()> {
        let (root, path) = (world.at(""), format!("sys/namespaces/{}", self.0.name));
        granted(&root, "DELETE", &path, Value::Null).await?;
        told.is_deleted = true;
        while !told.is_destroyed {
            let state = granted(&root, "GET", &path, Value::Null).await?.text("state");
            told.is_destroyed = state == "destroyed";
            // Every look is a leaf of the log.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Some(())
    }

    async fn check(&self, world: &mut World, told: &Deleted) {
        let is_sealed = world.wraps().of(&self.0.id).is_some();
        let held = world.held.clone();
        world.reopen(&held).await;
        let id = listed(world, &self.0.name).await;
        assert_eq!(id.is_some(), is_sealed, "what is listed has a seal, and what is not has none");
        if id.is_some() {
            assert!(!told.is_deleted, "a deletion that was told of was undone");
            world.is_there(&self.0).await;
            return;
        }
        if told.is_destroyed {
            let path = format!("sys/namespaces/{}", self.0.name);
            let state = world.at("").ask("GET", &path, Value::Null).await.ok().text("state");
            assert_eq!(state, "destroyed");
        }
        is_destroyed(world, &self.0.name).await;
        let home = world.home(&self.0.name, json!({})).await;
        world.is_there(&home).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_whose_making_is_killed_at_any_point_is_there_or_not() {
    let mut world = World::new().await;
    world.keep();
    storm(&mut world, &Create(json!({}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_with_shares_whose_making_is_killed_at_any_point_opens_by_them_or_can_be_made() {
    let mut world = World::new().await;
    world.keep();
    storm(&mut world, &Create(json!({ "secret_shares": 3, "secret_threshold": 2 }))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_gets_shares_of_its_own_opens_after_a_kill_at_any_point() {
    let mut world = World::new().await;
    let home = world.home("acme", json!({})).await;
    world.keep();
    storm(&mut world, &ToShares(home)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_gives_its_shares_up_opens_after_a_kill_at_any_point() {
    let mut world = World::new().await;
    let home = world.home("acme", json!({})).await;
    let mut told = Converted::default();
    let to_shares = ToShares(home.clone());
    to_shares.ask(&world, &mut told).await.unwrap();
    world.keep();
    storm(&mut world, &ToInherit { home, own: told.shares }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_whose_deletion_is_killed_at_any_point_is_there_or_destroyed() {
    let mut world = World::new().await;
    let home = world.home("acme", json!({})).await;
    world.keep();
    storm(&mut world, &Delete(home)).await;
}
