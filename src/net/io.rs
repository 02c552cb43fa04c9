//! The IO thread: everything asynchronous of an endpoint runs here, so links stay alive while the party computes.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::net::error::{Loss, NetError};
use crate::net::frame::{Expect, FrameError, HEADER_LEN, Header};
use crate::plan::Party;

/// A byte stream in both directions: TCP, TLS over it, or a pipe in tests.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// A thread that drives sockets and timers; it ends with the last reference.
pub struct Io {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Io {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`NetError::Start`] when the system gives no thread or no event queue.
    pub fn start() -> Result<Arc<Io>, NetError> {
        let failed = |error: std::io::Error| NetError::Start(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let drive = move || {
            // An error means that the sender is gone, which ends the thread all the same.
            let _ = runtime.block_on(stopped);
        };
        let thread = std::thread::Builder::new().name("smlc-io".to_owned()).spawn(drive).map_err(failed)?;
        Ok(Arc::new(Io { handle, stop: Some(stop), thread: Some(thread) }))
    }

    /// Waits on the calling thread for something that the IO thread makes progress on.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Runs a task on the IO thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.handle.spawn(task)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported; there is nothing left to hand on.
            let _ = thread.join();
        }
    }
}

/// Why bytes did not come, before it is known whose fault that is.
#[derive(Debug)]
pub(super) enum ReadError {
    Loss(Loss),
    Silent(Duration),
    Frame(FrameError),
}

impl ReadError {
    /// The error, with the party at the other end.
    pub fn blame(self, peer: Party) -> NetError {
        match self {
            ReadError::Loss(loss) => NetError::Lost(peer, loss),
            ReadError::Silent(idle) => NetError::Timeout(peer, idle),
            ReadError::Frame(error) => NetError::Frame(peer, error),
        }
    }
}

impl From<FrameError> for ReadError {
    fn from(error: FrameError) -> ReadError {
        ReadError::Frame(error)
    }
}

/// Writes a frame and flushes it.
pub(super) async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    header: Header,
    payload: &[u8],
) -> std::io::Result<()> {
    stream.write_all(&header.encode()).await?;
    stream.write_all(payload).await?;
    stream.flush().await
}

/// Reads a header; each piece of it must come within `idle`.
pub(super) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
    idle: Option<Duration>,
) -> Result<Header, ReadError> {
    let mut header = [0; HEADER_LEN];
    fill(stream, &mut header, idle).await?;
    Ok(Header::decode(&header)?)
}

/// Reads a header, compares it with the expectation, and only then makes room for the payload.
pub(super) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    expect: Expect,
    idle: Option<Duration>,
) -> Result<Vec<u8>, ReadError> {
    let header = read_header(stream, idle).await?;
    expect.check(header)?;
    read_payload(stream, expect.len, idle).await
}

/// Reads `len` bytes that a checked header announced.
pub(super) async fn read_payload(
    stream: &mut (impl AsyncRead + Unpin),
    len: usize,
    idle: Option<Duration>,
) -> Result<Vec<u8>, ReadError> {
    read_over(stream, vec![0; len], idle).await
}

/// The same over all of these bytes.
pub(super) async fn read_over(
    stream: &mut (impl AsyncRead + Unpin),
    mut payload: Vec<u8>,
    idle: Option<Duration>,
) -> Result<Vec<u8>, ReadError> {
    fill(stream, &mut payload, idle).await.map_err(|error| match error {
        // The header came, so even an end before the first byte is inside of the frame.
        ReadError::Loss(Loss::Closed) => ReadError::Loss(Loss::Truncated { missing: payload.len() }),
        other => other,
    })?;
    Ok(payload)
}

/// Fills the buffer.
async fn fill(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    idle: Option<Duration>,
) -> Result<(), ReadError> {
    let mut at = 0;
    while at < buffer.len() {
        let read = stream.read(&mut buffer[at..]);
        let read = match idle {
            Some(idle) => tokio::time::timeout(idle, read).await.map_err(|_| ReadError::Silent(idle))?,
            None => read.await,
        };
        match read {
            Ok(0) if at == 0 => return Err(ReadError::Loss(Loss::Closed)),
            Ok(0) => return Err(ReadError::Loss(Loss::Truncated { missing: buffer.len() - at })),
            Ok(n) => at += n,
            Err(error) => return Err(ReadError::Loss(Loss::Broken(error.to_string()))),
        }
    }
    Ok(())
}
