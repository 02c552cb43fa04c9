//! What the outside asks of a checked program: the tensors an entry reads, and who learns what.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bindings, Body, Destination, Elem, Entry, ExprId, ExprKind, FnCode, Intrinsic, Program, Source, Ty};
use crate::label::{Label, OwnerId};
use crate::shape::Dim;
use crate::span::Span;

impl Body {
    /// The values that an expression is computed from directly, but for those of inner blocks.
    fn operands(&self, id: ExprId) -> Vec<ExprId> {
        match &self.expr(id).kind {
            ExprKind::Size(_) | ExprKind::Constant(_) | ExprKind::Local(_) | ExprKind::Block(_) => Vec::new(),
            ExprKind::Error(ids) | ExprKind::Record(ids) => ids.clone(),
            ExprKind::Call { args, .. } | ExprKind::Intrinsic { args, .. } => args.clone(),
            ExprKind::Binary(_, a, b) | ExprKind::Gradient { loss: a, by: b } => vec![*a, *b],
            ExprKind::Unary(_, a) | ExprKind::Field(a, _) | ExprKind::Index(a, _) | ExprKind::Element(a, _) => vec![*a],
            ExprKind::Approx(a, _) => vec![*a],
            ExprKind::Elements(a, _) | ExprKind::Reveal(a, _) | ExprKind::NotStatic(a, _) => vec![*a],
            ExprKind::If { cond, .. } => vec![*cond],
        }
    }

    /// The whole of an expression in the source: `x |> f(y)` from x on.
    fn place(&self, id: ExprId) -> Span {
        self.operands(id).iter().fold(self.expr(id).span, |span, operand| span.to(self.place(*operand)))
    }
}

/// Arithmetic: more than taking apart what is given, or giving it another shape.
fn is_work(body: &Body, id: ExprId) -> bool {
    match &body.expr(id).kind {
        ExprKind::Unary(..) | ExprKind::Binary(..) | ExprKind::Call { .. } => true,
        ExprKind::Intrinsic { op, .. } => !matches!(
            op,
            Intrinsic::Reshape
                | Intrinsic::Transpose
                | Intrinsic::Concat
                | Intrinsic::Gather
                | Intrinsic::Reverse
                | Intrinsic::Every
                | Intrinsic::ZeroPad
                | Intrinsic::Spread
                | Intrinsic::Patches
        ),
        _ => false,
    }
}

/// What the elements of an input are.
pub type Kind = Elem;

/// One tensor that an entry reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Field path from the parameter: `image`, `net.conv1.weight`, `blocks.0.conv.weight`.
    pub path: String,
    /// Its sizes over the entry's open ones.
    pub shape: Vec<Dim>,
    /// What its elements are.
    pub kind: Kind,
    /// Smallest and largest element that its owner may give, when declared.
    pub range: Option<(f64, f64)>,
    /// Who gives it.
    pub source: Source,
    /// The parameter it belongs to.
    pub param: String,
    /// Where the parameter is declared.
    pub span: Span,
}

impl Entry {
    /// What a result is called: `out`, or `out.1` in a tuple.
    fn result_name(&self, index: usize) -> String {
        if self.tuple { format!("out.{index}") } else { "out".to_string() }
    }
}

impl Program {
    /// The type of a field of a struct, for the sizes of `ty`; fields in order.
    #[must_use]
    pub fn fields(&self, ty: &Ty) -> Vec<(String, Ty)> {
        let Ty::Struct { id, sizes, .. } = ty else { return Vec::new() };
        let record = &self.structs[id.index()];
        let dims = record.sizes.iter().cloned().zip(sizes.iter().cloned()).collect();
        let with = Bindings::of(dims);
        record.fields.iter().map(|(name, ty)| (name.clone(), ty.substitute(&with))).collect()
    }

    /// Every tensor in a type with its field path below `path`, in order. Arrays of open length have none.
    #[must_use]
    pub fn tensors(&self, path: &str, ty: &Ty) -> Vec<(String, Elem, Vec<Dim>)> {
        let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        let array = |first: usize, item: &Ty, n: &Dim| -> Vec<(String, Elem, Vec<Dim>)> {
            let count = n.as_constant().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            (first..first + count).flat_map(|i| self.tensors(&below(&i.to_string()), item)).collect()
        };
        match ty {
            Ty::Tensor(elem, shape) => vec![(path.to_string(), *elem, shape.dims.clone())],
            Ty::Struct { .. } => self.fields(ty).iter().flat_map(|(name, ty)| self.tensors(&below(name), ty)).collect(),
            Ty::Tuple(items) => {
                let element = |(i, ty): (usize, &Ty)| match ty {
                    Ty::Spread(item, n) => array(i, item, n),
                    ty => self.tensors(&below(&i.to_string()), ty),
                };
                items.iter().enumerate().flat_map(element).collect()
            }
            Ty::Array(item, n) | Ty::Spread(item, n) => array(0, item, n),
            Ty::Error | Ty::Nat | Ty::Range(..) | Ty::Param(_) => Vec::new(),
        }
    }

    /// Every tensor the entry reads, in order of its parameters and their fields.
    #[must_use]
    pub fn leaves(&self, entry: &Entry) -> Vec<Leaf> {
        let of = |param: &super::EntryParam| -> Vec<Leaf> {
            let leaf = |(path, kind, shape)| Leaf {
                path,
                shape,
                kind,
                range: param.range,
                source: param.source,
                param: param.name.clone(),
                span: param.span,
            };
            self.tensors(&param.name, &param.ty).into_iter().map(leaf).collect()
        };
        entry.params.iter().flat_map(of).collect()
    }

    /// The largest expressions of the entry that one owner computes alone before anything is shared: the owner's name
    /// and the place, in order. Bare parameters and their fields are no computation.
    #[must_use]
    pub fn owner_local(&self, entry: &Entry) -> Vec<(&str, Span)> {
        // State is everybody's: with one owner a label does not tell it from the owner's own data.
        if self.owners.len() == 1 && entry.params.iter().any(|p| p.source == Source::Shares) {
            return Vec::new();
        }
        self.owners_work(&entry.body, |id| Some(entry.labels[id.index()]))
    }

    /// The same in functions that also compute on shared values, over all calls of them.
    #[must_use]
    pub fn owner_local_in_functions(&self) -> Vec<(&str, Span)> {
        let is_joint = |label: &Label| !label.is_public() && label.single().is_none();
        let mut found = Vec::new();
        for function in &self.fns {
            let FnCode::Body(body) = &function.code else { continue };
            let label = |id: ExprId| self.labels.get(&body.expr(id).span).copied();
            let ids = || (0..body.exprs.len() as u32).map(ExprId);
            if ids().filter_map(label).any(|label| is_joint(&label)) {
                found.extend(self.owners_work(body, label));
            }
        }
        found
    }

    fn owners_work(&self, body: &Body, label: impl Fn(ExprId) -> Option<Label>) -> Vec<(&str, Span)> {
        let mut inside: BTreeSet<ExprId> = BTreeSet::new();
        let mut work: Vec<(OwnerId, ExprId)> = Vec::new();
        // Operands come before users, so that going back sees the largest first.
        for id in (0..body.exprs.len() as u32).rev().map(ExprId) {
            let Some(owner) = label(id).and_then(Label::single) else { continue };
            if inside.contains(&id) || is_work(body, id) {
                inside.extend(body.operands(id));
            }
            if !inside.contains(&id) && is_work(body, id) {
                work.push((owner, id));
            }
        }
        let place = |(owner, id): (OwnerId, ExprId)| (self.owners[owner.index()].as_str(), body.place(id));
        let mut found: Vec<(&str, Span)> = work.into_iter().map(place).collect();
        found.sort_by_key(|(_, span)| (span.file, span.start));
        found
    }

    /// What the elements of each tensor that the entry opens are, by the result's name: `out`, `out.1`, `reveal.0.w`.
    /// Arrays of open length are left out.
    #[must_use]
    pub fn outputs(&self, entry: &Entry) -> BTreeMap<String, Elem> {
        let results = entry.results.iter().enumerate().map(|(i, result)| (entry.result_name(i), &result.ty));
        let openings = entry.reveals.iter().enumerate();
        let openings = openings.map(|(i, opening)| (format!("reveal.{i}"), &entry.body.expr(opening.value).ty));
        let tensors = results.chain(openings).flat_map(|(name, ty)| self.tensors(&name, ty));
        tensors.map(|(name, elem, _)| (name, elem)).collect()
    }

    /// One sentence for each thing the entry opens or keeps: who learns what, computed from whose inputs.
    #[must_use]
    pub fn learns(&self, entry: &Entry) -> Vec<String> {
        let mut sentences = Vec::new();
        for (index, result) in entry.results.iter().enumerate() {
            sentences.push(self.sentence(&entry.result_name(index), &result.ty, result.to, result.label));
        }
        for (index, opening) in entry.reveals.iter().enumerate() {
            let ty = &entry.body.expr(opening.value).ty;
            let name = if opening.repeated { format!("reveal.{index}.*") } else { format!("reveal.{index}") };
            let turns = if opening.repeated { ", one for each turn" } else { "" };
            sentences.push(self.sentence(&name, ty, opening.to, opening.label) + turns);
        }
        sentences
    }

    fn sentence(&self, name: &str, ty: &Ty, to: Destination, label: Label) -> String {
        let from = if label.is_public() {
            "public values alone".to_string()
        } else {
            format!("the inputs of {}", label.describe(&self.owners))
        };
        match to {
            Destination::Owner(owner) => {
                format!("{} learns `{name}: {ty}`, computed from {from}", self.owners[owner.index()])
            }
            Destination::All => format!("every owner learns `{name}: {ty}`, computed from {from}"),
            Destination::Shares => format!("nobody learns `{name}: {ty}`, which stays shared, computed from {from}"),
        }
    }
}
