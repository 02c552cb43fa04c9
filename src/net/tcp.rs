//! Connecting over TCP: parties among themselves, owners' clients to parties.
//!
//! Every party listens at its address. The higher party of a pair calls the lower one, and calls again until a deadline, so the
//! parties may be started in any order. A run starts when every party has said that all of its links are up. [`Wrap`] is the
//! place of TLS: it turns a TCP connection into the stream that is used.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::net::error::{Abort, Loss, NetError};
use crate::net::frame::{Expect, FrameError, Header, Kind};
use crate::net::greet::{call, greet};
use crate::net::handshake::{Hello, PlanHash, Role, SessionId};
use crate::net::io::{Io, ReadError, Stream, read_header, read_payload, write_frame};
use crate::net::owner::StreamLink;
use crate::net::peers;
use crate::net::shape::Shape;
use crate::net::stream::{StreamMesh, Timing};
use crate::plan::Party;

/// After a refusal, the handshakes under way go on for so long: the others should learn why there is no run.
const GRACE: Duration = Duration::from_millis(500);

/// Everything about the run that the three parties must agree on, and where they are.
#[derive(Clone, Debug)]
pub struct Session {
    /// Names the run.
    pub id: SessionId,
    /// What is run.
    pub plan: PlanHash,
    /// `host:port` of each party.
    pub addresses: [String; 3],
    /// How long to wait until everybody is connected.
    pub patience: Duration,
}

impl Session {
    /// The default of [`Session::patience`].
    pub const PATIENCE: Duration = Duration::from_secs(10);
}

/// One party's own settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which party this is.
    pub me: Party,
    /// How many owners' clients to wait for.
    pub owners: usize,
    /// Signs of life.
    pub timing: Timing,
    /// A network to imitate.
    pub shape: Option<Shape>,
}

/// What is put between TCP and the frames.
pub trait Wrap: Clone + Send + Sync + 'static {
    /// The wrapped connection.
    type Stream: Stream;

    /// Wraps a connection that this end opened to a party.
    fn call(&self, to: Party, tcp: TcpStream) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;

    /// Wraps a connection that this end accepted.
    fn accept(&self, tcp: TcpStream) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// Nothing between TCP and the frames: no secrecy, no authentication. For one machine and for tests.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Wrap for Plain {
    type Stream = TcpStream;

    async fn call(&self, _to: Party, tcp: TcpStream) -> std::io::Result<TcpStream> {
        Ok(tcp)
    }

    async fn accept(&self, tcp: TcpStream) -> std::io::Result<TcpStream> {
        Ok(tcp)
    }
}

/// A party's connections at the start of a run.
pub struct Joined {
    /// To the other parties.
    pub mesh: StreamMesh,
    /// To the owners' clients, in the order of their numbers.
    pub owners: Vec<StreamLink>,
}

/// Reserves the address at which a party listens.
///
/// # Errors
/// [`NetError::Listen`].
pub fn listen(address: &str) -> Result<TcpListener, NetError> {
    TcpListener::bind(address).map_err(|error| cannot_listen(address, &error))
}

fn cannot_listen(address: &str, error: &std::io::Error) -> NetError {
    NetError::Listen { address: address.to_owned(), reason: error.to_string() }
}

/// Connects a party with the others and its owners; returns when all links are up.
///
/// # Errors
/// [`NetError`]: the first refusal, or who is missing at the deadline.
pub fn join<W: Wrap>(
    session: &Session,
    settings: Settings,
    listener: TcpListener,
    wrap: &W,
) -> Result<Joined, NetError> {
    let io = Io::start()?;
    let mut gathered = io.wait(gather(session, settings, listener, wrap))?;
    let streams = peers(settings.me).map(|peer| gathered.parties.remove(&peer).expect("both peers were collected"));
    let link = |(number, stream)| StreamLink::new(Arc::clone(&io), Role::Owner(number), stream);
    let owners = gathered.owners.into_iter().map(link).collect();
    let mesh = StreamMesh::new(io, settings.me, streams, settings.timing, settings.shape);
    Ok(Joined { mesh, owners })
}

/// Connects an owner's client with the three parties.
///
/// # Errors
/// [`NetError`]: the first refusal, or who cannot be reached.
pub fn call_parties<W: Wrap>(session: &Session, owner: u8, wrap: &W) -> Result<[StreamLink; 3], NetError> {
    let io = Io::start()?;
    let mine = Hello::new(Role::Owner(owner), session.id, session.plan);
    let deadline = Instant::now() + session.patience;
    let connect = |party| {
        let stream = io.wait(call(party, session.clone(), mine, wrap.clone(), deadline))?;
        Ok(StreamLink::new(Arc::clone(&io), Role::Party(party), stream))
    };
    let [first, second, third] = Party::ALL.map(connect);
    Ok([first?, second?, third?])
}

/// Streams on which the handshake is done.
struct Gathered<S> {
    parties: BTreeMap<Party, S>,
    owners: BTreeMap<u8, S>,
}

/// Connects with everybody, and waits until the other parties have done so too.
async fn gather<W: Wrap>(
    session: &Session,
    settings: Settings,
    listener: TcpListener,
    wrap: &W,
) -> Result<Gathered<W::Stream>, NetError> {
    let deadline = Instant::now() + session.patience;
    let mut gathered = Gathered { parties: BTreeMap::new(), owners: BTreeMap::new() };
    let outcome = match gathered.collect(session, settings, listener, wrap, deadline).await {
        Ok(()) => gathered.agree(session, settings.me, deadline).await,
        refused => refused,
    };
    if let Err(error) = &outcome {
        gathered.give_up(settings.me, error).await;
    }
    outcome.map(|()| gathered)
}

impl<S: Stream> Gathered<S> {
    /// Calls the lower parties and answers everybody else until all are here.
    async fn collect<W: Wrap<Stream = S>>(
        &mut self,
        session: &Session,
        settings: Settings,
        listener: TcpListener,
        wrap: &W,
        deadline: Instant,
    ) -> Result<(), NetError> {
        let me = settings.me;
        let unusable = |error| cannot_listen(&session.addresses[me.index()], &error);
        listener.set_nonblocking(true).map_err(unusable)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(unusable)?;
        let mine = Hello::new(Role::Party(me), session.id, session.plan);

        // Dropping the set at the end cancels what is still under way.
        let mut tasks = JoinSet::new();
        for lower in Party::ALL.into_iter().filter(|party| *party < me) {
            let (session, wrap) = (session.clone(), wrap.clone());
            tasks.spawn(async move {
                let stream = call(lower, session, mine, wrap, deadline).await?;
                Ok(Some((Role::Party(lower), stream)))
            });
        }
        let (mut refused, mut until) = (None, deadline);
        while self.parties.len() < 2 || self.owners.len() < settings.owners {
            let event = async {
                tokio::select! {
                    Some(done) = tasks.join_next() => Event::Done(done),
                    accepted = listener.accept() => Event::Accepted(accepted.map(|(tcp, _)| tcp)),
                }
            };
            let Ok(event) = timeout_at(until, event).await else {
                return Err(refused.unwrap_or_else(|| self.late(session, settings)));
            };
            match event {
                Event::Accepted(Ok(tcp)) => {
                    let wrap = wrap.clone();
                    tasks.spawn(async move { greet(tcp, mine, wrap).await });
                }
                // The caller has hung up already; it will call again.
                Event::Accepted(Err(_)) => {}
                Event::Done(Err(panic)) => return Err(NetError::Start(panic.to_string())),
                // Whoever calls twice has lost its first connection.
                Event::Done(Ok(Ok(Some((Role::Party(party), stream))))) => drop(self.parties.insert(party, stream)),
                Event::Done(Ok(Ok(Some((Role::Owner(owner), stream))))) => drop(self.owners.insert(owner, stream)),
                Event::Done(Ok(Ok(None))) => {}
                Event::Done(Ok(Err(error))) => {
                    until = until.min(Instant::now() + GRACE);
                    refused.get_or_insert(error);
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Who is missing at the deadline.
    fn late(&self, session: &Session, settings: Settings) -> NetError {
        match peers(settings.me).into_iter().find(|peer| !self.parties.contains_key(peer)) {
            Some(peer) => NetError::Unreachable(peer, session.patience, None),
            None => NetError::Owners { found: self.owners.len(), expected: settings.owners, within: session.patience },
        }
    }

    /// Tells the parties that all links of this one are up, and hears the same from them.
    async fn agree(&mut self, session: &Session, me: Party, deadline: Instant) -> Result<(), NetError> {
        for (peer, stream) in &mut self.parties {
            let sent = write_frame(stream, Header { kind: Kind::Ready, round: 0, len: 0 }, &[]).await;
            sent.map_err(|error| NetError::Lost(*peer, Loss::Broken(error.to_string())))?;
        }
        for (peer, stream) in &mut self.parties {
            let waits = || NetError::Unreachable(*peer, session.patience, Some("it waits for others".to_owned()));
            timeout_at(deadline, hear_ready(me, *peer, stream)).await.map_err(|_| waits())??;
        }
        Ok(())
    }

    /// Tells the parties that are here why there will be no run.
    async fn give_up(&mut self, me: Party, error: &NetError) {
        let abort = error.abort(me).encode();
        for stream in self.parties.values_mut() {
            // A peer that cannot be told is gone itself.
            let _ = write_frame(stream, Header { kind: Kind::Abort, round: 0, len: Abort::LEN as u64 }, &abort).await;
            let _ = stream.shutdown().await;
        }
    }
}

/// What happens while a party gathers its links.
enum Event<D> {
    Done(D),
    Accepted(std::io::Result<TcpStream>),
}

/// Waits for a peer's ready frame, or for the reason why none comes.
async fn hear_ready(me: Party, peer: Party, stream: &mut impl Stream) -> Result<(), NetError> {
    let hear = async {
        let header = read_header(stream, None).await?;
        if header.kind != Kind::Abort {
            Expect { kind: Kind::Ready, round: 0, len: 0 }.check(header)?;
            return Ok(None);
        }
        Expect { kind: Kind::Abort, round: 0, len: Abort::LEN }.check(header)?;
        let content = read_payload(stream, Abort::LEN, None).await?;
        let abort = content.try_into().ok().and_then(Abort::decode);
        Ok::<_, ReadError>(Some(abort.ok_or(FrameError::Content(Kind::Abort))?))
    };
    match hear.await {
        Ok(None) => Ok(()),
        Ok(Some(abort)) => Err(abort.error(me)),
        Err(error) => Err(error.blame(peer)),
    }
}
