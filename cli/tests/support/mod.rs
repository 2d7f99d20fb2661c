//! A small audit log, made as the daemon makes one, and the command itself.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test helper")]
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use keystore_format::checkpoint::{self, Checkpoint};
use keystore_format::frame::{self, Frame};
use keystore_format::ids::EnvironmentId;
use keystore_format::leaf::{self, Leaf, LeafKind, Plain, field_salt};
use keystore_format::logcheck;
use keystore_format::merkle::Frontier;
use keystore_format::note::VerifierKey;
use keystore_format::tile::{self, Tile, TileKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The command with an empty environment, but for these variables.
pub(crate) fn coffer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// The exit code, standard output and standard error.
pub(crate) fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub(crate) const ENVIRONMENT: EnvironmentId = EnvironmentId([0x3c; 16]);
pub(crate) const INCARNATION: [u8; 16] = [0xa1; 16];
pub(crate) const SALT: [u8; 32] = [0x5a; 32];

/// A log of one environment, with a leaf that commits to the path `app/db`.
pub(crate) struct Log {
    pub(crate) folder: PathBuf,
    pub(crate) key: VerifierKey,
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) checkpoint: String,
    pub(crate) tree: String,
}

impl Log {
    /// Writes a log of `requests` requests into `folder`.
    pub(crate) fn write(folder: &Path, requests: u64) -> Self {
        Self::signed(folder, requests, [9; 32], "coffer.example.com")
    }

    pub(crate) fn signed(folder: &Path, requests: u64, seed: [u8; 32], host: &str) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let origin = checkpoint::origin(host, ENVIRONMENT, &INCARNATION);
        let key = VerifierKey::new(&origin, pair.public_key().as_ref().try_into().unwrap()).unwrap();
        let tree = logcheck::tree_path((ENVIRONMENT, INCARNATION));
        let mut leaves = vec![first(&origin, &key)];
        leaves.extend((1..=requests).map(request));

        let (mut journal, mut positions, mut bundle) = (Vec::new(), Vec::new(), Vec::new());
        let (mut frontier, mut hashes) = (Frontier::new(), Vec::new());
        for (at, leaf) in leaves.iter().enumerate() {
            positions.extend_from_slice(&0u64.to_be_bytes());
            positions.extend_from_slice(&(journal.len() as u64).to_be_bytes());
            let frame = Frame { environment: ENVIRONMENT, leaf_id: at as u64, leaf, openings: &[] };
            frame::encode(&frame, &mut journal).unwrap();
            hashes.push(leaf::hash(leaf));
            frontier.append(leaf::hash(leaf), |_, _, _| {});
            tile::push_entry(&mut bundle, leaf).unwrap();
        }
        let width = u16::try_from(leaves.len()).unwrap();
        let signed = Checkpoint { origin, size: u64::from(width), root: frontier.root() };
        let note = signed.sign(&key, |text| pair.sign(text).as_ref().try_into().unwrap()).unwrap();
        let checkpoint = note.to_text();

        let write = |path: String, content: &[u8]| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let tile = |kind| format!("{tree}/{}", Tile { kind, index: 0, width }.path());
        write(logcheck::segment_path(0), &journal);
        write(format!("{tree}/vkey"), format!("{}\n", key.to_text()).as_bytes());
        write(format!("{tree}/checkpoint"), checkpoint.as_bytes());
        write(format!("{tree}/positions"), &positions);
        write(tile(TileKind::Hashes(0)), &tile::encode_hashes(&hashes));
        write(tile(TileKind::Entries), &bundle);
        Self { folder: folder.to_owned(), key, leaves, checkpoint, tree }
    }

    pub(crate) fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join(logcheck::segment_path(0))
    }
}

fn first(origin: &str, key: &VerifierKey) -> Vec<u8> {
    let mut leaf = Leaf::new(LeafKind::Fork, 0, 1_795_316_400_000, "log", "begin", 0);
    let mut plain = |name: &str, value: String| leaf.plain.insert(name.to_owned(), Plain::Text(value));
    plain(logcheck::FIELD_ORIGIN, origin.to_owned());
    plain(logcheck::FIELD_INCARNATION, logcheck::hex(&INCARNATION));
    plain(logcheck::FIELD_KEY, key.to_text());
    leaf.encode().unwrap()
}

fn request(id: u64) -> Vec<u8> {
    let mut leaf = Leaf::new(LeafKind::Request, id, 1_795_316_400_000 + id, "kv2/data", "read", 200);
    leaf.commitments
        .insert("path".to_owned(), leaf::commitment(&field_salt(&SALT, "path"), "path", b"app/db"));
    leaf.encode().unwrap()
}
