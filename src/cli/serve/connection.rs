//! Connections from this machine: so many at once, and none that keeps its place without listening or asking.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections that are served at once; others wait for one of them to end.
const CONNECTIONS: usize = 64;
/// A connection on which nothing was sent for this long is closed: its client asks too slowly, or does not read.
const QUIET: Duration = Duration::from_secs(30);
/// Until the next try where no connection can be taken, e.g. for want of file descriptors.
const RETRY: Duration = Duration::from_millis(200);

/// Accepts connections.
pub struct Loopback {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    quiet: Duration,
}

/// A connection with its place and its time.
pub struct Connection {
    stream: TcpStream,
    quiet: Duration,
    end: Pin<Box<Sleep>>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Loopback {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(CONNECTIONS)), quiet: QUIET }
    }
}

impl Listener for Loopback {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Without it answers in several parts may take a little longer, no more.
                    let _ = stream.set_nodelay(true);
                    let (quiet, end) = (self.quiet, Box::pin(sleep(self.quiet)));
                    return (Connection { stream, quiet, end, _slot: slot }, address);
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connection {
    /// An error once the time is over; wakes the task then.
    fn check(&mut self, context: &mut Context<'_>) -> Result<(), io::Error> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        // Bytes of a request win no time: a whole one has to come before the end.
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(written, Poll::Ready(Ok(count)) if count > 0) {
            let end = Instant::now() + self.quiet;
            self.end.as_mut().reset(end);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use axum::Router;
    use axum::routing::get;

    use super::*;

    /// The first half of a request, and the rest.
    const HALF: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    const REST: &[u8] = b"Connection: close\r\n\r\n";

    fn serve(slots: usize, quiet: Duration) -> (tokio::runtime::Runtime, SocketAddr) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Loopback { listener, slots: Arc::new(Semaphore::new(slots)), quiet };
        let router = Router::new().route("/", get(|| async { "here" }));
        runtime.spawn(async move { axum::serve(listener, router).await });
        (runtime, address)
    }

    fn connect(address: SocketAddr) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn rest_of(mut stream: std::net::TcpStream) -> String {
        let mut answer = Vec::new();
        // A connection that was ended hard has said what it had to say.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn half_a_request_is_not_waited_for_and_does_not_hold_up_others() {
        let (_runtime, address) = serve(2, Duration::from_secs(2));
        let mut slow = connect(address);
        slow.write_all(HALF).unwrap();
        let mut quick = connect(address);
        quick.write_all(&[HALF, REST].concat()).unwrap();
        assert!(rest_of(quick).ends_with("here"));
        assert!(!rest_of(slow).contains("here"));
    }

    #[test]
    fn who_waits_for_a_place_gets_it_when_another_connection_ends() {
        let (_runtime, address) = serve(1, Duration::from_secs(2));
        let mut slow = connect(address);
        slow.write_all(HALF).unwrap();
        let mut waiting = connect(address);
        waiting.write_all(&[HALF, REST].concat()).unwrap();
        assert!(rest_of(waiting).ends_with("here"));
    }
}
