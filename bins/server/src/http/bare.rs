//! Answers that hyper gives by itself, before there is a request that the API could answer: they get the body that they lack.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::problem::Problem;

/// What hyper begins with where a head is larger than its buffer, or an address longer than it reads: no answer of ours begins so and is
/// empty.
const BEGINNINGS: [&[u8]; 2] = [b"HTTP/1.1 414 ", b"HTTP/1.1 431 "];
const EMPTY: &[u8] = b"content-length: 0\r\n";

/// What is said instead: to the caller it is one limit, whichever part of the head is far over it.
pub(super) fn far_too_large(max: usize) -> Bytes {
    let detail =
        format!("the address and the headers are far too large: at most {max} bytes of both together are taken");
    let body = Problem::new("head_too_large", detail).to_value().to_string();
    let head =
        "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}

/// A connection on which `instead` is written where hyper would write one of its own answers.
pub(super) struct Filled<S> {
    stream: S,
    instead: Bytes,
    /// What of it is still to be written.
    rest: Bytes,
    /// Whether something was read since the last write: only then these bytes begin an answer, and are not part of a file.
    has_heard: bool,
}

impl<S: AsyncWrite + Unpin> Filled<S> {
    pub(super) fn new(stream: S, instead: Bytes) -> Self {
        Self { stream, instead, rest: Bytes::new(), has_heard: false }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.has_remaining() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.rest.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether these bytes are an answer of hyper's own, which then counts as written.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        let begins =
            std::mem::take(&mut self.has_heard) && BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning));
        let is_bare = begins && bytes.windows(EMPTY.len()).any(|window| window == EMPTY);
        if is_bare {
            self.rest = self.instead.clone();
        }
        is_bare
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Filled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(cx))?;
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(cx))?;
        if let Some(head) = slices.first()
            && self.replaces(head)
        {
            return Poll::Ready(Ok(head.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Filled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.has_heard |= buffer.filled().len() > before;
        read
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    /// A file may hold these very bytes: it is part of an answer that has begun.
    #[tokio::test]
    async fn only_what_follows_a_head_that_was_read_is_an_answer() {
        let (mut caller, served) = duplex(4096);
        let mut served = Filled::new(served, Bytes::from_static(b"instead"));
        let mut got = [0; 4096];

        served.write_all(BARE).await.unwrap();
        let read = caller.read(&mut got).await.unwrap();
        assert_eq!(got[..read], *BARE, "nothing was asked");

        for (head, expected) in
            [(BARE, b"instead".as_slice()), (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")]
        {
            caller.write_all(b"GET /").await.unwrap();
            served.read_exact(&mut [0; 5]).await.unwrap();
            served.write_all(head).await.unwrap();
            served.flush().await.unwrap();
            let read = caller.read(&mut got).await.unwrap();
            assert_eq!(got[..read], *expected);
            served.write_all(BARE).await.unwrap();
            let read = caller.read(&mut got).await.unwrap();
            assert_eq!(got[..read], *BARE, "the answer goes on");
        }
    }
}
