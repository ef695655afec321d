//! Bodies: whole, or torn in the middle.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// A body that, if it is torn, promises more bytes than it gives and then fails.
#[derive(Debug)]
pub(crate) struct Body {
    promised: u64,
    given: Option<Bytes>,
    tear: Tear,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tear {
    No,
    /// The server has to have a turn to send what it was given: a body that fails at once is not sent at all.
    AfterATurn,
    Now,
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { promised: bytes.len() as u64, given: Some(bytes), tear: Tear::No }
    }

    pub(crate) fn torn(mut bytes: Bytes) -> Self {
        let promised = bytes.len() as u64 + 1;
        Self { promised, given: Some(bytes.split_to(bytes.len() / 2)), tear: Tear::AfterATurn }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.given.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.tear {
            Tear::No => Poll::Ready(None),
            Tear::AfterATurn => {
                self.tear = Tear::Now;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Tear::Now => Poll::Ready(Some(Err(io::Error::other("torn on purpose")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tear == Tear::No && self.given.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.given.as_ref().map_or(0, |bytes| bytes.len() as u64);
        SizeHint::with_exact(if self.tear == Tear::No { left } else { self.promised })
    }
}
