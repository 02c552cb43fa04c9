//! All three parties and the owners on one machine: as threads over memory, or as processes over TCP on loopback.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use super::RunError;
use super::client::{self, Outcome};
use super::party::{self, Progress};
use super::profile::{self, Log, Timed};
use crate::backend::cpu::Cpu;
use crate::net::handshake::Role;
use crate::net::owner::MemoryLink;
use crate::net::tcp::{self, Plain, Settings};
use crate::net::{MemoryMesh, Mesh, PlanHash, SessionId, Shape, Timing};
use crate::plan::cost::timeline::Timeline;
use crate::plan::{Party, Plan, file};

/// Three threads and an in-memory mesh.
///
/// # Errors
/// If the data do not fit or a party fails.
pub fn memory(
    plan: &Plan,
    data: &BTreeMap<String, Vec<f64>>,
    shape: Option<Shape>,
    progress: Progress<'_>,
) -> Result<Outcome, RunError> {
    threads(plan, data, shape, &|mut mesh, mut link| {
        let progress: Progress<'_> = if mesh.me() == Party(0) { progress } else { &|_| {} };
        party::run(plan, &mut mesh, &mut link, None, progress)
    })
}

/// The same with clocks: who did what when.
///
/// # Errors
/// If the data do not fit or a party fails.
pub fn timed(
    plan: &Plan,
    data: &BTreeMap<String, Vec<f64>>,
    shape: Option<Shape>,
    progress: Progress<'_>,
) -> Result<(Outcome, Timeline), RunError> {
    let logs = [Log::default(), Log::default(), Log::default()];
    let outcome = threads(plan, data, shape, &|mesh, mut link| {
        let me = mesh.me();
        let log = &logs[me.index()];
        let done = |rounds| {
            log.done(rounds);
            if me == Party(0) {
                progress(rounds);
            }
        };
        let device = |party, keys| Timed::new(Cpu::new(party, keys), log.clone());
        party::run_on(plan, &mut Timed::new(mesh, log.clone()), &mut link, None, &done, device)
    })?;
    Ok((outcome, profile::timeline(plan, &logs)))
}

/// Runs each party in a thread, and the owners' client in this one.
fn threads(
    plan: &Plan,
    data: &BTreeMap<String, Vec<f64>>,
    shape: Option<Shape>,
    run: &(dyn Fn(MemoryMesh, MemoryLink) -> Result<party::Report, RunError> + Sync),
) -> Result<Outcome, RunError> {
    std::thread::scope(|scope| {
        let mut links = Vec::new();
        let mut parties = Vec::new();
        for mesh in MemoryMesh::new(shape) {
            let (client, link) = MemoryLink::pair(Role::Owner(0), Role::Party(mesh.me()));
            links.push(client);
            parties.push(scope.spawn(move || run(mesh, link)));
        }
        let mut links: [MemoryLink; 3] =
            links.try_into().unwrap_or_else(|_| unreachable!("a mesh has three endpoints"));
        let outcome = client::run(plan, data, &mut links);
        drop(links);
        for handle in parties {
            // A party's failure reached the client already; a panic must not pass unnoticed.
            if handle.join().is_err() {
                return Err(RunError::Panic);
            }
        }
        outcome
    })
}

/// The owners' client for three parties that listen on TCP.
///
/// # Errors
/// If a party cannot be reached or refuses, the data do not fit, or a party fails.
pub fn submit_tcp(plan: &Plan, data: &BTreeMap<String, Vec<f64>>, session: &tcp::Session) -> Result<Outcome, RunError> {
    let mut links = tcp::call_parties(session, 0, &Plain).map_err(|cause| RunError::net(plan, cause, None))?;
    client::run(plan, data, &mut links)
}

/// One party on TCP: connects with its peers and one owners' client, runs the plan once.
///
/// # Errors
/// If a peer cannot be reached, refuses, or fails; the party, the round and the line.
pub fn party_tcp(
    plan: &Plan,
    me: Party,
    session: &tcp::Session,
    shape: Option<Shape>,
) -> Result<party::Report, RunError> {
    let net = |cause| RunError::net(plan, cause, None);
    let listener = tcp::listen(&session.addresses[me.index()]).map_err(net)?;
    let settings = Settings { me, owners: 1, timing: Timing::default(), shape };
    let mut joined = tcp::join(session, settings, listener, &Plain).map_err(net)?;
    let link = joined.owners.first_mut().ok_or(RunError::Panic)?;
    party::run(plan, &mut joined.mesh, link, None, &|_| {})
}

/// The session that parties and client must agree on.
#[must_use]
pub fn session(plan: &Plan, id: SessionId, addresses: [String; 3], patience: Duration) -> tcp::Session {
    tcp::Session { id, plan: PlanHash(file::hash(plan)), addresses, patience }
}

/// Three free ports on loopback. Another program may take one before it is used; the party then says so.
///
/// # Errors
/// If the system has none.
pub fn free_addresses() -> std::io::Result<[String; 3]> {
    let sockets =
        [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [a, b, c] = sockets.map(|s| s.local_addr().map(|a| a.to_string()));
    Ok([a?, b?, c?])
}

/// Whether an address is on this machine: TCP without TLS is for loopback only.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    address.to_socket_addrs().is_ok_and(|mut all| all.all(|a: SocketAddr| a.ip().is_loopback()))
}
