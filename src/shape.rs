//! Symbolic sizes and shapes: polynomials over named sizes and floor divisions, in a normal form in which equality
//! is structural. Knows nothing of types or programs.
//!
//! Every name stands for a positive integer, so `floor((c*q + r) / c) = q + floor(r / c)` splits off whatever the
//! divisor divides; what is left is an opaque atom. `(H + 2 - 3)/2 + 1` and `(H - 1)/2 + 1` both become `(H + 1)/2`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use itertools::Itertools as _;

/// An indivisible factor: a name or a floor division that does not simplify.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    Var(String),
    Floor(Dim, Dim),
    /// Stands for a whole size that is too large; always alone.
    TooLarge,
}

/// A size of more factors and terms than this, or with a coefficient of 2^63 or more, counts as too large: formulas
/// that grow with each call would fill the memory.
const MAX_WEIGHT: usize = 1000;

/// A size: an integer polynomial over names and floor divisions, in normal form (no zero coefficients).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    /// Sorted factors of each term, with its coefficient; the constant term has no factors.
    terms: BTreeMap<Vec<Atom>, i64>,
}

/// Why a size has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A name has no value.
    #[error("nothing determines `{0}`")]
    Open(String),
    /// The divisor is zero or negative.
    #[error("`{0}` divides by a number that is not positive")]
    Divisor(String),
    /// It does not fit.
    #[error("the size comes out too large")]
    TooLarge,
}

impl Dim {
    /// A number.
    #[must_use]
    pub fn constant(value: i64) -> Dim {
        let mut dim = Dim::default();
        dim.add_term(Vec::new(), value);
        dim
    }

    /// A named size.
    #[must_use]
    pub fn var(name: impl Into<String>) -> Dim {
        Dim::atom(Atom::Var(name.into()))
    }

    /// A number that may be too large.
    #[must_use]
    pub fn count(value: usize) -> Dim {
        i64::try_from(value).map_or_else(|_| Dim::too_large(), Dim::constant)
    }

    fn too_large() -> Dim {
        Dim::atom(Atom::TooLarge)
    }

    /// True when the size has left what sizes can be. Arithmetic with it stays too large.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.terms.keys().next_back().is_some_and(|factors| factors.as_slice() == [Atom::TooLarge])
    }

    /// Terms and factors, those of divisions included.
    fn weight(&self) -> usize {
        let atom = |atom: &Atom| match atom {
            Atom::Var(_) | Atom::TooLarge => 1,
            Atom::Floor(a, b) => 1 + a.weight() + b.weight(),
        };
        self.terms.keys().map(|factors| 1 + factors.iter().map(atom).sum::<usize>()).sum()
    }

    fn within_limits(self) -> Dim {
        if self.weight() > MAX_WEIGHT { Dim::too_large() } else { self }
    }

    fn atom(atom: Atom) -> Dim {
        Dim { terms: BTreeMap::from([(vec![atom], 1)]) }
    }

    fn add_term(&mut self, factors: Vec<Atom>, coefficient: i64) {
        if self.is_too_large() {
            return;
        }
        match self.terms.get(&factors).copied().unwrap_or(0).checked_add(coefficient) {
            None => *self = Dim::too_large(),
            Some(0) => drop(self.terms.remove(&factors)),
            Some(sum) => drop(self.terms.insert(factors, sum)),
        }
    }

    /// The number, when no name is left.
    #[must_use]
    pub fn as_constant(&self) -> Option<i64> {
        match self.terms.iter().next() {
            None => Some(0),
            Some((factors, value)) if factors.is_empty() && self.terms.len() == 1 => Some(*value),
            Some(_) => None,
        }
    }

    /// The name, when the size is just a name.
    #[must_use]
    pub fn as_var(&self) -> Option<&str> {
        match self.terms.iter().next() {
            Some((factors, 1)) if self.terms.len() == 1 => match factors.as_slice() {
                [Atom::Var(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// True for the number 1, the size that broadcasts.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.as_constant() == Some(1)
    }

    /// `self + other`.
    #[must_use]
    pub fn plus(&self, other: &Dim) -> Dim {
        if other.is_too_large() {
            return Dim::too_large();
        }
        let mut sum = self.clone();
        for (factors, coefficient) in &other.terms {
            sum.add_term(factors.clone(), *coefficient);
        }
        sum.within_limits()
    }

    /// `self - other`.
    #[must_use]
    pub fn minus(&self, other: &Dim) -> Dim {
        self.plus(&other.times(&Dim::constant(-1)))
    }

    /// `self * other`.
    #[must_use]
    pub fn times(&self, other: &Dim) -> Dim {
        let pairs = self.weight().saturating_mul(other.weight());
        if self.is_too_large() || other.is_too_large() || pairs > MAX_WEIGHT * MAX_WEIGHT / 4 {
            return Dim::too_large();
        }
        let mut product = Dim::default();
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                let Some(coefficient) = x.checked_mul(*y) else { return Dim::too_large() };
                let mut factors = [a.as_slice(), b.as_slice()].concat();
                factors.sort();
                product.add_term(factors, coefficient);
            }
        }
        product.within_limits()
    }

    /// `floor(self / divisor)`; `None` when the divisor is a number below 1.
    #[must_use]
    pub fn over(&self, divisor: &Dim) -> Option<Dim> {
        if divisor.as_constant().is_some_and(|c| c < 1) {
            return None;
        }
        let (whole, left) = self.split(divisor);
        if left.terms.is_empty() {
            return Some(whole);
        }
        if let (Some(c), Some(r)) = (divisor.as_constant(), left.as_constant()) {
            return Some(whole.plus(&Dim::constant(r.div_euclid(c))));
        }
        // floor(floor(a / b) / c) = floor(a / (b c)) for positive b and c.
        if let [(factors, 1)] = left.terms.iter().collect::<Vec<_>>().as_slice()
            && let [Atom::Floor(inner, by)] = factors.as_slice()
        {
            return Some(whole.plus(&inner.over(&by.times(divisor))?));
        }
        Some(whole.plus(&Dim::atom(Atom::Floor(left, divisor.clone())).within_limits()))
    }

    /// `self - divisor * floor(self / divisor)`.
    #[must_use]
    pub fn rest(&self, divisor: &Dim) -> Option<Dim> {
        Some(self.minus(&divisor.times(&self.over(divisor)?)))
    }

    /// Whole part and remainder, term by term; exact whenever the divisor has a single term.
    fn split(&self, divisor: &Dim) -> (Dim, Dim) {
        if self.is_too_large() || divisor.is_too_large() {
            return (Dim::too_large(), Dim::default());
        }
        if self == divisor {
            return (Dim::constant(1), Dim::default());
        }
        let (mut whole, mut left) = (Dim::default(), Dim::default());
        let mut terms = divisor.terms.iter();
        let (Some((by, c)), None) = (terms.next(), terms.next()) else {
            return (whole, self.clone());
        };
        for (factors, coefficient) in &self.terms {
            match without(factors, by) {
                Some(quotient) if *c > 0 => {
                    whole.add_term(quotient, coefficient.div_euclid(*c));
                    left.add_term(factors.clone(), coefficient.rem_euclid(*c));
                }
                _ => left.add_term(factors.clone(), *coefficient),
            }
        }
        (whole, left)
    }

    /// Puts sizes in place of names, all at once; names without a binding stay.
    #[must_use]
    pub fn substitute(&self, dims: &BTreeMap<String, Dim>) -> Dim {
        if dims.is_empty() {
            return self.clone();
        }
        let mut sum = Dim::default();
        for (factors, coefficient) in &self.terms {
            let mut product = Dim::constant(*coefficient);
            for factor in factors {
                product = product.times(&match factor {
                    Atom::Var(name) => dims.get(name).cloned().unwrap_or_else(|| Dim::var(name)),
                    Atom::Floor(a, b) => {
                        let (a, b) = (a.substitute(dims), b.substitute(dims));
                        a.over(&b).unwrap_or_else(|| Dim::atom(Atom::Floor(a, b)).within_limits())
                    }
                    Atom::TooLarge => Dim::too_large(),
                });
            }
            sum = sum.plus(&product);
        }
        sum
    }

    /// A number below 1 that something in it is divided by, which makes it no size at all.
    #[must_use]
    pub fn bad_divisor(&self) -> Option<i64> {
        self.terms.keys().flatten().find_map(|atom| match atom {
            Atom::Var(_) | Atom::TooLarge => None,
            Atom::Floor(_, by) => by.as_constant().filter(|c| *c < 1).or_else(|| by.bad_divisor()),
        })
    }

    /// The number for given sizes.
    ///
    /// # Errors
    /// Names the size without a value, or the divisor below 1.
    pub fn evaluate(&self, sizes: &BTreeMap<String, usize>) -> Result<i64, SizeError> {
        let dims = sizes.iter().map(|(name, n)| (name.clone(), Dim::count(*n))).collect();
        let value = self.substitute(&dims);
        value.as_constant().ok_or_else(|| match value.names().into_iter().next() {
            Some(name) => SizeError::Open(name),
            None if value.is_too_large() => SizeError::TooLarge,
            None => SizeError::Divisor(self.to_string()),
        })
    }

    /// All names in it.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.collect_names(&mut names);
        names
    }

    fn collect_names(&self, names: &mut BTreeSet<String>) {
        for atom in self.terms.keys().flatten() {
            match atom {
                Atom::Var(name) => {
                    names.insert(name.clone());
                }
                Atom::Floor(a, b) => {
                    a.collect_names(names);
                    b.collect_names(names);
                }
                Atom::TooLarge => {}
            }
        }
    }

    /// Binds the name of a pattern `v`, `a*v + b` or `w*v`, where w is bound already, so that it equals `actual`.
    pub fn bind(&self, actual: &Dim, sizes: &mut Sizes) {
        let constant = self.terms.get(&Vec::new()).copied().unwrap_or(0);
        let mut named = self.terms.iter().filter(|(factors, _)| !factors.is_empty());
        let (Some((factors, scale)), None) = (named.next(), named.next()) else { return };
        let is_bound = |a: &&Atom| matches!(a, Atom::Var(name) if sizes.dims.contains_key(name));
        let (bound, open): (Vec<&Atom>, Vec<&Atom>) = factors.iter().partition(is_bound);
        let [Atom::Var(name)] = open.as_slice() else { return };
        let divisor = Dim { terms: [(bound.into_iter().cloned().collect(), *scale)].into() }.substitute(&sizes.dims);
        let (value, left) = actual.minus(&Dim::constant(constant)).split(&divisor);
        if left.terms.is_empty() && *scale > 0 {
            sizes.dims.insert(name.clone(), value);
        }
    }
}

/// `factors` without `by`; `None` when `by` is not contained. Both are sorted.
fn without(factors: &[Atom], by: &[Atom]) -> Option<Vec<Atom>> {
    let mut left = factors.to_vec();
    for atom in by {
        let at = left.iter().position(|f| f == atom)?;
        left.remove(at);
    }
    Some(left)
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |d: &Dim| match d.terms.iter().next() {
            Some((factors, 1)) if d.terms.len() == 1 && factors.len() == 1 => d.to_string(),
            _ if d.as_constant().is_some_and(|c| c >= 0) => d.to_string(),
            _ => format!("({d})"),
        };
        match self {
            Atom::Var(name) => f.write_str(name),
            Atom::Floor(a, b) => write!(f, "{}/{}", operand(a), operand(b)),
            Atom::TooLarge => f.write_str("(too large)"),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms: Vec<(&Vec<Atom>, i64)> = self.terms.iter().map(|(t, c)| (t, *c)).collect();
        if terms.is_empty() {
            return f.write_str("0");
        }
        // Highest degree first, the constant last, and a positive term in front when there is one.
        terms.sort_by_key(|(factors, c)| (std::cmp::Reverse(factors.len()), *c < 0));
        if let Some(at) = terms.iter().position(|(_, c)| *c > 0) {
            terms[..=at].rotate_right(1);
        }
        for (i, (factors, c)) in terms.iter().enumerate() {
            match (i, *c < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            let size = c.unsigned_abs();
            let mut parts: Vec<String> = Vec::new();
            if size != 1 || factors.is_empty() {
                parts.push(size.to_string());
            }
            let alone = factors.len() == 1 && parts.is_empty();
            parts.extend(factors.iter().map(|atom| match atom {
                Atom::Floor(..) if !alone => format!("({atom})"),
                Atom::Var(_) | Atom::Floor(..) | Atom::TooLarge => atom.to_string(),
            }));
            f.write_str(&parts.join("*"))?;
        }
        Ok(())
    }
}

/// What names of sizes and of rests stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Named sizes.
    pub dims: BTreeMap<String, Dim>,
    /// `..S`.
    pub rests: BTreeMap<String, Shape>,
}

/// A shape: sizes, outermost first, after at most one `..S` of any number of leading axes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// The name of the leading axes.
    pub rest: Option<String>,
    /// The sizes after it.
    pub dims: Vec<Dim>,
}

impl Shape {
    /// The shape of a single number.
    #[must_use]
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// A shape of known rank.
    #[must_use]
    pub fn of(dims: Vec<Dim>) -> Shape {
        Shape { rest: None, dims }
    }

    /// True for a single number.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        self.rest.is_none() && self.dims.is_empty()
    }

    /// Puts sizes and shapes in place of names, all at once.
    #[must_use]
    pub fn substitute(&self, sizes: &Sizes) -> Shape {
        let dims = self.dims.iter().map(|d| d.substitute(&sizes.dims));
        match &self.rest {
            Some(name) if sizes.rests.contains_key(name) => {
                let rest = &sizes.rests[name];
                Shape { rest: rest.rest.clone(), dims: rest.dims.iter().cloned().chain(dims).collect() }
            }
            rest => Shape { rest: rest.clone(), dims: dims.collect() },
        }
    }

    /// Index into `dims` of an axis; negative ones count from the end. `None` when there is no such axis, or when
    /// it lies (or may lie) in the `..S`.
    #[must_use]
    pub fn axis(&self, axis: i64) -> Option<usize> {
        let rank = self.dims.len() as i64;
        let index = match (axis < 0, &self.rest) {
            (true, _) => axis + rank,
            (false, None) => axis,
            (false, Some(_)) => return None,
        };
        (0..rank).contains(&index).then_some(index as usize)
    }

    /// The shape both broadcast to: sizes are equal or 1, and a scalar goes with everything.
    #[must_use]
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        if self.is_scalar() {
            return Some(other.clone());
        }
        if other.is_scalar() {
            return Some(self.clone());
        }
        if self.rest != other.rest || self.dims.len() != other.dims.len() {
            return None;
        }
        let dims = self.dims.iter().zip(&other.dims).map(|(a, b)| match (a, b) {
            (a, b) if a == b => Some(a.clone()),
            (a, b) if a.is_one() => Some(b.clone()),
            (a, b) if b.is_one() => Some(a.clone()),
            _ => None,
        });
        Some(Shape { rest: self.rest.clone(), dims: dims.collect::<Option<_>>()? })
    }

    /// Binds the names of a pattern so that it equals `actual` where possible. False when the ranks cannot agree.
    pub fn bind(&self, actual: &Shape, sizes: &mut Sizes) -> bool {
        let Some(lead) = actual.dims.len().checked_sub(self.dims.len()) else { return false };
        match &self.rest {
            Some(name) => {
                let rest = Shape { rest: actual.rest.clone(), dims: actual.dims[..lead].to_vec() };
                sizes.rests.entry(name.clone()).or_insert(rest);
            }
            None if lead > 0 || actual.rest.is_some() => return false,
            None => {}
        }
        for (pattern, dim) in self.dims.iter().zip(&actual.dims[lead..]) {
            pattern.bind(dim, sizes);
        }
        true
    }

    /// All sizes as numbers; `None` while a name is open.
    #[must_use]
    pub fn constants(&self) -> Option<Vec<i64>> {
        if self.rest.is_some() {
            return None;
        }
        self.dims.iter().map(Dim::as_constant).collect()
    }
}

impl fmt::Display for Shape {
    /// `[..S, H, 2*W]`; nothing for a scalar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_scalar() {
            return Ok(());
        }
        let rest = self.rest.iter().map(|r| format!("..{r}"));
        write!(f, "[{}]", rest.chain(self.dims.iter().map(Dim::to_string)).join(", "))
    }
}

#[cfg(test)]
mod tests;
