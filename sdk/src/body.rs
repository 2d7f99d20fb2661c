//! What is sent: nothing, a text that is cleared after use, or a stream.
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// A request's body.
pub(crate) enum Outgoing {
    Whole(Option<Bytes>),
    Stream(Pin<Box<dyn AsyncRead + Send>>),
}

const PIECE: usize = 64 * 1024;

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(reader) => {
                let mut piece = vec![0; PIECE];
                let mut buffer = ReadBuf::new(&mut piece);
                if let Err(error) = ready!(reader.as_mut().poll_read(cx, &mut buffer)) {
                    return Poll::Ready(Some(Err(error)));
                }
                let length = buffer.filled().len();
                piece.truncate(length);
                Poll::Ready((length > 0).then(|| Ok(Frame::data(piece.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
