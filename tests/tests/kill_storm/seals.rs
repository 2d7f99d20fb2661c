//! Seals by a key file: added, removed, and one in the place of another. The shares open throughout; a device opens exactly
//! where it was put in force and not yet taken out, and before the answer either.
use super::world::World;
use super::{Ceremony, give, granted, storm};
use coffer_tests::Ask;
use keystore_format::seal_record::WrapType::{File, Shamir};
use serde_json::{Value, json};

/// A change of the root environment's seals.
struct Change {
    add: Option<&'static str>,
    remove: Option<&'static str>,
}

impl Change {
    fn body(&self) -> Value {
        let mut body = json!({});
        for (what, name) in [("add", self.add), ("remove", self.remove)] {
            if let Some(name) = name {
                body[what] = json!(name);
            }
        }
        body
    }
}

impl Ceremony for Change {
    /// Whether it is done.
    type Told = bool;

    async fn ask(&self, world: &World, is_done: &mut bool) -> Option<()> {
        let root = world.at("");
        let nonce = granted(&root, "POST", "sys/seals/change", self.body()).await?.text("nonce");
        give(&root, "sys/seals/update", &nonce, &world.held).await?;
        *is_done = true;
        Some(())
    }

    async fn check(&self, world: &mut World, is_done: &bool) {
        let is_changed = self.is_changed(world);
        assert!(is_changed || !is_done, "a change that was told of is not there");
        self.reopen(world, is_changed).await;
        if !is_changed {
            // What was left half done is in nobody's way.
            self.ask(world, &mut false).await.unwrap();
            assert!(world.house.stop().success());
            assert!(self.is_changed(world));
            self.reopen(world, true).await;
        }
    }
}

impl Change {
    /// Whether the store that does not run is sealed as after the change, or else as before it; always by the shares too.
    fn is_changed(&self, world: &World) -> bool {
        let wraps = world.wraps();
        assert!(wraps.root().count(Shamir) == 1 && wraps.root().opens_by(&world.held));
        let opens =
            |name: Option<&str>| name.is_some_and(|name| wraps.root().opens_by_file(&world.key_file(name)));
        let (by_new, by_old) = (opens(self.add), opens(self.remove));
        assert_eq!(wraps.root().count(File), usize::from(by_new) + usize::from(by_old));
        match (self.add, self.remove) {
            (Some(_), Some(_)) => assert!(by_new != by_old, "not exactly one of two devices opens the store"),
            (Some(_), None) => return by_new,
            _ => {}
        }
        !by_old
    }

    /// By the device that is in force, or where there is none by the shares.
    async fn reopen(&self, world: &mut World, is_changed: bool) {
        let in_force = if is_changed { self.add } else { self.remove };
        match in_force {
            Some(_) => world.reopen_by_itself().await,
            None => {
                let held = world.held.clone();
                world.reopen(&held).await;
            }
        }
        let seals = world.at("").ask("GET", "sys/seals", Value::Null).await.ok().data()["seals"].clone();
        let names: Vec<_> = seals.as_array().unwrap().iter().map(|seal| seal["name"].clone()).collect();
        assert_eq!(names, [Some("shares"), in_force].into_iter().flatten().collect::<Vec<_>>());
    }
}

/// With this seal beside the shares.
async fn world(seal: Option<&'static str>) -> World {
    let mut world = World::new().await;
    if seal.is_some() {
        Change { add: seal, remove: None }.ask(&world, &mut false).await.unwrap();
    }
    world.keep();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_whose_adding_is_killed_at_any_point_opens_or_can_be_added() {
    storm(&mut world(None).await, &Change { add: Some("disk"), remove: None }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_whose_removal_is_killed_at_any_point_opens_or_is_gone() {
    storm(&mut world(Some("disk")).await, &Change { add: None, remove: Some("disk") }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_seals_one_in_the_place_of_the_other_exactly_one_opens_after_a_kill_at_any_point() {
    storm(&mut world(Some("disk")).await, &Change { add: Some("other"), remove: Some("disk") }).await;
}
