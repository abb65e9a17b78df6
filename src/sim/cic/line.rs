//! The wire below TLS, which can be cut.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

const WHOLE: u8 = 0;
const SILENT: u8 = 1;
const RESET: u8 = 2;

/// Cuts a line from afar.
#[derive(Debug, Clone, Default)]
pub(super) struct Scissors(Arc<AtomicU8>);

impl Scissors {
    /// From now on nothing comes through in either direction, and the socket stays open.
    pub(super) fn silence(&self) {
        self.0.store(SILENT, Ordering::Relaxed);
    }

    /// When the line is dropped, the other side gets RST instead of FIN.
    pub(super) fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Relaxed) == state
    }
}

/// A TCP connection that can be cut.
pub(super) struct Line {
    tcp: TcpStream,
    scissors: Scissors,
}

impl Line {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, scissors: Scissors(Arc::new(AtomicU8::new(WHOLE))) }
    }

    pub(super) fn scissors(&self) -> Scissors {
        self.scissors.clone()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.scissors.is(RESET) {
            // Fails only on a socket that is gone.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A silent line never has news, so nobody needs to be woken.
        match self.scissors.is(SILENT) {
            true => Poll::Pending,
            false => Pin::new(&mut self.tcp).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.scissors.is(SILENT) {
            true => Poll::Ready(Ok(buf.len())),
            false => Pin::new(&mut self.tcp).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.scissors.is(SILENT) {
            true => Poll::Pending,
            false => Pin::new(&mut self.tcp).poll_shutdown(cx),
        }
    }
}
