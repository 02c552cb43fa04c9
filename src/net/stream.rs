//! The mesh over byte streams: for each peer a task that reads and one that writes, on the IO thread.
//!
//! The reader takes a data frame's header as it comes but waits with the payload until the party expects it, since only then
//! is the length known that the plan has. Whatever fails first, in any task, is the failure of the run: it is kept, all
//! peers get an abort frame, and the party learns it from its next call.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::net::error::{Abort, AbortReason, Loss, NetError};
use crate::net::frame::{Expect, FrameError, Header, Kind};
use crate::net::io::{Io, Stream, read_header, read_over, read_payload, write_frame};
use crate::net::queue::Queue;
use crate::net::shape::{Pacer, Shape, sleep_until};
use crate::net::{Mesh, Spares, Traffic, peers};
use crate::plan::Party;

/// How peers are known to be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A sign of life is sent that often.
    pub keep_alive: Duration,
    /// A peer that is silent for so long is taken for dead.
    pub idle: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { keep_alive: Duration::from_secs(1), idle: Duration::from_secs(4) }
    }
}

/// Small frames leave in one piece with their header.
const WRITE_BUFFER: usize = 64 << 10;

/// How long a failed endpoint waits for its abort frames to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// A frame to write.
struct Outgoing {
    kind: Kind,
    round: u32,
    payload: Vec<u8>,
}

impl Outgoing {
    fn new(kind: Kind, payload: Vec<u8>) -> Outgoing {
        Outgoing { kind, round: 0, payload }
    }
}

/// The end of the run, shared by all tasks of an endpoint.
struct Fate {
    me: Party,
    ended: Mutex<Option<Ended>>,
    /// Payloads with their senders, or the failure.
    events: Queue<Result<(Party, Vec<u8>), NetError>>,
    outgoing: [UnboundedSender<Outgoing>; 2],
}

#[derive(Clone)]
enum Ended {
    InOrder,
    Failed(NetError),
}

impl Fate {
    /// Ends the run. If it has ended before, that stays as it was and is returned.
    fn end(&self, how: Ended) -> Option<Ended> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_some() {
            return ended.clone();
        }
        if let Ended::Failed(error) = &how {
            let abort = error.abort(self.me).encode();
            for peer in &self.outgoing {
                // A writer that is gone has lost its peer.
                let _ = peer.send(Outgoing::new(Kind::Abort, abort.to_vec()));
            }
            // Wakes the party if it waits for a payload.
            self.events.push(Err(error.clone()));
        }
        *ended = Some(how);
        None
    }

    /// Ends the run by a failure; returns the failure that came first.
    fn fail(&self, error: NetError) -> NetError {
        match self.end(Ended::Failed(error.clone())) {
            Some(Ended::Failed(first)) => first,
            Some(Ended::InOrder) | None => error,
        }
    }

    /// The failure, if one has become known; after the end, nothing can be sent or received.
    fn check(&self) -> Result<(), NetError> {
        match &*self.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Ended::Failed(error)) => Err(error.clone()),
            Some(Ended::InOrder) => Err(NetError::Lost(self.me, Loss::Finished)),
            None => Ok(()),
        }
    }
}

/// What the party's side holds of a link.
struct Link {
    peer: Party,
    expect: Option<UnboundedSender<Expect>>,
    outgoing: UnboundedSender<Outgoing>,
    line: Option<DelayLine>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

/// One party's endpoint over two byte streams.
pub struct StreamMesh {
    io: Arc<Io>,
    fate: Arc<Fate>,
    /// What came before it was asked for, by sender.
    waiting: [VecDeque<Vec<u8>>; 3],
    /// Payloads that are expected and were not asked for yet, by sender.
    expected: [usize; 3],
    links: [Link; 2],
    timing: Timing,
    traffic: Traffic,
    spares: Arc<Spares>,
}

impl StreamMesh {
    /// An endpoint of party `me` over connected streams to the parties `me + 1` and `me + 2`, on which the handshake is done.
    #[must_use]
    pub fn new<S: Stream>(io: Arc<Io>, me: Party, streams: [S; 2], timing: Timing, shape: Option<Shape>) -> StreamMesh {
        let queues = [unbounded_channel(), unbounded_channel()];
        let outgoing = queues.each_ref().map(|(sender, _)| sender.clone());
        let fate = Arc::new(Fate { me, ended: Mutex::new(None), events: Queue::default(), outgoing });
        let spares: Arc<Spares> = Arc::default();
        let mut parts = peers(me).into_iter().zip(streams);
        let links = queues.map(|(outgoing, queue)| {
            let (peer, stream) = parts.next().expect("two peers for two queues");
            let (reading, writing) = tokio::io::split(stream);
            let (expect, expected) = unbounded_channel();
            let [read, written] = [&spares, &spares].map(Arc::clone);
            let (fate, idle) = (Arc::clone(&fate), timing.idle);
            let reader = Reader { peer, stream: reading, expected, fate, idle, spares: read };
            let tasks = [io.spawn(reader.run()), io.spawn(write_all(writing, queue, timing.keep_alive, written))];
            let line = shape.map(|shape| DelayLine::new(shape, outgoing.clone()));
            Link { peer, expect: Some(expect), outgoing, line, tasks }
        });
        StreamMesh {
            io,
            fate,
            waiting: Default::default(),
            expected: [0; 3],
            links,
            timing,
            traffic: Traffic::default(),
            spares,
        }
    }

    fn link(&mut self, peer: Party) -> &mut Link {
        let [first, second] = &mut self.links;
        if first.peer == peer { first } else { second }
    }

    /// Puts a frame behind all that was sent before, through the delay line if there is one.
    fn post(&mut self, to: Party, frame: Outgoing) {
        let link = self.link(to);
        match &mut link.line {
            Some(line) => line.push(frame),
            // A writer that is gone has lost its peer, which the reader reports.
            None => drop(link.outgoing.send(frame)),
        }
    }
}

impl Mesh for StreamMesh {
    fn me(&self) -> Party {
        self.fate.me
    }

    fn send(&mut self, to: Party, round: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.fate.check()?;
        self.traffic.sent[to.index()].count(payload.len());
        self.post(to, Outgoing { kind: Kind::Data, round, payload });
        Ok(())
    }

    fn expect(&mut self, from: Party, round: u32, len: usize) {
        self.expected[from.index()] += 1;
        if let Some(expect) = &self.link(from).expect {
            // A reader that is gone has left a failure among the events.
            let _ = expect.send(Expect { kind: Kind::Data, round, len });
        }
    }

    fn recv(&mut self, from: Party, round: u32, len: usize) -> Result<Vec<u8>, NetError> {
        self.fate.check()?;
        if self.expected[from.index()] == 0 {
            self.expect(from, round, len);
        }
        self.expected[from.index()] -= 1;
        loop {
            if let Some(payload) = self.waiting[from.index()].pop_front() {
                self.traffic.received[from.index()].count(payload.len());
                return Ok(payload);
            }
            let (sender, payload) = self.fate.events.pop()?;
            self.waiting[sender.index()].push_back(payload);
        }
    }

    fn abort(&mut self, reason: AbortReason) {
        self.fate.fail(NetError::Aborted { by: self.fate.me, reason });
    }

    fn finish(&mut self) -> Result<(), NetError> {
        match self.fate.end(Ended::InOrder) {
            Some(Ended::InOrder) => Ok(()),
            Some(Ended::Failed(error)) => Err(error),
            None => {
                for peer in peers(self.fate.me) {
                    self.post(peer, Outgoing::new(Kind::Bye, Vec::new()));
                }
                Ok(())
            }
        }
    }

    fn spares(&self) -> &Arc<Spares> {
        &self.spares
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

impl Drop for StreamMesh {
    /// Lets the last frames leave: closing a socket too early can destroy what the peer has not read yet.
    fn drop(&mut self) {
        let left = NetError::Aborted { by: self.fate.me, reason: AbortReason::Left };
        let in_order = matches!(self.fate.end(Ended::Failed(left)), Some(Ended::InOrder));
        for link in &mut self.links {
            link.expect.take();
            if let Some(line) = link.line.take() {
                line.close(in_order);
            }
        }
        self.io.wait(async {
            let tasks = self.links.iter_mut().flat_map(|link| &mut link.tasks);
            let all = async {
                for task in tasks {
                    // A task that panicked has nothing left to send.
                    let _ = task.await;
                }
            };
            // What is still open after that is cut off.
            let _ = timeout(if in_order { self.timing.idle } else { FAREWELL }, all).await;
        });
        self.links.iter().flat_map(|link| &link.tasks).for_each(tokio::task::JoinHandle::abort);
    }
}

/// The task that reads from one peer.
struct Reader<R> {
    peer: Party,
    stream: R,
    expected: UnboundedReceiver<Expect>,
    fate: Arc<Fate>,
    idle: Duration,
    spares: Arc<Spares>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn run(mut self) {
        if let Err(error) = self.receive().await {
            self.fate.fail(error);
            // Reading on until the peer has closed lets our abort frame reach it.
            let mut scratch = vec![0; 4096];
            let drain = async { while matches!(self.stream.read(&mut scratch).await, Ok(1..)) {} };
            let _ = timeout(FAREWELL, drain).await;
        }
    }

    /// Takes frames until the peer ends its run in order or the endpoint is dropped.
    async fn receive(&mut self) -> Result<(), NetError> {
        let (peer, idle) = (self.peer, Some(self.idle));
        let wrong = |error| NetError::Frame(peer, error);
        loop {
            let header = read_header(&mut self.stream, idle).await.map_err(|error| error.blame(peer))?;
            match header.kind {
                Kind::KeepAlive => Expect { kind: Kind::KeepAlive, round: 0, len: 0 }.check(header).map_err(wrong)?,
                Kind::Data => {
                    let Some(expect) = self.expected.recv().await else { return Ok(()) };
                    expect.check(header).map_err(wrong)?;
                    let payload = read_over(&mut self.stream, self.spares.take_filled(expect.len), idle).await;
                    // The endpoint may have been dropped meanwhile.
                    let payload = payload.map_err(|error| error.blame(peer))?;
                    self.fate.events.push(Ok((peer, payload)));
                }
                Kind::Abort => {
                    Expect { kind: Kind::Abort, round: 0, len: Abort::LEN }.check(header).map_err(wrong)?;
                    let content = read_payload(&mut self.stream, Abort::LEN, idle).await;
                    let content = content.map_err(|error| error.blame(peer))?;
                    let abort = content.try_into().ok().and_then(Abort::decode);
                    return Err(abort.map_or(wrong(FrameError::Content(Kind::Abort)), |a| a.error(self.fate.me)));
                }
                Kind::Bye => {
                    return match self.expected.recv().await {
                        Some(_) => Err(NetError::Lost(peer, Loss::Finished)),
                        None => Ok(()),
                    };
                }
                Kind::Hello | Kind::Verdict | Kind::Ready | Kind::Message => {
                    return Err(wrong(FrameError::Kind { expected: Kind::Data, found: header.kind }));
                }
            }
        }
    }
}

/// The task that writes to one peer, with a sign of life at every tick. Errors end it: the reader of the same stream reports them.
async fn write_all(
    stream: impl AsyncWrite + Unpin,
    mut queue: UnboundedReceiver<Outgoing>,
    keep_alive: Duration,
    spares: Arc<Spares>,
) {
    let mut stream = BufWriter::with_capacity(WRITE_BUFFER, stream);
    let mut tick = interval(keep_alive);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let frame = tokio::select! {
            biased;
            next = queue.recv() => match next {
                Some(frame) => frame,
                None => break,
            },
            _ = tick.tick() => Outgoing::new(Kind::KeepAlive, Vec::new()),
        };
        let header = Header { kind: frame.kind, round: frame.round, len: frame.payload.len() as u64 };
        if write_frame(&mut stream, header, &frame.payload).await.is_err() {
            return;
        }
        match frame.kind {
            Kind::Abort | Kind::Bye => break,
            Kind::Data => spares.put(frame.payload),
            _ => {}
        }
    }
    let _ = stream.shutdown().await;
}

/// A thread that holds frames back until a slower network would have delivered them. Timers of the IO thread are too coarse.
struct DelayLine {
    pacer: Pacer,
    queue: Sender<(Instant, Outgoing)>,
    stop: Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl DelayLine {
    fn new(shape: Shape, outgoing: UnboundedSender<Outgoing>) -> DelayLine {
        let (queue, queued) = channel::<(Instant, Outgoing)>();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            for (arrival, frame) in queued {
                sleep_until(arrival);
                if stopped.try_recv().is_ok() || outgoing.send(frame).is_err() {
                    return;
                }
            }
        });
        DelayLine { pacer: Pacer::new(shape), queue, stop, thread }
    }

    fn push(&mut self, frame: Outgoing) {
        let arrival = self.pacer.arrival(Instant::now(), frame.payload.len());
        // The line ends early only after its writer, whose loss the reader reports.
        let _ = self.queue.send((arrival, frame));
    }

    /// Ends the line: after its last frame, or at once.
    fn close(self, in_order: bool) {
        if in_order {
            drop(self.queue);
            let _ = self.thread.join();
        } else {
            let _ = self.stop.send(());
        }
    }
}
