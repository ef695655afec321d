//! Bodies: whole, or torn in the middle.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// A body that promises all of its bytes and, if it is torn, gives half of them and then fails.
#[derive(Debug)]
pub(crate) struct Body {
    promised: u64,
    given: Option<Bytes>,
    torn: bool,
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { promised: bytes.len() as u64, given: Some(bytes), torn: false }
    }

    pub(crate) fn torn(bytes: Bytes) -> Self {
        let promised = bytes.len() as u64 + 1;
        Self { promised, given: Some(bytes.slice(..bytes.len() / 2)), torn: true }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.given.take() {
            Some(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            _ if self.torn => Poll::Ready(Some(Err(io::Error::other("torn on purpose")))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.torn && self.given.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.torn { self.promised } else { self.given.as_ref().map_or(0, |b| b.len() as u64) })
    }
}
