//! The register tile: the innermost loop of products whose right factor is packed.

#![allow(unsafe_code, reason = "words of the innermost loop, without a check for each")]

use std::hint::black_box;

use super::isa::{Isa, TileTask};
use super::products::{Direct, Products, totals};
use super::simd::{GROUP, Group, Simd};

/// Words of `R` rows, column by column.
pub(super) trait Rows<const R: usize>: Copy {
    /// How many columns all rows have.
    fn depth(&self) -> usize;

    /// The word of a row in a column.
    ///
    /// # Safety
    /// There are so many rows and columns.
    unsafe fn word(&self, row: usize, column: usize) -> &u64;
}

impl<const R: usize> Rows<R> for &[[u64; R]] {
    #[inline(always)]
    fn depth(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    unsafe fn word(&self, row: usize, column: usize) -> &u64 {
        // SAFETY: the caller's promise.
        unsafe { self.get_unchecked(column).get_unchecked(row) }
    }
}

impl<const R: usize> Rows<R> for [&[u64]; R] {
    #[inline(always)]
    fn depth(&self) -> usize {
        let mut depth = usize::MAX;
        for row in self {
            depth = depth.min(row.len());
        }
        depth
    }

    #[inline(always)]
    unsafe fn word(&self, row: usize, column: usize) -> &u64 {
        // SAFETY: the caller's promise; no row is shorter.
        unsafe { self.get_unchecked(row).get_unchecked(column) }
    }
}

/// The register tile: in row r and group g the sum over k of `left[k][r] * right[k][g]`, for the first `ROWS` rows and
/// `GROUPS` groups. Both have rows that close them.
#[inline(always)]
pub(super) fn tile<P: Products, L: Rows<R>, const R: usize, const G: usize, const ROWS: usize, const GROUPS: usize>(
    products: P,
    (left, closing): (L, &[[u64; R]]),
    (right, right_closing): (&[[Group; G]], &[[Group; G]]),
) -> [[[u64; GROUP]; G]; R] {
    let mut sums = [[products.zero(); GROUPS]; ROWS];
    accumulate(products, &mut sums, left, right);
    accumulate(products, &mut sums, closing, right_closing);
    totals(products, &sums)
}

/// Adds the products of the words of columns with the groups of rows, of which there are as many.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "closures may stay functions, which are compiled for the baseline")]
fn accumulate<P: Products, L: Rows<R>, const R: usize, const G: usize, const ROWS: usize, const GROUPS: usize>(
    products: P,
    sums: &mut [[P::Sum; GROUPS]; ROWS],
    left: L,
    right: &[[Group; G]],
) {
    const { assert!(ROWS <= R) };
    assert!(left.depth() == right.len());
    let mut totals = *sums;
    for (k, right) in right.iter().enumerate() {
        let mut factors = [products.factor(right[0].0); GROUPS];
        for g in 1..GROUPS {
            factors[g] = products.factor(right[g].0);
        }
        for r in 0..ROWS {
            // SAFETY: both numbers were checked.
            let left = products.splat(unsafe { left.word(r, k) });
            for g in 0..GROUPS {
                totals[r][g] = products.accumulate(totals[r][g], left, factors[g]);
            }
        }
    }
    *sums = totals;
}

/// Columns of the rows, and rows of the groups, that [`alone`] multiplies: what a core's nearest cache holds.
const ALONE: usize = 256;

/// Runs the loop alone, so many times on words that stay in the nearest cache: the speed that products of words are measured
/// against. The multiply-adds that it does.
pub fn alone(isa: Isa, times: usize) -> usize {
    let mut done = 0;
    isa.run_tiles(Alone { times, done: &mut done });
    done
}

struct Alone<'d> {
    times: usize,
    done: &'d mut usize,
}

impl TileTask for Alone<'_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const R: usize, const G: usize>(self, _: S, products: P) {
        let (left, right) = ([[0x9e37_79b9_7f4a_7c15; R]; ALONE], [[Group([0xbf58_476d_1ce4_e5b9; GROUP]); G]; ALONE]);
        for _ in 0..self.times {
            let (left, right) = (&black_box(&left)[..], &black_box(&right)[..]);
            let sums = tile::<P::Panels, &[[u64; R]], R, G, R, G>(products.panels(), (left, &[]), (right, &[]));
            black_box(sums);
        }
        *self.done = self.times * ALONE * R * G * GROUP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_alone_counts_its_multiply_adds() {
        for isa in Isa::available() {
            assert!(alone(isa, 1) >= ALONE * GROUP && alone(isa, 5) == 5 * alone(isa, 1));
        }
    }
}
