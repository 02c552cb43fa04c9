//! Functions of one number by tables, and what follows from a number's bits.

use super::Lowering;
use crate::diag::Code;
use crate::fixed::pow2;
use crate::graph::{Constant, Leading, NodeId, Op, Piecewise, Repr};
use crate::hir::{Elem, Intrinsic};
use crate::label::Label;

/// Polynomials of more powers are refused.
const MAX_POWERS: usize = 16;

impl Lowering<'_> {
    /// The operand at the format's scale, or in the clear.
    fn number_of(&mut self, x: NodeId) -> NodeId {
        if self.build.known(&[x]).is_some() { x } else { self.build.ring(x, Elem::Fix) }
    }

    /// A single constant: what a table lies on has to be known when it is made.
    fn constant(&mut self, x: NodeId, what: &str) -> Option<f64> {
        let value = self.build.constants(x).and_then(|values| values.first().copied());
        if value.is_none() {
            let message = format!("{what} is no constant");
            self.build.error(Code::NotAllowedHere, message).help = Some(
                "tables are made before the program runs: write a number, or compute it from numbers alone".into(),
            );
        }
        value
    }

    fn refuse<T>(&mut self, code: Code, message: String, help: &str) -> Option<T> {
        self.build.error(code, message).help = Some(help.into());
        None
    }

    /// e^x for x from `low` to `high`.
    pub(super) fn exp_between(&mut self, x: NodeId, low: NodeId, high: NodeId) -> Option<NodeId> {
        let (low, high) = (self.constant(low, "the least number")?, self.constant(high, "the largest number")?);
        let first = low.floor();
        let pieces = (high - first + 1.0).ceil().max(1.0);
        // Above e^high and its rounding.
        let top = (high * std::f64::consts::LOG2_E + 0.01).floor().max(-1.0) + 1.0;
        let format = self.build.graph.format;
        if top > f64::from(format.int) {
            let message = format!("e^{high} lies outside of the number format");
            return self.refuse(Code::TooLarge, message, "raise `int`, or lower the largest number");
        }
        if !(-64.0..=0.0).contains(&first) || high < first {
            let message = format!("an exponential from {low} to {high}");
            return self.refuse(
                Code::NotAllowedHere,
                message,
                "the least number lies from -64 to 0, and below the largest",
            );
        }
        let op = Op::Exp { low: first as i64, pieces: (pieces as usize).next_power_of_two(), top: top as u32 };
        let x = self.number_of(x);
        Some(self.build.like(op, x))
    }

    /// Where `piecewise` wants to know a function: for each piece, from the one before `low`, places over twice its width.
    pub(super) fn nodes(&mut self, low: NodeId, step: NodeId, shape: &[usize]) -> Option<NodeId> {
        let (low, step) = (self.constant(low, "the least number")?, self.constant(step, "the width of a piece")?);
        let places = chebyshev(shape[1]);
        let values =
            (0..shape[0]).flat_map(|p| places.iter().map(move |w| low + step * (p as f64 - 1.0 + w))).collect();
        Some(self.build.node(Op::Const(Constant::Dense(values)), &[], shape.to_vec(), Repr::Clear(Label::PUBLIC)))
    }

    /// The polynomials through samples at those places.
    pub(super) fn piecewise(
        &mut self,
        x: NodeId,
        low: Option<NodeId>,
        step: NodeId,
        samples: NodeId,
    ) -> Option<NodeId> {
        let periodic = low.is_none();
        let low = low.map_or(Some(0.0), |low| self.constant(low, "the least number"))?;
        let step = self.constant(step, "the width of a piece")?;
        let shape = self.build.shape(samples).to_vec();
        let Some(values) = self.build.constants(samples) else {
            let message = "the samples are not known when the table is made";
            self.build.error(Code::NotAllowedHere, message).help =
                Some("compute them from `nodes` and from constants alone".into());
            return None;
        };
        let format = self.build.graph.format;
        let units = low / format.unit();
        let shift = (1..63).find(|bits| pow2(*bits) * format.unit() >= step).unwrap_or(63);
        let fits =
            shape[0].is_power_of_two() && (2..=Piecewise::MAX_PIECES).contains(&shape[0]) && shape[1] <= MAX_POWERS;
        if !fits || pow2(shift) * format.unit() != step || units.fract() != 0.0 || low.abs() > format.limit() {
            let message =
                format!("a table of {} pieces of {step} from {low}, with {} samples each", shape[0], shape[1]);
            let help = format!(
                "pieces are a power of two up to {} and {step} a power of two above the format's step, with up to \
                 {MAX_POWERS} samples; the interval begins at a number of the format",
                Piecewise::MAX_PIECES
            );
            return self.refuse(Code::BadSize, message, &help);
        }
        if shift as u32 + shape[0].trailing_zeros() > format.int + format.frac {
            let message = format!("{} pieces of {step} are more than the number format has room for", shape[0]);
            return self.refuse(Code::BadSize, message, "take fewer pieces, or smaller ones");
        }
        let places = chebyshev(shape[1]);
        let coefficients: Vec<Vec<f64>> = values.chunks(shape[1]).map(|y| interpolate(&places, y)).collect();
        let largest = coefficients.iter().map(|c| extent(c)).fold(0.0, f64::max);
        let top = (0..64).find(|bits| pow2(*bits) > largest).unwrap_or(64) as u32;
        if top >= format.int || !largest.is_finite() {
            let message = format!("a table's values reach {largest:.3e}");
            return self.refuse(Code::TooLarge, message, "raise `int`, or scale the function");
        }
        let table = Piecewise { low: units as i64, shift: shift as u32, top, periodic, coefficients };
        let x = self.number_of(x);
        Some(self.build.like(Op::Piecewise(Box::new(table)), x))
    }

    pub(super) fn leading(&mut self, op: Intrinsic, x: NodeId) -> Option<NodeId> {
        let format = self.build.graph.format;
        let what = match op {
            Intrinsic::Normaliser => Leading::Scale,
            Intrinsic::EvenNormaliser => Leading::EvenScale,
            Intrinsic::RootNormaliser => Leading::RootScale,
            Intrinsic::RootExponent => Leading::Root,
            _ => Leading::Exponent,
        };
        let least = what.value(format.int as i32 - 1);
        if least != 0.0 && least.abs() < format.unit() {
            let message = format!("{least:e}, the normaliser of the largest numbers, is no number of the format");
            return self.refuse(Code::Vanishes, message, "raise `frac`, or lower `int`");
        }
        let x = self.number_of(x);
        Some(self.build.like(Op::Leading(what), x))
    }

    /// Rows that are 1 at an integer's place.
    pub(super) fn one_hot(&mut self, x: NodeId, n: usize) -> Option<NodeId> {
        let places = n.next_power_of_two();
        if places > Piecewise::MAX_PIECES {
            let message = format!("a row of {n} places");
            return self.refuse(
                Code::BadSize,
                message,
                &format!("one-hot rows have at most {} places", Piecewise::MAX_PIECES),
            );
        }
        let label = self.build.known(&[x]);
        let x = if label.is_some() { x } else { self.build.ring(x, Elem::Int) };
        let repr = label.map_or(Repr::Ring { scale: 0 }, Repr::Clear);
        let mut shape = self.build.shape(x).to_vec();
        shape.push(places);
        let rows = self.build.node(Op::OneHot { places }, &[x], shape.clone(), repr);
        let axis = shape.len() - 1;
        shape[axis] = n;
        Some(if n == places { rows } else { self.build.reshaping(Op::Slice { axis, start: 0, step: 1 }, rows, shape) })
    }

    /// The last axis first, or the first one last.
    fn turned(&mut self, x: NodeId, last_first: bool) -> NodeId {
        let shape = self.build.shape(x).to_vec();
        let mut perm: Vec<usize> = (0..shape.len()).collect();
        if last_first {
            perm.rotate_right(1)
        } else {
            perm.rotate_left(1)
        }
        // Turned back: what was turned.
        if let Op::Transpose { perm: before } = &self.build.graph.node(x).op
            && before.iter().enumerate().all(|(at, axis)| perm[*axis] == at)
        {
            return self.build.graph.operands(x)[0];
        }
        let turned = perm.iter().map(|axis| shape[*axis]).collect();
        self.build.reshaping(Op::Transpose { perm }, x, turned)
    }

    /// The lowest bits of an integer along a last axis.
    pub(super) fn bits(&mut self, x: NodeId, shape: &[usize]) -> Option<NodeId> {
        let count = *shape.last()?;
        let ring = self.build.graph.format.ring;
        if count as u64 > u64::from(ring) {
            let message = format!("{count} bits of an integer");
            return self.refuse(Code::BadSize, message, &format!("an integer has the ring's {ring} bits"));
        }
        let label = self.build.known(&[x]);
        let x = if label.is_some() { x } else { self.build.ring(x, Elem::Int) };
        let mut first = vec![count];
        first.extend(self.build.shape(x));
        let repr = label.map_or(Repr::Bit, Repr::Clear);
        let bits = self.build.node(Op::Bits { count: count as u32 }, &[x], first, repr);
        Some(self.turned(bits, false))
    }

    /// The integer of the bits along the last axis.
    pub(super) fn number_from_bits(&mut self, x: NodeId, shape: Vec<usize>) -> Option<NodeId> {
        let count = self.build.shape(x).last().copied()?;
        let ring = self.build.graph.format.ring;
        if count as u64 >= u64::from(ring) {
            let message = format!("an integer of {count} bits");
            return self.refuse(Code::BadSize, message, &format!("an integer has fewer bits than the ring, {ring}"));
        }
        let repr =
            if let Repr::Clear(label) = self.build.repr(x) { Repr::Clear(label) } else { Repr::Ring { scale: 0 } };
        let bits = self.turned(x, true);
        Some(self.build.node(Op::FromBits, &[bits], shape, repr))
    }

    /// Whether a bit or one behind it along the last axis is set.
    pub(super) fn any_above(&mut self, x: NodeId) -> Option<NodeId> {
        let bits = self.turned(x, true);
        let any = self.build.like(Op::AnyAbove, bits);
        Some(self.turned(any, false))
    }

    /// x where random bits that nobody knows are 1, and 0 elsewhere.
    pub(super) fn keep_some(&mut self, x: NodeId, part: NodeId) -> Option<NodeId> {
        let part = self.constant(part, "the part that is kept")?;
        if part == 1.0 {
            return Some(x);
        }
        let ones = (part * f64::from(1 << 16)).round();
        if !(1.0..f64::from(1 << 16)).contains(&ones) {
            let message = format!("{part} of the elements are kept");
            return self.refuse(Code::NotAllowedHere, message, "a part lies between 2^-16 and 1");
        }
        let shape = self.build.shape(x).to_vec();
        let bits = self.build.node(Op::Random { ones: ones as u32 }, &[], shape.clone(), Repr::Bit);
        let zero = self.build.constant(0.0, &shape);
        Some(self.build.select(bits, x, zero, Elem::Fix))
    }

    /// Rows of a table by their numbers: a product with one-hot rows, which have no fraction to truncate.
    pub(super) fn rows_at(&mut self, table: NodeId, x: NodeId, shape: &[usize]) -> Option<NodeId> {
        let size = self.build.shape(table).to_vec();
        let rows = self.one_hot(x, size[0])?;
        let count = self.build.shape(x).iter().product();
        let rows = self.build.reshaping(Op::Reshape, rows, vec![count, size[0]]);
        let product = vec![count, size[1]];
        let found = match self.build.known(&[rows, table]) {
            Some(label) => self.build.node(Op::MatMul, &[rows, table], product, Repr::Clear(label)),
            None => {
                let scale = self.build.graph.format.frac;
                let (rows, table) = (self.build.ring(rows, Elem::Int), self.build.ring(table, Elem::Fix));
                self.build.node(Op::MatMul, &[rows, table], product, Repr::Ring { scale })
            }
        };
        Some(self.build.reshaping(Op::Reshape, found, shape.to_vec()))
    }
}

/// n places between 0 and 2 where interpolation errs least: Chebyshev's. The cosine is a series, so that it is the same
/// number everywhere.
fn chebyshev(n: usize) -> Vec<f64> {
    let cosine = |x: f64| (1..16).rev().fold(1.0, |sum, k| 1.0 - sum * x * x / f64::from((2 * k - 1) * 2 * k));
    (0..n).map(|i| 1.0 - cosine(std::f64::consts::PI * (i as f64 + 0.5) / n as f64)).collect()
}

/// Coefficients of the polynomial through points, lowest power first: Newton's form, multiplied out.
fn interpolate(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let mut divided = y.to_vec();
    for order in 1..n {
        for i in (order..n).rev() {
            divided[i] = (divided[i] - divided[i - 1]) / (x[i] - x[i - order]);
        }
    }
    let mut c = vec![0.0; n];
    for i in (0..n).rev() {
        for power in (1..n).rev() {
            c[power] = c[power - 1] - x[i] * c[power];
        }
        c[0] = divided[i] - x[i] * c[0];
    }
    c
}

/// The largest magnitude of a polynomial from 0 to 2, with some room.
fn extent(c: &[f64]) -> f64 {
    let value = |w: f64| c.iter().rev().fold(0.0, |y, c| y * w + c).abs();
    let largest = (0..=64).map(|i| value(f64::from(i) / 32.0)).fold(0.0, f64::max);
    largest * 1.01 + 1e-9
}
