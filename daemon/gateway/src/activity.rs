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
    /// Requests that are not answered whole.
    open: AtomicUsize,
    /// When the last one was, in milliseconds since `begun`.
    last: AtomicU64,
}

/// One request, from its header to the end of its answer.
pub(crate) struct Busy(Arc<Activity>);

/// An answer's body that counts as activity until it is handed over.
pub(crate) struct Attended<B> {
    pub(crate) body: B,
    pub(crate) _busy: Busy,
}

impl Activity {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), open: AtomicUsize::new(0), last: AtomicU64::new(0) }
    }

    /// Resolves when no request was open for as long as `silence`.
    pub(crate) async fn idle_for(&self, silence: Duration) {
        loop {
            let since =
                self.begun.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Acquire)));
            if self.open.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(silence).await;
            } else if since >= silence {
                return;
            } else {
                tokio::time::sleep(silence - since).await;
            }
        }
    }
}

impl Busy {
    pub(crate) fn begin(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now, Ordering::Release);
        self.0.open.fetch_sub(1, Ordering::AcqRel);
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
