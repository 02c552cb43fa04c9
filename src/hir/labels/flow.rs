//! The lattice of the label check: what a value depends on, by which parameters, and whether it is known while
//! compiling.

use std::collections::BTreeSet;

use crate::label::Label;
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// Whether a value is known while compiling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Known {
    /// At run time only.
    No,
    /// Once the sizes are.
    #[default]
    Later,
    /// Now.
    Value(f64),
}

/// What one value depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// Whose data.
    pub label: Label,
    /// True when state kept shared since an earlier run is in it.
    pub shared: bool,
    /// The entry's parameters by which it came in.
    pub params: BTreeSet<usize>,
    pub known: Known,
    /// True behind an error, where nothing is said about it.
    pub unclear: bool,
}

impl Flow {
    /// A compile-time number, or one that sizes determine.
    pub fn known(value: Option<f64>) -> Flow {
        Flow { known: value.map_or(Known::Later, Known::Value), ..Flow::default() }
    }

    /// True when not everybody knows it.
    pub fn secret(&self) -> bool {
        self.shared || !self.label.is_public()
    }

    /// True when no single owner can compute it: the parties hold it shared.
    pub fn joint(&self) -> bool {
        self.shared || (!self.label.is_public() && self.label.single().is_none())
    }

    pub fn join(&self, other: &Flow) -> Flow {
        let known = match (self.known, other.known) {
            (Known::No, _) | (_, Known::No) => Known::No,
            (Known::Value(a), Known::Value(b)) if a == b => Known::Value(a),
            (Known::Later | Known::Value(_), Known::Later | Known::Value(_)) => Known::Later,
        };
        Flow {
            label: self.label.join(other.label),
            shared: self.shared || other.shared,
            params: self.params.union(&other.params).copied().collect(),
            known,
            unclear: self.unclear || other.unclear,
        }
    }

    /// What stands for a value with an error.
    pub fn unclear() -> Flow {
        Flow { unclear: true, ..Flow::default() }
    }

    pub fn unary(&self, op: UnaryOp) -> Flow {
        let known = match (op, self.known) {
            (UnaryOp::Neg, Known::Value(v)) => Known::Value(-v),
            (UnaryOp::Not, Known::Value(v)) => Known::Value(1.0 - v),
            (_, known) => known,
        };
        Flow { known, ..self.clone() }
    }

    pub fn binary(&self, other: &Flow, op: BinaryOp) -> Flow {
        let joined = self.join(other);
        let known = match (self.known, other.known, op) {
            (Known::Value(a), Known::Value(b), BinaryOp::Add) => Known::Value(a + b),
            (Known::Value(a), Known::Value(b), BinaryOp::Sub) => Known::Value(a - b),
            (Known::Value(a), Known::Value(b), BinaryOp::Mul) => Known::Value(a * b),
            (Known::Value(a), Known::Value(b), BinaryOp::Div) => Known::Value(a / b),
            // Comparisons and connectives only decide branches, where that they are known is enough.
            (Known::Value(_), Known::Value(_), _) => Known::Later,
            _ => joined.known,
        };
        Flow { known, ..joined }
    }
}

/// A value with a flow for each part that is told apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// All parts alike.
    Leaf(Flow),
    /// A struct, tuple or array.
    Record(Vec<Value>),
}

impl Value {
    /// What all parts together depend on.
    pub fn flow(&self) -> Flow {
        match self {
            Value::Leaf(flow) => flow.clone(),
            Value::Record(parts) => match parts.split_first() {
                None => Flow::default(),
                Some((first, rest)) => rest.iter().fold(first.flow(), |flow, part| flow.join(&part.flow())),
            },
        }
    }

    pub fn part(&self, index: usize) -> Value {
        match self {
            Value::Record(parts) => parts.get(index).cloned().unwrap_or_else(|| Value::Leaf(self.flow())),
            Value::Leaf(_) => self.clone(),
        }
    }

    pub fn join(&self, other: &Value) -> Value {
        self.zip(other, &Flow::join)
    }

    pub fn map(&self, f: &impl Fn(&Flow) -> Flow) -> Value {
        match self {
            Value::Leaf(flow) => Value::Leaf(f(flow)),
            Value::Record(parts) => Value::Record(parts.iter().map(|p| p.map(f)).collect()),
        }
    }

    /// Part by part; a leaf goes with every part of a record.
    pub fn zip(&self, other: &Value, f: &impl Fn(&Flow, &Flow) -> Flow) -> Value {
        match (self, other) {
            (Value::Leaf(a), Value::Leaf(b)) => Value::Leaf(f(a, b)),
            (Value::Record(a), Value::Leaf(_)) => Value::Record(a.iter().map(|p| p.zip(other, f)).collect()),
            (Value::Leaf(_), Value::Record(b)) => Value::Record(b.iter().map(|p| self.zip(p, f)).collect()),
            (Value::Record(a), Value::Record(b)) if a.len() == b.len() => {
                Value::Record(a.iter().zip(b).map(|(x, y)| x.zip(y, f)).collect())
            }
            (Value::Record(_), Value::Record(_)) => Value::Leaf(f(&self.flow(), &other.flow())),
        }
    }
}
