//! One suite over every transport, then what only byte streams can do wrong.

use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::frame::{FrameError, HEADER_LEN, Header, Kind};
use super::handshake::{Hello, Role};
use super::io::Io;
use super::owner::{Message, MessageKind, OwnerLink, Room};
use super::tcp::{Joined, Plain, Session, Settings, call_parties, join, listen};
use super::*;

const QUICK: Timing = Timing { keep_alive: Duration::from_millis(50), idle: Duration::from_millis(1000) };
const ROUTES: [(u8, u8); 6] = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];

type Trio = [Box<dyn Mesh>; 3];

fn memory(shape: Option<Shape>) -> Trio {
    MemoryMesh::new(shape).map(|mesh| Box::new(mesh) as Box<dyn Mesh>)
}

/// Three listeners on free ports and a session that names them.
fn session() -> ([std::net::TcpListener; 3], Session) {
    let listeners = [(); 3].map(|()| listen("127.0.0.1:0").unwrap());
    let addresses = listeners.each_ref().map(|l| l.local_addr().unwrap().to_string());
    let patience = Duration::from_secs(5);
    (listeners, Session { id: SessionId([1; 16]), plan: PlanHash([2; 32]), addresses, patience })
}

fn settings(party: usize) -> Settings {
    Settings { me: Party(party as u8), owners: 0, timing: QUICK, shape: None }
}

/// Starts all parties with their own session and settings.
fn start(
    listeners: [std::net::TcpListener; 3],
    sessions: [Session; 3],
    settings: [Settings; 3],
) -> [Result<Joined, NetError>; 3] {
    let mut parts = sessions.into_iter().zip(settings);
    let threads = listeners.map(|listener| {
        let (session, settings) = parts.next().unwrap();
        thread::spawn(move || join(&session, settings, listener, &Plain))
    });
    threads.map(|thread| thread.join().unwrap())
}

fn tcp(shape: Option<Shape>) -> Trio {
    let (listeners, session) = session();
    let sessions = [session.clone(), session.clone(), session];
    let settings = [0, 1, 2].map(|party| Settings { shape, ..settings(party) });
    start(listeners, sessions, settings).map(|joined| Box::new(joined.unwrap().mesh) as Box<dyn Mesh>)
}

fn on_each_transport(test: impl Fn(Trio)) {
    test(memory(None));
    test(tcp(None));
}

/// The error of a receive, within a time that leaves no room for an idle timeout.
fn promptly<T: std::fmt::Debug>(action: impl FnOnce() -> Result<T, NetError>) -> NetError {
    let start = Instant::now();
    let error = action().unwrap_err();
    assert!(start.elapsed() < QUICK.idle / 2, "{error} came after {:?}", start.elapsed());
    error
}

#[test]
fn all_send_first_and_receive_then() {
    on_each_transport(|mut trio| {
        for round in 0..3u32 {
            for (from, to) in ROUTES {
                let payload = vec![from * 16 + to; 100_000 * round as usize + 1];
                trio[from as usize].send(Party(to), round, payload).unwrap();
            }
            for (from, to) in ROUTES {
                let len = 100_000 * round as usize + 1;
                let payload = trio[to as usize].recv(Party(from), round, len).unwrap();
                assert!(payload.iter().all(|&b| b == from * 16 + to));
            }
        }
        for (i, mesh) in trio.iter_mut().enumerate() {
            assert_eq!(mesh.me(), Party(i as u8));
            let traffic = mesh.traffic();
            let flow = Flow { frames: 3, payload_bytes: 300_003 };
            assert_eq!((traffic.bytes_sent(), traffic.bytes_received()), (600_006, 600_006));
            assert_eq!((traffic.sent[(i + 1) % 3], traffic.received[(i + 2) % 3]), (flow, flow));
            assert_eq!((traffic.sent[i], flow.header_bytes()), (Flow::default(), 60));
            mesh.finish().unwrap();
            mesh.finish().unwrap();
            let me = mesh.me();
            assert_eq!(mesh.recv(me.plus(1), 9, 1), Err(NetError::Lost(me, Loss::Finished)), "the run is over");
        }
    });
}

#[test]
fn large_payloads_cross_without_a_deadlock() {
    on_each_transport(|mut trio| {
        for (from, to) in ROUTES {
            trio[from as usize].send(Party(to), 0, vec![7; 20 << 20]).unwrap();
        }
        for (from, to) in ROUTES {
            assert_eq!(trio[to as usize].recv(Party(from), 0, 20 << 20).unwrap().len(), 20 << 20);
        }
    });
}

#[test]
fn a_lost_party_is_named_by_both_others() {
    on_each_transport(|[mut p0, mut p1, p2]| {
        let waiting = thread::spawn(move || p0.recv(Party(1), 5, 10).unwrap_err());
        thread::sleep(Duration::from_millis(20));
        drop(p2);
        assert_eq!(promptly(|| p1.recv(Party(2), 5, 10)).party(), Some(Party(2)));
        assert_eq!(waiting.join().unwrap().party(), Some(Party(2)));
        assert!(p1.send(Party(0), 5, vec![]).is_err(), "the failure stays");
        assert!(p1.finish().is_err());
    });
}

#[test]
fn an_abort_reaches_everybody_with_its_reason() {
    on_each_transport(|[mut p0, mut p1, mut p2]| {
        p0.abort(AbortReason::Cancelled);
        for mesh in [&mut p1, &mut p2] {
            let error = promptly(|| mesh.recv(Party(0), 0, 1));
            assert_eq!(error.to_string(), "P0 stopped the run: its user cancelled the run");
        }
        assert!(p0.send(Party(1), 0, vec![1]).is_err());
    });
}

#[test]
fn another_length_or_round_is_refused_and_blamed() {
    for (round, len, text) in
        [(3, 9, "P1 sent a frame of 10 bytes where the plan says 9"), (4, 10, "P1 sent a frame of round 3 in round 4")]
    {
        on_each_transport(|[mut p0, mut p1, mut p2]| {
            p1.send(Party(0), 3, vec![0; 10]).unwrap();
            assert_eq!(p0.recv(Party(1), round, len).unwrap_err().to_string(), text);
            let told = promptly(|| p2.recv(Party(0), 0, 1));
            assert_eq!(told.to_string(), "P0 stopped the run: P1 did not follow the plan");
            assert_eq!(told.party(), Some(Party(1)));
        });
    }
}

#[test]
fn a_finished_party_may_go_and_owes_nothing() {
    on_each_transport(|[mut p0, mut p1, mut p2]| {
        p2.send(Party(0), 0, vec![1, 2]).unwrap();
        p2.finish().unwrap();
        let gone = thread::spawn(move || drop(p2));
        thread::sleep(Duration::from_millis(30));
        assert_eq!(p0.recv(Party(2), 0, 2), Ok(vec![1, 2]));
        p0.send(Party(1), 1, vec![3]).unwrap();
        assert_eq!(p1.recv(Party(0), 1, 1), Ok(vec![3]));
        assert_eq!(p1.recv(Party(2), 1, 1), Err(NetError::Lost(Party(2), Loss::Finished)));
        drop((p0, p1));
        gone.join().unwrap();
    });
}

#[test]
fn a_shape_delays_and_paces() {
    let shape = Shape { rtt: Duration::from_millis(60), bits_per_second: 8e6 };
    for [mut p0, mut p1, _p2] in [memory(Some(shape)), tcp(Some(shape))] {
        let start = Instant::now();
        for round in 0..2 {
            p0.send(Party(1), round, vec![0; 20_000]).unwrap();
        }
        let mut arrive = |round| {
            p1.recv(Party(0), round, 20_000).unwrap();
            start.elapsed().as_millis()
        };
        let (first, second) = (arrive(0), arrive(1));
        assert!((50..100).contains(&first), "20 ms on the link and 30 ms of flight took {first} ms");
        assert!((70..120).contains(&second), "20 ms more took {second} ms");
    }
}

#[test]
fn a_computing_party_is_waited_for() {
    let [mut p0, mut p1, _p2] = tcp(None);
    let worker = thread::spawn(move || {
        thread::sleep(2 * QUICK.idle);
        p1.send(Party(0), 0, vec![1]).unwrap();
        p1
    });
    assert_eq!(p0.recv(Party(1), 0, 1), Ok(vec![1]));
    worker.join().unwrap();
}

/// P0's endpoint whose peers are played by the test: `[P1, P2]`.
fn puppets() -> (StreamMesh, [DuplexStream; 2], std::sync::Arc<Io>) {
    let io = Io::start().unwrap();
    let (a, p1) = tokio::io::duplex(1 << 16);
    let (b, p2) = tokio::io::duplex(1 << 16);
    (StreamMesh::new(io.clone(), Party(0), [a, b], QUICK, None), [p1, p2], io)
}

#[test]
fn a_frozen_party_is_noticed() {
    let (mut p0, [_p1, mut p2], io) = puppets();
    let start = Instant::now();
    let alive = Header { kind: Kind::KeepAlive, round: 0, len: 0 }.encode();
    let error = thread::scope(|scope| {
        let waiting = scope.spawn(|| p0.recv(Party(2), 0, 1).unwrap_err());
        while !waiting.is_finished() {
            // Once it has given up, the endpoint may close at any time.
            let _ = io.wait(p2.write_all(&alive));
            thread::sleep(QUICK.keep_alive);
        }
        waiting.join().unwrap()
    });
    assert_eq!(error, NetError::Timeout(Party(1), QUICK.idle));
    assert!(start.elapsed() < 2 * QUICK.idle);
}

#[test]
fn an_announced_length_is_never_allocated() {
    let (mut p0, [mut p1, mut p2], io) = puppets();
    io.wait(p1.write_all(&Header { kind: Kind::Data, round: 0, len: u64::MAX }.encode())).unwrap();
    let error = p0.recv(Party(1), 0, 8).unwrap_err();
    assert_eq!(error, NetError::Frame(Party(1), FrameError::Length { expected: 8, found: u64::MAX }));
    // P2 is told who did not follow the plan; signs of life may come before.
    let told = io.wait(async {
        let mut header = [0; HEADER_LEN];
        loop {
            p2.read_exact(&mut header).await.unwrap();
            if Header::decode(&header).unwrap().kind == Kind::Abort {
                let mut abort = [0; error::Abort::LEN];
                p2.read_exact(&mut abort).await.unwrap();
                return error::Abort::decode(abort).unwrap();
            }
        }
    });
    assert_eq!(told, error::Abort { by: Party(0), reason: AbortReason::Protocol(Party(1)) });
}

#[test]
fn a_truncated_frame_is_a_loss() {
    let (mut p0, [mut p1, _p2], io) = puppets();
    let mut bytes = Header { kind: Kind::Data, round: 0, len: 8 }.encode().to_vec();
    bytes.extend([1, 2, 3]);
    io.wait(p1.write_all(&bytes)).unwrap();
    drop(p1);
    assert_eq!(p0.recv(Party(1), 0, 8), Err(NetError::Lost(Party(1), Loss::Truncated { missing: 5 })));
}

#[test]
fn bytes_of_another_protocol_are_refused() {
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec(), FrameError::Magic),
        (
            Header { kind: Kind::Hello, round: 0, len: 0 }.encode().to_vec(),
            FrameError::Kind { expected: Kind::Data, found: Kind::Hello },
        ),
    ] {
        let (mut p0, [mut p1, _p2], io) = puppets();
        io.wait(p1.write_all(&bytes)).unwrap();
        assert_eq!(p0.recv(Party(1), 0, 1), Err(NetError::Frame(Party(1), expected)));
    }
}

#[test]
fn another_plan_or_session_is_refused_by_everybody() {
    let (listeners, session) = session();
    let other = Session { plan: PlanHash([9; 32]), ..session.clone() };
    let results = start(listeners, [session.clone(), session, other], [0, 1, 2].map(settings));
    let [p0, p1, p2] = results.map(|r| r.err().unwrap());
    for error in [&p0, &p1] {
        assert_eq!(error.party(), Some(Party(2)), "{error}");
    }
    assert!(p2.to_string().contains("runs another plan: hash 090909090909.. here, 020202020202.. there"), "{p2}");
}

#[test]
fn a_party_with_another_number_is_refused() {
    let (listeners, mut session) = session();
    session.patience = Duration::from_millis(300);
    let sessions = [session.clone(), session.clone(), session];
    // Two parties believe to be P1.
    let [p0, first, second] = start(listeners, sessions, [settings(0), settings(1), settings(1)]);
    assert!(p0.is_err() && first.is_err() && second.is_err());
    assert_eq!(p0.err().unwrap(), NetError::Unreachable(Party(2), Duration::from_millis(300), None));
}

#[test]
fn a_missing_party_is_named_at_the_deadline() {
    let ([l0, l1, _l2], mut session) = session();
    session.patience = Duration::from_millis(300);
    let other = session.clone();
    let thread = thread::spawn(move || join(&other, settings(1), l1, &Plain).err().unwrap());
    let here = join(&session, settings(0), l0, &Plain).err().unwrap();
    for error in [here, thread.join().unwrap()] {
        assert_eq!(error.party(), Some(Party(2)), "{error}");
    }
}

#[test]
fn owners_connect_and_strangers_do_no_harm() {
    let (listeners, session) = session();
    for address in &session.addresses {
        let mut stranger = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stranger, b"GET / HTTP/1.1\r\nHost: example\r\n\r\n").unwrap();
    }
    let client = {
        let session = session.clone();
        thread::spawn(move || call_parties(&session, 3, &Plain).unwrap())
    };
    let sessions = [session.clone(), session.clone(), session];
    let parties = start(listeners, sessions, [0, 1, 2].map(|p| Settings { owners: 1, ..settings(p) }));
    let mut links = client.join().unwrap();
    for (i, (link, party)) in links.iter_mut().zip(parties).enumerate() {
        let mut party = party.unwrap();
        assert_eq!((link.peer(), party.owners[0].peer()), (Role::Party(Party(i as u8)), Role::Owner(3)));
        let input = Message::new(MessageKind::Input, "image", vec![i as u8; 1 << 20]);
        // Larger than the socket's buffers: the party must read while the client sends.
        thread::scope(|scope| {
            scope.spawn(|| link.send(input.clone()).unwrap());
            let received = party.owners[0].recv(Some(QUICK.idle), &|_, _| Some(Room::Exactly(1 << 20)));
            assert_eq!(received.unwrap(), input);
        });
        party.owners[0].send(Message::new(MessageKind::Report, "", b"{}".to_vec())).unwrap();
        assert_eq!(link.recv(None, &|_, _| Some(Room::AtMost(100))).unwrap().payload, b"{}");
    }
}

#[test]
fn a_hello_of_another_session_is_refused() {
    let mine = Hello::new(Role::Party(Party(0)), SessionId([1; 16]), PlanHash([2; 32]));
    let theirs = Hello { session: SessionId([3; 16]), role: Role::Party(Party(1)), ..mine };
    let refusal = mine.check(&theirs, |_| true).unwrap_err();
    assert_eq!(NetError::Refused(refusal).party(), Some(Party(1)));
}
