//! Types: tensors with symbolic shapes, structs, tuples, arrays; how they print, substitute and match.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use itertools::Itertools as _;

use super::StructId;
use crate::shape::{Dim, Shape, Sizes};

/// What the names that an item binds in brackets stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// `N` and `..S`.
    pub sizes: Sizes,
    /// `P: record`.
    pub records: BTreeMap<String, Ty>,
}

impl Bindings {
    /// Single sizes alone.
    #[must_use]
    pub fn of(dims: BTreeMap<String, Dim>) -> Bindings {
        Bindings { sizes: Sizes { dims, ..Sizes::default() }, records: BTreeMap::new() }
    }

    /// The same over the names of `outer`.
    #[must_use]
    pub fn substitute(&self, outer: &Bindings) -> Bindings {
        let dims = self.sizes.dims.iter().map(|(n, d)| (n.clone(), d.substitute(&outer.sizes.dims)));
        let rests = self.sizes.rests.iter().map(|(n, s)| (n.clone(), s.substitute(&outer.sizes)));
        let records = self.records.iter().map(|(n, t)| (n.clone(), t.substitute(outer)));
        Bindings { sizes: Sizes { dims: dims.collect(), rests: rests.collect() }, records: records.collect() }
    }

    /// All names that are bound.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.sizes.dims.keys().chain(self.sizes.rests.keys()).chain(self.records.keys()).cloned().collect()
    }
}

/// What an element of a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Elem {
    /// Fixed point.
    Fix,
    /// A ring integer, scale 0.
    Int,
    /// One bit.
    Bool,
}

impl fmt::Display for Elem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Elem::Fix => "fix",
            Elem::Int => "int",
            Elem::Bool => "bool",
        })
    }
}

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    /// Something is wrong and has been reported; goes with everything.
    Error,
    /// A compile-time integer. Becomes an `int`, and (when it names a size) a `fix`, where one is wanted.
    Nat,
    /// Numbers or bits.
    Tensor(Elem, Shape),
    /// A struct with values for its sizes.
    Struct {
        /// Which.
        id: StructId,
        /// Its name, for messages.
        name: String,
        /// Values of its size parameters, in order.
        sizes: Vec<Dim>,
    },
    /// `(T, U)`; the empty tuple is what statements have.
    Tuple(Vec<Ty>),
    /// `[T; D]`.
    Array(Box<Ty>, Dim),
    /// `..[T; D]`, last in a tuple: an array whose elements count on from the tuple's.
    Spread(Box<Ty>, Dim),
    /// `P: record` of a function: some type that is added and scaled as a whole.
    Param(String),
    /// `a..b`, to loop over.
    Range(Dim, Dim),
}

impl Ty {
    /// The type of statements.
    #[must_use]
    pub fn unit() -> Ty {
        Ty::Tuple(Vec::new())
    }

    /// A single number or bit.
    #[must_use]
    pub fn scalar(elem: Elem) -> Ty {
        Ty::Tensor(elem, Shape::scalar())
    }

    /// True when an error below has been reported.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match self {
            Ty::Error => true,
            Ty::Tuple(items) => items.iter().any(Ty::is_error),
            Ty::Array(item, _) | Ty::Spread(item, _) => item.is_error(),
            Ty::Nat | Ty::Tensor(..) | Ty::Struct { .. } | Ty::Range(..) | Ty::Param(_) => false,
        }
    }

    /// Puts sizes, shapes and types in place of names.
    #[must_use]
    pub fn substitute(&self, with: &Bindings) -> Ty {
        let dims = &with.sizes.dims;
        match self {
            Ty::Error => Ty::Error,
            Ty::Nat => Ty::Nat,
            Ty::Tensor(elem, shape) => Ty::Tensor(*elem, shape.substitute(&with.sizes)),
            Ty::Struct { id, name, sizes } => {
                Ty::Struct { id: *id, name: name.clone(), sizes: sizes.iter().map(|d| d.substitute(dims)).collect() }
            }
            Ty::Tuple(items) => Ty::Tuple(items.iter().map(|t| t.substitute(with)).collect()),
            Ty::Array(item, n) => Ty::Array(Box::new(item.substitute(with)), n.substitute(dims)),
            Ty::Spread(item, n) => Ty::Spread(Box::new(item.substitute(with)), n.substitute(dims)),
            Ty::Range(a, b) => Ty::Range(a.substitute(dims), b.substitute(dims)),
            Ty::Param(name) => with.records.get(name).unwrap_or(self).clone(),
        }
    }

    /// Binds the names of a pattern so that it equals `actual` where possible; says nothing about the rest.
    pub fn bind(&self, actual: &Ty, bindings: &mut Bindings) {
        let into = &mut bindings.sizes;
        match (self, actual) {
            (Ty::Tensor(_, pattern), Ty::Tensor(_, shape)) => {
                pattern.bind(shape, into);
            }
            (Ty::Struct { id, sizes: pattern, .. }, Ty::Struct { id: other, sizes, .. }) if id == other => {
                pattern.iter().zip(sizes).for_each(|(p, s)| p.bind(s, into));
            }
            (Ty::Tuple(pattern), Ty::Tuple(items)) => {
                pattern.iter().zip(items).for_each(|(p, t)| p.bind(t, bindings));
            }
            (Ty::Array(pattern, n), Ty::Array(item, m)) | (Ty::Spread(pattern, n), Ty::Spread(item, m)) => {
                n.bind(m, into);
                pattern.bind(item, bindings);
            }
            (Ty::Param(name), actual) => {
                bindings.records.entry(name.clone()).or_insert_with(|| actual.clone());
            }
            // A compile-time number where a tensor may stand is a scalar.
            (Ty::Tensor(_, pattern), Ty::Nat) => {
                pattern.bind(&Shape::scalar(), into);
            }
            _ => {}
        }
    }

    /// True when two types differ in their shapes alone.
    #[must_use]
    pub fn same_kind(&self, other: &Ty) -> bool {
        match (self, other) {
            (Ty::Tensor(a, _), Ty::Tensor(b, _)) => a == b,
            (Ty::Struct { id: a, .. }, Ty::Struct { id: b, .. }) => a == b,
            (Ty::Tuple(a), Ty::Tuple(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_kind(b)),
            (Ty::Array(a, _), Ty::Array(b, _)) | (Ty::Spread(a, _), Ty::Spread(b, _)) => a.same_kind(b),
            (a, b) => a == b,
        }
    }

    /// All names of sizes and rests in it.
    pub fn collect_names(&self, names: &mut BTreeSet<String>) {
        match self {
            Ty::Error | Ty::Nat => {}
            Ty::Tensor(_, shape) => {
                names.extend(shape.rest.clone());
                shape.dims.iter().for_each(|d| names.extend(d.names()));
            }
            Ty::Struct { sizes, .. } => sizes.iter().for_each(|d| names.extend(d.names())),
            Ty::Tuple(items) => items.iter().for_each(|t| t.collect_names(names)),
            Ty::Array(item, n) | Ty::Spread(item, n) => {
                item.collect_names(names);
                names.extend(n.names());
            }
            Ty::Param(name) => {
                names.insert(name.clone());
            }
            Ty::Range(a, b) => {
                names.extend(a.names());
                names.extend(b.names());
            }
        }
    }

    /// True when a size of its own, not of its parts, is too large.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        match self {
            Ty::Tensor(_, shape) => shape.dims.iter().any(Dim::is_too_large),
            Ty::Struct { sizes, .. } => sizes.iter().any(Dim::is_too_large),
            Ty::Array(_, n) | Ty::Spread(_, n) => n.is_too_large(),
            Ty::Range(a, b) => a.is_too_large() || b.is_too_large(),
            Ty::Error | Ty::Nat | Ty::Tuple(_) | Ty::Param(_) => false,
        }
    }

    /// A size in it that is a number below 1, if there is one.
    #[must_use]
    pub fn bad_size(&self) -> Option<i64> {
        match self {
            Ty::Tensor(_, shape) => shape.dims.iter().filter_map(Dim::as_constant).find(|c| *c < 1),
            Ty::Tuple(items) => items.iter().find_map(Ty::bad_size),
            Ty::Array(item, _) | Ty::Spread(item, _) => item.bad_size(),
            Ty::Error | Ty::Nat | Ty::Struct { .. } | Ty::Range(..) | Ty::Param(_) => None,
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Error => f.write_str("?"),
            Ty::Nat => f.write_str("nat"),
            Ty::Tensor(elem, shape) => write!(f, "{elem}{shape}"),
            Ty::Struct { name, sizes, .. } => write!(f, "{name}{}", Shape::of(sizes.clone())),
            Ty::Tuple(items) => {
                write!(f, "({})", items.iter().map(Ty::to_string).join(", "))
            }
            Ty::Array(item, n) => write!(f, "[{item}; {n}]"),
            Ty::Spread(item, n) => write!(f, "..[{item}; {n}]"),
            Ty::Param(name) => f.write_str(name),
            Ty::Range(a, b) => write!(f, "{a}..{b}"),
        }
    }
}
