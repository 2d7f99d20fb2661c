//! What the holders say beside their shares: which checkpoints they keep, and whether an older store may open.
use coffer_audit::KeptCheckpoint;
use coffer_room::Fault;
use coffer_types::EnvironmentPath;
use coffer_wire::Params;

/// The most checkpoints that the holders of one quorum give.
const MAX_KEPT: usize = 1024;
/// The longest signed note that is looked at, in bytes: a checkpoint has 300, and 100 for each witness.
const MAX_NOTE: usize = 4096;

/// What one holder says, or all of a quorum so far.
#[derive(Clone, Default)]
pub struct Terms {
    /// Whether each of them allows a store that is older than it should be.
    pub accepts_rollback: bool,
    /// What they keep of the logs.
    pub kept: Vec<KeptCheckpoint>,
    /// Environments whose replay index each of them wants to be made anew of what is on the disk.
    pub rebuilt: Vec<EnvironmentPath>,
}

impl Terms {
    /// Reads `accept_rollback`, `checkpoints` and `rebuild_index`.
    ///
    /// # Errors
    /// Where one is of another type, or a checkpoint is none.
    pub fn of(params: &Params) -> Result<Self, Fault> {
        let accepts_rollback = params.boolean("accept_rollback")?.unwrap_or_default();
        let mut kept = Vec::new();
        for note in params.list("checkpoints")?.unwrap_or_default() {
            if note.len() > MAX_NOTE || kept.len() == MAX_KEPT {
                return Err(Fault::bad(
                    "'checkpoints' takes at most 1024 signed notes of at most 4096 bytes",
                ));
            }
            kept.push(KeptCheckpoint::parse(&note).map_err(|_| {
                Fault::bad("'checkpoints' takes signed checkpoints, each as the daemon gave it")
            })?);
        }
        let rebuilt = params.list("rebuild_index")?.unwrap_or_default();
        let rebuilt = rebuilt.iter().map(|path| EnvironmentPath::parse(path)).collect::<Result<_, _>>();
        let rebuilt = rebuilt
            .map_err(|_| Fault::bad("'rebuild_index' takes paths of environments, `root` for the first"))?;
        Ok(Self { accepts_rollback, kept, rebuilt })
    }

    /// The same where a device opens: it can't give leave for what people must want.
    pub(crate) fn by_device(self) -> Self {
        Self { accepts_rollback: false, rebuilt: Vec::new(), ..self }
    }

    /// Takes what came with a share that was taken. `is_first` where no share was given before it.
    pub(crate) fn join(&mut self, said: Self, is_first: bool) {
        self.accepts_rollback = said.accepts_rollback && (is_first || self.accepts_rollback);
        if is_first {
            self.kept.clear();
            self.rebuilt = said.rebuilt;
        } else {
            self.rebuilt.retain(|path| said.rebuilt.contains(path));
        }
        for kept in said.kept {
            if self.kept.len() < MAX_KEPT && !self.kept.contains(&kept) {
                self.kept.push(kept);
            }
        }
    }
}
