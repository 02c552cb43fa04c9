//! `approx(f(x), error = 0.01)`: the one way to comparisons that read less than all of a number.

use std::collections::BTreeSet;

use super::body::Checker;
use super::{Body, Elem, ExprId, ExprKind, FnCode, FnId, Intrinsic, Program, Ty};
use crate::diag::{Code, Diagnostic};
use crate::fixed::{Format, pow2};
use crate::span::Span;
use crate::syntax::ast::{self, BinaryOp};

/// Low bits of a `fix` that comparisons may leave unread when they may err for numbers up to `error`: 2^bits steps are
/// at most that.
#[must_use]
pub fn unread_bits(format: Format, error: f64) -> u32 {
    (1..format.window().saturating_sub(1)).take_while(|bits| pow2(*bits as i32 - format.frac as i32) <= error).count()
        as u32
}

impl Checker<'_> {
    /// `approx(f(x), error = 0.01)`.
    pub(super) fn approx(&mut self, call: &ast::Expr, options: &[ast::Arg], span: Span) -> ExprId {
        let inner = self.infer(call);
        if !matches!(call.kind, ast::ExprKind::Call { .. } | ast::ExprKind::Error) {
            self.error(Code::NotAllowedHere, call.span, "`approx` takes the call of a function").help =
                Some("write `approx(relu(x), error = 0.01)`".into());
            return self.poison_of(&[inner], span);
        }
        let usage = || Some("write `approx(relu(x), error = 0.01)`: how far off a comparison may be".to_string());
        let error = match options {
            [ast::Arg { name: Some(name), value }] if name.name == "error" => value,
            [] => {
                self.error(Code::Arguments, span, "`approx` also needs `error`").help = usage();
                return inner;
            }
            [.., other] => {
                let place = other.name.as_ref().map_or(other.value.span, |name| name.span);
                self.error(Code::Arguments, place, "`approx` takes a call and `error`, once").help = usage();
                return inner;
            }
        };
        let ast::ExprKind::Float { value, .. } = error.kind else {
            self.error(Code::TypeMismatch, error.span, "the error is written as a number with a point").help = usage();
            return inner;
        };
        let format = self.items.format;
        if value >= format.limit() {
            let message = format!("an error of {value} is all that the number format holds");
            self.error(Code::TooLarge, error.span, message).help = usage();
            return inner;
        }
        if unread_bits(format, value) == 0 {
            let steps = pow2(1 - format.frac as i32);
            self.error(Code::Vanishes, error.span, format!("an error of {value} leaves no bit unread")).help =
                Some(format!("two steps of the number format are {steps:.1e}: allow as much, or drop `approx`"));
            return inner;
        }
        if !matches!(self.body.expr(inner).kind, ExprKind::Call { .. } | ExprKind::Intrinsic { .. }) {
            return inner;
        }
        let ty = self.ty(inner).clone();
        // Behind a pipe the word itself is where the call is approximated.
        let text = &self.items.sources.file(span.file).text[span.start as usize..self.span(inner).start as usize];
        let start = text.rfind("approx").map_or(span.start, |at| span.start + at as u32);
        self.push(ExprKind::Approx(inner, value), ty, Span { start, ..span })
    }
}

/// Refuses approximations of calls in which nothing is compared.
pub(super) fn check(program: &Program, diags: &mut Vec<Diagnostic>) {
    for body in bodies(program) {
        for expr in &body.exprs {
            let ExprKind::Approx(inner, _) = expr.kind else { continue };
            if !compares(program, body, inner, &mut BTreeSet::new()) {
                let message = "nothing in this call can be computed less exactly";
                let error = Diagnostic::error(Code::NotAllowedHere, expr.span, message);
                diags.push(error.help("`approx` is for calls that compare `fix` numbers; drop it here"));
            }
        }
    }
}

fn bodies(program: &Program) -> impl Iterator<Item = &Body> {
    let functions = program.fns.iter().filter_map(|f| match &f.code {
        FnCode::Body(body) => Some(body),
        FnCode::Intrinsic(_) => None,
    });
    program.entries.iter().map(|e| &e.body).chain(functions)
}

/// Whether a call leads to a comparison of `fix` numbers.
fn compares(program: &Program, body: &Body, call: ExprId, seen: &mut BTreeSet<FnId>) -> bool {
    let of_fix = |id: &ExprId| matches!(body.expr(*id).ty, Ty::Tensor(Elem::Fix, _));
    match &body.expr(call).kind {
        ExprKind::Intrinsic { op, args, .. } => {
            matches!(op, Intrinsic::Relu | Intrinsic::MaxPool | Intrinsic::MaxOver | Intrinsic::Argmax)
                && args.iter().any(of_fix)
        }
        ExprKind::Binary(op, a, _) => {
            use BinaryOp as B;
            matches!(op, B::Less | B::LessEqual | B::Greater | B::GreaterEqual | B::Equal | B::NotEqual) && of_fix(a)
        }
        ExprKind::Call { callee, .. } => {
            let FnCode::Body(inner) = &program.fns[callee.index()].code else { return false };
            seen.insert(*callee) && (0..inner.exprs.len() as u32).any(|id| compares(program, inner, ExprId(id), seen))
        }
        _ => false,
    }
}

impl Program {
    /// Every approximation with its place, the bits that its comparisons leave unread and the largest number for which
    /// they may err.
    #[must_use]
    pub fn approximations(&self) -> Vec<(Span, u32, f64)> {
        let mut found: Vec<(Span, u32, f64)> = Vec::new();
        for body in bodies(self) {
            for expr in &body.exprs {
                // What one owner computes alone is exact, and what no entry leads to is not run.
                let label = self.labels.get(&expr.span);
                let is_joint = label.is_some_and(|label| !label.is_public() && label.single().is_none());
                if let (ExprKind::Approx(_, error), true) = (&expr.kind, is_joint) {
                    let bits = unread_bits(self.format, *error);
                    found.push((expr.span, bits, pow2(bits as i32 - self.format.frac as i32)));
                }
            }
        }
        found.sort_by_key(|(span, ..)| *span);
        found
    }
}
