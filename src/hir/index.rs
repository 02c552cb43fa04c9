//! Parts of values by position: axes of tensors, elements of arrays and tuples.

use super::body::Checker;
use super::types::{Elem, Ty};
use super::{AxisIndex, ExprId, ExprKind};
use crate::diag::Code;
use crate::shape::{Dim, Shape};
use crate::span::Span;
use crate::syntax::ast;

impl Checker<'_> {
    pub(super) fn index(&mut self, base: &ast::Expr, indices: &[ast::IndexArg], span: Span) -> ExprId {
        let base = self.infer(base);
        match self.ty(base).clone() {
            Ty::Error => self.poison_of(&[base], span),
            Ty::Array(item, length) => self.array_index(base, *item, &length, indices, span),
            Ty::Tensor(elem, shape) => self.slice(base, elem, &shape, indices, span),
            Ty::Tuple(_) if !self.first_time(base) => self.poison_of(&[base], span),
            ty @ (Ty::Nat | Ty::Struct { .. } | Ty::Tuple(_) | Ty::Range(..) | Ty::Spread(..) | Ty::Param(_)) => {
                let help = match (&ty, indices) {
                    (Ty::Tuple(_), [ast::IndexArg::At(ast::Expr { kind: ast::ExprKind::Int(index), .. })]) => {
                        Some(format!("write `{}.{index}`", self.items.sources.text(self.span(base))))
                    }
                    (Ty::Tuple(_), _) => Some("elements of a tuple are `p.0`, `p.1`".to_string()),
                    _ => None,
                };
                self.error(Code::NotAllowedHere, span, format!("`{ty}` has no axes to index")).help = help;
                self.poison(span)
            }
        }
    }

    /// False when a wrong use of this variable has been told already.
    fn first_time(&mut self, id: ExprId) -> bool {
        match self.body.expr(id).kind {
            ExprKind::Local(local) => self.told.insert(local),
            _ => true,
        }
    }

    /// Element `index` of a tuple among those that its spread array adds.
    pub(super) fn spread_element(&mut self, base: ExprId, items: &[Ty], index: usize, span: Span) -> ExprId {
        let Some((item, n, at)) = spread_position(items, index) else { return self.poison(span) };
        let array = Ty::Array(Box::new(item.clone()), n.clone());
        let rest = self.push(ExprKind::Field(base, items.len() - 1), array, span);
        self.push(ExprKind::Element(rest, at), item.clone(), span)
    }

    /// `blocks[0]` and `blocks[1..3]`.
    fn array_index(&mut self, base: ExprId, item: Ty, length: &Dim, indices: &[ast::IndexArg], span: Span) -> ExprId {
        let [index] = indices else {
            self.error(Code::Axis, span, "an array has one index").help =
                Some("index its elements on their own: `blocks[0][1]`".into());
            return self.poison_of(&[base], span);
        };
        let (from, to, dropped) = match self.bounds(index, length) {
            Ok(bounds) => bounds,
            Err(bad) => return self.poison_of(&[base, bad], span),
        };
        if outside(&from, &to, length) {
            let range = if dropped { format!("element {from}") } else { format!("range `{from}..{to}`") };
            self.error(Code::BadSize, span, format!("there is no {range} in an array of {length}")).help =
                Some("elements count from 0".into());
            return self.poison_of(&[base], span);
        }
        if dropped {
            return self.push(ExprKind::Element(base, from), item, span);
        }
        let ty = Ty::Array(Box::new(item), to.minus(&from));
        self.push(ExprKind::Elements(base, from), ty, span)
    }

    /// First position, one past the last, and whether the axis is dropped.
    fn bounds(&mut self, index: &ast::IndexArg, size: &Dim) -> Result<(Dim, Dim, bool), ExprId> {
        match index {
            ast::IndexArg::At(at) => {
                let at = self.static_size(at, "an index")?;
                let next = at.plus(&Dim::constant(1));
                Ok((at, next, true))
            }
            ast::IndexArg::Slice(from, to, _) => {
                let from = from.as_ref().map_or(Ok(Dim::constant(0)), |e| self.static_size(e, "an index"));
                let to = to.as_ref().map_or(Ok(size.clone()), |e| self.static_size(e, "an index"));
                Ok((from?, to?, false))
            }
        }
    }

    fn slice(&mut self, base: ExprId, elem: Elem, shape: &Shape, indices: &[ast::IndexArg], span: Span) -> ExprId {
        if shape.rest.is_some() || indices.len() > shape.dims.len() {
            let message = match (&shape.rest, shape.dims.len()) {
                (Some(rest), _) => format!("`..{rest}` may have any number of axes, so `{shape}` cannot be indexed"),
                (None, 0) => "a single number has no axes to index".to_string(),
                (None, 1) => format!("{} indices, and `{shape}` has one axis", indices.len()),
                (None, n) => format!("{} indices, and `{shape}` has {n} axes", indices.len()),
            };
            self.error(Code::Axis, span, message);
            return self.poison(span);
        }
        let (mut starts, mut dims, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (index, size) in indices.iter().zip(&shape.dims) {
            let (from, to, dropped) = match self.bounds(index, size) {
                Ok(bounds) => bounds,
                Err(id) => {
                    bad.push(id);
                    continue;
                }
            };
            let length = to.minus(&from);
            if outside(&from, &to, size) {
                let range = if dropped { from.to_string() } else { format!("{from}..{to}") };
                let negative = from.as_constant().is_some_and(|c| c < 0);
                self.error(Code::BadSize, span, format!("`{range}` does not lie in an axis of {size}")).help =
                    negative.then(|| format!("positions count from 0; the last one is `{size} - 1`"));
                bad.push(base);
            }
            if !dropped {
                dims.push(length);
            }
            starts.push(AxisIndex { start: from, dropped });
        }
        if !bad.is_empty() {
            return self.poison_of(&bad, span);
        }
        dims.extend_from_slice(&shape.dims[indices.len()..]);
        self.push(ExprKind::Index(base, starts), Ty::Tensor(elem, Shape::of(dims)), span)
    }
}

/// Type and length of a tuple's spread array, and the position in it of the tuple's element `index`.
pub(super) fn spread_position(items: &[Ty], index: usize) -> Option<(&Ty, &Dim, Dim)> {
    let Ty::Spread(item, n) = items.last()? else { return None };
    let at = Dim::constant(index as i64 - (items.len() as i64 - 1));
    within(&at, n).then_some((item, n, at))
}

/// True when `from..to` is surely empty or not in an axis of `size`.
fn outside(from: &Dim, to: &Dim, size: &Dim) -> bool {
    let negative = |d: &Dim| d.as_constant().is_some_and(|c| c < 0);
    negative(&size.minus(to)) || negative(from) || negative(&to.minus(from).minus(&Dim::constant(1)))
}

/// False when the position is surely outside.
fn within(at: &Dim, length: &Dim) -> bool {
    let left = length.minus(at).as_constant();
    at.as_constant().is_none_or(|c| c >= 0) && left.is_none_or(|c| c > 0)
}
