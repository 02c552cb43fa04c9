//! Types of operators: size arithmetic, broadcasting, comparisons, and the vector-space operations on records.

use super::body::Checker;
use super::coerce::array_help;
use super::names::StructsOf;
use super::size::{Resolver, SizeNames};
use super::types::{Elem, Ty};
use super::{ExprId, ExprKind};
use crate::diag::{Code, Diagnostic};
use crate::shape::{Dim, Shape};
use crate::span::Span;
use crate::syntax::ast::{self, BinaryOp, UnaryOp};

fn is_comparison(op: BinaryOp) -> bool {
    use BinaryOp as B;
    match op {
        B::Less | B::LessEqual | B::Greater | B::GreaterEqual | B::Equal | B::NotEqual => true,
        B::Add | B::Sub | B::Mul | B::Div | B::Rem | B::And | B::Or => false,
    }
}

impl Checker<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, operand: &ast::Expr, span: Span) -> ExprId {
        let id = self.infer(operand);
        let expr = self.body.expr(id).clone();
        match (op, &expr.kind, &expr.ty) {
            (_, _, Ty::Error) => self.poison_of(&[id], span),
            (UnaryOp::Neg, ExprKind::Size(dim), Ty::Nat) => {
                let negated = Dim::default().minus(dim);
                self.push(ExprKind::Size(negated), Ty::Nat, span)
            }
            (UnaryOp::Neg, ExprKind::Constant(value), Ty::Tensor(Elem::Fix, _)) => {
                self.push(ExprKind::Constant(-value), expr.ty, span)
            }
            (UnaryOp::Neg, _, Ty::Tensor(Elem::Fix | Elem::Int, _)) | (UnaryOp::Not, _, Ty::Tensor(Elem::Bool, _)) => {
                self.push(ExprKind::Unary(op, id), expr.ty, span)
            }
            (UnaryOp::Neg, _, ty) if is_record(ty) && self.items.all_elems(ty, &|elem| elem != Elem::Bool) => {
                self.push(ExprKind::Unary(op, id), expr.ty, span)
            }
            (UnaryOp::Neg, _, ty) => {
                let help =
                    matches!(ty, Ty::Tensor(Elem::Bool, _)).then(|| "`!` is the opposite of a `bool`".to_string());
                self.error(Code::TypeMismatch, span, format!("`-` takes numbers, and this is `{ty}`")).help = help;
                self.poison(span)
            }
            (UnaryOp::Not, _, ty) => {
                self.error(Code::TypeMismatch, span, format!("`!` takes a `bool`, and this is `{ty}`")).help =
                    Some("compare first: `!(x > 0.0)`".into());
                self.poison(span)
            }
        }
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: ExprId, b: ExprId, span: Span) -> ExprId {
        let (left, right) = (self.body.expr(a).clone(), self.body.expr(b).clone());
        match (&left.ty, &right.ty) {
            (Ty::Error, _) | (_, Ty::Error) => self.poison_of(&[a, b], span),
            (Ty::Nat, Ty::Nat) => self.sizes(op, a, b, span),
            (Ty::Nat, Ty::Tensor(elem, _)) => {
                let a = self.coerce(a, &Ty::scalar(*elem), "the left side");
                if self.ty(a).is_error() { self.poison_of(&[a, b], span) } else { self.binary(op, a, b, span) }
            }
            (Ty::Tensor(elem, _), Ty::Nat) => {
                let b = self.coerce(b, &Ty::scalar(*elem), "the right side");
                if self.ty(b).is_error() { self.poison_of(&[a, b], span) } else { self.binary(op, a, b, span) }
            }
            (Ty::Tensor(x, s), Ty::Tensor(y, t)) => match self.elements(op, *x, *y, span) {
                Some(elem) => self.broadcast(op, (a, s), (b, t), elem, span),
                None => self.poison_of(&[a, b], span),
            },
            (l, r) => {
                let scalar = Ty::scalar(Elem::Fix);
                let (l_record, r_record) = (is_record(l), is_record(r));
                let numbers = |ty: &Ty| self.items.all_elems(ty, &|elem| elem != Elem::Bool);
                let fixed = |ty: &Ty| self.items.all_elems(ty, &|elem| elem == Elem::Fix);
                let ty = match op {
                    BinaryOp::Add | BinaryOp::Sub if l_record && l == r && numbers(l) => l.clone(),
                    BinaryOp::Mul | BinaryOp::Div if l_record && *r == scalar && fixed(l) => l.clone(),
                    BinaryOp::Mul if r_record && *l == scalar && fixed(r) => r.clone(),
                    _ => return self.mismatch(op, l, r, span),
                };
                self.push(ExprKind::Binary(op, a, b), ty, span)
            }
        }
    }

    fn sizes(&mut self, op: BinaryOp, a: ExprId, b: ExprId, span: Span) -> ExprId {
        if is_comparison(op) {
            return self.push(ExprKind::Binary(op, a, b), Ty::scalar(Elem::Bool), span);
        }
        let (ExprKind::Size(x), ExprKind::Size(y)) = (self.body.expr(a).kind.clone(), self.body.expr(b).kind.clone())
        else {
            return self.poison(span);
        };
        let names = SizeNames::default();
        let structs = StructsOf(self.items, self.module);
        match (Resolver { structs: &structs, names: &names, diags: self.diags }).arithmetic(op, &x, &y, span) {
            Some(dim) => self.push(ExprKind::Size(dim), Ty::Nat, span),
            None => self.poison(span),
        }
    }

    /// The element type of the result.
    fn elements(&mut self, op: BinaryOp, x: Elem, y: Elem, span: Span) -> Option<Elem> {
        use BinaryOp as B;
        let error = match (op, x, y) {
            (_, x, y) if x != y => return self.mismatch_elems(op, x, y, span),
            (B::And | B::Or, Elem::Bool, _) => return Some(Elem::Bool),
            (B::And | B::Or, _, _) | (_, Elem::Bool, _) => return self.mismatch_elems(op, x, y, span),
            (B::Add | B::Sub | B::Mul, _, _) | (B::Div, Elem::Fix, _) => return Some(x),
            (B::Div | B::Rem, _, _) => {
                let message = format!("`{}` of `{x}` values is not compiled", op.symbol());
                Diagnostic::error(Code::Unsupported, span, message).help("divide `fix` numbers, or compile-time sizes")
            }
            (B::Less | B::LessEqual | B::Greater | B::GreaterEqual | B::Equal | B::NotEqual, _, _) => {
                return Some(Elem::Bool);
            }
        };
        self.diags.push(error);
        None
    }

    fn mismatch_elems(&mut self, op: BinaryOp, x: Elem, y: Elem, span: Span) -> Option<Elem> {
        self.mismatch(op, &Ty::scalar(x), &Ty::scalar(y), span);
        None
    }

    fn mismatch(&mut self, op: BinaryOp, left: &Ty, right: &Ty, span: Span) -> ExprId {
        let message = format!("`{}` does not go between `{left}` and `{right}`", op.symbol());
        let error = Diagnostic::error(Code::TypeMismatch, span, message);
        self.diags.push(match (left, right) {
            (Ty::Struct { .. }, _) | (_, Ty::Struct { .. }) => {
                error.help("structs of one type are added and subtracted, and scaled by a single `fix`")
            }
            (array @ Ty::Array(..), tensor @ Ty::Tensor(..)) | (tensor @ Ty::Tensor(..), array @ Ty::Array(..)) => {
                match array_help(array, tensor) {
                    Some(help) => error.help(help),
                    None => error,
                }
            }
            (Ty::Tensor(Elem::Bool, _), Ty::Tensor(Elem::Bool, _)) => error.help("`bool`s are joined by `&&` and `||`"),
            (Ty::Tensor(..), Ty::Tensor(..)) if matches!(op, BinaryOp::And | BinaryOp::Or) => {
                error.help(format!("`{}` joins `bool`s: compare first, as in `x > 0.0`", op.symbol()))
            }
            (Ty::Tensor(Elem::Bool, _), Ty::Tensor(..)) | (Ty::Tensor(..), Ty::Tensor(Elem::Bool, _)) => {
                error.help("a `bool` is no number: `select(c, 1.0, 0.0)` makes one of it")
            }
            (Ty::Tensor(Elem::Fix, _), Ty::Tensor(Elem::Int, _))
            | (Ty::Tensor(Elem::Int, _), Ty::Tensor(Elem::Fix, _)) => error.note(
                "values of the two do not convert into one another; only constants and sizes can be written as either",
            ),
            _ => error,
        });
        self.poison(span)
    }

    fn broadcast(&mut self, op: BinaryOp, a: (ExprId, &Shape), b: (ExprId, &Shape), elem: Elem, span: Span) -> ExprId {
        if let Some(shape) = a.1.broadcast(b.1) {
            return self.push(ExprKind::Binary(op, a.0, b.0), Ty::Tensor(elem, shape), span);
        }
        let show = |s: &Shape| if s.is_scalar() { "a single number".to_string() } else { format!("`{s}`") };
        let error = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!("the shapes {} and {} of `{}` do not agree", show(a.1), show(b.1), op.symbol()),
        )
        .label(self.span(a.0), format!("has shape {}", show(a.1)))
        .label(self.span(b.0), format!("has shape {}", show(b.1)));
        self.diags.push(match why(a.1, b.1) {
            Some(help) => error.help(help),
            None => error.note("only axes of size 1 and single numbers broadcast"),
        });
        self.poison(span)
    }
}

/// How to make two shapes agree.
fn why(a: &Shape, b: &Shape) -> Option<String> {
    let (short, long) = if a.dims.len() < b.dims.len() { (a, b) } else { (b, a) };
    if short.dims.len() == long.dims.len() || short.rest.is_some() || long.rest.is_some() {
        return None;
    }
    // A bias of the channels: its only axis is one of the others.
    if let ([only], [first @ .., last]) = (short.dims.as_slice(), long.dims.as_slice())
        && only != last
        && let Some(axis) = first.iter().position(|d| d == only)
    {
        let mut dims = vec![Dim::constant(1); long.dims.len()];
        dims[axis] = only.clone();
        return Some(format!("say which axis it goes along: `reshape(..., {})`", Shape::of(dims)));
    }
    let mut dims = vec![Dim::constant(1); long.dims.len() - short.dims.len()];
    dims.extend_from_slice(&short.dims);
    let padded = Shape::of(dims);
    long.broadcast(&padded)?;
    Some(format!("leading axes are not added silently: `reshape(..., {padded})`"))
}

/// Structs, tuples and arrays: what `+` and scaling work on as a whole.
fn is_record(ty: &Ty) -> bool {
    match ty {
        Ty::Struct { .. } | Ty::Array(..) | Ty::Spread(..) | Ty::Param(_) => true,
        Ty::Tuple(items) => !items.is_empty(),
        Ty::Error | Ty::Nat | Ty::Tensor(..) | Ty::Range(..) => false,
    }
}
