//! Commits that answer a value or a reason of their own, for callers who would otherwise carry both out by hand.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::StoreError;
use crate::store::{Abort, Committed, Store, Transaction, Work};

/// Why a typed commit was not made.
#[derive(Debug, PartialEq, Eq)]
pub enum CommitError<E> {
    /// The work itself refused; nothing was written.
    Refused(E),
    /// The store could not.
    Store(StoreError),
}

impl<E> From<StoreError> for CommitError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<E: fmt::Display> fmt::Display for CommitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => reason.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CommitError<E> {}

/// Runs `work` as [`Store::commit`] does and answers what its last run gave, once that is durable.
pub async fn commit<T, E>(
    store: &dyn Store,
    work: impl FnMut(&mut dyn Transaction) -> Result<T, CommitError<E>> + Send + 'static,
) -> Result<T, CommitError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let (work, answer) = keeping_answer(work);
    let committed = store.commit(work).await;
    open_answer(committed, &answer)
}

/// As [`commit`], by [`Store::commit_urgent`].
pub async fn commit_urgent<T, E>(
    store: &dyn Store,
    work: impl FnMut(&mut dyn Transaction) -> Result<T, CommitError<E>> + Send + 'static,
) -> Result<T, CommitError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let (work, answer) = keeping_answer(work);
    let committed = store.commit_urgent(work).await;
    open_answer(committed, &answer)
}

type Answer<T, E> = Arc<Mutex<Option<Result<T, CommitError<E>>>>>;

fn keeping_answer<T, E>(
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T, CommitError<E>> + Send + 'static,
) -> (Work, Answer<T, E>)
where
    T: Send + 'static,
    E: Send + 'static,
{
    let answer: Answer<T, E> = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&answer);
    let work = Box::new(move |transaction: &mut dyn Transaction| {
        let result = work(transaction);
        let ended = if result.is_ok() { Ok(()) } else { Err(Abort) };
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        ended
    });
    (work, answer)
}

fn open_answer<T, E>(
    committed: Result<Committed, StoreError>,
    answer: &Answer<T, E>,
) -> Result<T, CommitError<E>> {
    committed?;
    let last = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    // A store that answers without having run the work has lost its committer.
    last.unwrap_or(Err(CommitError::Store(StoreError::Closed)))
}
