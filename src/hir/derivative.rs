//! Differentiation as the author writes it: `grad(loss, net)`, and a function's own rule `derivative { z => ... }`.
//! Types only; what a gradient computes is the graph's business.

use super::body::Checker;
use super::names::Items;
use super::references::Meaning;
use super::size::SizeNames;
use super::types::{Elem, Ty};
use super::{Derivative, ExprId, ExprKind, Fn, ParamKind};
use crate::diag::{Code, Diagnostic, nearest};
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast;

/// Checks the rule of a function: the derivative of its result, a single number, by one of its parameters.
pub(super) fn rule(
    items: &Items,
    module: usize,
    (function, item): (&Fn, &ast::Fn),
    (name, block): &(ast::Ident, ast::Block),
    names: SizeNames,
    diags: &mut Vec<Diagnostic>,
) -> Option<Derivative> {
    let result = function.result.as_ref()?;
    if !is_single(result) {
        let error = Diagnostic::error(Code::Derivative, name.span, "this function gives more than a single number");
        diags.push(
            error
                .label(item.name.span, format!("`{}` gives `{result}`", function.name))
                .help("a rule of its own is for a function that gives one `fix`, such as a loss"),
        );
        return None;
    }
    let values: Vec<(&str, &Ty)> = function
        .params
        .iter()
        .filter_map(|p| match &p.kind {
            ParamKind::Value(ty) => Some((p.name.as_str(), ty)),
            ParamKind::Nat | ParamKind::NatList => None,
        })
        .collect();
    let Some(param) = values.iter().position(|(param, _)| *param == name.name) else {
        let message = format!("`{}` is no parameter of `{}` to differentiate by", name.name, function.name);
        let error = Diagnostic::error(Code::Derivative, name.span, message);
        diags.push(match nearest(&name.name, values.iter().map(|(name, _)| *name)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("write `derivative { x => ... }` with the name of a parameter"),
        });
        return None;
    };
    let ty = values[param].1;
    if !items.all_elems(ty, &|elem| elem == Elem::Fix) {
        let message = format!("`{}` is `{ty}`, and only `fix` numbers are differentiated by", name.name);
        diags.push(Diagnostic::error(Code::Derivative, name.span, message));
        return None;
    }
    let definition = item.params.iter().find(|p| p.name.name == name.name).map_or(name.span, |p| p.name.span);
    items.notes.refer(name.span, definition, Meaning::Local { ty: ty.clone(), mutable: false });
    let mut checker = Checker::new(items, module, names, diags);
    checker.scope = block.span;
    checker.bind_params(function, item);
    checker.run(block, ty, None, "the derivative");
    Some(Derivative { param, body: checker.finish().0 })
}

/// One `fix` number, of whatever rank.
fn is_single(ty: &Ty) -> bool {
    match ty {
        Ty::Tensor(Elem::Fix, shape) => shape.rest.is_none() && shape.dims.iter().all(Dim::is_one),
        Ty::Error => true,
        _ => false,
    }
}

impl Checker<'_> {
    /// `grad(loss, net)`: of the type of `net`.
    pub(super) fn grad(&mut self, args: &[ast::Arg], span: Span) -> ExprId {
        let values: Vec<ExprId> = args.iter().map(|arg| self.value(&arg.value)).collect();
        let [loss, by] = *values.as_slice() else {
            let message = format!("`grad` takes 2 arguments, and {} are given", args.len());
            self.error(Code::Arguments, span, message).help =
                Some("write `grad(loss, net)`: the number to differentiate, and what by".into());
            return self.poison_of(&values, span);
        };
        if let Some(name) = args.iter().find_map(|arg| arg.name.as_ref()) {
            self.error(Code::Arguments, name.span, "the arguments of `grad` have no names").help =
                Some("write `grad(loss, net)`".into());
        }
        let (of, with) = (self.ty(loss).clone(), self.ty(by).clone());
        if of.is_error() || with.is_error() {
            return self.push(ExprKind::Error(values), with, span);
        }
        if !is_single(&of) {
            let place = self.span(loss);
            let text = |id| self.items.sources.text(self.span(id)).to_string();
            let swapped =
                is_single(&with).then(|| format!("the loss comes first: `grad({}, {})`", text(by), text(loss)));
            // Swapped arguments say nothing about the type of the gradient.
            let ty = if swapped.is_some() { Ty::Error } else { with };
            self.error(Code::Derivative, place, format!("`grad` differentiates a single `fix`, and this is `{of}`"))
                .help = swapped.or_else(|| Some("sum or average it first".into()));
            return self.push(ExprKind::Error(values), ty, span);
        }
        if !self.items.all_elems(&with, &|elem| elem == Elem::Fix) {
            let place = self.span(by);
            self.error(
                Code::Derivative,
                place,
                format!("`grad` differentiates by `fix` numbers, and this is `{with}`"),
            );
            return self.push(ExprKind::Error(values), with, span);
        }
        self.push(ExprKind::Gradient { loss, by }, with, span)
    }
}
