//! Once a party has run a plan, further runs on the shares that it has allocate no memory in their rounds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::path::Path;

use smlc::backend::StreamKey;
use smlc::backend::cpu::Cpu;
use smlc::net::{Loss, NetError};
use smlc::plan::course::Piece;
use smlc::plan::lower::{self, Options};
use smlc::plan::{Party, Plan};
use smlc::run::session::{Link, Session};
use smlc::span::Sources;
use smlc::{graph, hir, pass};

/// The links between all three, with payloads that serve again.
#[derive(Default)]
struct Links {
    pieces: [[VecDeque<Vec<u8>>; 3]; 3],
    spares: Vec<Vec<u8>>,
}

impl Link for Links {
    fn spare(&mut self, bytes: usize) -> Vec<u8> {
        let fits = self.spares.iter().position(|spare| spare.capacity() >= bytes);
        fits.map_or_else(|| Vec::with_capacity(bytes), |at| self.spares.remove(at))
    }

    fn done(&mut self, payload: Vec<u8>) {
        self.spares.push(payload);
        self.spares.sort_unstable_by_key(Vec::capacity);
    }

    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        self.pieces[piece.from.index()][piece.to.index()].push_back(payload);
        Ok(())
    }

    fn expect(&mut self, _: &Piece) {}

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        let queue = &mut self.pieces[piece.from.index()][piece.to.index()];
        queue.pop_front().ok_or(NetError::Lost(piece.from, Loss::Closed))
    }
}

/// The plan of an example for one row.
fn plan(name: &str) -> Plan {
    let mut sources = Sources::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let file = sources.add(name.to_string(), std::fs::read_to_string(path).unwrap());
    let program = hir::check(&mut sources, file, &mut Vec::new()).unwrap();
    let dims = [("N".to_string(), 1)].into();
    let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut Vec::new()).unwrap();
    pass::run(&mut graph, None, &[]).unwrap();
    lower::lower(&graph, &sources, Options::default())
}

/// Keys of a run for each party.
fn keys(run: u8) -> [[StreamKey; 2]; 3] {
    let key = |number: u8| StreamKey([16 * run + number % 3; 16]);
    [0, 1, 2].map(|party| [key(party), key(party + 1)])
}

/// Allocations in the rounds of each of three runs on the same shares.
fn allocations(plan: &Plan) -> [u64; 3] {
    let mut first = keys(0).into_iter();
    let mut sessions = Party::ALL.map(|party| {
        let device = Cpu::new(party, first.next().unwrap());
        let mut session = Session::new(plan, party, device, true).unwrap();
        for input in plan.inputs.iter().flat_map(|input| input.bufs) {
            session.load(input[party.index()], &mut |words| words.fill(0)).unwrap();
        }
        session
    });
    let mut links = Links::default();
    [0, 1, 2].map(|run| {
        if run > 0 {
            sessions.iter_mut().zip(keys(run)).for_each(|(session, keys)| session.again(keys).unwrap());
        }
        let counted = allocation_counter::measure(|| {
            for number in 0..=plan.rounds.len() {
                sessions.iter_mut().for_each(|session| session.round(number, &mut links).unwrap());
            }
        });
        counted.count_total
    })
}

#[test]
fn rounds_of_later_runs_allocate_nothing() {
    for name in ["lenet.sml", "residual.sml", "mlp.sml", "lenet_wide.sml"] {
        let [first, _, third] = allocations(&plan(name));
        assert!(first > 0, "{name}: the first run prepares programs");
        assert_eq!(third, 0, "{name}");
    }
}
