//! Tables: one-hot places, their rotation, and sums of polynomials by piece.

use super::check::{Input, Output, expect_dense, expect_words, misfit, single, size};
use super::isa::{Isa, Task};
use crate::backend::BackendError;
use crate::plan::{Lookup, Term, are_places};

/// The place that a word says.
#[inline(always)]
fn place(word: u64, shift: u32, places: usize) -> usize {
    (word >> shift) as usize & (places - 1)
}

fn expect_places(kernel: &str, places: usize, shift: u32) -> Result<(), BackendError> {
    if are_places(places, shift) { Ok(()) } else { misfit(format!("{kernel}: {places} places above {shift} bits")) }
}

pub(super) fn one_hot(
    add: u64,
    shift: u32,
    places: usize,
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    expect_dense("one_hot", ins)?;
    expect_places("one_hot", places, shift)?;
    let (x, values) = match ins {
        [x] => (x, None),
        [x, values] => (x, Some(values.words)),
        _ => return misfit("one_hot: one or two operands expected"),
    };
    let out = single("one_hot", outs)?;
    expect_words("one_hot's result", out.words, size(&[x.words.len(), places])?)?;
    if let Some(values) = values {
        expect_words("one_hot's second operand", values, x.words.len())?;
    }
    out.words.fill(0);
    for (e, (word, row)) in x.words.iter().zip(out.words.chunks_exact_mut(places)).enumerate() {
        row[place(word.wrapping_add(add), shift, places)] = values.map_or(1, |values| values[e]);
    }
    Ok(())
}

pub(super) fn rotate(
    shift: u32,
    places: usize,
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    expect_dense("rotate", ins)?;
    expect_places("rotate", places, shift)?;
    let [rows, by] = ins else { return misfit("rotate: two operands expected") };
    let out = single("rotate", outs)?;
    expect_words("rotate's operand", rows.words, size(&[by.words.len(), places])?)?;
    expect_words("rotate's result", out.words, rows.words.len())?;
    let rows = rows.words.chunks_exact(places).zip(out.words.chunks_exact_mut(places));
    for (word, (row, out)) in by.words.iter().zip(rows) {
        let (end, start) = row.split_at(places - place(*word, shift, places));
        out[..start.len()].copy_from_slice(start);
        out[start.len()..].copy_from_slice(end);
    }
    Ok(())
}

pub(super) fn lookup(isa: Isa, table: &Lookup, ins: &[Input<'_>], outs: &mut [Output<'_>]) -> Result<(), BackendError> {
    expect_dense("lookup", ins)?;
    let [rows, by] = ins else { return misfit("lookup: two operands expected") };
    if !table.is_sound() || outs.len() != table.terms.len() {
        return misfit("lookup: the table's sizes do not fit together");
    }
    let len = by.words.len();
    expect_words("lookup's operand", rows.words, size(&[len, table.pieces])?)?;
    for (term, out) in table.terms.iter().zip(outs) {
        expect_words("lookup's result", out.words, len)?;
        isa.run(Sums { table, pieces: Pieces::new(term, table), rows: rows.words, by: by.words, out: out.words });
    }
    Ok(())
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
    columns: Vec<i64>,
    /// Pieces of a column: all, or 1 where a polynomial serves all pieces.
    width: usize,
    /// Whether no product with v needs more than 64 bits.
    narrow: bool,
    factors: Option<&'t [i64]>,
    values: Vec<i64>,
}

impl<'t> Pieces<'t> {
    fn new(term: &'t Term, table: &'t Lookup) -> Pieces<'t> {
        let (polynomials, factors) = match term {
            Term::Polynomials(pieces) => (pieces.as_slice(), None),
            Term::Multiples { of, factors } => (std::slice::from_ref(of), Some(factors.as_slice())),
        };
        let powers = polynomials.iter().map(Vec::len).max().unwrap_or(1);
        let column = |power: usize| polynomials.iter().map(move |c| c.get(power).copied().unwrap_or(0));
        let columns = (0..powers).rev().flat_map(column).collect();
        // v is below 1, so no partial sum exceeds that of the coefficients' magnitudes, plus 1 a power for rounding down.
        let largest = |c: &Vec<i64>| c.iter().fold(64u64, |sum, c| sum.saturating_add(c.unsigned_abs()));
        let narrow = polynomials.iter().all(|c| largest(c) < 1 << (62 - table.fraction));
        Pieces { table, columns, width: polynomials.len(), narrow, factors, values: vec![0; table.pieces] }
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
        &self.values
    }
}
