//! When a connection was last busy. The HTTP library has a deadline between the requests of HTTP/1.1 only; a connection
//! that never asks, or an HTTP/2 one that answers pings and nothing else, would keep its place for ever.
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What happens on one connection.
pub(crate) struct Activity {
    begun: Instant,
    /// Requests whose answer is not made.
    unanswered: AtomicUsize,
    /// When the last one was, in milliseconds since `begun`.
    answered: AtomicU64,
    /// Requests that are not answered whole.
    open: AtomicUsize,
    /// When the last one was, in milliseconds since `begun`.
    last: AtomicU64,
}

/// One request, from its header to the end of its answer.
pub(crate) struct Busy {
    activity: Arc<Activity>,
    is_answered: bool,
}

/// An answer's body that counts as activity until it is handed over.
pub(crate) struct Attended<B> {
    pub(crate) body: B,
    pub(crate) _busy: Busy,
}

impl Activity {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            unanswered: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Resolves when no request was open for as long as `silence`.
    pub(crate) async fn idle_for(&self, silence: Duration) {
        self.none_for(silence, &self.open, &self.last).await;
    }

    /// Resolves when no request was without its answer for as long as `silence`, whether the client has read it or not.
    pub(crate) async fn answered_for(&self, silence: Duration) {
        self.none_for(silence, &self.unanswered, &self.answered).await;
    }

    async fn none_for(&self, silence: Duration, count: &AtomicUsize, last: &AtomicU64) {
        loop {
            let since =
                self.begun.elapsed().saturating_sub(Duration::from_millis(last.load(Ordering::Acquire)));
            if count.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(silence).await;
            } else if since >= silence {
                return;
            } else {
                tokio::time::sleep(silence - since).await;
            }
        }
    }

    fn ends(&self, count: &AtomicUsize, last: &AtomicU64) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        last.store(now, Ordering::Release);
        count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Busy {
    pub(crate) fn begin(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::AcqRel);
        activity.unanswered.fetch_add(1, Ordering::AcqRel);
        Self { activity: Arc::clone(activity), is_answered: false }
    }

    /// The answer is made, and its client may take its time to read it.
    pub(crate) fn answered(&mut self) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.activity.ends(&self.activity.unanswered, &self.activity.answered);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.answered();
        self.activity.ends(&self.activity.open, &self.activity.last);
    }
}

impl<B: Body + Unpin> Body for Attended<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
