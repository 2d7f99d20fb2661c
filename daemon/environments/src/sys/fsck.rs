//! `sys/storage/fsck`: everything of the environment is looked at; a JSON text a line, while it is done.
//!
//! `{"event":"progress","checked":…,"of":…}`, `{"event":"finding",…}`, and at the end `{"event":"end",…}`: without that the
//! answer is not whole. It names records, so it needs `sudo`.
use super::Desk;
use crate::Environment;
use crate::mounts::Class;
use coffer_barrier::{Checked, Finding, FsckStop, Told, Wrong};
use coffer_room::{Answer, Fault, Outcome, Piece};
use coffer_types::MountId;
use coffer_wire::Object;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc::{Sender, channel};

pub(super) fn look(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let environment = Arc::clone(desk.environment);
    let Some(turn) = environment.barrier().fsck_turn() else {
        return Err(Fault::Unavailable(
            "this environment is being looked at already: wait for the end of that".into(),
        ));
    };
    let (pieces, received) = channel(16);
    std::thread::Builder::new()
        .name("fsck".to_owned())
        .spawn(move || {
            let looked = turn.look(&mut |told| send(&pieces, told_of(&environment, told)));
            match looked {
                Ok(checked) => {
                    let _ = send(&pieces, end(&checked));
                    let _ = pieces.blocking_send(Piece::End);
                }
                Err(FsckStop::Gone) => {}
                // Dropping the sender breaks the answer off.
                Err(FsckStop::Barrier(error)) => {
                    tracing::error!(environment = %environment.path, %error, "fsck was broken off");
                }
            }
        })
        .map_err(|_| Fault::Internal("no thread can be started"))?;
    Ok(Outcome::Answer(Answer::pieces(received)))
}

fn send(pieces: &Sender<Piece>, line: Object) -> ControlFlow<()> {
    let mut line = line.finish().to_vec();
    line.push(b'\n');
    match pieces.blocking_send(Piece::Bytes(line)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

fn told_of(environment: &Environment, told: Told) -> Object {
    match told {
        Told::Progress { checked, of } => {
            Object::new().string("event", "progress").number("checked", checked).number("of", of)
        }
        Told::Finding(finding) => finding_of(environment, &finding),
    }
}

fn finding_of(environment: &Environment, finding: &Finding) -> Object {
    let Finding { wrong, mount, kind, path, version, store_key } = finding;
    let line = Object::new()
        .string("event", "finding")
        .string("wrong", word(*wrong))
        .string("environment", &environment.path.to_string());
    let line = match mount {
        Some(mount) => line.string("mount", &mount_name(environment, *mount)),
        None => line,
    };
    let line = match kind.and_then(kind_name) {
        Some(kind) => line.string("kind", kind),
        None => line,
    };
    let line = match path {
        Some(path) => line.string("path", path),
        None => line,
    };
    let line = match version {
        Some(version) => line.number("version", *version),
        None => line,
    };
    line.string("store_key", &hex(store_key))
}

fn end(checked: &Checked) -> Object {
    Object::new()
        .string("event", "end")
        .number("generation", checked.generation)
        .number("records", checked.records)
        .number("indexed", checked.indexed)
        .number("nodes", checked.nodes)
        .number("findings", checked.findings)
}

/// The finding's name in the API.
const fn word(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Altered => "altered",
        Wrong::Replayed => "replayed",
        Wrong::Returned => "returned",
        Wrong::Removed => "removed",
        Wrong::Node => "index-altered",
        Wrong::StrayNode => "index-stray",
        Wrong::Directory => "directory",
        Wrong::Copy => "copy-altered",
    }
}

/// The mount's path with a slash behind it; the id of one that is not there any more; `sys/` for the environment's own.
fn mount_name(environment: &Environment, id: MountId) -> String {
    if id == MountId::default() {
        return "sys/".to_owned();
    }
    let mounts = environment.mounts();
    let mut all = [Class::Secret, Class::Auth].into_iter().flat_map(|class| mounts.of_class(class));
    match all.find(|mount| mount.id == id) {
        Some(mount) => format!("{}/", mount.record.full_path()),
        None => format!("({id})"),
    }
}

/// What FORMAT.md 3.6 calls the kind.
const fn kind_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        1 => "keyring",
        2 => "head",
        3 => "outbox entry",
        4 => "opening key of the audit log",
        5 => "progress of re-encryption",
        16 => "mounts",
        17 => "policy",
        18 => "child environment",
        19 => "backup that was made",
        32 => "token",
        33 => "token accessor",
        34 => "child of a token",
        35 => "certificate role",
        36 => "certificate revocation",
        37 => "auth configuration",
        38 => "token role",
        39 => "tokens by the time they expire",
        40 => "userpass user",
        64 => "KV v1 value",
        65 => "KV v2 configuration",
        66 => "KV v2 metadata",
        67 => "KV v2 version",
        80 => "transit key",
        81 => "transit nonce block",
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
