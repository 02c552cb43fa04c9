//! Values against the types they must have, and what brings the one to the other.

use super::body::Checker;
use super::types::{Elem, Ty};
use super::{Expr, ExprId, ExprKind};
use crate::diag::{Code, Diagnostic};
use crate::shape::{Dim, Shape};

impl Checker<'_> {
    /// The expression as a value of type `want`; `what` names its role in the message.
    pub fn coerce(&mut self, id: ExprId, want: &Ty, what: &str) -> ExprId {
        let Expr { kind, ty, span } = self.body.expr(id).clone();
        if ty == *want || ty.is_error() || want.is_error() {
            return id;
        }
        if let (ExprKind::Size(dim), Ty::Tensor(elem, shape)) = (&kind, want)
            && ty == Ty::Nat
            && shape.is_scalar()
        {
            match elem {
                Elem::Int => return self.push(kind, want.clone(), span),
                Elem::Fix if !dim.names().is_empty() => return self.push(kind, want.clone(), span),
                Elem::Fix | Elem::Bool => {}
            }
        }
        let shown = if ty == Ty::Nat { "int".to_string() } else { ty.to_string() };
        let mut error = if ty.same_kind(want) {
            Diagnostic::error(Code::ShapeMismatch, span, format!("{what} is `{shown}`, and `{want}` is needed"))
        } else {
            Diagnostic::error(Code::TypeMismatch, span, format!("{what} is `{shown}`, and `{want}` is needed"))
        };
        error.help =
            self.literal_help(&kind, want).or_else(|| array_help(&ty, want)).or_else(|| reshape_help(&ty, want));
        self.diags.push(error);
        self.poison_of(&[id], span)
    }

    /// `write 1.0` where an integer stands for a fixed-point number.
    pub fn literal_help(&self, kind: &ExprKind, want: &Ty) -> Option<String> {
        match (kind, want) {
            (ExprKind::Size(dim), Ty::Tensor(Elem::Fix, _)) if dim.as_constant().is_some() => {
                Some(format!("write `{dim}.0` for a fixed-point constant"))
            }
            (ExprKind::Constant(value), Ty::Tensor(Elem::Int, _) | Ty::Nat) if value.fract() == 0.0 => {
                Some(format!("write `{value}` for an integer"))
            }
            _ => None,
        }
    }
}

/// What to write for an array where a tensor has to stand.
pub(super) fn array_help(ty: &Ty, want: &Ty) -> Option<String> {
    fn numbers(ty: &Ty) -> bool {
        match ty {
            Ty::Array(item, _) => numbers(item),
            Ty::Tensor(_, shape) => shape.is_scalar(),
            _ => false,
        }
    }
    let is_array = matches!(ty, Ty::Array(..)) && numbers(ty) && matches!(want, Ty::Tensor(..));
    is_array
        .then(|| "an array of numbers is no tensor: give a tensor as an input, such as `w: public fix[2]`".to_string())
}

/// How a tensor gets another shape with as many elements.
fn reshape_help(ty: &Ty, want: &Ty) -> Option<String> {
    let (Ty::Tensor(a, from), Ty::Tensor(b, to)) = (ty, want) else { return None };
    let count = |shape: &Shape| shape.dims.iter().fold(Dim::constant(1), |n, d| n.times(d));
    if a != b || from.rest.is_some() || to.rest.is_some() || count(from) != count(to) {
        return None;
    }
    if to.is_scalar() {
        let zeros = vec!["0"; from.dims.len()].join(", ");
        return Some(format!("take the single element: `...[{zeros}]`"));
    }
    Some(format!("`reshape(..., {to})` gives it this shape"))
}
