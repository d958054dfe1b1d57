//! Bounds in time on what a client does with its connection.
//!
//! Hyper has one clock for a connection that waits for a request, whether idle or in the middle of a
//! head. Idle connections should be kept for long (a client that reuses one at the moment it is closed
//! sees an error), heads should not, and hyper has no clock for a client that stops reading. So the
//! stream keeps two of its own.
//!
//! What is read passes [`Framing`] on its way to hyper. A head that breaks its rules gets a NUL in the place
//! of the byte that does, which hyper refuses with 400 wherever it stands; a body ends there, as if the
//! client had hung up. Nothing more is read in either case, so the connection ends.

use crate::framing::Framing;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Whether a request is being answered on a connection: odd while one is. Counts up, so that a request
/// which came and went between two looks is seen.
#[derive(Default)]
pub(crate) struct Exchange(AtomicU64);

impl Exchange {
    /// Marks the start of a request; the mark ends when the value is dropped.
    pub fn begin(self: &Arc<Exchange>) -> Answering {
        self.0.fetch_add(1, Ordering::AcqRel);
        Answering(self.clone())
    }
}

pub(crate) struct Answering(Arc<Exchange>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A stream that fails when a request's head, or the reading of an answer, takes too long, and that ends
/// where the framing of requests is in dispute.
pub(crate) struct BoundedStream<S> {
    stream: S,
    framing: Framing,
    /// A violation was met: nothing is read any more.
    ended: bool,
    exchange: Arc<Exchange>,
    seen: u64,
    head_time: Duration,
    head: Option<Pin<Box<Sleep>>>,
    write_time: Duration,
    write: Option<Pin<Box<Sleep>>>,
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S> BoundedStream<S> {
    /// `head_time`: from the first byte of a head to its last. `write_time`: how long the client may
    /// take nothing of what is sent.
    pub fn new(stream: S, exchange: Arc<Exchange>, head_time: Duration, write_time: Duration) -> Self {
        BoundedStream {
            stream,
            framing: Framing::new(),
            ended: false,
            exchange,
            seen: 0,
            head_time,
            head: None,
            write_time,
            write: None,
        }
    }

    /// Cuts what was read behind the first `before` bytes where it breaks the rules of framing.
    fn guard(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
        let Err(violation) = self.framing.follow(fresh) else { return };
        self.ended = true;
        let mut kept = before + violation.at;
        if let Some(byte) = fresh.get_mut(violation.at).filter(|_| violation.in_head) {
            *byte = 0;
            kept += 1;
        }
        buf.set_filled(kept);
    }

    fn after_write<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write = None;
            return result;
        }
        let write_time = self.write_time;
        let timer = self.write.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + write_time)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(too_slow("the client does not read its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let now = this.exchange.0.load(Ordering::Acquire);
        if now != this.seen {
            this.seen = now;
            this.head = None;
        }
        if this.ended {
            return Poll::Ready(Ok(()));
        }
        let waits_for_head = now.is_multiple_of(2);
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.guard(buf, before);
        if !waits_for_head {
            return result;
        }
        if result.is_ready() {
            if buf.filled().len() > before && this.head.is_none() {
                this.head = Some(Box::pin(sleep_until(Instant::now() + this.head_time)));
            }
            return result;
        }
        match &mut this.head {
            Some(timer) => {
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Err(too_slow("the client does not finish its request's head")))
            }
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.after_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.after_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.after_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.after_write(cx, result)
    }
}
