//! What a plan costs, counted from the plan itself: the same numbers that a run counts on the wire.
//!
//! Bytes are the payloads that the three parties send to one another. What owners send in and receive, and the frame
//! headers of a transport, are listed beside them. How long it takes is predicted, by a [`machine`] and a network:
//!
//! ```text
//! memory     bytes of live buffers
//! work       what a step asks of a processor, in units
//! machine    how long a machine takes for each unit
//! time       the parties' progress over a network, simulated
//! choose     the plan that is predicted to be the fastest over a network
//! timeline   who does what when, simulated or measured, and which line that time is spent on
//! ```

pub mod choose;
pub mod machine;
pub mod memory;
pub mod time;
pub mod timeline;
pub mod work;

use serde::Serialize;

use super::course::Course;
use super::layout::Layout;
use super::passing::passing;
use super::{BufId, Instr, Kernel, Party, Plan, Product, Step, Stream, joint};
use crate::graph::Receiver;
use crate::span::Span;

/// Costs of a whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Communication rounds.
    pub rounds: usize,
    /// Payload bytes of all three parties together.
    pub bytes_total: u64,
    /// Payload bytes that each party sends.
    pub bytes_per_party: [u64; 3],
    /// Payload bytes from party (row) to party (column).
    pub bytes_per_link: [[u64; 3]; 3],
    /// Packed messages between parties: one a round, sender and receiver at most.
    pub messages: usize,
    /// Ring multiply-adds in matrix products and convolutions, each party.
    pub multiply_adds: [u64; 3],
    /// Keystream bytes that each party draws.
    pub stream_bytes: [u64; 3],
    /// Bytes that each party reads from and writes to memory: operands and results of its steps, each once a step, and
    /// what it packs and unpacks, in a run behind the first on the same inputs. Caches spare some of it.
    pub memory_traffic: [u64; 3],
    /// Bytes of memory that each party takes for its buffers ([`Layout`]).
    pub peak_bytes: [u64; 3],
    /// The most bytes of buffers that are live at each party.
    pub live_bytes: [u64; 3],
    /// Where that is: `file:line:col`; `None` when the inputs are the most.
    pub peak_places: [Option<String>; 3],
    /// Bytes that owners send to the parties: shares, without the 16-byte seeds.
    pub owner_bytes_in: u64,
    /// Bytes that the parties send to owners.
    pub owner_bytes_out: u64,
    /// The same by line of the model, in order of the model's text.
    pub lines: Vec<LineCost>,
}

/// Costs of one expression of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineCost {
    /// `file:line:col`.
    pub place: String,
    /// The expression, in the sources that the plan was made from.
    #[serde(skip)]
    pub span: Option<Span>,
    /// Rounds in which it sends something; shared rounds count for each line in them.
    pub rounds: usize,
    /// Payload bytes, all parties.
    pub bytes: u64,
    /// Payload bytes that each party sends.
    pub bytes_per_party: [u64; 3],
    /// Ring multiply-adds, all parties.
    pub multiply_adds: u64,
    /// Keystream bytes, all parties.
    pub stream_bytes: u64,
    /// Bytes read from and written to memory, all parties.
    pub memory_traffic: u64,
    /// The most bytes of buffers that are live at a party while its steps run, or when what it sends arrives.
    pub peak_bytes: u64,
}

/// Multiply-adds of one product.
#[must_use]
pub fn multiply_adds(product: &Product) -> u64 {
    let count = match product {
        Product::MatMul { batch, m, k, n } => product_of(&[*batch, *m, *k, *n]),
        Product::Conv2d { n, c, h, w, o, window, groups } => {
            let [oh, ow] = window.output(*h, *w).unwrap_or([0, 0]);
            let channels = c.checked_div(*groups).unwrap_or(0);
            product_of(&[*n, *o, oh, ow, channels, window.size[0], window.size[1]])
        }
    };
    count as u64
}

/// The product, or the largest number when it is larger: sizes from a plan file may be wrong.
fn product_of(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |product, n| product.saturating_mul(*n))
}

fn step_multiply_adds(step: &Step) -> u64 {
    match &step.kernel {
        Kernel::ProductOfSums(product, _) => multiply_adds(product),
        Kernel::Product(product) => multiply_adds(product).saturating_mul(step.ins.len() as u64 / 2),
        _ => 0,
    }
}

/// Keystream bytes of one stream plane over `len` elements.
fn plane_bytes(stream: &Stream, len: usize) -> u64 {
    match stream.class() {
        1 => len.div_ceil(64) as u64 * 8,
        class => len as u64 * u64::from(class / 8),
    }
}

/// Counts a plan.
#[must_use]
pub fn cost(plan: &Plan) -> Cost {
    let memory = memory::memory(plan);
    let line_cost = |(span, place): &(Span, String)| LineCost {
        place: place.clone(),
        span: Some(*span),
        peak_bytes: memory.lines.get(span).copied().unwrap_or(0),
        ..LineCost::default()
    };
    let mut cost = Cost {
        rounds: plan.communication_rounds(),
        bytes_total: 0,
        bytes_per_party: [0; 3],
        bytes_per_link: [[0; 3]; 3],
        messages: 0,
        multiply_adds: [0; 3],
        stream_bytes: [0; 3],
        memory_traffic: [0; 3],
        owner_bytes_in: 0,
        owner_bytes_out: 0,
        peak_bytes: Party::ALL.map(|party| Layout::of(plan, party, false).bytes()),
        live_bytes: memory.peak,
        peak_places: memory.at.map(|span| plan.place(span).map(str::to_string)),
        lines: plan.places.iter().map(line_cost).collect(),
    };
    let courses = Party::ALL.map(|party| Course::of(plan, party));
    let passing = Party::ALL.map(|party| passing(plan, party, &courses[party.index()]));
    let near = Party::ALL.map(|party| joint::near(plan, &courses[party.index()], &passing[party.index()]));
    let line = |span| plan.places.binary_search_by_key(&span, |(s, _)| Some(*s)).ok();
    for (number, round) in plan.rounds.iter().enumerate() {
        let mut touched = std::collections::BTreeSet::new();
        let mut links = std::collections::BTreeSet::new();
        let mut made: std::collections::BTreeSet<BufId> = std::collections::BTreeSet::new();
        for (at, step) in round.steps.iter().enumerate() {
            let count = step_multiply_adds(step);
            let adds = &mut cost.multiply_adds[step.party.index()];
            *adds = adds.saturating_add(count);
            let drawn = step_stream_bytes(plan, step);
            cost.stream_bytes[step.party.index()] += drawn;
            // The counts are those of a run behind the first.
            if step.once {
                continue;
            }
            let bufs = step.ins.iter().map(|operand| operand.buf).chain(step.outs.iter().copied());
            let passes = |id: BufId| passing[step.party.index()][id.index()];
            let near = &near[step.party.index()];
            let size = |id| match passes(id) {
                _ if near.contains(&(number, at, id)) => 0,
                true => plan.buf(id).wire_bytes() as u64,
                false => plan.buf(id).memory_bytes(),
            };
            let moved = bufs.fold(0, |sum: u64, id| sum.saturating_add(size(id)));
            if let Kernel::Map(_) = step.kernel {
                made.extend(&step.outs);
            }
            let traffic = &mut cost.memory_traffic[step.party.index()];
            *traffic = traffic.saturating_add(moved);
            if let Some(at) = line(step.span) {
                cost.lines[at].memory_traffic = cost.lines[at].memory_traffic.saturating_add(moved);
                cost.lines[at].stream_bytes += drawn;
                cost.lines[at].multiply_adds = cost.lines[at].multiply_adds.saturating_add(count);
            }
        }
        for send in &round.sends {
            let bytes = plan.buf(send.source).wire_bytes() as u64;
            cost.bytes_per_link[send.from.index()][send.to.index()] += bytes;
            links.insert((send.from, send.to));
            let words = plan.buf(send.source).memory_bytes();
            // What passes is read and written by the steps; what an element program makes is packed as it is made.
            let packed = match (passing[send.from.index()][send.source.index()], made.remove(&send.source)) {
                (true, _) => 0,
                (false, true) => bytes,
                (false, false) => words.saturating_add(bytes),
            };
            let unpacked = if passing[send.to.index()][send.target.index()] { 0 } else { words.saturating_add(bytes) };
            for (party, moved) in [(send.from, packed), (send.to, unpacked)] {
                let traffic = &mut cost.memory_traffic[party.index()];
                *traffic = traffic.saturating_add(moved);
            }
            if let Some(at) = line(send.span) {
                let moved = packed.saturating_add(unpacked);
                cost.lines[at].memory_traffic = cost.lines[at].memory_traffic.saturating_add(moved);
                cost.lines[at].bytes += bytes;
                cost.lines[at].bytes_per_party[send.from.index()] += bytes;
                touched.insert(at);
            }
        }
        cost.messages += links.len();
        for at in touched {
            cost.lines[at].rounds += 1;
        }
    }
    for party in Party::ALL {
        cost.bytes_per_party[party.index()] = cost.bytes_per_link[party.index()].iter().sum();
    }
    cost.bytes_total = cost.bytes_per_party.iter().sum();
    // What parties do alone, without a product, is in the totals.
    cost.lines.retain(|line| line.bytes > 0 || line.multiply_adds > 0);
    for input in plan.inputs.iter().filter(|i| i.owner.is_some()) {
        cost.owner_bytes_in += 2 * plan.buf(input.bufs[0][0]).wire_bytes() as u64;
    }
    for output in &plan.outputs {
        let receivers = if output.to == Receiver::All { plan.owners.len() } else { 1 };
        cost.owner_bytes_out += 2 * receivers as u64 * plan.buf(output.bufs[0]).wire_bytes() as u64;
    }
    cost
}

fn step_stream_bytes(plan: &Plan, step: &Step) -> u64 {
    let Kernel::Map(program) = &step.kernel else { return 0 };
    let len = step.outs.first().map_or(0, |o| plan.buf(*o).len);
    let drawn = program.code.iter().filter_map(|i| match i {
        Instr::Prf { stream, .. } => step.streams.get(*stream as usize),
        _ => None,
    });
    drawn.map(|s| plane_bytes(s, len)).sum()
}
