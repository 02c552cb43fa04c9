//! All three parties and the owners on one machine: as threads over memory, or as processes over TCP on loopback.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZero;
use std::time::Duration;

use super::RunError;
use super::client::{Client, Data, Outcome};
use super::device::Device;
use super::party::{self, Progress, Service};
use super::profile::{Log, Timed};
use crate::backend::cpu::Threads;
use crate::net::handshake::Role;
use crate::net::owner::MemoryLink;
use crate::net::tcp::{self, Plain, Settings};
use crate::net::{MemoryMesh, Mesh, PlanHash, SessionId, Shape, Timing};
use crate::plan::{Party, Plan, file};

/// Three parties as threads over memory, on these devices, for as many runs as `runs` says. `owners` is what the owners do with them. With `logs`,
/// each party has a clock.
///
/// # Errors
/// What `owners` gives back, or if a party fails.
pub fn parties<T, E: From<RunError>>(
    plan: &Plan,
    devices: &[Device; 3],
    runs: u32,
    shape: Option<Shape>,
    progress: Progress<'_>,
    logs: Option<&[Log; 3]>,
    owners: impl FnOnce(&mut Client<'_>) -> Result<T, E>,
) -> Result<T, E> {
    // Three parties share the machine.
    let threads = &Threads::new(threads());
    let gpus = devices.each_ref().map(|device| device.gpu().is_some());
    std::thread::scope(|scope| {
        let mut links = Vec::new();
        let mut handles = Vec::new();
        for mut mesh in MemoryMesh::new(shape) {
            let me = mesh.me();
            let (client, mut link) = MemoryLink::pair(Role::Owner(0), Role::Party(me));
            links.push(client);
            let device = &devices[me.index()];
            let serve = move || match logs.map(|logs| &logs[me.index()]) {
                None => {
                    let progress: Progress<'_> = if me == Party(0) { progress } else { &|_| {} };
                    let service = Service { runs, patience: None, progress, device, threads, gpus };
                    party::run(plan, &mut mesh, &mut link, service)
                }
                Some(log) => {
                    let done = |rounds| {
                        log.done(rounds);
                        if me == Party(0) {
                            progress(rounds);
                        }
                    };
                    let service = Service { runs, patience: None, progress: &done, device, threads, gpus };
                    let device = |party, keys| Ok(Timed::new(device.make(party, keys, threads)?, log.clone()));
                    party::run_on(plan, &mut Timed::new(mesh, log.clone()), &mut link, service, device)
                }
            };
            handles.push(std::thread::Builder::new().name(me.to_string()).spawn_scoped(scope, serve));
        }
        let links: [MemoryLink; 3] = links.try_into().unwrap_or_else(|_| unreachable!("a mesh has three endpoints"));
        let outcome = Client::new(plan, links).map_err(E::from).and_then(|mut client| owners(&mut client));
        for handle in handles {
            let handle = handle.map_err(|error| RunError::Thread(error.to_string()))?;
            // A party's failure reached the client already; a panic must not pass unnoticed.
            if handle.join().is_err() {
                return Err(RunError::Panic.into());
            }
        }
        outcome
    })
}

/// Threads that this machine runs at once; 1 when it does not say.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Threads for each of three parties that are processes of this machine.
#[must_use]
pub fn threads_of_a_party() -> usize {
    (threads() / 3).max(1)
}

/// One run on three threads.
///
/// # Errors
/// If the data do not fit or a party fails.
pub fn memory(plan: &Plan, data: &Data, shape: Option<Shape>, progress: Progress<'_>) -> Result<Outcome, RunError> {
    parties(plan, &Default::default(), 1, shape, progress, None, |client| {
        client.submit(data, |_| true)?;
        client.run()
    })
}

/// The owners' client for three parties that listen on TCP.
///
/// # Errors
/// If a party cannot be reached or refuses.
pub fn call_tcp<'p>(plan: &'p Plan, session: &tcp::Session) -> Result<Client<'p>, RunError> {
    Client::new(plan, tcp::call_parties(session, 0, &Plain).map_err(|cause| RunError::net(plan, cause, None))?)
}

/// One party on TCP: connects with its peers and one owners' client, and serves it.
///
/// # Errors
/// If a peer cannot be reached, refuses, or fails; the party, the round and the line.
pub fn party_tcp(
    plan: &Plan,
    me: Party,
    session: &tcp::Session,
    shape: Option<Shape>,
    service: Service<'_>,
) -> Result<(), RunError> {
    let net = |cause| RunError::net(plan, cause, None);
    let listener = tcp::listen(&session.addresses[me.index()]).map_err(net)?;
    let settings = Settings { me, owners: 1, timing: Timing::default(), shape };
    let mut joined = tcp::join(session, settings, listener, &Plain).map_err(net)?;
    let link = joined.owners.first_mut().ok_or(RunError::Panic)?;
    party::run(plan, &mut joined.mesh, link, service)
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
