//! From a TCP connection to a link: calling until somebody answers, answering, and the handshake at both ends.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::net::error::NetError;
use crate::net::frame::{Expect, FrameError, Header, Kind};
use crate::net::handshake::{Hello, Refusal, RefusalCode, Role, decode_verdict, encode_verdict};
use crate::net::io::{ReadError, Stream, read_frame, write_frame};
use crate::net::tcp::{Session, Wrap};
use crate::plan::Party;

/// Pause between two calls of a party that does not answer.
const RETRY: Duration = Duration::from_millis(50);

/// Calls a party until it answers.
pub(super) async fn call<W: Wrap>(
    party: Party,
    session: Session,
    mine: Hello,
    wrap: W,
    deadline: Instant,
) -> Result<W::Stream, NetError> {
    let address = &session.addresses[party.index()];
    let mut reason = None;
    let attempts = async {
        loop {
            match attempt(party, address, &mine, &wrap).await {
                Ok(stream) => return Ok(stream),
                Err(Unwelcome::Refused(refusal)) => return Err(NetError::Refused(refusal)),
                Err(Unwelcome::RefusedBy(code)) => return Err(NetError::RefusedBy(party, code)),
                Err(Unwelcome::Frame(error)) => return Err(NetError::Frame(party, error)),
                Err(Unwelcome::Unreached(why)) => reason = Some(why),
            }
            sleep(RETRY).await;
        }
    };
    let result = timeout_at(deadline, attempts).await;
    result.unwrap_or_else(|_| Err(NetError::Unreachable(party, session.patience, reason)))
}

async fn attempt<W: Wrap>(party: Party, address: &str, mine: &Hello, wrap: &W) -> Result<W::Stream, Unwelcome> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let mut stream = wrap.call(party, tcp).await?;
    shake(&mut stream, mine, |role| role == Role::Party(party)).await?;
    Ok(stream)
}

/// Answers a call. `None`: it was no party and no owner of this run's kind of network, and is none of our business.
pub(super) async fn greet<W: Wrap>(
    tcp: TcpStream,
    mine: Hello,
    wrap: W,
) -> Result<Option<(Role, W::Stream)>, NetError> {
    let accept = async {
        tcp.set_nodelay(true)?;
        let mut stream = wrap.accept(tcp).await?;
        // Only higher parties call.
        let welcome = |role| match (role, mine.role) {
            (Role::Party(caller), Role::Party(me)) => caller > me,
            (Role::Owner(_), _) => true,
            (Role::Party(_), Role::Owner(_)) => false,
        };
        let role = shake(&mut stream, &mine, welcome).await?;
        Ok((role, stream))
    };
    match accept.await {
        Ok(met) => Ok(Some(met)),
        Err(Unwelcome::Refused(refusal)) => Err(NetError::Refused(refusal)),
        Err(Unwelcome::RefusedBy(_) | Unwelcome::Frame(_) | Unwelcome::Unreached(_)) => Ok(None),
    }
}

/// Why a connection did not become a link.
enum Unwelcome {
    /// This end does not want the other.
    Refused(Refusal),
    /// The other end does not want this one.
    RefusedBy(RefusalCode),
    /// The other end speaks something else.
    Frame(FrameError),
    /// There is no connection; there may be one later.
    Unreached(String),
}

impl From<std::io::Error> for Unwelcome {
    fn from(error: std::io::Error) -> Unwelcome {
        Unwelcome::Unreached(error.to_string())
    }
}

impl From<ReadError> for Unwelcome {
    fn from(error: ReadError) -> Unwelcome {
        match error {
            ReadError::Loss(loss) => Unwelcome::Unreached(loss.to_string()),
            ReadError::Silent(_) => Unwelcome::Unreached("it does not answer".to_owned()),
            ReadError::Frame(error) => Unwelcome::Frame(error),
        }
    }
}

impl From<FrameError> for Unwelcome {
    fn from(error: FrameError) -> Unwelcome {
        Unwelcome::Frame(error)
    }
}

/// The handshake, the same at both ends: hello, the other's hello, verdict, the other's verdict.
async fn shake(stream: &mut impl Stream, mine: &Hello, welcome: impl Fn(Role) -> bool) -> Result<Role, Unwelcome> {
    let hello = Header { kind: Kind::Hello, round: 0, len: Hello::LEN as u64 };
    write_frame(stream, hello, &mine.encode()).await?;
    let theirs = read_frame(stream, Expect { kind: Kind::Hello, round: 0, len: Hello::LEN }, None).await?;
    let theirs = Hello::decode(&theirs.try_into().map_err(|_| FrameError::Content(Kind::Hello))?)?;

    let checked = mine.check(&theirs, welcome);
    let verdict = encode_verdict(checked.as_ref().err().map(Refusal::code));
    write_frame(stream, Header { kind: Kind::Verdict, round: 0, len: 1 }, &[verdict]).await?;
    let answer = read_frame(stream, Expect { kind: Kind::Verdict, round: 0, len: 1 }, None).await;
    if let Err(refusal) = checked {
        // The other end reads our verdict whatever became of its own.
        let _ = stream.shutdown().await;
        return Err(Unwelcome::Refused(refusal));
    }
    let answer = answer?.first().copied().ok_or(FrameError::Content(Kind::Verdict))?;
    match decode_verdict(answer)? {
        Some(code) => Err(Unwelcome::RefusedBy(code)),
        None => Ok(theirs.role),
    }
}
