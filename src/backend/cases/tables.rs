//! One-hot places, their rotation, and sums over tables.

use super::{Case, Noise, dense, ring};
use crate::plan::{Kernel, Lookup, Term};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (len, places, shift) in [(1, 1, 0), (3, 2, 63), (65, 16, 60), (7, 32, 16), (130, 8, 0)] {
        let name = format!("one_hot: {len} of {places} above {shift} bits");
        let row = ring(len * places, 64);
        let one_hot = Kernel::OneHot { add: 0xfeed_0123_4567_89ab, shift, places };
        cases.push(Case::new(&name, one_hot.clone(), dense([ring(len, 64)]), vec![row.clone()]));
        let valued = dense([ring(len, 64), ring(len, 64)]);
        cases.push(Case::new(format!("{name}, with values"), one_hot, valued, vec![row.clone()]));
        let turned = dense([row.clone(), ring(len, 64)]);
        let name = format!("rotate: {len} of {places} above {shift} bits");
        cases.push(Case::new(name, Kernel::Rotate { shift, places }, turned, vec![row]));
    }
    for (len, table) in [
        (1, polynomials(2, 16, 16, &[1])),
        (65, polynomials(32, 16, 16, &[3, 2, 1])),
        (7, polynomials(8, 40, 26, &[4])),
        (9, polynomials(16, 3, 24, &[2, 7])),
        (33, multiples(16, 16, 30, 5)),
        (4, multiples(1, 62, 62, 1)),
    ] {
        let Lookup { shift, pieces, fraction, .. } = table;
        let name = format!("lookup: {len} in {pieces} pieces above {shift} bits, {fraction} of them");
        let outs = table.terms.iter().map(|_| ring(len, 64)).collect();
        cases.push(Case::new(name, Kernel::Lookup(table), dense([ring(len * pieces, 64), ring(len, 64)]), outs));
    }
    cases
}

/// A table with a term for each number of coefficients.
pub(super) fn polynomials(pieces: usize, shift: u32, fraction: u32, powers: &[usize]) -> Lookup {
    let mut noise = Noise::new("coefficients");
    let mut piece = |n: usize| (0..n).map(|_| noise.next() as i64 >> 20).collect();
    let terms = powers.iter().map(|n| Term::Polynomials((0..pieces).map(|_| piece(*n)).collect())).collect();
    Lookup { shift, pieces, fraction, drop: 12, terms }
}

fn multiples(pieces: usize, shift: u32, fraction: u32, powers: usize) -> Lookup {
    let mut noise = Noise::new("factors");
    let mut words = |n: usize| (0..n).map(|_| noise.next() as i64 >> 24).collect();
    let term = Term::Multiples { of: words(powers), factors: words(pieces) };
    Lookup { shift, pieces, fraction, drop: 42, terms: vec![term] }
}
