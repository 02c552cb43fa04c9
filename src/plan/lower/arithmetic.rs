//! Sums, products, and their truncations.

use super::slices::Signs;
use super::{Lowering, Shares, Value, shape_ops};
use crate::graph::{NodeId, Op, Repr};
use crate::plan::build::Map;
use crate::plan::protocol::maximum::SignSource;
use crate::plan::protocol::sign::Window;
use crate::plan::protocol::{TwoSummand, linear, local, truncate};
use crate::plan::{Operand, Reg};

/// Multiply-adds a result of which a second product costs more time than three bits more in the truncation do.
const WORTH_HALVING: usize = 64;

impl Lowering<'_> {
    /// A formula that is linear in the operand, on each share, or on each summand of what is not yet reshared and nobody
    /// else uses.
    pub(super) fn each_part(
        &mut self,
        name: &str,
        operand: NodeId,
        len: usize,
        formula: impl Fn(&mut Map<'_>, Reg) -> Reg,
    ) -> Value {
        if let (Value::Additive(z, twice), 1) = (self.values[&operand].clone(), self.users(operand).count()) {
            let z = z.0.map(Operand::from);
            let result = local::each_summand(&mut self.b, name, len, &[z], |m, _, r| formula(m, r[0]));
            return Value::Additive(result, twice);
        }
        let x = self.ring(operand);
        Value::Ring(local::each_share(&mut self.b, name, len, &[&x], |m, _, r| formula(m, r[0])), None)
    }

    /// Where the sign of `x + word` is read, for a truncation x: a public number is added to the summands that x was
    /// truncated from, which gives the very rounding of x. Nothing when nobody reads the sign.
    fn shifted_source(&mut self, id: NodeId, x: NodeId, word: u64) -> Option<Signs> {
        let Value::Ring(_, Some(signs)) = self.values[&x].clone() else { return None };
        let reads = |user: NodeId| {
            matches!(self.graph.node(user).op, Op::IsNegative { .. } | Op::Relu { .. } | Op::MaxPool { .. })
        };
        if !self.users(id).any(reads) {
            return None;
        }
        let shifted = signs.0.into_iter().map(|SignSource { summands, window }| {
            let role0 = summands.roles.party(0);
            let mut m = self.b.ring_map(role0, "summand.add", summands.len);
            let (u, word) = (m.read(summands.u), m.imm(word.wrapping_shl(window.from)));
            let (ring, u) = (m.ring(), m.add(u, word));
            let u = m.write(u, ring);
            m.finish();
            // A difference that is compared may need one bit more than the format has.
            let width = (window.width + 1).min(summands.ring - window.from);
            SignSource { summands: TwoSummand { u, ..summands }, window: Window { width, ..window } }
        });
        Some(Signs(shifted.collect()))
    }

    pub(super) fn add(&mut self, id: NodeId, operands: &[NodeId], len: usize, negative: bool) -> Value {
        let [x, y] = [operands[0], operands[1]];
        let combine = move |m: &mut Map<'_>, a, c| if negative { m.sub(a, c) } else { m.add(a, c) };
        let kinds = (self.values[&x].clone(), self.values[&y].clone());
        let additive = |v: &Value| matches!(v, Value::Additive(..));
        if additive(&kinds.0) || additive(&kinds.1) {
            let twice = |v: &Value| matches!(v, Value::Additive(_, true));
            let both = [twice(&kinds.0), twice(&kinds.1)];
            let doubled = both[0] || both[1];
            let (a, c) = (self.summands(x), self.summands(y));
            let operands: Vec<[Operand; 3]> = [&a, &c].into_iter().filter_map(|s| s.operands).collect();
            let sum = local::each_summand(&mut self.b, "add", len, &operands, |m, i, r| {
                let mut regs = r.iter().copied();
                let mut side = |m: &mut Map<'_>, s: &Summands| match (s.operands, s.public, i) {
                    (Some(_), false, _) => regs.next().expect("one register an operand"),
                    (Some(_), true, 0) => regs.next().expect("one register an operand"),
                    (None, true, 0) => m.imm(s.word),
                    (Some(_), true, _) => {
                        let _unused = regs.next();
                        m.imm(0)
                    }
                    (None, _, _) => m.imm(0),
                };
                let sides = [side(m, &a), side(m, &c)];
                let ups = [a.up, c.up];
                let [a, c] = [0, 1].map(|i| match ups[i] + u32::from(doubled && !both[i]) {
                    0 => sides[i],
                    up => m.shl(sides[i], up),
                });
                combine(m, a, c)
            });
            return Value::Additive(sum, doubled);
        }
        let sum = match kinds {
            (Value::Splat(word), _) => {
                let y = self.ring(y);
                local::each_share(&mut self.b, "add", len, &[&y], |m, j, r| {
                    let word = m.imm(if j == 0 { word } else { 0 });
                    combine(m, word, r[0])
                })
            }
            (_, Value::Splat(word)) => {
                let source = self.shifted_source(id, x, if negative { word.wrapping_neg() } else { word });
                let x = self.ring(x);
                let sum = local::each_share(&mut self.b, "add", len, &[&x], |m, j, r| {
                    if j != 0 {
                        return r[0];
                    }
                    let word = m.imm(word);
                    combine(m, r[0], word)
                });
                return Value::Ring(sum, source);
            }
            _ => {
                let (x, y) = (self.ring(x), self.ring(y));
                local::each_share(&mut self.b, "add", len, &[&x, &y], |m, _, r| combine(m, r[0], r[1]))
            }
        };
        Value::Ring(sum, None)
    }

    pub(super) fn multiply(&mut self, operands: &[NodeId], len: usize) -> Value {
        let [x, y] = [operands[0], operands[1]];
        let (x, y) = if matches!(self.values[&x], Value::Splat(_) | Value::Public(_)) { (y, x) } else { (x, y) };
        match self.values[&y].clone() {
            // The same number at another scale.
            Value::Splat(1) if self.users(x).count() == 1 => self.values[&x].clone(),
            Value::Splat(word) => self.each_part("scale", x, len, |m, r| {
                let word = m.imm(word);
                m.mul(r, word)
            }),
            Value::Public(at) => {
                let x = self.ring(x);
                let public = Shares { at: [at, at] };
                let product = local::each_share(&mut self.b, "scale", len, &[&x, &public], |m, _, r| m.mul(r[0], r[1]));
                Value::Ring(product, None)
            }
            _ => {
                let (x, y) = (self.ring(x), self.ring(y));
                Value::Additive(linear::multiply(&mut self.b, &x, &y, len), false)
            }
        }
    }

    pub(super) fn product(&mut self, id: NodeId, operands: &[NodeId], len: usize) -> Value {
        let product = shape_ops::product(self.graph, id);
        let [x, y] = [operands[0], operands[1]];
        let is_public = |v: &Value| matches!(v, Value::Splat(_) | Value::Public(_));
        if is_public(&self.values[&y]) {
            let (x, y) = (self.dense(x), self.public(y));
            return Value::Ring(local::product_public(&mut self.b, &product, &x, y, true, len), None);
        }
        if is_public(&self.values[&x]) {
            let (x, y) = (self.public(x), self.dense(y));
            return Value::Ring(local::product_public(&mut self.b, &product, &y, x, false, len), None);
        }
        let sizes = [self.len(x), self.len(y), len];
        let (x, y) = (self.dense(x), self.dense(y));
        if product.depth() >= WORTH_HALVING && self.has_room_for_twice(id) && self.is_only_truncated(id) {
            let input = |shares: &Shares| shares.at.iter().flatten().all(|share| self.b.is_input(share.buf));
            let alone = |id: NodeId, shares: &Shares| self.users(id).count() == 1 && input(shares);
            let right = alone(operands[1], &y);
            // One of two inputs may be the data, of which there are others in the next run.
            let alone = [!right && !input(&y) && alone(operands[0], &x), right];
            return Value::Additive(linear::double_product(&mut self.b, &product, (&x, &y), alone, sizes), true);
        }
        Value::Additive(linear::product(&mut self.b, &product, &x, &y, sizes), false)
    }

    /// Whether twice a node's number stays in the ring, with the bit that halving takes.
    fn has_room_for_twice(&self, id: NodeId) -> bool {
        let Repr::Ring { scale } = self.graph.node(id).ty.repr else { return false };
        self.graph.format.int + scale + 3 <= self.graph.format.ring
    }

    /// Whether all that happens to a product until its truncation can happen to twice the product.
    fn is_only_truncated(&self, id: NodeId) -> bool {
        let alone = self.users(id).count() == 1;
        self.users(id).all(|user| match self.graph.node(user).op {
            Op::Trunc { bits } => self.graph.format.ring > bits + 4,
            Op::Add | Op::Sub => self.has_room_for_twice(user) && self.is_only_truncated(user),
            Op::Neg | Op::Up { .. } if alone => self.has_room_for_twice(user) && self.is_only_truncated(user),
            Op::SumPool { .. } | Op::Sum { .. } => self.has_room_for_twice(user) && self.is_only_truncated(user),
            _ => false,
        })
    }

    pub(super) fn truncate(&mut self, id: NodeId, operand: NodeId, bits: u32, len: usize) -> Value {
        let Repr::Ring { scale } = self.graph.node(operand).ty.repr else {
            unreachable!("truncations are of ring values")
        };
        // The window [bits, bits + width) holds the result's sign as long as the result is in range.
        let window = Window { from: bits, width: self.graph.format.int + scale - bits };
        // Windows of a pool do not cross its planes.
        let pooled = self.users(id).any(|user| matches!(self.graph.node(user).op, Op::MaxPool { .. }));
        let slices = match self.graph.node(id).ty.shape[..] {
            [.., h, w] if pooled => self.units(len, h * w),
            _ => self.slices(len),
        };
        let (mut parts, mut signs) = (Vec::new(), Vec::new());
        for slice in slices.clone() {
            let summands = match self.values[&operand].clone() {
                Value::Additive(z, twice) => {
                    let z = z.slice(&mut self.b, &slice);
                    let earliest = self.b.ready(z.0[0]);
                    self.b.not_before(earliest);
                    let ring = self.b.ring();
                    linear::to_two_summand(&mut self.b, &z, twice, ring, slice.roles, slice.len)
                }
                _ => {
                    let x = self.sliceable(operand, &slices).slice(&mut self.b, &slice);
                    TwoSummand::of_shares(&mut self.b, &x, slice.roles, slice.len)
                }
            };
            let earliest = summands.earliest(&self.b);
            self.b.not_before(earliest);
            parts.push((slice, truncate::truncate(&mut self.b, &summands, bits)));
            self.b.not_before(0);
            signs.push(SignSource { summands, window });
        }
        Value::Ring(Shares::join(&mut self.b, &parts), Some(Signs(signs)))
    }

    fn summands(&self, id: NodeId) -> Summands {
        let none = Summands { operands: None, public: false, word: 0, up: 0 };
        // Shares that are multiplied by a power of two are so as they are added.
        let (value, up) = match (&self.values[&id], &self.graph.node(id).op) {
            (Value::Ring(..), Op::Up { bits }) => (&self.values[&self.graph.operands(id)[0]], *bits),
            (value, _) => (value, 0),
        };
        match value {
            Value::Additive(z, _) => Summands { operands: Some(z.0.map(Operand::from)), ..none },
            Value::Ring(shares, _) => Summands { operands: Some(shares.at[0]), up, ..none },
            Value::Splat(word) => Summands { public: true, word: *word, ..none },
            Value::Public(at) => Summands { operands: Some(*at), public: true, ..none },
            Value::Clear | Value::Sign(_) | Value::Bit(_) => unreachable!("{value:?} is no ring value"),
        }
    }
}

/// One side of an addition as a summand a party; a public side counts at party 0.
struct Summands {
    operands: Option<[Operand; 3]>,
    public: bool,
    word: u64,
    /// It counts so many bits higher.
    up: u32,
}
