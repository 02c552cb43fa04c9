//! Functions of one number that are more than arithmetic: in f64, with results rounded down in fixed point.

use super::Elements;
use crate::fixed::{Format, exp, pow2};
use crate::graph::{Graph, Leading, NodeId, Op, Piecewise, Repr};

/// The function behind an operation, if it is one of a single number that depends on the number format.
pub(super) fn function(op: &Op, format: Format) -> Option<Box<dyn Fn(f64) -> f64 + '_>> {
    match op {
        Op::Exp { low, pieces, .. } => {
            let (low, high) = (*low as f64, (*low + *pieces as i64 - 1) as f64);
            Some(Box::new(move |x: f64| exp(x.clamp(low, high))))
        }
        Op::Piecewise(table) => Some(Box::new(move |x| piecewise(table, x * pow2(format.frac as i32)))),
        Op::Leading(what) => Some(Box::new(move |x| leading(*what, x, format))),
        _ => None,
    }
}

/// `units` of the number format; the interval's end goes for what lies outside of it.
fn piecewise(table: &Piecewise, units: f64) -> f64 {
    let count = table.coefficients.len();
    let at = (units - table.low as f64) / pow2(table.shift as i32);
    let at = if table.periodic { at.rem_euclid(count as f64) } else { at.clamp(0.0, count as f64 - 1.0) };
    let piece = (at as usize).min(if table.periodic { count - 1 } else { count - 2 });
    let w = at - piece as f64;
    table.coefficients[(piece + 1) % count].iter().rev().fold(0.0, |y, c| y * w + c)
}

fn leading(what: Leading, x: f64, format: Format) -> f64 {
    let e = (-(format.frac as i32)..format.int as i32).find(|e| x < pow2(*e)).unwrap_or(format.int as i32 - 1);
    if x > 0.0 { what.value(e) } else { 0.0 }
}

/// The function of each element; `scales` are the operand's and the result's fraction bits.
pub(super) fn apply(f: &dyn Fn(f64) -> f64, x: &Elements, scales: [u32; 2], format: Format) -> Elements {
    match x {
        Elements::Real(x) => Elements::Real(x.iter().map(|x| f(*x)).collect()),
        Elements::Ring(x) => {
            let unit = pow2(scales[1] as i32);
            let value = |x: &i64| (f(format.decode(*x as u64, scales[0])) * unit).floor() as i64;
            Elements::Ring(x.iter().map(value).collect())
        }
    }
}

/// The lowest bits of each element, all lowest ones first.
pub(super) fn bits(x: &Elements, count: u32, graph: &Graph, id: NodeId) -> Vec<u8> {
    let scale = match graph.node(id).ty.repr {
        Repr::Ring { scale } | Repr::Public { scale } => scale,
        Repr::Bit | Repr::Clear(_) => 0,
    };
    let units: Vec<i64> = match x {
        Elements::Real(x) => x.iter().map(|x| (x * pow2(scale as i32)).floor() as i64).collect(),
        Elements::Ring(x) => x.clone(),
    };
    (0..count).flat_map(|bit| units.iter().map(move |x| (x >> bit & 1) as u8).collect::<Vec<_>>()).collect()
}

/// Bits by chance, the same for the same node: SplitMix64.
pub(super) fn random(ones: u32, len: usize, id: NodeId) -> Vec<u8> {
    let draw = |e: usize| {
        let z = (id.index() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(e as u64);
        let z = (z.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u8::from(((z ^ (z >> 31)) >> 48) < u64::from(ones))
    };
    (0..len).map(draw).collect()
}
