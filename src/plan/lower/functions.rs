//! Functions of one number: tables, and what follows from a number's bits.

use std::collections::BTreeSet;

use super::{Lowering, ROLES, Value};
use crate::fixed::pow2;
use crate::graph::{Leading, NodeId, Op, Piecewise, Repr};
use crate::plan::protocol::lookup::{self, Pieces};
use crate::plan::protocol::{TwoSummand, equality, leading, one_hot};

impl Lowering<'_> {
    pub(super) fn exp(&mut self, x: NodeId, low: i64, pieces: usize, top: u32, len: usize) -> Value {
        let shares = self.ring(x);
        let frac = self.graph.format.frac;
        let pieces = Pieces { low: low << frac, shift: frac, count: pieces, scale: frac, top };
        Value::Ring(lookup::exponential(&mut self.b, &shares, &pieces, ROLES, len), None)
    }

    pub(super) fn piecewise(&mut self, x: NodeId, table: &Piecewise, len: usize) -> Value {
        let shares = self.ring(x);
        let Piecewise { low, shift, top, coefficients, .. } = table;
        let scale = self.graph.format.frac;
        let pieces = Pieces { low: *low, shift: *shift, count: coefficients.len(), scale, top: *top };
        Value::Ring(lookup::polynomials(&mut self.b, &shares, &pieces, coefficients, ROLES, len), None)
    }

    /// What follows from the highest bit; all that is wanted of a number at once.
    pub(super) fn leading(&mut self, x: NodeId, what: Leading, len: usize) -> Value {
        if let Some(known) = self.leading.get(&(x, what)) {
            return Value::Ring(*known, None);
        }
        let all: BTreeSet<Leading> = self
            .graph
            .users(x)
            .filter_map(|user| match self.graph.node(user).op {
                Op::Leading(what) => Some(what),
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
        let shares = self.ring(x);
        let summands = TwoSummand::of_shares(&mut self.b, &shares, ROLES, len);
        self.b.not_before(summands.earliest(&self.b));
        let found = leading::leading(&mut self.b, &summands, n, &rows);
        self.b.not_before(0);
        self.leading.extend(all.into_iter().map(|what| (x, what)).zip(found));
        Value::Ring(self.leading[&(x, what)], None)
    }

    pub(super) fn is_zero(&mut self, x: NodeId, len: usize) -> Value {
        let shares = self.ring(x);
        let summands = TwoSummand::of_shares(&mut self.b, &shares, ROLES, len);
        let Repr::Ring { scale } = self.graph.node(x).ty.repr else { unreachable!("zeros are of ring values") };
        // As wide as a comparison of differences.
        let width = (self.graph.format.int + scale + 1).min(self.b.ring());
        self.b.not_before(summands.earliest(&self.b));
        let bit = equality::is_zero(&mut self.b, &summands, width);
        self.b.not_before(0);
        Value::Bit(bit)
    }

    pub(super) fn one_hot(&mut self, x: NodeId, places: usize) -> Value {
        let (shares, len) = (self.ring(x), self.len(x));
        Value::Ring(one_hot::one_hot(&mut self.b, &shares, places, ROLES, len), None)
    }
}
