//! After a destruction recovery is tried from everything that was kept, with every key that ever was: what opens is what the
//! store held when the copy was taken, by the keys of that day, and nothing else; in the present store nothing does.
//!
//! So a copy of the disk that Coffer knows nothing of undoes a destruction, as does a backup kept past its date: what is
//! announced is about the present store and the backups that are registered.
use crate::clock;
use crate::stored;
use coffer_sdk::{Cas, KeyType};
use coffer_store::Entry;
use coffer_tests::{Ask, Canaries, House, Setup, eventually};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::PathBuf;
use tempfile::TempDir;

/// One environment of each kind.
const KINDS: [&str; 3] = ["inheriting", "shared", "by-device"];

struct Story {
    house: House,
    folder: TempDir,
    clock: PathBuf,
    /// Every key that ever opened anything, by a name.
    keys: BTreeMap<&'static str, [u8; 32]>,
    /// The shares of the environment that has its own.
    own: Vec<String>,
    /// Every value that was ever written, by its name.
    values: BTreeMap<String, String>,
    /// Copies of the data folder, by when they were taken.
    copies: BTreeMap<&'static str, PathBuf>,
    backups: BTreeMap<&'static str, Vec<u8>>,
    /// By a key of the root environment that is deleted later.
    ciphertext: String,
}

impl Story {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut setup, clock) = clock::setup(folder.path());
        let file = folder.path().join("device.key");
        setup.sections += &format!(
            "[[seal]]\nname = \"device\"\ntype = \"file\"\npath = {file:?}\nenvironments = [\"by-device\"]\n"
        );
        let house = House::with(setup).await;
        let keys = BTreeMap::from([(FIRST[0], stored::joined(&house.shares))]);
        let (values, copies, backups) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (own, ciphertext) = (Vec::new(), String::new());
        let mut story = Self { house, folder, clock, keys, own, values, copies, backups, ciphertext };
        coffer_tests::furnish(&story.house.root()).await;
        for (name, body) in [
            (KINDS[0], json!({})),
            (KINDS[1], json!({ "secret_shares": 2, "secret_threshold": 2 })),
            (KINDS[2], json!({ "seals": ["device"] })),
        ] {
            let made = story.house.root().ask("POST", &format!("sys/namespaces/{name}"), body).await.ok();
            if let Some(shares) = made.data()["shares"].as_array() {
                story.own = story.texts(shares);
                story.keys.insert(FIRST[1], stored::joined(&story.own));
            }
            coffer_tests::furnish(&story.house.root().with_namespace(name).unwrap()).await;
        }
        for name in Self::all() {
            let here = story.house.root().with_namespace(name).unwrap();
            here.transit("transit").create("key", KeyType::Aes256Gcm96).await.unwrap();
        }
        let transit = story.house.root().transit("transit");
        story.ciphertext = transit.encrypt("key", b"a plaintext", b"").await.unwrap();
        story.keys.insert(FIRST[2], std::fs::read(&file).unwrap().try_into().unwrap());
        story
    }

    fn texts(&self, shares: &[Value]) -> Vec<String> {
        let texts: Vec<String> = shares.iter().map(|share| share.as_str().unwrap().to_owned()).collect();
        texts.iter().for_each(|text| self.house.canaries.add(text));
        texts
    }

    /// The environments that there are, with the root.
    fn all() -> impl Iterator<Item = &'static str> {
        [""].into_iter().chain(KINDS)
    }

    /// Another version of a secret everywhere.
    async fn write(&mut self, what: &str) {
        for name in Self::all() {
            let here = self.house.root().with_namespace(name).unwrap();
            let value = self.house.canaries.plant(&format!("{name}-{what}"));
            here.kv("secret").put("kept", &json!({ "v": value }), Cas::Any).await.unwrap();
            self.values.insert(format!("{name} {what}"), value);
        }
    }

    /// Copies the data folder of a daemon that was stopped for it.
    async fn copy(&mut self, when: &'static str) {
        assert!(self.house.stop().success());
        let to = self.folder.path().join(when);
        let done = std::process::Command::new("cp").arg("-a").arg(self.house.data()).arg(&to).status();
        assert!(done.unwrap().success());
        self.copies.insert(when, to);
        self.house.start_process().await;
        self.house.unseal().await;
        for share in self.own.clone() {
            let unseal = "sys/namespaces/shared/unseal";
            self.house.root().ask("POST", unseal, json!({ "key": share })).await.done();
        }
    }

    /// A backup that is registered to be gone after an hour.
    async fn back_up(&mut self, when: &'static str) {
        let root = self.house.root();
        let call = root.call(coffer_sdk::Method::GET, "sys/storage/raft/snapshot").query("keep", "1h");
        let answer = call.send().await.unwrap();
        self.backups.insert(when, answer.body().to_vec());
    }

    /// New shares of an environment, which alone are in force.
    async fn rekey(&self, name: &str, old: &[String]) -> Vec<String> {
        let here = self.house.root().with_namespace(name).unwrap();
        let body = json!({ "secret_shares": 2, "secret_threshold": 2, "require_verification": true });
        let nonce = here.ask("POST", "sys/rekey/init", body).await.ok().text("nonce");
        let mut made = Value::Null;
        for share in &old[..2] {
            let body = json!({ "key": share, "nonce": nonce });
            made = here.ask("POST", "sys/rekey/update", body).await.ok().body;
        }
        let new = self.texts(made["shares"].as_array().unwrap());
        let proof = made["verification_nonce"].as_str().unwrap();
        for share in &new {
            here.ask("POST", "sys/rekey/verify", json!({ "key": share, "nonce": proof })).await.done();
        }
        new
    }

    /// Whether a house gives the values out that it must have: to the right shares, and not to those of another day.
    async fn serves(&self, other: &House, version: &str, [right, wrong]: [&Vec<String>; 2]) {
        let read = async |name: &str| {
            let here = other.root().with_namespace(name).unwrap();
            here.ask("GET", "secret/data/kept", Value::Null).await
        };
        read("shared").await.refused(503);
        for (shares, opens) in [(wrong, false), (right, true)] {
            for share in shares {
                let path = "sys/namespaces/shared/unseal";
                let asked = other.root().ask("POST", path, json!({ "key": share })).await;
                assert_eq!(asked.status < 300, opens, "{}", asked.body);
            }
        }
        for name in ["", "inheriting", "shared"] {
            let value = &self.values[&format!("{name} {version}")];
            assert_eq!(read(name).await.ok().data()["data"]["v"], value.as_str());
        }
        // Its device is with the first house.
        read("by-device").await.refused(503);
    }

    async fn state(&self, name: &str) -> String {
        let path = format!("sys/namespaces/{name}");
        eventually("the end of the deletion", || async {
            let state = self.house.root().ask("GET", &path, Value::Null).await.ok().text("state");
            (state != "deleting").then_some(state)
        })
        .await
    }

    /// The values that these keys bring to light from a store, by their names.
    fn read(&self, entries: &[Entry], keys: &[[u8; 32]]) -> BTreeSet<&str> {
        let opened = stored::opened(entries, keys);
        let plain: Vec<Vec<u8>> = opened.iter().flat_map(|one| one.plain(entries)).collect();
        let is_in = |value: &str| plain.iter().any(|text| contains(text, value.as_bytes()));
        self.values.iter().filter(|(_, value)| is_in(value)).map(|(name, _)| name.as_str()).collect()
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// What may be read from a place by a choice of keys: by the root's key of the day all that inherits too, by an environment's
/// own key that one alone.
fn expected(place: &Place, given: &[&str]) -> BTreeSet<String> {
    let [root, shared, device] = place.keys;
    let is_there = |key: &str| given.contains(&key) && !place.is_deleted;
    let all = [
        ("", given.contains(&root)),
        (KINDS[0], is_there(root)),
        (KINDS[1], is_there(shared)),
        (KINDS[2], is_there(device)),
    ];
    let names = all.into_iter().filter(|(_, is_read)| *is_read);
    names.map(|(name, _)| format!("{name} {}", place.version)).collect()
}

/// Every choice of some of these.
fn choices<'a>(all: &[&'a str]) -> Vec<Vec<&'a str>> {
    let pick = |bits: u32| {
        all.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0).map(|(_, one)| *one).collect()
    };
    (0..1 << all.len()).map(pick).collect()
}

/// The store of a new daemon into which a backup was brought by the root's shares of the day.
async fn restored(backup: &[u8], shares: &[String], token: &str) -> House {
    let mut other = House::empty(Setup::default()).await;
    let sys = other.client(&other.operator).sys();
    sys.restore_snapshot(Cursor::new(backup.to_vec())).await.unwrap();
    (other.shares, other.root_token) = (shares.to_vec(), token.to_owned());
    other.unseal().await;
    other
}

/// Something from which recovery is tried.
struct Place {
    name: String,
    entries: Vec<Entry>,
    /// The version of the secrets that it holds.
    version: &'static str,
    /// The keys of its day: the root's, and those of the environments that have their own.
    keys: [&'static str; 3],
    is_deleted: bool,
}

const FIRST: [&str; 3] = ["root's first", "shared's first", "the device's"];
const SECOND: [&str; 3] = ["root's second", "shared's second", "the device's"];

/// Whatever can be destroyed is, between copies and backups; what is announced of it is what must be.
async fn destroyed(story: &mut Story) -> [Vec<String>; 4] {
    story.write("first").await;
    story.back_up("first").await;
    story.copy("first").await;

    // The first version is destroyed everywhere, and another is written; a key is deleted.
    story.write("second").await;
    for name in Story::all() {
        let here = story.house.root().with_namespace(name).unwrap();
        here.kv("secret").destroy("kept", &[1]).await.unwrap();
        let read = here.ask("GET", "secret/data/kept?version=1", Value::Null).await;
        assert!(read.status == 404 && read.data()["metadata"]["destroyed"] == true, "{}", read.body);
        let allowed = json!({ "deletion_allowed": true });
        here.ask("POST", "transit/keys/key/config", allowed).await.done();
        here.ask("DELETE", "transit/keys/key", Value::Null).await.done();
    }
    story.copy("second").await;

    // Every key is another one from here on, but the device's.
    let root = [story.house.shares.clone(), story.rekey("", &story.house.shares).await];
    story.house.shares.clone_from(&root[1]);
    let own = [story.own.clone(), story.rekey("shared", &story.own).await];
    story.own.clone_from(&own[1]);
    story.keys.insert(SECOND[0], stored::joined(&root[1]));
    story.keys.insert(SECOND[1], stored::joined(&own[1]));
    for name in Story::all() {
        let here = story.house.root().with_namespace(name).unwrap();
        here.ask("POST", "sys/rotate", json!({})).await.done();
        here.ask("POST", "sys/rotate/root", json!({})).await.done();
    }
    story.back_up("rekeyed").await;
    story.copy("rekeyed").await;

    // One more, of which there is no backup.
    story.house.environment("late").await;
    for name in KINDS.into_iter().chain(["late"]) {
        story.house.root().sys().delete_namespace(name).await.unwrap();
    }
    // Backups hold them, and are announced; when the last of those is to be gone, so are they.
    for name in KINDS {
        let state = story.state(name).await;
        assert!(state.starts_with("deleted, recoverable until 20"), "{name}: {state}");
    }
    assert_eq!(story.state("late").await, "destroyed", "no backup holds it");
    std::fs::write(&story.clock, "+61m").unwrap();
    for name in KINDS {
        assert_eq!(story.state(name).await, "destroyed", "{name}");
    }
    let ([root_first, root_second], [own_first, own_second]) = (root, own);
    [root_first, root_second, own_first, own_second]
}

/// Everything that was kept, the backups as they come out of a restore, and what there is now.
async fn places(story: &mut Story, sets: &[Vec<String>; 4]) -> Vec<Place> {
    let token = story.house.root_token.clone();
    assert!(story.house.stop().success());
    let copied = |when: &str| (format!("copy {when}"), stored::entries(&story.copies[when]));
    let place = |(name, entries), version, keys| Place { name, entries, version, keys, is_deleted: false };
    let mut places = vec![
        place(copied("first"), "first", FIRST),
        place(copied("second"), "second", FIRST),
        place(copied("rekeyed"), "second", SECOND),
    ];
    let [root_first, root_second, own_first, own_second] = sets;
    for (when, shares, own, version, keys) in [
        ("first", root_first, [own_first, own_second], "first", FIRST),
        ("rekeyed", root_second, [own_second, own_first], "second", SECOND),
    ] {
        let mut other = restored(&story.backups[when], shares, &token).await;
        // By the daemon too, as whoever restores it would.
        story.serves(&other, version, own).await;
        let read = other.root().transit("transit").decrypt("key", &story.ciphertext, b"").await;
        assert_eq!(read.is_ok(), when == "first", "a key that was deleted, {when}");
        assert!(other.stop().success());
        places.push(place((format!("backup {when}"), stored::entries(other.data())), version, keys));
    }
    let now = place(("the present store".into(), stored::entries(story.house.data())), "second", SECOND);
    places.push(Place { is_deleted: true, ..now });
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opens_after_a_destruction_is_what_was_announced_whatever_was_kept() {
    let mut story = Story::begin().await;
    let sets = destroyed(&mut story).await;
    let places = places(&mut story, &sets).await;
    let names: Vec<&str> = story.keys.keys().copied().collect();
    for place in &places {
        for given in choices(&names) {
            let opening: Vec<[u8; 32]> = given.iter().map(|name| story.keys[name]).collect();
            let (read, right) = (story.read(&place.entries, &opening), expected(place, &given));
            let is_right = read.iter().copied().eq(right.iter().map(String::as_str));
            assert!(is_right, "{} by {given:?}: {read:?}", place.name);
        }
    }

    // Nor do their bytes lie in the file: neither wraps nor records nor names of what is gone.
    let now = &places.last().unwrap().entries;
    let is_kept = |entry: &Entry| now.iter().any(|kept| kept.key == entry.key);
    let gone = Canaries::default();
    let mut looked = 0;
    for entry in places.iter().flat_map(|place| &place.entries).filter(|entry| !is_kept(entry)) {
        gone.add(&entry.key);
        // A part will do: pages of the file may have been written over in part.
        if let Some(part) = entry.value.get(16..48) {
            gone.add(part);
            looked += 1;
        }
    }
    assert!(looked > 100, "{looked}");
    let left = gone.found_below(&story.house.data().join("store"));
    assert!(left.is_empty(), "{left:?}");
}
