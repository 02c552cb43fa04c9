//! The owners' side: encode, share, and put results together. Owners are not parties; they talk to all three.
//!
//! A tensor x becomes x0 and x1 from seeds (x0's goes to P0 and P2, x1's to P0 and P1) and `x2 = x - x0 - x1`, sent to P1
//! and P2. Each tensor is a submission with seeds of its own, so that no end holds all of them beside where they belong.

use std::collections::BTreeMap;

use rayon::prelude::*;
use smallvec::{SmallVec, smallvec};

use crate::backend::cpu::Keystream;
use crate::backend::{StreamKey, wire};
use crate::graph::{self, Graph, NodeId, Op, Receiver, eval};
use crate::plan::{Buf, BufId, Input, Output, Party, Plan, Stream};

/// Words that are shared at a time; a multiple of 8, so that they begin with a byte.
const CHUNK: usize = 1 << 10;

/// The name of submissions of public inputs.
pub const PUBLIC: &str = "public inputs";

/// Bytes of a seed.
pub(super) const SEED: usize = 16;

/// Why an owner's data cannot be submitted.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The clear part of the plan is not a graph.
    #[error("the plan is damaged: {0}")]
    Plan(String),
    /// The data do not fit.
    #[error(transparent)]
    Data(#[from] eval::EvalError),
    /// The operating system gave no randomness.
    #[error("no random numbers from the operating system: {0}")]
    Random(String),
    /// A submission of another length than the plan asks for.
    #[error("the submission of `{owner}` has {found} bytes where the plan asks for {wanted}")]
    Length {
        /// Whose.
        owner: String,
        /// Bytes received.
        found: usize,
        /// Bytes expected.
        wanted: usize,
    },
}

/// The plan's clear part as a graph.
///
/// # Errors
/// If the plan is damaged.
pub fn clear_graph(plan: &Plan) -> Result<Graph, OwnerError> {
    let graph = graph::text::parse(&plan.clear).map_err(|e| OwnerError::Plan(e.to_string()))?;
    graph::verify::verify(&graph).map_err(|e| OwnerError::Plan(e.to_string()))?;
    let fits = plan.inputs.iter().all(|i| {
        let node = NodeId::new(i.node as usize);
        graph.dag.node_weight(node).is_some_and(|n| n.ty.len() == i.len)
    });
    if fits { Ok(graph) } else { Err(OwnerError::Plan("an input does not fit its clear part".to_string())) }
}

/// A key or seed from the operating system.
///
/// # Errors
/// If there is none.
pub fn random_key() -> Result<StreamKey, OwnerError> {
    let mut key = [0; SEED];
    getrandom::fill(&mut key).map_err(|e| OwnerError::Random(e.to_string()))?;
    Ok(StreamKey(key))
}

/// What the parties get of an input: its owner's shares, or what is public.
///
/// # Errors
/// If data are missing or outside of the number format.
pub fn submit(
    plan: &Plan,
    clear: &Graph,
    input: &Input,
    data: &BTreeMap<String, Vec<f64>>,
) -> Result<[Vec<u8>; 3], OwnerError> {
    let words = eval::encoded(clear, data, NodeId::new(input.node as usize))?;
    let buf = element_buf(plan, input.len);
    let mut parts = Party::ALL.map(|party| vec![0; submission_bytes(plan, input, party)]);
    if input.owner.is_none() {
        parts.iter_mut().for_each(|part| wire::pack_to(&buf, &words, part));
        return Ok(parts);
    }
    let seeds = [random_key()?, random_key()?];
    let keystreams = seeds.each_ref().map(Keystream::new);
    let [p0, p1, p2] = &mut parts;
    let [(first, second), (of_p1, p1), (of_p2, p2)] = [p0, p1, p2].map(|part| part.split_at_mut(SEED));
    for (to, seed) in [(first, 0), (second, 1), (of_p1, 1), (of_p2, 0)] {
        to.copy_from_slice(&seeds[seed].0);
    }
    // Words are read once, and what goes to P1 and P2 is written while it is near.
    let bytes = CHUNK * buf.width as usize / 8;
    let packed = p1.par_chunks_mut(bytes).zip(p2.par_chunks_mut(bytes));
    words.par_chunks(CHUNK).zip(packed).enumerate().for_each(|(chunk, (words, (p1, p2)))| {
        let [mut rest, mut share] = [[0; CHUNK]; 2];
        let [rest, share] = [&mut rest, &mut share].map(|room| &mut room[..words.len()]);
        rest.copy_from_slice(words);
        for keystream in &keystreams {
            keystream.fill(&stream(plan), (chunk * CHUNK) as u64, share);
            rest.iter_mut().zip(&*share).for_each(|(word, share)| *word = word.wrapping_sub(*share));
        }
        wire::pack_part(buf.width, words.len(), rest, p1);
        p2.copy_from_slice(p1);
    });
    Ok(parts)
}

/// Bytes of an input's submission to a party.
#[must_use]
pub fn submission_bytes(plan: &Plan, input: &Input, party: Party) -> usize {
    let words = element_buf(plan, input.len).wire_bytes();
    match (input.owner, party.0) {
        (None, _) => words,
        (Some(_), 0) => 2 * SEED,
        (Some(_), _) => SEED + words,
    }
}

/// The paths of the data that an input is computed from.
pub(super) fn needed<'g>(clear: &'g Graph, input: &Input) -> Vec<&'g str> {
    let nodes = clear.needed([NodeId::new(input.node as usize)]);
    let path = |id| match &clear.node(id).op {
        Op::Input { path } => Some(path.as_str()),
        _ => None,
    };
    nodes.into_iter().filter_map(path).collect()
}

/// Words of a party's buffer as a submission has them.
#[derive(Debug)]
pub enum Share<'m> {
    /// Packed.
    Packed(Buf, &'m [u8]),
    /// All of a stream.
    Drawn(StreamKey, Stream),
}

impl Share<'_> {
    /// Writes the words.
    pub fn fill(&self, words: &mut [u64]) {
        match self {
            Share::Packed(buf, bytes) => wire::unpack_to(buf, bytes, words),
            Share::Drawn(seed, stream) => Keystream::new(seed).fill(stream, 0, words),
        }
    }
}

/// The name of an input's submission: its owner's, or [`PUBLIC`].
#[must_use]
pub fn submission_name<'p>(plan: &'p Plan, input: &Input) -> &'p str {
    input.owner.map_or(PUBLIC, |owner| &plan.owners[owner as usize])
}

/// What an input's submission puts into a party's buffers.
///
/// # Errors
/// If its length is not the plan's.
pub fn accept<'m>(
    plan: &Plan,
    input: &Input,
    party: Party,
    payload: &'m [u8],
) -> Result<SmallVec<[(BufId, Share<'m>); 2]>, OwnerError> {
    let wanted = submission_bytes(plan, input, party);
    if payload.len() != wanted {
        let owner = submission_name(plan, input).to_string();
        return Err(OwnerError::Length { owner, found: payload.len(), wanted });
    }
    let packed = |seeds: usize| Share::Packed(element_buf(plan, input.len), &payload[seeds * SEED..]);
    let drawn = |seed: usize| {
        let seed = payload[seed * SEED..(seed + 1) * SEED].try_into().expect("a seed's bytes");
        Share::Drawn(StreamKey(seed), stream(plan))
    };
    let [own, next] = [0, 1].map(|part: usize| input.bufs[part][party.index()]);
    Ok(match (input.owner, party.0) {
        (None, _) => smallvec![(own, packed(0))],
        (Some(_), 0) => smallvec![(own, drawn(0)), (next, drawn(1))],
        // P1 holds shares 1 and 2, P2 holds 2 and 0.
        (Some(_), 1) => smallvec![(own, drawn(0)), (next, packed(1))],
        (Some(_), _) => smallvec![(own, packed(1)), (next, drawn(0))],
    })
}

fn element_buf(plan: &Plan, len: usize) -> Buf {
    Buf::ring(Party(0), len, plan.format.ring)
}

/// The stream of a share under a seed.
fn stream(plan: &Plan) -> Stream {
    Stream { key: 0, id: 0, bits: plan.format.ring }
}

/// The results that a receiver learns.
pub fn received(plan: &Plan, owner: u32) -> impl Iterator<Item = (usize, &Output)> {
    plan.outputs.iter().enumerate().filter(move |(_, o)| match o.to {
        Receiver::All => true,
        Receiver::Owner(id) => id.0 == owner,
    })
}

/// Elements of a result that are unpacked at a time; a multiple of 8, so that they begin with a byte.
const PIECE: usize = 512;

/// Pieces that are worth a thread.
const LEAST: usize = 64;

/// A result from its two halves, as real numbers.
#[must_use]
pub fn combine(plan: &Plan, output: &Output, halves: [&[u8]; 2]) -> Vec<f64> {
    let buf = plan.buf(output.bufs[0]);
    let mut values = vec![0.0; buf.len];
    let piece = |(number, values): (usize, &mut [f64])| {
        let mut words = [[0; PIECE]; 2];
        for (half, words) in halves.iter().zip(&mut words) {
            wire::unpack_part(buf.width, &half[number * PIECE * buf.width as usize / 8..], &mut words[..values.len()]);
        }
        for (value, (a, b)) in values.iter_mut().zip(words[0].iter().zip(&words[1])) {
            *value = plan.format.decode(a.wrapping_add(*b), output.scale);
        }
    };
    values.par_chunks_mut(PIECE).enumerate().with_min_len(LEAST).for_each(piece);
    values
}
