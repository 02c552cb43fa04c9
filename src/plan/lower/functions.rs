//! Functions of one number: tables, and what follows from a number's bits.

use std::collections::BTreeSet;

use super::slices::{self, Slice};
use super::{Lowering, Value};
use crate::fixed::pow2;
use crate::graph::{Leading, NodeId, Op, Piecewise, Repr};
use crate::plan::build::Builder;
use crate::plan::protocol::lookup::{self, Pieces};
use crate::plan::protocol::{BitShares, Shares, TwoSummand, bits, equality, leading, local, one_hot};
use crate::plan::{Kernel, View};

impl Lowering<'_> {
    pub(super) fn exp(&mut self, x: NodeId, low: i64, pieces: usize, top: u32) -> Value {
        let frac = self.graph.format.frac;
        let pieces = Pieces { low: low << frac, shift: frac, count: pieces, scale: frac, top };
        Value::Ring(self.by_slices(x, |b, x, slice| lookup::exponential(b, x, &pieces, slice.roles, slice.len)), None)
    }

    pub(super) fn piecewise(&mut self, x: NodeId, table: &Piecewise) -> Value {
        let Piecewise { low, shift, top, coefficients, .. } = table;
        let scale = self.graph.format.frac;
        let pieces = Pieces { low: *low, shift: *shift, count: coefficients.len(), scale, top: *top };
        let of = |b: &mut Builder, x: &Shares, slice: &Slice| {
            lookup::polynomials(b, x, &pieces, coefficients, slice.roles, slice.len)
        };
        Value::Ring(self.by_slices(x, of), None)
    }

    /// What follows from the highest bit; all that is wanted of a number at once.
    pub(super) fn leading(&mut self, x: NodeId, what: Leading) -> Value {
        if let Some(known) = self.leading.get(&(x, what)) {
            return Value::Ring(*known, None);
        }
        let users = self.users(x).map(|user| &self.graph.node(user).op);
        let all: BTreeSet<Leading> = users
            .filter_map(|op| match op {
                Op::Leading(what) => Some(*what),
                _ => None,
            })
            .collect();
        let format = self.graph.format;
        let n = format.int + format.frac - 1;
        let row = |what: &Leading| {
            let value = |bit: u32| what.value(bit as i32 + 1 - format.frac as i32) * pow2(format.frac as i32);
            (0..n).map(|bit| value(bit) as i64 as u64).collect()
        };
        let rows: Vec<Vec<u64>> = all.iter().map(row).collect();
        let mut found: Vec<Vec<(Slice, Shares)>> = vec![Vec::new(); rows.len()];
        for (slice, summands) in self.summand_slices(x) {
            self.b.not_before(summands.earliest(&self.b));
            let of_slice = leading::leading(&mut self.b, &summands, n, &rows);
            self.b.not_before(0);
            found.iter_mut().zip(of_slice).for_each(|(found, of_slice)| found.push((slice, of_slice)));
        }
        for (what, slices) in all.into_iter().zip(found) {
            let joined = Shares::join(&mut self.b, &slices);
            self.leading.insert((x, what), joined);
        }
        Value::Ring(self.leading[&(x, what)], None)
    }

    /// The two summands of a node's slices.
    fn summand_slices(&mut self, x: NodeId) -> Vec<(Slice, TwoSummand)> {
        let slices = self.slices(self.len(x));
        let shares = self.sliceable(x, &slices);
        let summands = slices.into_iter().map(|slice| {
            let part = shares.slice(&mut self.b, &slice);
            (slice, TwoSummand::of_shares(&mut self.b, &part, slice.roles, slice.len))
        });
        summands.collect()
    }

    pub(super) fn is_zero(&mut self, x: NodeId, len: usize) -> Value {
        let Repr::Ring { scale } = self.graph.node(x).ty.repr else { unreachable!("zeros are of ring values") };
        // As wide as a comparison of differences.
        let width = (self.graph.format.int + scale + 1).min(self.b.ring());
        let mut bits = Vec::new();
        for (slice, summands) in self.summand_slices(x) {
            self.b.not_before(summands.earliest(&self.b));
            bits.push((slice, equality::is_zero(&mut self.b, &summands, width)));
            self.b.not_before(0);
        }
        Value::Bit(BitShares::join(&mut self.b, &bits, len))
    }

    pub(super) fn one_hot(&mut self, x: NodeId, places: usize) -> Value {
        Value::Ring(self.by_slices(x, |b, x, slice| one_hot::one_hot(b, x, places, slice.roles, slice.len)), None)
    }

    pub(super) fn bits(&mut self, id: NodeId, x: NodeId, count: u32) -> Value {
        let len = self.len(x);
        let mut planes: Vec<Vec<(Slice, BitShares)>> = vec![Vec::new(); count as usize];
        for (slice, summands) in self.summand_slices(x) {
            self.b.not_before(summands.earliest(&self.b));
            let of_slice = bits::decompose(&mut self.b, &summands, count);
            self.b.not_before(0);
            planes.iter_mut().zip(of_slice).for_each(|(plane, of_slice)| plane.push((slice, of_slice)));
        }
        let planes = planes.iter().map(|slices| BitShares::join(&mut self.b, slices, len)).collect();
        self.joined(id, planes, len)
    }

    /// Bits one after the other along a first axis.
    fn joined(&mut self, id: NodeId, planes: Vec<BitShares>, len: usize) -> Value {
        let all: Vec<(BitShares, usize)> = planes.iter().map(|plane| (*plane, len)).collect();
        let kernel = Kernel::Concat { outer: 1, chunks: vec![len; planes.len()] };
        let value = local::move_bits(&mut self.b, &all, len * planes.len(), &kernel);
        self.planes.insert(id, planes);
        Value::Bit(value)
    }

    /// The bits along a node's first axis, each over the `len` elements of the others.
    fn planes_of(&mut self, x: NodeId, len: usize) -> Vec<BitShares> {
        if let Some(planes) = self.planes.get(&x) {
            return planes.clone();
        }
        let (bit, all) = (self.bit(x), self.len(x));
        let slice = |b: &mut Builder, at: usize| {
            let view =
                View { shape: vec![len], strides: vec![1], start: (at * len) as i64, bounds: Vec::new(), fill: 0 };
            local::move_bits(b, &[(bit, all)], len, &Kernel::Copy(view))
        };
        (0..all / len).map(|at| slice(&mut self.b, at)).collect()
    }

    pub(super) fn number_from_bits(&mut self, x: NodeId, len: usize) -> Value {
        let planes = self.planes_of(x, len);
        let weights = (0..planes.len()).map(|at| 1 << at).collect();
        let roles = slices::whole(&self.b, len).roles;
        let parts = bits::TwoParts::of_bits(&mut self.b, &planes, roles, len);
        Value::Ring(bits::weigh(&mut self.b, &parts, &[weights], len)[0], None)
    }

    pub(super) fn any_above(&mut self, id: NodeId, x: NodeId) -> Value {
        let len = self.len(x) / self.graph.node(x).ty.shape[0];
        let planes = self.planes_of(x, len);
        let planes = bits::suffix_or(&mut self.b, &planes, len);
        self.joined(id, planes, len)
    }

    pub(super) fn random(&mut self, ones: u32, len: usize) -> Value {
        Value::Bit(bits::random(&mut self.b, ones, 16, len))
    }
}
