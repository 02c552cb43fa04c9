//! Structs, tuples and arrays while lowering: trees of tensors, taken apart by their types.

use std::collections::BTreeMap;

use super::{Frame, Lowering};
use crate::graph::{NodeId, Op, Receiver, Repr, Ty};
use crate::hir::{self, Destination, Pattern, Source};
use crate::label::Label;

/// A value while lowering.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A single public number (or bit) known now.
    Const(f64),
    /// A tensor.
    Node(NodeId),
    /// A struct, tuple or array.
    Record(Vec<Value>),
}

impl Value {
    /// What a variable is before it is bound.
    pub(super) fn unbound() -> Value {
        Value::Record(Vec::new())
    }

    /// All nodes in it.
    pub(super) fn nodes(&self, out: &mut Vec<NodeId>) {
        match self {
            Value::Const(_) => {}
            Value::Node(id) => out.push(*id),
            Value::Record(parts) => parts.iter().for_each(|p| p.nodes(out)),
        }
    }

    /// Puts other nodes in place of some.
    pub(super) fn rename(&mut self, names: &BTreeMap<NodeId, NodeId>) {
        match self {
            Value::Const(_) => {}
            Value::Node(id) => *id = names.get(id).copied().unwrap_or(*id),
            Value::Record(parts) => parts.iter_mut().for_each(|p| p.rename(names)),
        }
    }
}

/// A part of a record type.
pub(super) struct Part {
    /// Its place in a field path; none for the spread array of a tuple, whose elements count on.
    pub name: Option<String>,
    pub ty: hir::Ty,
    /// The number of its first element, when its elements are numbered.
    pub first: usize,
}

impl Lowering<'_> {
    /// The parts of a record, for known sizes; `first` is the number of the first element of an array.
    pub(super) fn parts(&mut self, ty: &hir::Ty, first: usize) -> Option<Vec<Part>> {
        let named = |name: String, ty: hir::Ty| Part { name: Some(name), ty, first: 0 };
        match ty {
            hir::Ty::Struct { .. } => Some(self.program.fields(ty).into_iter().map(|(n, t)| named(n, t)).collect()),
            hir::Ty::Tuple(items) => {
                let part = |(i, ty): (usize, &hir::Ty)| match ty {
                    hir::Ty::Spread(..) => Part { name: None, ty: ty.clone(), first: i },
                    ty => named(i.to_string(), ty.clone()),
                };
                Some(items.iter().enumerate().map(part).collect())
            }
            hir::Ty::Array(item, n) | hir::Ty::Spread(item, n) => {
                let n = usize::try_from(self.number(n)?).unwrap_or(0);
                Some((first..first + n).map(|i| named(i.to_string(), (**item).clone())).collect())
            }
            hir::Ty::Error | hir::Ty::Nat | hir::Ty::Tensor(..) | hir::Ty::Range(..) | hir::Ty::Param(_) => {
                Some(Vec::new())
            }
        }
    }

    /// The input nodes of a parameter, in order of its field paths.
    pub(super) fn input(&mut self, path: &mut String, ty: &hir::Ty, source: Source, first: usize) -> Option<Value> {
        if let hir::Ty::Tensor(elem, _) = ty {
            let shape = self.shape(ty)?;
            let (path, clear) = (path.clone(), |label| Repr::Clear(label));
            let (op, repr) = match source {
                Source::Owner(owner) => (Op::Input { path }, clear(Label::of(owner))),
                Source::Public => (Op::Input { path }, clear(Label::PUBLIC)),
                Source::Shares => (Op::Stored { path }, Repr::Ring { scale: self.build.scale(*elem) }),
            };
            return Some(Value::Node(self.build.node(op, &[], shape, repr)));
        }
        let length = path.len();
        let mut values = Vec::new();
        for part in self.parts(ty, first)? {
            if let Some(name) = &part.name {
                path.push('.');
                path.push_str(name);
            }
            values.push(self.input(path, &part.ty, source, part.first)?);
            path.truncate(length);
        }
        Some(Value::Record(values))
    }

    /// Opens every tensor in a value, or keeps it shared. `first` is as for [`Lowering::parts`].
    pub(super) fn reveal(
        &mut self,
        name: &str,
        value: &Value,
        ty: &hir::Ty,
        to: Destination,
        first: usize,
    ) -> Option<()> {
        let hir::Ty::Tensor(elem, _) = ty else {
            for (index, at) in self.parts(ty, first)?.iter().enumerate() {
                let below = at.name.as_ref().map_or_else(|| name.to_string(), |field| format!("{name}.{field}"));
                self.reveal(&below, &part(value, index), &at.ty, to, at.first)?;
            }
            return Some(());
        };
        let shape = self.shape(ty)?;
        let node = self.node(value)?;
        let node = self.build.broadcast(node, &shape);
        let name = name.to_string();
        let (op, node) = match to {
            Destination::Owner(owner) => {
                (Op::Reveal { name, to: Receiver::Owner(owner) }, self.build.ring(node, *elem))
            }
            Destination::All => (Op::Reveal { name, to: Receiver::All }, self.build.ring(node, *elem)),
            Destination::Shares => (Op::Keep { name }, self.build.ring(node, *elem)),
        };
        let Ty { shape, repr } = self.build.graph.node(node).ty.clone();
        self.build.node(op, &[node], shape, repr);
        Some(())
    }
}

pub(super) fn bind(pattern: &Pattern, value: Value, frame: &mut Frame) {
    match pattern {
        Pattern::Local(local) => frame.set(*local, value),
        Pattern::Ignore => {}
        Pattern::Tuple(parts) => {
            for (index, pattern) in parts.iter().enumerate() {
                bind(pattern, part(&value, index), frame);
            }
        }
    }
}

/// A part of a record; a tensor or a number goes with every part.
pub(super) fn part(value: &Value, index: usize) -> Value {
    match value {
        Value::Record(parts) => parts.get(index).cloned().unwrap_or(Value::Const(0.0)),
        Value::Const(_) | Value::Node(_) => value.clone(),
    }
}
