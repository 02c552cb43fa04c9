//! The owners' side: encode, share, and put results together. Owners are not parties; they talk to all three.
//!
//! A tensor x becomes x0 and x1 from seeds (x0's goes to P0 and P2, x1's to P0 and P1) and `x2 = x - x0 - x1`, sent to P1
//! and P2. A submission holds all of one owner's tensors: stream number = position in the plan's inputs.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::backend::cpu::Keystream;
use crate::backend::{StreamKey, wire};
use crate::graph::{self, Graph, NodeId, Receiver, eval};
use crate::plan::{Buf, BufId, Input, Output, Party, Plan, Stream};

/// Words of a share that are expanded at a time.
const CHUNK: usize = 1 << 10;

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

/// Inputs that one owner shares, with their numbers; `None`: the public ones.
fn owned(plan: &Plan, owner: Option<u32>) -> impl Iterator<Item = (u32, &Input)> {
    plan.inputs.iter().enumerate().filter(move |(_, i)| i.owner == owner).map(|(n, i)| (n as u32, i))
}

/// What one owner sends to each party: all that depends on its data in this plan.
///
/// # Errors
/// If data are missing or outside of the number format.
pub fn submit(
    plan: &Plan,
    clear: &Graph,
    owner: u32,
    data: &BTreeMap<String, Vec<f64>>,
) -> Result<[Vec<u8>; 3], OwnerError> {
    let seeds = [random_key()?, random_key()?];
    let mut parts = Party::ALL.map(|party| Vec::with_capacity(submission_bytes(plan, Some(owner), party)));
    let [p0, p1, p2] = &mut parts;
    p0.extend_from_slice(&seeds[0].0);
    p0.extend_from_slice(&seeds[1].0);
    p1.extend_from_slice(&seeds[1].0);
    p2.extend_from_slice(&seeds[0].0);
    for (number, input) in owned(plan, Some(owner)) {
        let mut x2 = eval::encoded(clear, data, NodeId::new(input.node as usize))?;
        let keystreams = seeds.each_ref().map(Keystream::new);
        x2.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, x2)| {
            let mut share = [0; CHUNK];
            let share = &mut share[..x2.len()];
            for keystream in &keystreams {
                keystream.fill(&stream(plan, number), (chunk * CHUNK) as u64, share);
                x2.iter_mut().zip(&*share).for_each(|(x, s)| *x = x.wrapping_sub(*s));
            }
        });
        let at = p1.len();
        wire::pack(&element_buf(plan, input.len), &x2, p1);
        p2.extend_from_slice(&p1[at..]);
    }
    Ok(parts)
}

/// What every party gets of the public inputs.
///
/// # Errors
/// If data are missing or outside of the number format.
pub fn publish(plan: &Plan, clear: &Graph, data: &BTreeMap<String, Vec<f64>>) -> Result<Vec<u8>, OwnerError> {
    let mut payload = Vec::new();
    for (_, input) in owned(plan, None) {
        let words = eval::encoded(clear, data, NodeId::new(input.node as usize))?;
        wire::pack(&element_buf(plan, input.len), &words, &mut payload);
    }
    Ok(payload)
}

/// Bytes of the submission of an owner (`None`: the public inputs) to a party.
#[must_use]
pub fn submission_bytes(plan: &Plan, owner: Option<u32>, party: Party) -> usize {
    let words: usize = owned(plan, owner).map(|(_, i)| element_buf(plan, i.len).wire_bytes()).sum();
    match (owner, party.0) {
        (None, _) => words,
        (Some(_), 0) => 2 * SEED,
        (Some(_), _) => SEED + words,
    }
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

/// What a submission puts into a party's buffers.
///
/// # Errors
/// If its length is not the plan's.
pub fn accept<'m>(
    plan: &Plan,
    owner: Option<u32>,
    party: Party,
    payload: &'m [u8],
) -> Result<Vec<(BufId, Share<'m>)>, OwnerError> {
    let wanted = submission_bytes(plan, owner, party);
    if payload.len() != wanted {
        let owner = owner.map_or("public inputs".to_string(), |o| plan.owners[o as usize].clone());
        return Err(OwnerError::Length { owner, found: payload.len(), wanted });
    }
    let seeds = match (owner, party.0) {
        (None, _) => 0,
        (Some(_), 0) => 2,
        (Some(_), _) => 1,
    };
    let (seeds, mut rest) = payload.split_at(seeds * SEED);
    let seeds: Vec<StreamKey> =
        seeds.chunks_exact(SEED).map(|s| StreamKey(s.try_into().expect("chunks of a seed's size"))).collect();
    let mut shares = Vec::new();
    for (number, input) in owned(plan, owner) {
        let mut packed = || {
            let buf = element_buf(plan, input.len);
            let (now, later) = rest.split_at(buf.wire_bytes());
            rest = later;
            Share::Packed(buf, now)
        };
        let drawn = |seed: usize| Share::Drawn(seeds[seed].clone(), stream(plan, number));
        let [own, next] = [0, 1].map(|part: usize| input.bufs[part][party.index()]);
        match (owner, party.0) {
            (None, _) => shares.push((own, packed())),
            (Some(_), 0) => shares.extend([(own, drawn(0)), (next, drawn(1))]),
            // P1 holds shares 1 and 2, P2 holds 2 and 0.
            (Some(_), 1) => shares.extend([(own, drawn(0)), (next, packed())]),
            (Some(_), _) => shares.extend([(own, packed()), (next, drawn(0))]),
        }
    }
    Ok(shares)
}

fn element_buf(plan: &Plan, len: usize) -> Buf {
    Buf::ring(Party(0), len, plan.format.ring)
}

/// The stream of an input's share under a seed.
fn stream(plan: &Plan, number: u32) -> Stream {
    Stream { key: 0, id: number, bits: plan.format.ring }
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
        let words = halves.map(|half| {
            let mut words = [0; PIECE];
            wire::unpack_part(buf.width, &half[number * PIECE * buf.width as usize / 8..], &mut words[..values.len()]);
            words
        });
        for (value, (a, b)) in values.iter_mut().zip(words[0].iter().zip(&words[1])) {
            *value = plan.format.decode(a.wrapping_add(*b), output.scale);
        }
    };
    values.par_chunks_mut(PIECE).enumerate().with_min_len(LEAST).for_each(piece);
    values
}
