//! What the outside asks of a checked program: the tensors an entry reads, and who learns what.

use super::{Bindings, Destination, Elem, Entry, Program, Source, Ty};
use crate::label::Label;
use crate::shape::Dim;
use crate::span::Span;

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

    /// One sentence for each thing the entry opens or keeps: who learns what, computed from whose inputs.
    #[must_use]
    pub fn learns(&self, entry: &Entry) -> Vec<String> {
        let mut sentences = Vec::new();
        for (index, result) in entry.results.iter().enumerate() {
            let name = if entry.tuple { format!("out.{index}") } else { "out".to_string() };
            sentences.push(self.sentence(&name, &result.ty, result.to, result.label));
        }
        for (index, opening) in entry.reveals.iter().enumerate() {
            let ty = &entry.body.expr(opening.value).ty;
            sentences.push(self.sentence(&format!("reveal.{index}"), ty, opening.to, opening.label));
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
