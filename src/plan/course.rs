//! What a party does one after the other: the order in which a run, a prediction and the count of memory go through a plan.
//!
//! A party launches a round's steps in order. What it has to send leaves as soon as the steps before it have made it, and
//! what it has to receive is awaited by the first step that reads it, so messages are on their way while the parties compute.
//! A message whose transfers are ready at different times travels in [`Piece`]s; sender and receiver read them off the plan.
//!
//! A round's messages have all been taken when the next round ends: nobody is more than a round ahead of what it was sent.

use std::collections::{BTreeMap, VecDeque};

use super::joint::joins;
use super::{BufId, Party, Plan, Step};

/// A message is cut only into pieces of at least so many bytes: smaller ones take longer to handle than to send.
pub const PIECE: usize = 64 << 10;

/// Transfers of a round between two parties that travel together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The round.
    pub round: usize,
    /// Sender.
    pub from: Party,
    /// Receiver.
    pub to: Party,
    /// Its position among the pieces of the message.
    pub number: usize,
    /// Positions in the round's transfers, in packing order.
    pub sends: Vec<usize>,
    /// What the sender packs, in the same order.
    pub sources: Vec<BufId>,
    /// What the receiver fills.
    pub targets: Vec<BufId>,
    /// Bytes on the wire.
    pub bytes: usize,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Launches a step of the round, or several as one, if the device can ([`joins`]).
    Launch(Vec<usize>),
    /// The next step is the first that makes something of this piece.
    Begin(Piece),
    /// Packs what is not packed yet, and sends.
    Send(Piece),
    /// Waits for a piece of the round before, and unpacks it.
    Receive(Piece),
    /// Frees what the round's transfers free.
    Free,
}

impl Action {
    /// The steps that it launches.
    #[must_use]
    pub fn steps(&self) -> &[usize] {
        match self {
            Action::Launch(steps) => steps,
            Action::Begin(_) | Action::Send(_) | Action::Receive(_) | Action::Free => &[],
        }
    }
}

/// The course of a party.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// For each round what is to be done in it, and at the end what remains to be received.
    pub rounds: Vec<Vec<Action>>,
}

impl Course {
    /// The course of one of the parties.
    #[must_use]
    pub fn of(plan: &Plan, me: Party) -> Course {
        let mut rounds = Vec::with_capacity(plan.rounds.len() + 1);
        let mut arriving: Vec<Ready> = Vec::new();
        for number in 0..plan.rounds.len() {
            let mut now = Now::new(plan, arriving);
            let pieces = pieces(plan, number);
            let mine = || pieces.iter().filter(|ready| ready.piece.from == me);
            mine().filter(|ready| ready.after.is_none()).for_each(|ready| now.send(plan, &ready.piece));
            let round = &plan.rounds[number];
            let mut steps = round.steps.iter().enumerate().filter(|(_, step)| step.party == me).peekable();
            while let Some((first, step)) = steps.next() {
                step.ins.iter().for_each(|operand| now.receive(plan, operand.buf));
                let (mut launched, mut group) = (vec![first], vec![step]);
                // What the first ones send does not wait for what only the next one reads.
                while let Some((at, next)) = steps.next_if(|(_, next)| {
                    joins(&plan.bufs, &group, next) && !next.ins.iter().any(|operand| now.awaits(plan, operand.buf))
                }) {
                    launched.push(at);
                    group.push(next);
                }
                let is_of = |at: Option<usize>| at.is_some_and(|at| launched.contains(&at));
                let begun = mine().filter(|ready| is_of(ready.first));
                now.actions.extend(begun.map(|ready| Action::Begin(ready.piece.clone())));
                now.actions.push(Action::Launch(launched.clone()));
                mine().filter(|ready| is_of(ready.after)).for_each(|ready| now.send(plan, &ready.piece));
            }
            now.actions.push(Action::Free);
            rounds.push(now.finish());
            arriving = pieces.into_iter().filter(|ready| ready.piece.to == me).collect();
        }
        rounds.push(Now::new(plan, arriving).finish());
        Course { rounds }
    }

    /// The most bytes that the party sends in a round.
    #[must_use]
    pub fn most_sent(&self) -> usize {
        let sent = |action: &Action| if let Action::Send(piece) = action { piece.bytes } else { 0 };
        self.rounds.iter().map(|actions| actions.iter().map(sent).sum()).max().unwrap_or(0)
    }

    /// Everything in order, with the round in which it is.
    pub fn actions(&self) -> impl Iterator<Item = (usize, &Action)> {
        self.rounds.iter().enumerate().flat_map(|(round, actions)| actions.iter().map(move |action| (round, action)))
    }
}

/// A piece, and when it is made.
struct Ready {
    piece: Piece,
    /// The first step of its round that makes any of it, if one does.
    first: Option<usize>,
    /// The step of its round after which it can leave; `None`: at once.
    after: Option<usize>,
}

/// The pieces of a round's messages.
fn pieces(plan: &Plan, number: usize) -> Vec<Ready> {
    let round = &plan.rounds[number];
    let storage = |id: BufId| plan.buf(id).storage(id).0;
    let outs = |(at, step): (usize, &'_ Step)| step.outs.iter().map(|id| (storage(*id), at)).collect::<Vec<_>>();
    let made: BTreeMap<BufId, usize> = round.steps.iter().enumerate().flat_map(outs).collect();
    let mut pieces = Vec::new();
    for from in Party::ALL {
        for to in [from.plus(1), from.plus(2)] {
            let sends = round.sends.iter().enumerate().filter(|(_, send)| send.from == from && send.to == to);
            let bytes = |source| plan.buf(source).wire_bytes();
            let mut left: usize = sends.clone().map(|(_, send)| bytes(send.source)).sum();
            let new = |piece| Piece {
                round: number,
                from,
                to,
                number: piece,
                sends: Vec::new(),
                sources: Vec::new(),
                targets: Vec::new(),
                bytes: 0,
            };
            let (mut piece, mut first, mut latest) = (new(0), None, None);
            for (at, send) in sends {
                let after = made.get(&storage(send.source)).copied();
                if after > latest && piece.bytes >= PIECE && left >= PIECE {
                    let next = new(piece.number + 1);
                    let piece = std::mem::replace(&mut piece, next);
                    pieces.push(Ready { piece, first: first.take(), after: latest });
                }
                first = [first, after].into_iter().flatten().min();
                latest = latest.max(after);
                piece.sends.push(at);
                piece.sources.push(send.source);
                piece.targets.push(send.target);
                piece.bytes += bytes(send.source);
                left -= bytes(send.source);
            }
            if !piece.sends.is_empty() {
                pieces.push(Ready { piece, first, after: latest });
            }
        }
    }
    pieces
}

/// A round while its actions are written.
struct Now {
    actions: Vec<Action>,
    /// Pieces of the round before that are still to be taken, by sender.
    arriving: [VecDeque<Piece>; 3],
    /// The sender and the piece of each buffer that they bring.
    targets: BTreeMap<BufId, (Party, usize)>,
}

impl Now {
    fn new(plan: &Plan, pieces: Vec<Ready>) -> Now {
        let mut now = Now { actions: Vec::new(), arriving: Default::default(), targets: BTreeMap::new() };
        for Ready { piece, .. } in pieces {
            let sends = piece.sends.iter().map(|at| &plan.rounds[piece.round].sends[*at]);
            now.targets.extend(sends.map(|send| (send.target, (piece.from, piece.number))));
            now.arriving[piece.from.index()].push_back(piece);
        }
        now
    }

    /// Whether a buffer is still to be taken.
    fn awaits(&self, plan: &Plan, id: BufId) -> bool {
        let Some((from, number)) = self.targets.get(&plan.buf(id).storage(id).0) else { return false };
        self.arriving[from.index()].front().is_some_and(|piece| piece.number <= *number)
    }

    /// Takes pieces until a buffer is there.
    fn receive(&mut self, plan: &Plan, id: BufId) {
        let Some((from, number)) = self.targets.get(&plan.buf(id).storage(id).0) else { return };
        let queue = &mut self.arriving[from.index()];
        while queue.front().is_some_and(|piece| piece.number <= *number) {
            self.actions.extend(queue.pop_front().map(Action::Receive));
        }
    }

    fn send(&mut self, plan: &Plan, piece: &Piece) {
        for at in &piece.sends {
            self.receive(plan, plan.rounds[piece.round].sends[*at].source);
        }
        self.actions.push(Action::Send(piece.clone()));
    }

    /// Takes what is left.
    fn finish(mut self) -> Vec<Action> {
        self.actions.extend(self.arriving.into_iter().flatten().map(Action::Receive));
        self.actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::{Kernel, View};

    /// P0 copies two large buffers, sends each to P1 and a small one to P2; P1 copies both.
    fn plan() -> Plan {
        let mut b = Builder::new(Format::default());
        let len = PIECE / 8;
        let copy = |len| Kernel::Copy(View { shape: vec![len], strides: vec![1], start: 0, bounds: vec![], fill: 0 });
        let x = b.input(Party(0), len);
        let kept = [0; 2].map(|_| {
            let y = b.launch(Party(0), copy(len), &[x], len);
            let z = b.send(y, Party(1), "y");
            let kept = b.launch(Party(1), copy(len), &[z], len);
            let small = b.launch(Party(0), copy(1), &[x], 1);
            b.send(small, Party(2), "small");
            kept
        });
        b.into_plan(&kept)
    }

    #[test]
    fn messages_leave_when_they_are_made_and_are_awaited_when_they_are_read() {
        let plan = plan();
        let told = |party: u8| -> Vec<String> {
            let course = Course::of(&plan, Party(party));
            let piece = |piece: &Piece| format!("{}.{}", piece.round, piece.number);
            let tell = |(round, action): (usize, &Action)| match action {
                Action::Launch(steps) => {
                    let [at] = steps[..] else { unreachable!("no element programs") };
                    format!("{round} step {}", plan.rounds[round].steps[at].kernel.name())
                }
                Action::Begin(p) => format!("{round} begin {} to {}", piece(p), p.to),
                Action::Send(p) => format!("{round} send {} to {}, {} bytes", piece(p), p.to, p.bytes),
                Action::Receive(p) => format!("{round} receive {} from {}", piece(p), p.from),
                Action::Free => format!("{round} free"),
            };
            course.actions().map(tell).collect()
        };
        let bytes = PIECE;
        let first = format!("0 send 0.0 to P1, {bytes} bytes");
        let second = format!("0 send 0.1 to P1, {bytes} bytes");
        let small = "0 send 0.0 to P2, 16 bytes";
        let (copy, small_begins) = ("0 step copy", "0 begin 0.0 to P2");
        let begins = ["0 begin 0.0 to P1", "0 begin 0.1 to P1"];
        let wanted =
            [&[begins[0], copy, &first, small_begins, copy][..], &[begins[1], copy, &second, copy, small]].concat();
        assert_eq!(told(0), [&wanted[..], &["0 free", "1 free"]].concat());
        let receive = ["1 receive 0.0 from P0", "1 step copy", "1 receive 0.1 from P0", "1 step copy"];
        assert_eq!(told(1), [&["0 free"][..], &receive, &["1 free"]].concat());
        assert_eq!(told(2), ["0 free", "1 free", "1 receive 0.0 from P0"]);
    }

    #[test]
    fn all_is_done_once() {
        let plan = plan();
        let (mut steps, mut sent, mut received) = (0, Vec::new(), Vec::new());
        for party in Party::ALL {
            for (_, action) in Course::of(&plan, party).actions() {
                match action {
                    Action::Launch(launched) => steps += launched.len(),
                    Action::Begin(_) => {}
                    Action::Send(piece) => sent.push(piece.clone()),
                    Action::Receive(piece) => received.push(piece.clone()),
                    Action::Free => {}
                }
            }
        }
        assert_eq!(steps, plan.rounds.iter().map(|round| round.steps.len()).sum::<usize>());
        let key = |piece: &Piece| (piece.round, piece.from, piece.to, piece.number);
        sent.sort_by_key(key);
        received.sort_by_key(key);
        assert_eq!(sent, received);
        let transfers: usize = sent.iter().map(|piece| piece.sends.len()).sum();
        assert_eq!(transfers, plan.rounds.iter().map(|round| round.sends.len()).sum::<usize>());
    }
}
