//! What a handler gives back.
use crate::{Answer, Fault};
use coffer_barrier::Batch;

/// The work of a change: runs inside the committer.
type Work = Box<dyn FnMut(&mut Batch<'_>) -> Result<Answer, Fault> + Send>;

/// What a handler wants to happen.
pub enum Outcome {
    /// Nothing changes; the answer is ready.
    Answer(Answer),
    /// A change of records. It happens together with its audit leaf, or not at all.
    Change(Change),
}

/// A change that has not happened yet. If the work refuses, nothing of it is written.
pub struct Change(Work);

impl Change {
    /// A change of an environment's records: for the daemon's own handlers. Engines take [`crate::Room::change`].
    pub fn new(work: impl FnMut(&mut Batch<'_>) -> Result<Answer, Fault> + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    /// Runs the work. The recorder calls this, inside the transaction with the leaf.
    ///
    /// # Errors
    /// The work's refusal.
    pub fn run(&mut self, batch: &mut Batch<'_>) -> Result<Answer, Fault> {
        (self.0)(batch)
    }
}
