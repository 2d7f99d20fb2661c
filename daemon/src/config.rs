//! The configuration: TOML, every key known, every value possible, or refused with file, line and what would be right.
use crate::clock::SystemEntropy;
use crate::seals::{self, Seal};
use coffer_seal::devices::Devices;
use coffer_types::Entropy;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// What is wrong with a text: where, in bytes, and what would be right there.
pub(crate) type Wrong = (usize, String);

/// All of the configuration. `daemon/cofferd.example.toml` explains every key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Folder of the store, the audit log and the node's key.
    pub(crate) data_dir: PathBuf,
    #[serde(default = "defaults::cluster_name")]
    pub(crate) cluster_name: String,
    /// The name in the audit logs' origins.
    #[serde(default = "defaults::host")]
    pub(crate) host: Spanned<String>,
    pub(crate) listener: Listener,
    #[serde(default)]
    pub(crate) store: Store,
    #[serde(default)]
    pub(crate) audit: Audit,
    #[serde(default)]
    pub(crate) log: Log,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    seal: Vec<Seal>,
    /// The file's own folder: relative paths are taken from it.
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: PathBuf,
    #[serde(default)]
    pub(crate) client_crls: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) allow_tls12: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    cache_mib: Spanned<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    pub(crate) durability: Durability,
}

/// When the leaf of a read is on disk.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    #[default]
    Checkpoint,
    Fsync,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) format: Format,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    handshake_seconds: Spanned<u64>,
    header_seconds: Spanned<u64>,
    body_seconds: Spanned<u64>,
    connections: Spanned<usize>,
    body_mib: Spanned<usize>,
    large_bodies_mib: Spanned<usize>,
    snapshot_mib: Spanned<u64>,
    json_depth: Spanned<usize>,
    json_values: Spanned<usize>,
    drain_seconds: Spanned<u64>,
}

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from the file's own folder.
    ///
    /// # Errors
    /// A sentence with file, line and what would be right.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut config =
            Self::parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let listener = &mut config.listener;
        for path in
            [&mut config.data_dir, &mut listener.certificate, &mut listener.key, &mut listener.client_ca]
                .into_iter()
                .chain(&mut listener.client_crls)
        {
            *path = folder.join(&*path);
        }
        config.folder = folder.to_owned();
        Ok(config)
    }

    /// Checks the text of a file; paths stay as they are written.
    ///
    /// # Errors
    /// The line, from 1, and what would be right there.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let line_of = |at: usize| text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            (line, without_the_value(error.message()).replace('\n', " "))
        })?;
        config.check().map_err(|(at, what)| (line_of(at), what))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (usize, String)> {
        fn within<T: PartialOrd + Copy + std::fmt::Display>(
            value: &Spanned<T>,
            name: &str,
            least: T,
            most: T,
        ) -> Result<(), (usize, String)> {
            let inner = *value.get_ref();
            if (least..=most).contains(&inner) {
                Ok(())
            } else {
                Err((value.span().start, format!("'{name}' must be from {least} to {most}")))
            }
        }
        let host = self.host.get_ref();
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return Err((
                self.host.span().start,
                "'host' must be a host name: letters, digits, '-', '.' and '_'".into(),
            ));
        }
        within(&self.store.cache_mib, "store.cache_mib", 1, 65_536)?;
        let limits = &self.limits;
        within(&limits.handshake_seconds, "limits.handshake_seconds", 1, 300)?;
        within(&limits.header_seconds, "limits.header_seconds", 1, 3600)?;
        within(&limits.body_seconds, "limits.body_seconds", 1, 3600)?;
        within(&limits.connections, "limits.connections", 1, 1_000_000)?;
        within(&limits.body_mib, "limits.body_mib", 1, 1024)?;
        within(&limits.large_bodies_mib, "limits.large_bodies_mib", 1, 65_536)?;
        if limits.large_bodies_mib.get_ref() < limits.body_mib.get_ref() {
            // Where it stands, or else where the one stands that is too large for the default.
            let at = [&limits.large_bodies_mib, &limits.body_mib].map(|value| value.span().start);
            return Err((
                at.into_iter().max().unwrap_or_default(),
                "'limits.large_bodies_mib' must be at least 'limits.body_mib'".into(),
            ));
        }
        within(&limits.snapshot_mib, "limits.snapshot_mib", 1, 16 * 1024 * 1024)?;
        within(&limits.json_depth, "limits.json_depth", 2, 512)?;
        within(&limits.json_values, "limits.json_values", 100, 10_000_000)?;
        within(&limits.drain_seconds, "limits.drain_seconds", 0, 3600)?;
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        seals::devices(&self.seal, Path::new("/"), &entropy).map(drop)
    }

    /// The devices that wrap root keys.
    ///
    /// # Errors
    /// What would be right; found when the file was read.
    pub(crate) fn devices(&self, entropy: &Arc<dyn Entropy>) -> Result<Devices, String> {
        seals::devices(&self.seal, &self.folder, entropy).map_err(|(_, what)| what)
    }

    /// The limits of the door.
    pub(crate) fn limits(&self) -> coffer_gateway::Limits {
        let (mib, limits, base) = (1024 * 1024, &self.limits, coffer_gateway::Limits::default());
        coffer_gateway::Limits {
            handshake: Duration::from_secs(*limits.handshake_seconds.get_ref()),
            header: Duration::from_secs(*limits.header_seconds.get_ref()),
            body: Duration::from_secs(*limits.body_seconds.get_ref()),
            connections: *limits.connections.get_ref(),
            body_bytes: limits.body_mib.get_ref() * mib,
            large_bodies_bytes: limits.large_bodies_mib.get_ref() * mib,
            snapshot_bytes: limits.snapshot_mib.get_ref() << 20,
            json: coffer_gateway::JsonLimits {
                depth: *limits.json_depth.get_ref(),
                values: *limits.json_values.get_ref(),
            },
            drain: Duration::from_secs(*limits.drain_seconds.get_ref()),
            ..base
        }
    }

    /// The store's cache in bytes.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.store.cache_mib.get_ref() * 1024 * 1024
    }
}

/// serde's sentences begin with what was found, in full where it is text: that may be a secret in a wrong place.
fn without_the_value(message: &str) -> &str {
    let echoes = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "];
    match message.rfind("expected ") {
        Some(at) if echoes.iter().any(|start| message.starts_with(start)) => &message[at..],
        _ => message,
    }
}

fn plain<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl Default for Store {
    fn default() -> Self {
        Self { cache_mib: plain(16) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, format: Format::Text }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let base = coffer_gateway::Limits::default();
        Self {
            handshake_seconds: plain(base.handshake.as_secs()),
            header_seconds: plain(base.header.as_secs()),
            body_seconds: plain(base.body.as_secs()),
            connections: plain(base.connections),
            body_mib: plain(base.body_bytes >> 20),
            large_bodies_mib: plain(base.large_bodies_bytes >> 20),
            snapshot_mib: plain(base.snapshot_bytes >> 20),
            json_depth: plain(base.json.depth),
            json_values: plain(base.json.values),
            drain_seconds: plain(base.drain.as_secs()),
        }
    }
}

mod defaults {
    pub(super) fn cluster_name() -> String {
        "coffer".into()
    }
    pub(super) fn host() -> toml::Spanned<String> {
        super::plain("localhost".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "data_dir = \"data\"\n[listener]\naddress = \"127.0.0.1:8200\"\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n";

    fn refusal(text: &str) -> (usize, String) {
        Config::parse(text).err().unwrap()
    }

    #[test]
    fn the_example_file_can_be_used_and_names_every_default() {
        let text = include_str!("../cofferd.example.toml");
        // What a section's keys are, the refusal of a foreign one tells.
        for section in ["", "[listener]\n", "[store]\n", "[audit]\n", "[log]\n", "[limits]\n", "[[seal]]\n"] {
            let (_, what) = refusal(&format!("{section}foreign = 1\n"));
            let (_, keys) = what.split_once("expected ").unwrap();
            for key in keys.split('`').skip(1).step_by(2) {
                let is_there = |line: &str| line.trim_start_matches(['#', ' ', '[']).starts_with(key);
                assert!(text.lines().any(is_there), "{section}{key} is not in the example");
            }
        }
        let example = Config::parse(text).map_err(|(line, what)| format!("{line}: {what}")).unwrap();
        let smallest = Config::parse(SMALLEST).map_err(|(_, what)| what).unwrap();
        assert_eq!(format!("{:?}", example.limits()), format!("{:?}", smallest.limits()));
        assert_eq!(example.cache_bytes(), smallest.cache_bytes());
        assert_eq!(example.audit.durability, smallest.audit.durability);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let (line, what) = refusal(&format!("{SMALLEST}mlock = true\n"));
        assert_eq!(line, 7);
        assert!(what.contains("unknown field") && what.contains("allow_tls12"), "{what}");
    }

    #[test]
    fn an_impossible_value_is_refused_with_its_line_and_what_would_be_right() {
        let (line, what) = refusal(&format!("{SMALLEST}[limits]\nbody_mib = 0\n"));
        assert_eq!((line, what.as_str()), (8, "'limits.body_mib' must be from 1 to 1024"));
        let (line, what) = refusal(&format!("{SMALLEST}[limits]\nbody_mib = 512\n"));
        assert_eq!(
            (line, what.as_str()),
            (8, "'limits.large_bodies_mib' must be at least 'limits.body_mib'")
        );
        let (line, what) = refusal(&SMALLEST.replace("127.0.0.1:8200", "nowhere"));
        assert_eq!(line, 3);
        assert!(what.contains("socket address"), "{what}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_not_echoed() {
        for (section, key) in [
            ("store", "cache_mib"),
            ("limits", "connections"),
            ("audit", "durability"),
            ("log", "level"),
            ("log", "format"),
        ] {
            for value in ["\"hunter2\"", "\"expected hunter2\"", "[\"hunter2\"]", "{ hunter2 = 1 }"] {
                let (line, what) = refusal(&format!("{SMALLEST}[{section}]\n{key} = {value}\n"));
                let is_told = what.contains("expected") || what.contains("wanted");
                assert!(line == 8 && is_told && !what.contains("hunter2"), "{key}: {what}");
            }
        }
    }

    #[test]
    fn a_missing_key_is_named() {
        assert!(refusal("[listener]\n").1.contains("missing field"));
    }
}
