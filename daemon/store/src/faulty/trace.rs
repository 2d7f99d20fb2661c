//! Every instant at which the power could have gone, from one recorded run.

use std::collections::BTreeMap;

use super::disk::{Disk, DiskFile, Pending, Survivors};

/// The steps of a run, see [`Disk::record`].
pub struct Trace {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Start { files: BTreeMap<u64, DiskFile>, current: u64 },
    Pending { file: u64, step: Pending },
    Sync { file: u64 },
    Replace { current: u64 },
    Mark(u64),
}

impl Trace {
    /// Calls `visit` with every disk that could be found after a power cut: after each step, with each choice of
    /// survivors, and the last mark before that step. Where at most `exhaustive` writes were not synced, every subset of
    /// them; always `random` torn and reordered ones. Gives the number of disks.
    pub fn for_each_cut(
        &self,
        exhaustive: u32,
        random: u64,
        mut visit: impl FnMut(Disk, u64, Survivors),
    ) -> u64 {
        let mut files = BTreeMap::new();
        let mut at = 0;
        let mut mark = 0;
        let mut disks = 0;
        for (index, step) in self.steps.iter().enumerate() {
            let pending_before = files.get(&at).map_or(0, DiskFile::pending_writes);
            match step {
                Step::Start { files: start, current } => (files, at) = (start.clone(), *current),
                Step::Pending { file, step } => files.entry(*file).or_default().push(step.clone()),
                Step::Sync { file } => files.entry(*file).or_default().sync(),
                Step::Replace { current } => {
                    at = *current;
                    files.retain(|file, _| file == current);
                }
                Step::Mark(reached) => mark = *reached,
            }
            let pending = files.get(&at).map_or(0, DiskFile::pending_writes);
            let mut choices = vec![Survivors::Nothing, Survivors::Everything];
            // Between two syncs the sets of survivors only grow, so the subsets are told before the sync ends them.
            let ends_here = matches!(self.steps.get(index + 1), Some(Step::Sync { .. }) | None);
            if ends_here && pending > 0 && pending <= exhaustive as usize {
                choices.extend((1..1u64 << pending).map(Survivors::Writes));
            }
            if pending != pending_before && pending > 0 {
                choices.extend((0..random).map(|seed| Survivors::Random(seed ^ (index as u64) << 20)));
            }
            for survivors in choices {
                visit(Disk::found(&files, at, survivors), mark, survivors);
                disks += 1;
            }
        }
        disks
    }
}
