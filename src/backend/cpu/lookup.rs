//! Tables: one-hot places, their rotation, and sums of polynomials by piece.

use super::check::{Input, Output, expect_dense, expect_words, misfit, single, size};
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
    expect_words("one_hot's result", &out.words, size(&[x.words.len(), places])?)?;
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
    expect_words("rotate's result", &out.words, rows.words.len())?;
    let rows = rows.words.chunks_exact(places).zip(out.words.chunks_exact_mut(places));
    for (word, (row, out)) in by.words.iter().zip(rows) {
        let (end, start) = row.split_at(places - place(*word, shift, places));
        out[..start.len()].copy_from_slice(start);
        out[start.len()..].copy_from_slice(end);
    }
    Ok(())
}

pub(super) fn lookup(table: &Lookup, ins: &[Input<'_>], outs: &mut [Output<'_>]) -> Result<(), BackendError> {
    expect_dense("lookup", ins)?;
    let [rows, by] = ins else { return misfit("lookup: two operands expected") };
    if !table.is_sound() || outs.len() != table.terms.len() {
        return misfit("lookup: the table's sizes do not fit together");
    }
    let len = by.words.len();
    expect_words("lookup's operand", rows.words, size(&[len, table.pieces])?)?;
    for (term, out) in table.terms.iter().zip(outs) {
        expect_words("lookup's result", &out.words, len)?;
        let mut pieces = Pieces::new(term, table);
        let elements = by.words.iter().zip(rows.words.chunks_exact(table.pieces));
        for ((word, row), out) in elements.zip(&mut out.words) {
            let values = pieces.values(fraction(*word, table));
            let (end, start) = values.split_at(place(*word, table.shift, table.pieces));
            let values = start.iter().chain(end);
            *out = row.iter().zip(values).fold(0, |sum: u64, (x, g)| sum.wrapping_add(x.wrapping_mul(*g as u64)));
        }
    }
    Ok(())
}

/// The low bits of a word as a fraction.
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
        Pieces { table, columns, width: polynomials.len(), factors, values: vec![0; table.pieces] }
    }

    fn values(&mut self, v: u64) -> &[i64] {
        let Lookup { fraction, drop, .. } = *self.table;
        let (v, half) = (i128::from(v), 1i128 << (drop - 1));
        let values = &mut self.values[..self.width];
        values.fill(0);
        for column in self.columns.chunks_exact(self.width) {
            for (value, c) in values.iter_mut().zip(column) {
                *value = (((i128::from(*value) * v) >> fraction) as i64).wrapping_add(*c);
            }
        }
        match self.factors {
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
