//! The transport under a session: it can be cut from outside, and it counts what it lets through.
//!
//! russh runs a session in a task of its own that survives a dropped handshake and waits for ever on a
//! silent peer; cutting the transport ends it in every state. The allowance bounds what a peer can make us
//! process beyond what we asked for: each handshake and each command adds its share, and a peer that sends
//! more loses the connection.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// The holder's end of a [`Guarded`] transport. Cloning gives another handle to the same transport.
#[derive(Debug, Clone)]
pub(super) struct Leash {
    allowance: Arc<AtomicU64>,
    cut: CancellationToken,
    ended: CancellationToken,
}

impl Leash {
    /// A leash that lets `allowance` bytes in.
    pub(super) fn new(allowance: u64) -> Self {
        let (cut, ended) = (CancellationToken::new(), CancellationToken::new());
        Self { allowance: Arc::new(AtomicU64::new(allowance)), cut, ended }
    }

    /// Makes sure that at least `bytes` more may come in. Not cumulative, so that sessions which are used
    /// for weeks do not gather an unbounded allowance.
    pub(super) fn allow(&self, bytes: u64) {
        self.allowance.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Ends the transport: pending and later reads and writes fail.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until nobody holds the transport any more: the conversation over it has ended, whoever ended it.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Ends the transport unless the guard is disarmed.
    pub(super) fn cut_on_drop(&self) -> DropGuard {
        self.cut.clone().drop_guard()
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let taken = |left: u64| left.checked_sub(bytes);
        match self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken) {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the server sent more than it was asked for"))
            }
        }
    }
}

/// A transport on a [`Leash`], which first replays the bytes that were read while looking for the banner.
pub(super) struct Guarded<S> {
    /// Dropped with the transport.
    _ended: DropGuard,
    inner: S,
    replay: Vec<u8>,
    leash: Leash,
    // One each: a cancellation future wakes only the task that polled it last, and russh may read and
    // write from different places.
    read_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    write_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, replay: Vec<u8>, leash: Leash) -> Self {
        let cut = || Box::pin(leash.cut.clone().cancelled_owned());
        let _ended = leash.ended.clone().drop_guard();
        Self { _ended, inner, replay, read_cut: cut(), write_cut: cut(), leash }
    }

    fn poll_write_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.write_cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if !self.replay.is_empty() {
            let length = self.replay.len().min(buf.remaining());
            let bytes: Vec<u8> = self.replay.drain(..length).collect();
            buf.put_slice(&bytes);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        Poll::Ready(self.leash.take(read as u64))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_cut(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_cut(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_cut(cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_a_read_and_a_write_that_wait_for_ever() {
        let (ours, _theirs) = duplex(16);
        let leash = Leash::new(1024);
        let (mut read, mut write) = tokio::io::split(Guarded::new(ours, Vec::new(), leash.clone()));
        let reading = tokio::spawn(async move { read.read_u8().await });
        let writing = tokio::spawn(async move { write.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        leash.cut();
        let wait = Duration::from_secs(5);
        assert!(timeout(wait, reading).await.expect("woken").expect("no panic").is_err());
        assert!(timeout(wait, writing).await.expect("woken").expect("no panic").is_err());
    }

    #[tokio::test]
    async fn more_than_the_allowance_is_refused() {
        let (ours, mut theirs) = duplex(1024);
        let mut guarded = Guarded::new(ours, b"banner".to_vec(), Leash::new(10));
        theirs.write_all(&[7; 20]).await.expect("room");
        let mut banner = [0; 6];
        guarded.read_exact(&mut banner).await.expect("replayed bytes were counted before");
        assert_eq!(&banner, b"banner");
        guarded.read_exact(&mut [0; 10]).await.expect("within the allowance");
        let error = guarded.read_u8().await.expect_err("beyond it");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
