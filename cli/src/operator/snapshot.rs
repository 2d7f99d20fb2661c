//! Backups: saved as a stream into a file that appears whole or not at all, looked into offline, restored.
use super::unseal;
use crate::connect::{Connection, PATIENT};
use crate::files::Draft;
use crate::page::{Page, say};
use crate::shapes::{bytes, time};
use crate::words::Failure;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use keystore_format::error::FormatError;
use keystore_format::seal_record::{ShamirParameters, Unverified, WrapState, WrapType};
use keystore_format::snapshot::{Header, MAX_HEADER};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Save the whole store: encrypted, readable by you only, and there only when it is complete
    Save {
        /// Where to write it
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        overwrite: bool,
    },
    /// Send a snapshot to a new daemon, which was never initialised, and unseal it with the snapshot's shares
    Restore {
        /// The snapshot
        file: PathBuf,
    },
    /// Show what a snapshot is of; needs no daemon and no shares
    Inspect {
        /// The snapshot
        file: PathBuf,
    },
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Save { file, overwrite } => save(connection, &file, overwrite).await,
        Command::Restore { file } => restore(connection, &file).await,
        Command::Inspect { file } => inspect(&file),
    }
}

async fn save(connection: &Connection, path: &Path, overwrite: bool) -> Result<Page, Failure> {
    let api = connection.node()?;
    let (draft, file) = Draft::begin(path, overwrite)?;
    let handle = file.try_clone().map_err(|error| Failure::file(path, error))?;
    let bar = spinner("saved");
    let to = bar.wrap_async_write(tokio::fs::File::from_std(handle));
    let saved = api.client.sys().save_snapshot(to).await;
    bar.finish_and_clear();
    saved.map_err(|error| Failure::at("sys/storage/raft/snapshot", error))?;
    // What the daemon sent is a snapshot, or the file never appears.
    let (header, size) = header_of(draft.path())?;
    draft.keep(&file)?;
    let page =
        Page::new(json_of(&header, size)).good(format!("Saved {} to {}.", bytes(size), path.display()));
    Ok(described(page, &header, size)
        .note("Whoever has this file and enough of today's shares has everything in it: keep them apart."))
}

async fn restore(connection: &Connection, path: &Path) -> Result<Page, Failure> {
    let (header, size) = header_of(path)?;
    let api = connection.node_within(PATIENT)?;
    let status = api.client.sys().seal_status().await.map_err(at_restore)?;
    if status.initialized {
        return Err(Failure::AlreadyInitialized);
    }
    let file = tokio::fs::File::open(path).await.map_err(|error| Failure::file(path, error))?;
    let bar = progress(size);
    let from = bar.wrap_async_read(file);
    let sent = api.client.sys().restore_snapshot(from).await;
    bar.finish_and_clear();
    let status = sent.map_err(at_restore)?;
    say(&format!(
        "Sent: {} records of {}. Nothing is written before {} of its shares have opened and proved all of it.",
        header.records,
        time(header.created_ms),
        status.threshold
    ));
    unseal::until_open(&api, unseal::Source::Asked).await
}

fn inspect(path: &Path) -> Result<Page, Failure> {
    let (header, size) = header_of(path)?;
    let page = Page::new(json_of(&header, size));
    Ok(described(page, &header, size)
        .line("")
        .note("Read from the snapshot's header, which nothing proves yet: only restoring with the shares checks all of it."))
}

fn described(page: Page, header: &Header, size: u64) -> Page {
    page.fields([
        ("Made", time(header.created_ms)),
        ("Records", header.records.to_string()),
        ("Size", bytes(size)),
        ("Store id", header.store.to_string()),
        ("Generation", header.generation.to_string()),
        ("Opened by", opened_by(&header.seal).join(", or ")),
        ("Root key id", hex(&header.root_id)),
        ("Log incarnation", hex(&header.incarnation)),
    ])
}

fn json_of(header: &Header, size: u64) -> Value {
    json!({
        "created": time(header.created_ms), "records": header.records, "size_bytes": size,
        "store_id": header.store.to_string(), "environment_id": header.environment.to_string(),
        "generation": header.generation, "root_id": hex(&header.root_id),
        "incarnation": hex(&header.incarnation), "opened_by": opened_by(&header.seal),
    })
}

/// What the seal record says opens the root key.
fn opened_by(seal: &[u8]) -> Vec<String> {
    let Ok(record) = Unverified::decode(seal) else { return vec!["(its seal record is damaged)".to_owned()] };
    let current = record.claimed().wraps.iter().filter(|wrap| wrap.state == WrapState::Current);
    let named = current.map(|wrap| match wrap.wrap_type {
        WrapType::Shamir => match ShamirParameters::decode(&wrap.parameters) {
            Ok(shamir) => {
                format!("{} of {} shares of the set {}", shamir.threshold, shamir.shares, hex(&shamir.set_id))
            }
            Err(_) => "shares (its parameters are damaged)".to_owned(),
        },
        WrapType::Pkcs11 => "an HSM (PKCS#11)".to_owned(),
        WrapType::Tpm2 => "a TPM".to_owned(),
        WrapType::Transit => "another daemon's transit key".to_owned(),
        WrapType::Inherit => "the environment above".to_owned(),
        WrapType::File => "a key file".to_owned(),
    });
    named.collect()
}

/// The header, and how long the whole file is.
fn header_of(path: &Path) -> Result<(Header, u64), Failure> {
    let unreadable = |error| Failure::file(path, error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut start = Vec::new();
    file.take(MAX_HEADER as u64).read_to_end(&mut start).map_err(unreadable)?;
    let refused = |error: FormatError| Failure::Snapshot { path: path.to_owned(), error };
    let (header, _) = Header::parse(&start).map_err(refused)?;
    Ok((header, size))
}

fn spinner(what: &str) -> ProgressBar {
    shown(
        ProgressBar::new_spinner().with_message(what.to_owned()),
        "{spinner} {bytes} {msg}, {bytes_per_sec}",
    )
}

fn progress(size: u64) -> ProgressBar {
    shown(ProgressBar::new(size), "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}")
}

/// On a terminal only: nobody reads a moving bar in a log.
fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn at_restore(error: coffer_sdk::Error) -> Failure {
    Failure::at("sys/storage/raft/snapshot-restore", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystore_format::ids::{EnvironmentId, StoreId, WrapId};
    use keystore_format::kdf::Context;
    use keystore_format::seal_record::{SealRecord, Wrap, root_id};
    use keystore_format::tail::Tail;

    fn file() -> Vec<u8> {
        let (root, ctx) = ([7; 32], Context { store: StoreId([1; 16]), environment: EnvironmentId([1; 16]) });
        let parameters = ShamirParameters { threshold: 3, shares: 5, set_id: [9; 8] }.encode();
        let wrap = Wrap {
            id: WrapId([2; 16]),
            wrap_type: WrapType::Shamir,
            state: WrapState::Current,
            parameters,
            blob: vec![0; 73],
        };
        let root_id = root_id(&root, &ctx);
        let record = SealRecord {
            ctx,
            root_id,
            generation: 4,
            wraps: vec![wrap],
            share_digests: vec![],
            tail: Tail::new(),
        };
        let header = Header {
            store: ctx.store,
            environment: ctx.environment,
            root_id,
            created_ms: 1_795_316_400_000,
            generation: 41,
            incarnation: [3; 16],
            records: 1204,
            nonce: [5; 32],
            seal: record.encode(&root).unwrap(),
        };
        header.encode().unwrap()
    }

    #[test]
    fn a_snapshot_shows_offline_what_it_is_of_and_what_opens_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coffer.snapshot");
        std::fs::write(&path, file()).unwrap();
        crate::words::golden("snapshot-inspect.txt", &inspect(&path).ok().unwrap().plain());
    }

    #[test]
    fn what_is_no_snapshot_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holiday.jpg");
        for content in [&b""[..], b"JFIF", &file()[..100]] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(inspect(&path), Err(Failure::Snapshot { .. })));
        }
    }
}
