//! Opening the journal: what is there, what a crash left, and whether leaves may have been lost.
use super::append::AHEAD;
use super::disk::{Disk, Real, private_file, private_folder, sync_folder};
use super::node_key::{node_key, node_seed};
use super::round::new_segment;
use super::tip::Tip;
use super::{
    FIELD_REASON, Health, Journal, NODE, POWER_CUT, Pace, Prepared, Segment, Settings, Signer, State, Turn,
    alive, pace,
};
use crate::{JournalError, NodeLog};
use coffer_secmem::Key32;
use coffer_types::{Clock, Entropy, EnvironmentId, random};
use keystore_format::checkpoint::Checkpoint;
use keystore_format::error::{Fault, FormatError};
use keystore_format::frame;
use keystore_format::leaf::{Leaf, LeafKind, Plain};
use keystore_format::logcheck::{self, LogId, segment_path};
use keystore_format::note::{Note, VerifierKey};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::watch;

const CHUNK: usize = 1 << 20;

/// What a test may put in the place of the machine.
pub(crate) struct System {
    pub(crate) disk: Box<dyn Disk>,
    /// Changes with every start of the machine.
    pub(crate) boot_id: String,
}

impl Journal {
    /// Opens or begins the journal: locks it, cuts off a torn tail, and reads what came after the last snapshot of its
    /// trees. Where the machine lost power, leaves may be lost: every log then goes on in a new incarnation.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Arc<Self>, NodeLog), JournalError> {
        // Without one, every start that follows a crash counts as a power cut.
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self::open_on(settings, clock, entropy, System { disk: Box::new(Real), boot_id })
    }

    pub(crate) fn open_on(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        system: System,
    ) -> Result<(Arc<Self>, NodeLog), JournalError> {
        let directory = settings.directory.clone();
        private_folder(&directory)?;
        private_folder(&directory.join(logcheck::JOURNAL))?;
        let lock = lock_file(&directory)?;
        // A name that every origin can have.
        VerifierKey::new(&settings.host, [0; 32]).map_err(|_| JournalError::BadHost)?;
        let node_key = node_key(&settings.key_file, &*entropy)?;
        let lost_power = may_have_lost_power(&directory, &system.boot_id)?;
        let (state, cut_bytes) = Scan { disk: &*system.disk, directory: &directory, lost_power }.run()?;

        let pace = settings.pace;
        let durability = settings.durability;
        let last_id = state.trees.values().map(|tree| tree.last_id).max().unwrap_or_default();
        let frames = state.frames;
        let journal = Arc::new(Self {
            settings,
            clock,
            entropy,
            disk: system.disk,
            state: Mutex::new(state),
            turn: Mutex::new(Turn::default()),
            bell: Arc::default(),
            // Nothing that was read is known to be durable before the first sync.
            durable: watch::Sender::new(0),
            last_id: AtomicU64::new(last_id),
            recorded_before: AtomicU64::new(0),
            counts: Default::default(),
            thread: Mutex::new(None),
            _lock: lock,
        });
        debug_assert!(frames >= journal.durable_frames());
        let has_begun = journal.open_node_log(&node_key, lost_power, cut_bytes)?;
        let mark = alive::mark(&system.boot_id, durability);
        journal.put(directory.join("alive"), mark.as_bytes(), true)?;
        sync_folder(&directory)?;
        // A node log without a checkpoint is an alteration to whoever looks. Where this round fails, as on a full disk, the
        // next is due as ever.
        if has_begun && let Err(error) = journal.round() {
            tracing::error!(%error, "the node log can't be signed yet");
        }
        if let Pace::After(after) = pace {
            pace::start(&journal, after)?;
            journal.bell.ring();
        }
        let node = NodeLog::new(Arc::clone(&journal));
        Ok((journal, node))
    }

    /// Begins the node log, or a new incarnation of it where leaves may have been lost; whether it did.
    fn open_node_log(&self, key: &Key32, lost_power: bool, cut_bytes: u64) -> Result<bool, JournalError> {
        let known = self.lock().trees.get(&NODE).map(|tree| (tree.incarnation, tree.size()));
        if let Some((incarnation, present)) = known {
            let promised = self.checkpointed((NODE, incarnation))?;
            if present < promised {
                return Err(JournalError::Short { promised, present });
            }
            // Not from the ids: once time went ahead, they stay there.
            let last = match promised.checked_sub(1) {
                Some(last) => self.recorded_at((NODE, incarnation), last).map_err(|_| {
                    JournalError::Damaged(
                        format!("{}/positions", logcheck::tree_path((NODE, incarnation))),
                        last * 16,
                    )
                })?,
                None => 0,
            };
            self.recorded_before.store(last, Ordering::Relaxed);
        }
        let incarnation = match known {
            Some((incarnation, _)) if !lost_power => incarnation,
            _ => random(&*self.entropy).map_err(|_| JournalError::Entropy)?,
        };
        let signer = Arc::new(Signer::new(
            &self.settings.host,
            (NODE, incarnation),
            node_seed(key, &incarnation),
            Box::new(|_, _| ()),
        )?);
        let begins = known.is_none_or(|(known, _)| known != incarnation);
        if begins {
            let reason = if known.is_some() { POWER_CUT } else { "first" };
            let mut leaf = self.first_leaf((NODE, incarnation), &signer, reason, None);
            if lost_power {
                leaf.plain.insert("cut_bytes".into(), Plain::Uint(cut_bytes));
                tracing::warn!(
                    cut_bytes,
                    "the machine stopped without closing the audit log: its last second may be lost"
                );
            }
            self.append_node(leaf)?;
        }
        self.attach(NODE, signer);
        Ok(begins)
    }

    /// The first leaf of a tree: which it is, and what came before it.
    pub(crate) fn first_leaf(
        &self,
        log: LogId,
        signer: &Signer,
        reason: &str,
        promised: Option<(LogId, u64, [u8; 32])>,
    ) -> Leaf {
        let mut leaf = Leaf::new(LeafKind::Fork, self.next_id(), self.now_ms(), "log", "begin", 0);
        let mut text = |field: &str, value: String| drop(leaf.plain.insert(field.into(), Plain::Text(value)));
        text(logcheck::FIELD_ORIGIN, signer.key.name().into());
        text(logcheck::FIELD_INCARNATION, logcheck::hex(&log.1));
        text(logcheck::FIELD_KEY, signer.key.to_text());
        text(FIELD_REASON, reason.into());
        let state = self.lock();
        let present = state.trees.get(&log.0).map(|tree| (tree.log(), tree.size(), tree.frontier.root()));
        if let Some((old, size, root)) = present.or(promised) {
            let origin = keystore_format::checkpoint::origin(&self.settings.host, old.0, &old.1);
            text(logcheck::FIELD_OLD_ORIGIN, origin);
            text(logcheck::FIELD_OLD_ROOT, logcheck::hex(&root));
            leaf.plain.insert(logcheck::FIELD_OLD_SIZE.into(), Plain::Uint(size));
        }
        leaf
    }

    /// Gives a tree its signer.
    pub(crate) fn attach(&self, environment: EnvironmentId, signer: Arc<Signer>) {
        if let Some(tree) = self.lock().trees.get_mut(&environment) {
            tree.signer = Some(signer);
        }
        self.bell.ring();
    }

    /// Takes the signer away, unless it is another's by now: its seed is cleared with it.
    pub(crate) fn detach(&self, environment: EnvironmentId, signer: Option<&Weak<Signer>>) {
        let mut state = self.lock();
        let Some(tree) = state.trees.get_mut(&environment) else { return };
        if let (Some(ours), Some(theirs)) = (signer, &tree.signer)
            && std::ptr::eq(ours.as_ptr(), Arc::as_ptr(theirs))
        {
            tree.signer = None;
        }
    }

    /// The size of the checkpoint on disk; 0 where there is none.
    pub(crate) fn checkpointed(&self, log: LogId) -> io::Result<u64> {
        let path = self.settings.directory.join(logcheck::tree_path(log)).join("checkpoint");
        let note = match fs::read(path) {
            Ok(note) => note,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let parsed = Note::parse(&note).and_then(|note| Checkpoint::parse(note.text()));
        Ok(parsed.map_or(0, |checkpoint| checkpoint.size))
    }

    pub(super) fn clear_alive(&self) -> io::Result<()> {
        fs::remove_file(self.settings.directory.join("alive"))?;
        sync_folder(&self.settings.directory)
    }
}

fn lock_file(directory: &Path) -> Result<File, JournalError> {
    let file = private_file().write(true).create(true).truncate(false).open(directory.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Whether the journal was open when the machine last stopped, and answered before leaves were durable.
fn may_have_lost_power(directory: &Path, boot_id: &str) -> io::Result<bool> {
    match fs::read_to_string(directory.join("alive")) {
        Ok(mark) => Ok(alive::may_have_lost_power(&mark, boot_id)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        // A torn mark was being written when power failed.
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(true),
        Err(error) => Err(error),
    }
}

/// The number of a segment, by its file's name in the one way that it is written: another file is none of ours, and its
/// length must not stand for a segment's.
fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (format!("{}/{name}", logcheck::JOURNAL) == segment_path(number)).then_some(number)
}

/// Reads `bytes` as a segment's name.
pub(super) fn fuzz(bytes: &[u8]) {
    if let Ok(name) = core::str::from_utf8(bytes)
        && let Some(number) = segment_number(name)
    {
        assert_eq!(segment_path(number).strip_prefix("journal/"), Some(name));
    }
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    directory: &'a Path,
    lost_power: bool,
}

impl Scan<'_> {
    /// Reads the journal, from the start cache or from the first frame, and says how many bytes of tail were cut off.
    fn run(&self) -> Result<(State, u64), JournalError> {
        let segments = self.segments()?;
        if segments.is_empty() {
            let segment = new_segment(self.disk, self.directory, 0)?;
            return Ok((State::empty(segment), 0));
        }
        if let Some(tip) = self.tip(&segments) {
            return self.read(&segments, tip);
        }
        let start =
            Tip { segment: 0, offset: 0, lengths: Vec::new(), frames: 0, order: [0; 32], trees: Vec::new() };
        self.read(&segments, start)
    }

    /// Lengths of all segments, without a gap.
    fn segments(&self) -> Result<Vec<u64>, JournalError> {
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        for entry in fs::read_dir(self.directory.join(logcheck::JOURNAL))? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(number) = name.to_str().and_then(segment_number) {
                found.insert(number, entry.metadata()?.len());
            }
        }
        let mut lengths = Vec::new();
        for (number, length) in found {
            if number != lengths.len() as u64 {
                return Err(JournalError::MissingSegment(lengths.len() as u64));
            }
            lengths.push(length);
        }
        Ok(lengths)
    }

    /// The start cache, where it fits the segments.
    fn tip(&self, segments: &[u64]) -> Option<Tip> {
        let bytes = fs::read(self.directory.join("tip")).ok()?;
        let tip = Tip::decode(&bytes)
            .inspect_err(|error| tracing::warn!(%error, "the audit log's start cache is not used"))
            .ok()?;
        let number = usize::try_from(tip.segment).ok()?;
        let before = segments.get(..number)?;
        let fits = before == tip.lengths && segments.get(number).is_some_and(|length| *length >= tip.offset);
        if !fits {
            tracing::warn!(
                "the audit log's segments are not those of its start cache; it is read from the beginning"
            );
        }
        fits.then_some(tip)
    }

    fn read(&self, segments: &[u64], tip: Tip) -> Result<(State, u64), JournalError> {
        let last = segments.len() as u64 - 1;
        let path = |number| self.directory.join(segment_path(number));
        let file = private_file().read(true).write(true).open(path(last))?;
        let end = segments.last().copied().unwrap_or_default();
        let segment = Segment { number: last, file: Arc::new(file), end, allocated: end, reserved: 0 };
        let mut state = State::empty(segment);
        state.lengths = segments.iter().take(segments.len() - 1).copied().collect();
        state.frames = tip.frames;
        state.order = tip.order;
        state.trees = tip.trees.into_iter().map(|tree| (tree.environment, tree)).collect();
        let mut cut = 0;
        for number in tip.segment..=last {
            let from = if number == tip.segment { tip.offset } else { 0 };
            let whole = self.read_segment(&mut state, number, path(number), from, number == last)?;
            let length = segments.get(number as usize).copied().unwrap_or_default();
            if whole < length {
                cut = length - whole;
                state.segment.file.set_len(whole)?;
                self.disk.sync(&state.segment.file)?;
                state.segment.end = whole;
            }
        }
        state.segment.allocated = state.segment.end;
        // A disk that is full at the start is found out by the first leaf.
        if self.disk.allocate(&state.segment.file, state.segment.end, AHEAD).is_ok() {
            state.segment.allocated = state.segment.end + AHEAD;
        }
        Ok((state, cut))
    }

    /// Takes every frame of a segment; returns where the last whole one ends.
    fn read_segment(
        &self,
        state: &mut State,
        number: u64,
        path: PathBuf,
        from: u64,
        is_last: bool,
    ) -> Result<u64, JournalError> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(from))?;
        let (mut window, mut used, mut at, mut is_end) = (Vec::new(), 0, from, false);
        loop {
            while !is_end && window.len() - used < frame::MAX_FRAME {
                window.drain(..used);
                used = 0;
                let before = window.len();
                io::Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut window)?;
                is_end = window.len() == before;
            }
            let rest = window.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(at);
            }
            let prepared = match Prepared::parse(rest) {
                Ok(prepared) => prepared,
                Err(error) if is_last && self.is_torn(error, rest) => return Ok(at),
                Err(_) => return Err(JournalError::Damaged(segment_path(number), at)),
            };
            if prepared.marks.begins.is_none() && !state.trees.contains_key(&prepared.environment) {
                return Err(JournalError::Damaged(segment_path(number), at));
            }
            state.frames += 1;
            state.order = logcheck::order(&state.order, &prepared.frame);
            state.take(&prepared, number, at);
            used += prepared.frame.len();
            at += prepared.frame.len() as u64;
        }
    }

    /// Whether what is left is a write that a crash cut off: it ends inside a frame, or, after a power cut, it is nothing
    /// that a frame follows.
    fn is_torn(&self, error: FormatError, rest: &[u8]) -> bool {
        if error.fault == Fault::Truncated {
            return true;
        }
        self.lost_power && (1..rest.len()).all(|at| frame::parse(rest.get(at..).unwrap_or_default()).is_err())
    }
}

impl State {
    fn empty(segment: Segment) -> Self {
        Self {
            segment,
            unsynced: Vec::new(),
            lengths: Vec::new(),
            frames: 0,
            order: [0; 32],
            waiting_bytes: 0,
            trees: BTreeMap::new(),
            retired: Vec::new(),
            health: Health::Fine,
        }
    }
}
