//! The parties' progress over a network, simulated as the runtime goes: each follows its [`Course`]. Nobody waits for the
//! end of a round that does not concern it.
//!
//! A directed link carries one piece of a message after the other at its rate, and each arrives half a round trip after it has left.
//! Only payloads count. Time starts when the shares of the inputs are there and ends with the last round.

use super::machine::Machine;
use super::timeline::{Message, Slice, Timeline, What};
use super::work::{self, Unit, Work};
use crate::plan::course::{Action, Course, Piece};
use crate::plan::{Party, Plan};

/// A network between three parties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Seconds there and back.
    pub rtt: f64,
    /// Of one direction of one link; infinite where messages take no time.
    pub bits_per_second: f64,
}

impl Network {
    /// Messages take no time.
    pub const NONE: Network = Network { rtt: 0.0, bits_per_second: f64::INFINITY };
}

/// Where the parties are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Each on a machine of its own.
    Apart,
    /// On one machine whose cores they share.
    Together,
}

/// What a party does next.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Seconds on one core.
    Work(What, f64),
    /// To whom, and of which number and size a piece.
    Send(Party, usize, usize),
    /// From whom, and of which number a piece.
    Wait(Party, usize),
}

/// A party in the middle of its tasks.
struct Runner {
    /// Rounds and tasks, the next one last.
    tasks: Vec<(usize, Task)>,
    /// When the task at hand began.
    since: f64,
    /// Seconds of work left of the task at hand.
    left: f64,
    slices: Vec<Slice>,
}

impl Runner {
    fn new(tasks: Vec<(usize, Task)>) -> Runner {
        let mut runner = Runner { tasks, since: 0.0, left: 0.0, slices: Vec::new() };
        runner.begin(0.0);
        runner
    }

    /// Looks at the task that is next.
    fn begin(&mut self, now: f64) {
        self.since = now;
        self.left = if let Some((_, Task::Work(_, seconds))) = self.tasks.last() { *seconds } else { 0.0 };
    }

    /// The task at hand has taken until now.
    fn done(&mut self, now: f64) {
        let Some((round, task)) = self.tasks.pop() else { return };
        let what = match task {
            Task::Work(what, _) => Some(what),
            Task::Wait(from, piece) => Some(What::Wait(from, piece)),
            Task::Send(..) => None,
        };
        self.slices.extend(what.map(|what| Slice { what, round, start: self.since, end: now }));
        self.begin(now);
    }
}

/// Predicts a run.
#[must_use]
pub fn predict(plan: &Plan, machine: &Machine, network: Network, place: Place) -> Timeline {
    let cores = match place {
        Place::Apart => 3.0,
        Place::Together => machine.cores,
    };
    let mut runners = Party::ALL.map(|party| Runner::new(tasks(plan, machine, party)));
    let mut messages: Vec<Message> = Vec::new();
    // The last message of each link: where it is in `messages`, and when it has left.
    let mut free = [[0.0f64; 3]; 3];
    let mut arrived = std::collections::BTreeMap::new();
    let mut now = 0.0f64;
    loop {
        // What takes no time, until nothing of it is left.
        let mut progress = true;
        while progress {
            progress = false;
            for party in Party::ALL {
                let runner = &mut runners[party.index()];
                match runner.tasks.last() {
                    Some((round, Task::Send(to, piece, bytes))) => {
                        let left =
                            now.max(free[party.index()][to.index()]) + *bytes as f64 * 8.0 / network.bits_per_second;
                        free[party.index()][to.index()] = left;
                        let message = Message {
                            from: party,
                            to: *to,
                            round: *round,
                            piece: *piece,
                            bytes: *bytes,
                            sent: now,
                            arrived: left + network.rtt / 2.0,
                        };
                        arrived.insert((*round, party, *to, *piece), message.arrived);
                        messages.push(message);
                    }
                    Some((_, Task::Work(..))) if runner.left <= 0.0 => {}
                    Some((round, Task::Wait(from, piece)))
                        if arrived.get(&(*round, *from, party, *piece)).is_some_and(|at| *at <= now) => {}
                    _ => continue,
                }
                runner.done(now);
                progress = true;
            }
        }
        // Then the next thing that ends.
        let busy = |runner: &Runner| matches!(runner.tasks.last(), Some((_, Task::Work(..))));
        let speed = (cores / runners.iter().filter(|r| busy(r)).count().max(1) as f64).min(1.0);
        let ends = Party::ALL.map(|party| {
            let runner = &runners[party.index()];
            match runner.tasks.last() {
                Some((_, Task::Work(..))) => Some(now + runner.left / speed),
                Some((round, Task::Wait(from, piece))) => arrived.get(&(*round, *from, party, *piece)).copied(),
                Some((_, Task::Send(..))) | None => None,
            }
        });
        let Some(next) = ends.into_iter().flatten().min_by(f64::total_cmp) else { break };
        for (runner, end) in runners.iter_mut().zip(ends) {
            if busy(runner) {
                runner.left = if end == Some(next) { 0.0 } else { runner.left - (next - now) * speed };
            }
        }
        now = next;
    }
    Timeline { slices: runners.map(|runner| runner.slices), messages }
}

/// Everything that a party does, the first task last.
fn tasks(plan: &Plan, machine: &Machine, me: Party) -> Vec<(usize, Task)> {
    let packing = |piece: &Piece| -> f64 {
        let sends = piece.sends.iter().map(|at| &plan.rounds[piece.round].sends[*at]);
        sends.map(|send| machine.seconds(&work::wire(plan.buf(send.source)))).sum()
    };
    let waking = machine.seconds(&Work::of(Unit::Wake, 1.0));
    let mut tasks = Vec::new();
    for (round, action) in Course::of(plan, me).actions() {
        match action {
            Action::Launch(_) => {
                let steps = action.steps().iter().filter(|at| !plan.rounds[round].steps[**at].once);
                for at in steps {
                    let seconds = machine.seconds(&work::step(&plan.bufs, &plan.rounds[round].steps[*at]));
                    tasks.push((round, Task::Work(What::Step(*at), seconds)));
                }
            }
            Action::Send(piece) => {
                tasks.push((round, Task::Work(What::Pack, packing(piece))));
                tasks.push((round, Task::Send(piece.to, piece.number, piece.bytes)));
            }
            Action::Receive(piece) => {
                tasks.push((piece.round, Task::Wait(piece.from, piece.number)));
                tasks.push((piece.round, Task::Work(What::Unpack(piece.from), waking + packing(piece))));
            }
            Action::Begin(_) | Action::Free => {}
        }
    }
    tasks.reverse();
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::{Kernel, View};

    /// P0 copies a buffer of 1000 words and sends it to P1, which copies it on to P2; P0 sends another one to P2 at once.
    fn relay() -> Plan {
        let mut b = Builder::new(Format::default());
        let copy = || Kernel::Copy(View { shape: vec![1000], strides: vec![1], start: 0, bounds: vec![], fill: 0 });
        let x = b.input(Party(0), 1000);
        let y = b.launch(Party(0), copy(), &[x], 1000);
        b.send(x, Party(2), "x");
        let at_one = b.send(y, Party(1), "y");
        let z = b.launch(Party(1), copy(), &[at_one], 1000);
        let at_two = b.send(z, Party(2), "z");
        b.into_plan(&[at_two])
    }

    /// A launch takes a second, all else nothing.
    fn machine(cores: f64) -> Machine {
        Machine::new("steps".to_string(), cores, |unit| if unit == Unit::Launch { 1e9 } else { 0.0 })
    }

    #[test]
    fn a_chain_takes_its_steps_and_its_messages() {
        // 8000 bytes take 2 s, and half a round trip is 3 s.
        let network = Network { rtt: 6.0, bits_per_second: 32e3 };
        let timeline = predict(&relay(), &machine(1.0), network, Place::Apart);
        let seconds = 1.0 + 2.0 + 3.0 + 1.0 + 2.0 + 3.0;
        assert!((timeline.seconds() - seconds).abs() < 1e-9, "{timeline:?}");
        assert_eq!(timeline.messages.len(), 3);
        let summary = timeline.summary(&relay());
        assert!((summary.compute - 2.0).abs() < 1e-9 && (summary.network - 10.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.rounds.iter().map(|r| r.compute + r.network).sum::<f64>() - seconds).abs() < 1e-9);
        assert_eq!(predict(&relay(), &machine(1.0), Network::NONE, Place::Together).seconds(), 2.0);
    }

    #[test]
    fn parties_share_the_cores_of_one_machine() {
        let mut b = Builder::new(Format::default());
        let copy = || Kernel::Copy(View { shape: vec![1], strides: vec![1], start: 0, bounds: vec![], fill: 0 });
        let copies = Party::ALL.map(|party| {
            let x = b.input(party, 1);
            b.launch(party, copy(), &[x], 1)
        });
        let plan = b.into_plan(&copies);
        for (cores, seconds) in [(1.0, 3.0), (2.0, 1.5), (3.0, 1.0), (8.0, 1.0)] {
            let timeline = predict(&plan, &machine(cores), Network::NONE, Place::Together);
            assert!((timeline.seconds() - seconds).abs() < 1e-9, "{cores} cores: {timeline:?}");
        }
    }
}
