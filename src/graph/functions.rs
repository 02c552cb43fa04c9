//! Functions that operations compute by tables.

use crate::fixed::pow2;

/// What [`Op::Leading`](super::Op::Leading) gives for `2^(e-1) <= a < 2^e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leading {
    /// `2^-e`: a times it is from 1/2 to 1.
    Scale,
    /// `4^-ceil(e/2)`: a times it is from 1/4 to 1.
    EvenScale,
    /// `2^-ceil(e/2)`, the root of the last.
    RootScale,
    /// `2^ceil(e/2)`.
    Root,
    /// e.
    Exponent,
}

impl Leading {
    /// All of them with their names in text.
    pub const ALL: [(Leading, &'static str); 5] = [
        (Leading::Scale, "scale"),
        (Leading::EvenScale, "even_scale"),
        (Leading::RootScale, "root_scale"),
        (Leading::Root, "root"),
        (Leading::Exponent, "exponent"),
    ];

    /// Its value for e.
    #[must_use]
    pub fn value(self, e: i32) -> f64 {
        let half = (e + 1).div_euclid(2);
        match self {
            Leading::Scale => pow2(-e),
            Leading::EvenScale => pow2(-2 * half),
            Leading::RootScale => pow2(-half),
            Leading::Root => pow2(half),
            Leading::Exponent => f64::from(e),
        }
    }
}

/// A function on an interval: with `a = low + (p + w) 2^shift` units of the number format, p a whole number from -1
/// to `pieces - 2`, it is the sum of `coefficients[p + 1][d] w^d`, for w from 0 to 2. Without meaning outside of the interval,
/// which begins with piece 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Piecewise {
    /// The interval's start in units.
    pub low: i64,
    /// Bits of a piece's width in units.
    pub shift: u32,
    /// Results lie between `-2^top` and `2^top`.
    pub top: u32,
    /// The pieces begin anew behind the last one: all numbers have a meaning.
    pub periodic: bool,
    /// The polynomials, lowest power first; a power of two of them, all of one length.
    pub coefficients: Vec<Vec<f64>>,
}

impl Piecewise {
    /// The most pieces of a table, and places of a one-hot row.
    pub const MAX_PIECES: usize = 1 << 12;
}
