//! Backups: the whole store as one encrypted, authenticated stream; and bringing one back into an empty store.
//!
//! A backup holds records as the store does, sealed, under one more key. It is read from one state of the store, while
//! writes go on. A restore verifies the whole file before its first write; the store's id is written last, so a restore
//! that was killed leaves an uninitialised store.
use crate::environment::Environment;
use crate::node::{Gate, NodeFault, wait_for};
use crate::records::BackupRecord;
use crate::registry::Registry;
use coffer_audit::{NodeEvent, NodeField};
use coffer_barrier::{BarrierError, Context, put_store_id, read_seal_record, read_snapshot};
use coffer_room::{Answer, Change, Fault, Outcome, Piece};
use coffer_secmem::Key32;
use coffer_store::{CommitError, Snapshot};
use coffer_types::{CanonicalPath, Kind, MountId, random};
use keystore_format::error::FormatError;
use keystore_format::snapshot::{Encoder, Header, MAX_HEADER};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc::{Sender, channel};

/// Entries read from the store at a time.
const PAGE: usize = 256;

/// Bytes collected before a piece is sent.
const PIECE_BYTES: usize = 128 * 1024;

/// Bytes of records written in one commit of a restore.
const RESTORE_BYTES: usize = 4 << 20;

/// Registers the backup, then streams it from the state of that commit or a later one.
pub(crate) async fn save(
    environment: &Arc<Environment>,
    registry: &Arc<Registry>,
    keep_seconds: u64,
) -> Result<Outcome, Fault> {
    if !environment.path.is_root() {
        return Err(Fault::bad("a snapshot is of the whole store: ask in the root environment"));
    }
    let seal = read_seal_record(&*registry.store, environment.id)
        .await?
        .into_iter()
        .next()
        .ok_or(Fault::Internal("there is no seal record"))?;
    let id: [u8; 16] = random(environment.entropy())?;
    let name = CanonicalPath::parse(&MountId(id).to_string())?;
    let (environment, registry) = (Arc::clone(environment), Arc::clone(registry));
    Ok(Outcome::Change(Change::new(move |batch| {
        let now = batch.now();
        let record = BackupRecord {
            made: now.0,
            expires: now.plus_seconds(keep_seconds).0,
            generation: Some(environment.barrier().generation()),
        };
        let bytes =
            serde_json::to_vec(&record).map_err(|_| Fault::Internal("the backup can't be registered"))?;
        batch.mount(MountId::default()).put(Kind::Backup, &name, None, &bytes)?;
        let (pieces, received) = channel(4);
        let (environment, registry, seal) = (Arc::clone(&environment), Arc::clone(&registry), seal.clone());
        batch.after(Box::new(move || {
            // From the committer, after the commit: the state that is read holds the registration.
            match registry.store.snapshot() {
                Ok(state) => drop(std::thread::spawn(move || stream(&environment, &*state, seal, &pieces))),
                // Dropping the sender breaks the answer off.
                Err(error) => tracing::error!(%error, "no snapshot can be taken of the store"),
            }
        }));
        Ok(Answer::pieces(received))
    })))
}

/// Why a backup is broken off.
enum Broken {
    Store(coffer_store::StoreError),
    Barrier(BarrierError),
    Format(FormatError),
    /// The client went away.
    Gone,
}

fn stream(environment: &Environment, state: &dyn Snapshot, seal: Vec<u8>, pieces: &Sender<Piece>) {
    let cause = match write_all(environment, state, seal, pieces) {
        Ok(()) | Err(Broken::Gone) => return,
        Err(Broken::Store(error)) => error.to_string(),
        Err(Broken::Barrier(error)) => error.to_string(),
        Err(Broken::Format(error)) => error.to_string(),
    };
    tracing::error!(cause, "a snapshot was broken off");
}

fn write_all(
    environment: &Environment,
    state: &dyn Snapshot,
    seal: Vec<u8>,
    pieces: &Sender<Piece>,
) -> Result<(), Broken> {
    let mut records = 0;
    each(state, |_, _| {
        records += 1;
        Ok(())
    })?;
    let mut out = Vec::with_capacity(PIECE_BYTES * 2);
    let mut encoder: Encoder =
        environment.barrier().begin_snapshot(records, seal, &mut out).map_err(Broken::Barrier)?;
    each(state, |key, value| {
        encoder.record(key, value, &mut out).map_err(Broken::Format)?;
        if out.len() >= PIECE_BYTES { send(pieces, &mut out) } else { Ok(()) }
    })?;
    encoder.finish(&mut out).map_err(Broken::Format)?;
    send(pieces, &mut out)?;
    pieces.blocking_send(Piece::End).map_err(|_| Broken::Gone)
}

fn each(
    state: &dyn Snapshot,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = state.range(&[], after.as_deref(), PAGE).map_err(Broken::Store)?;
        for entry in &page {
            visit(&entry.key, &entry.value)?;
        }
        match page.into_iter().last() {
            Some(last) => after = Some(last.key),
            None => return Ok(()),
        }
    }
}

fn send(pieces: &Sender<Piece>, out: &mut Vec<u8>) -> Result<(), Broken> {
    let piece = std::mem::replace(out, Vec::with_capacity(PIECE_BYTES * 2));
    pieces.blocking_send(Piece::Bytes(piece)).map_err(|_| Broken::Gone)
}

/// A backup that is being uploaded, into a file of its own.
pub struct Upload {
    file: File,
    /// Bytes that may still come.
    left: u64,
    /// One at a time: they would write into one file.
    _turn: OwnedMutexGuard<()>,
}

impl Upload {
    /// Takes the next piece.
    ///
    /// # Errors
    /// Where it is larger than was agreed, or the disk does not take it.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NodeFault> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(|| {
            NodeFault::bad("the snapshot is larger than 'limits.snapshot_mib' of the configuration allows")
        })?;
        self.file.write_all(piece).map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => NodeFault::from(Fault::Full),
            _ => NodeFault::from(Fault::Internal("the uploaded snapshot can't be written")),
        })
    }
}

impl Registry {
    /// Begins an upload of a backup of at most `most` bytes; only an uninitialised node takes one, and one at a time.
    ///
    /// # Errors
    /// Where the node is initialised, another upload is under way, or the file can't be made.
    pub async fn begin_upload(&self, most: u64) -> Result<Upload, NodeFault> {
        use std::os::unix::fs::OpenOptionsExt;
        let is_restorable = match &*self.gate.lock().await {
            Gate::Uninitialized => true,
            Gate::Sealed(waiting) => waiting.is_restore,
            Gate::Open => false,
        };
        if !is_restorable {
            return Err(NodeFault::bad(
                "Coffer is initialized: a snapshot is restored into a new, empty daemon",
            ));
        }
        let turn = Arc::clone(&self.uploading).try_lock_owned();
        let turn =
            turn.map_err(|_| NodeFault::bad("another snapshot is being uploaded: wait for its end"))?;
        let opened = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&self.settings.restore_file);
        let file = opened.map_err(|_| Fault::Internal("the uploaded snapshot can't be written"))?;
        Ok(Upload { file, left: most, _turn: turn })
    }

    /// Takes a whole upload: from now on its shares are waited for.
    ///
    /// # Errors
    /// Where it is no snapshot.
    pub async fn staged(&self, mut upload: Upload) -> Result<(), NodeFault> {
        let io = |_| NodeFault::from(Fault::Internal("the uploaded snapshot can't be read"));
        upload.file.sync_all().map_err(io)?;
        let (header, _) = read_header(&mut upload.file)?;
        let mut gate = self.gate.lock().await;
        if !matches!(&*gate, Gate::Uninitialized)
            && !matches!(&*gate, Gate::Sealed(waiting) if waiting.is_restore)
        {
            return Err(NodeFault::bad(
                "Coffer is initialized: a snapshot is restored into a new, empty daemon",
            ));
        }
        let context = Context { store: header.store, environment: header.environment };
        let environment = context.environment.to_string();
        let mut status = (*self.seal_status()).clone();
        let waiting = wait_for(vec![header.seal], context, &mut status, true).map_err(|_| {
            NodeFault::bad(
                "the file is no snapshot of a Coffer store, or was damaged: its seal record can't be read",
            )
        })?;
        let fields = [(NodeField::Action, "restore-uploaded"), (NodeField::Environment, &*environment)];
        self.node.event(NodeEvent::Ceremony, &fields)?;
        *gate = Gate::Sealed(Box::new(waiting));
        status.is_sealed = true;
        self.status.store(Arc::new(status));
        Ok(())
    }

    /// Brings the uploaded backup into the store: verified whole first, then written, the store's id last.
    pub(crate) async fn import(&self, context: Context, root_key: &Key32) -> Result<(), NodeFault> {
        let mut file = File::open(&self.settings.restore_file)
            .map_err(|_| Fault::Internal("the uploaded snapshot can't be read"))?;
        let (_, head) = read_header(&mut file)?;
        let verified = self.pass(&mut file, &head, root_key, None).await?;
        let environment = context.environment.to_string();
        let fields = |action| [(NodeField::Action, action), (NodeField::Environment, environment.as_str())];
        self.node.event(NodeEvent::Ceremony, &fields("restore"))?;
        self.clear_leftovers().await?;
        let written = self.pass(&mut file, &head, root_key, Some(context)).await?;
        if verified != written {
            return Err(NodeFault::from(Fault::Internal(
                "the uploaded snapshot changed between being verified and being written",
            )));
        }
        self.mark_restore()?;
        coffer_store::commit(&*self.store, move |transaction| -> Result<(), CommitError<BarrierError>> {
            put_store_id(transaction, context.store).map_err(CommitError::Refused)
        })
        .await
        .map_err(|_| Fault::Internal("the store failed"))?;
        std::fs::remove_file(&self.settings.restore_file)
            .map_err(|_| Fault::Internal("the uploaded snapshot can't be removed"))?;
        Ok(self.node.event(NodeEvent::Ceremony, &fields("restored"))?)
    }

    /// Remembers on disk, before the store has its id, that this store's logs do not stand in this journal: until all
    /// environments have been opened once, each is opened as a new incarnation, also after a kill.
    fn mark_restore(&self) -> Result<(), NodeFault> {
        use std::os::unix::fs::OpenOptionsExt;
        let mark = self.restore_mark();
        let made = File::options().create(true).truncate(true).write(true).mode(0o600).open(&mark);
        let folder = mark.parent().unwrap_or(&mark);
        let kept = made.and_then(|file| file.sync_all()).and_then(|()| File::open(folder)?.sync_all());
        kept.map_err(|_| {
            NodeFault::from(Fault::Internal("that a snapshot is restored can't be written down"))
        })
    }

    /// Whether a restore was cut off before all environments had been opened.
    pub(crate) fn is_restore_unfinished(&self) -> bool {
        self.restore_mark().exists()
    }

    /// All environments are open, or the store is another one: the mark goes.
    ///
    /// # Errors
    /// Where the file can't be removed.
    pub(crate) fn forget_restore(&self) -> Result<(), NodeFault> {
        match std::fs::remove_file(self.restore_mark()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(NodeFault::from(Fault::Internal("the mark of a restore can't be removed")))
            }
            _ => Ok(()),
        }
    }

    fn restore_mark(&self) -> std::path::PathBuf {
        self.settings.restore_file.with_extension("unfinished")
    }

    /// Reads the whole file; with `into`, writes its records, but not the store's id. Gives the digest of all of it.
    async fn pass(
        &self,
        file: &mut File,
        head: &[u8],
        root_key: &Key32,
        into: Option<Context>,
    ) -> Result<[u8; 32], NodeFault> {
        let damaged = |error: FormatError| {
            NodeFault::bad(format!("the snapshot is damaged, and nothing was written: {error}"))
        };
        file.seek(SeekFrom::Start(head.len() as u64))
            .map_err(|_| Fault::Internal("the uploaded snapshot can't be read"))?;
        let mut decoder = read_snapshot(head, root_key).map_err(damaged)?;
        let mut pending: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read =
                file.read(&mut chunk).map_err(|_| Fault::Internal("the uploaded snapshot can't be read"))?;
            let mut sink = |key: &[u8], value: &[u8]| -> Result<(), FormatError> {
                if into.is_some() {
                    bytes += key.len() + value.len();
                    pending.push((key.to_vec(), value.to_vec()));
                }
                Ok(())
            };
            let Some(piece) = chunk.get(..read).filter(|piece| !piece.is_empty()) else { break };
            decoder.push(piece, &mut sink).map_err(damaged)?;
            if bytes >= RESTORE_BYTES {
                self.write_records(std::mem::take(&mut pending)).await?;
                bytes = 0;
            }
        }
        let summary = decoder
            .finish(|key: &[u8], value: &[u8]| -> Result<(), FormatError> {
                if into.is_some() {
                    pending.push((key.to_vec(), value.to_vec()));
                }
                Ok(())
            })
            .map_err(damaged)?;
        self.write_records(pending).await?;
        Ok(summary.digest)
    }

    async fn write_records(&self, records: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), NodeFault> {
        let store_id = coffer_barrier::store_id_key();
        coffer_store::commit(&*self.store, move |transaction| -> Result<(), CommitError<BarrierError>> {
            for (key, value) in records.iter().filter(|(key, _)| *key != store_id) {
                transaction.put(key.clone(), value.clone())?;
            }
            Ok(())
        })
        .await
        .map_err(|error| match error {
            CommitError::Refused(error) => Fault::from(error),
            CommitError::Store(error) => Fault::from(error),
        })?;
        Ok(())
    }

    /// Removes what a restore that was killed has left.
    async fn clear_leftovers(&self) -> Result<(), NodeFault> {
        loop {
            let left = coffer_store::commit(
                &*self.store,
                |transaction| -> Result<usize, CommitError<BarrierError>> {
                    let page = transaction.range(&[], None, PAGE)?;
                    for entry in &page {
                        transaction.delete(&entry.key)?;
                    }
                    Ok(page.len())
                },
            )
            .await
            .map_err(|_| Fault::Internal("the store failed"))?;
            if left == 0 {
                return Ok(());
            }
        }
    }
}

/// The header and its bytes.
fn read_header(file: &mut File) -> Result<(Header, Vec<u8>), NodeFault> {
    let io = |_| NodeFault::from(Fault::Internal("the uploaded snapshot can't be read"));
    file.rewind().map_err(io)?;
    let mut start = Vec::with_capacity(MAX_HEADER);
    Read::by_ref(file).take(MAX_HEADER as u64).read_to_end(&mut start).map_err(io)?;
    let (header, length) = Header::parse(&start)
        .map_err(|error| NodeFault::bad(format!("the file is no snapshot of a Coffer store: {error}")))?;
    start.truncate(length);
    Ok((header, start))
}
