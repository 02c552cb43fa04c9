//! Tables: one-hot places, their rotation, and sums of polynomials by piece.

use super::isa::{Isa, Task};
use super::{Input, Output};
use crate::plan::{Lookup, Term};

/// The place that a word says.
#[inline(always)]
fn place(word: u64, shift: u32, places: usize) -> usize {
    (word >> shift) as usize & (places - 1)
}

pub(super) fn one_hot(add: u64, shift: u32, places: usize, ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let (x, values, out) = (&ins[0], ins.get(1).map(|values| values.words), &mut outs[0]);
    out.words.fill(0);
    for (e, (word, row)) in x.words.iter().zip(out.words.chunks_exact_mut(places)).enumerate() {
        row[place(word.wrapping_add(add), shift, places)] = values.map_or(1, |values| values[e]);
    }
}

pub(super) fn rotate(shift: u32, places: usize, ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let (rows, by, out) = (&ins[0], &ins[1], &mut outs[0]);
    let rows = rows.words.chunks_exact(places).zip(out.words.chunks_exact_mut(places));
    for (word, (row, out)) in by.words.iter().zip(rows) {
        let (end, start) = row.split_at(places - place(*word, shift, places));
        out[..start.len()].copy_from_slice(start);
        out[start.len()..].copy_from_slice(end);
    }
}

/// Room for polynomials and their values, kept from launch to launch.
#[derive(Default)]
pub(super) struct Room {
    columns: Vec<i64>,
    values: Vec<i64>,
}

pub(super) fn lookup(isa: Isa, table: &Lookup, room: &mut Room, ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let (rows, by) = (&ins[0], &ins[1]);
    for (term, out) in table.terms.iter().zip(outs) {
        isa.run(Sums { table, pieces: Pieces::new(term, table, room), rows: rows.words, by: by.words, out: out.words });
    }
}

/// The sums of one term over all elements.
struct Sums<'a> {
    table: &'a Lookup,
    pieces: Pieces<'a>,
    rows: &'a [u64],
    by: &'a [u64],
    out: &'a mut [u64],
}

impl Task for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let count = self.table.pieces;
        for ((word, row), out) in self.by.iter().zip(self.rows.chunks_exact(count)).zip(self.out) {
            let values = self.pieces.values(fraction(*word, self.table));
            // Place j stands for piece j + turn.
            let (end, start) = values.split_at(place(*word, self.table.shift, count));
            let (first, last) = row.split_at(start.len());
            *out = dot(first, start).wrapping_add(dot(last, end));
        }
    }
}

#[inline(always)]
fn dot(words: &[u64], values: &[i64]) -> u64 {
    words.iter().zip(values).fold(0, |sum, (word, value)| sum.wrapping_add(word.wrapping_mul(*value as u64)))
}

/// The low bits of a word as a fraction.
#[inline(always)]
fn fraction(word: u64, table: &Lookup) -> u64 {
    let low = word & !(u64::MAX << table.shift);
    let bits = table.fraction;
    if table.shift > bits { low >> (table.shift - bits) } else { low << (bits - table.shift) }
}

/// A term's values at one v, for all pieces.
struct Pieces<'t> {
    table: &'t Lookup,
    /// Coefficients of one power for all pieces side by side, the highest power first.
    columns: &'t [i64],
    /// Pieces of a column: all, or 1 where a polynomial serves all pieces.
    width: usize,
    /// Whether no product with v needs more than 64 bits.
    narrow: bool,
    factors: Option<&'t [i64]>,
    values: &'t mut [i64],
}

impl<'t> Pieces<'t> {
    fn new(term: &'t Term, table: &'t Lookup, Room { columns, values }: &'t mut Room) -> Pieces<'t> {
        let (polynomials, factors) = match term {
            Term::Polynomials(pieces) => (pieces.as_slice(), None),
            Term::Multiples { of, factors } => (std::slice::from_ref(of), Some(factors.as_slice())),
        };
        let powers = polynomials.iter().map(Vec::len).max().unwrap_or(1);
        let column = |power: usize| polynomials.iter().map(move |c| c.get(power).copied().unwrap_or(0));
        columns.clear();
        columns.extend((0..powers).rev().flat_map(column));
        values.clear();
        values.resize(table.pieces, 0);
        // v is below 1, so no partial sum exceeds that of the coefficients' magnitudes, plus 1 a power for rounding down.
        let largest = |c: &Vec<i64>| c.iter().fold(64u64, |sum, c| sum.saturating_add(c.unsigned_abs()));
        let narrow = polynomials.iter().all(|c| largest(c) < 1 << (62 - table.fraction));
        Pieces { table, columns, width: polynomials.len(), narrow, factors, values }
    }

    #[inline(always)]
    fn values(&mut self, v: u64) -> &[i64] {
        let Lookup { fraction, drop, .. } = *self.table;
        let values = &mut self.values[..self.width];
        values.fill(0);
        if self.narrow {
            for column in self.columns.chunks_exact(self.width) {
                for (value, c) in values.iter_mut().zip(column) {
                    *value = (value.wrapping_mul(v as i64) >> fraction).wrapping_add(*c);
                }
            }
        } else {
            for column in self.columns.chunks_exact(self.width) {
                for (value, c) in values.iter_mut().zip(column) {
                    *value = (((i128::from(*value) * i128::from(v)) >> fraction) as i64).wrapping_add(*c);
                }
            }
        }
        let half = 1i128 << (drop - 1);
        match self.factors {
            None if self.narrow => {
                let half = 1i64 << (drop - 1);
                values.iter_mut().for_each(|value| *value = value.wrapping_add(half) >> drop);
            }
            None => values.iter_mut().for_each(|value| *value = ((i128::from(*value) + half) >> drop) as i64),
            Some(factors) => {
                let common = i128::from(values[0]);
                let products = factors.iter().map(|factor| ((common * i128::from(*factor) + half) >> drop) as i64);
                self.values.iter_mut().zip(products).for_each(|(value, product)| *value = product);
            }
        }
        self.values
    }
}
