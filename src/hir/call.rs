//! Calls: which function, which argument goes where, what the sizes stand for.

use std::collections::BTreeSet;

use itertools::Itertools as _;

use super::body::{Binding, Checker};
use super::coerce::array_help;
use super::names::{Def, literal};
use super::references::Meaning;
use super::types::{Bindings, Elem, Ty};
use super::{Default, ExprId, ExprKind, Fn, FnCode, FnId, Intrinsic, Param, ParamKind};
use crate::diag::{Code, Diagnostic, list, nearest};
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast;

/// An argument that has found its parameter.
enum Given {
    Value(ExprId),
    Sizes(Vec<Dim>),
    /// Reported already, or to be reported by the label check.
    Bad(ExprId),
}

impl Checker<'_> {
    pub(super) fn call(&mut self, callee: &ast::Expr, args: &[ast::Arg], piped: bool, whole: Span) -> ExprId {
        // A pipeline starts with its data, possibly lines above: the call itself is what follows the pipe.
        let span = if piped { Span { start: callee.span.start, ..whole } } else { whole };
        if matches!(&callee.kind, ast::ExprKind::Name(name) if name == "grad") {
            return self.grad(args, span);
        }
        let Some(id) = self.callee(callee) else {
            let operands: Vec<ExprId> = args.iter().map(|arg| self.infer(&arg.value)).collect();
            return self.poison_of(&operands, span);
        };
        let function: &Fn = &self.items.fns[id.index()];
        let before = self.diags.len();
        let given = self.arguments(id, function, args, span);
        let mut bindings = Bindings::default();
        for (param, given) in function.params.iter().zip(&given) {
            if let (ParamKind::Nat, Some(Given::Sizes(dims))) = (&param.kind, given) {
                bindings.sizes.dims.extend(dims.first().map(|d| (param.name.clone(), d.clone())));
            }
        }
        for (param, given) in function.params.iter().zip(&given) {
            match (&param.kind, given, &param.default) {
                (ParamKind::Nat, None, Some(Default::Size(dim))) => {
                    let dim = dim.substitute(&bindings.sizes.dims);
                    bindings.sizes.dims.insert(param.name.clone(), dim);
                }
                (ParamKind::Value(ty), Some(Given::Value(value)), _) => ty.bind(self.ty(*value), &mut bindings),
                _ => {}
            }
        }
        let missing = function.params.iter().zip(&given).filter(|(p, g)| g.is_none() && p.default.is_none());
        let missing: Vec<&str> = missing.map(|(p, _)| p.name.as_str()).collect();
        let answered = self.diags[before..].iter().any(|d| d.code == Code::Arguments);
        if !answered && !missing.is_empty() {
            let message = format!("`{}` also needs {}", function.name, list(missing.into_iter()));
            self.diags.push(Diagnostic::error(Code::Arguments, span, message).help(usage(function)));
        } else if !answered {
            return self.apply(id, function, given, bindings, span);
        }
        let operands: Vec<ExprId> = given
            .into_iter()
            .flatten()
            .filter_map(|given| match given {
                Given::Value(id) | Given::Bad(id) => Some(id),
                Given::Sizes(_) => None,
            })
            .collect();
        self.poison_of(&operands, span)
    }

    /// Checks the arguments against the parameters with all sizes bound, and builds the call.
    fn apply(&mut self, id: FnId, function: &Fn, given: Vec<Option<Given>>, bindings: Bindings, span: Span) -> ExprId {
        let bound = bindings.names();
        for (name, ty) in &bindings.records {
            if !self.items.all_elems(ty, &|elem| elem == Elem::Fix) {
                let message =
                    format!("`{name}` of `{}` stands for records of `fix`, and this is `{ty}`", function.name);
                self.error(Code::TypeMismatch, span, message);
                return self.poison(span);
            }
        }
        let (mut values, mut lists, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let before = self.diags.len();
        for (param, given) in function.params.iter().zip(given) {
            match (given, &param.kind) {
                (Some(Given::Bad(id)), _) => bad.push(id),
                (Some(Given::Value(value)), ParamKind::Value(ty)) => {
                    let value = self.argument(function, param, ty, value, &bindings, &bound);
                    if self.ty(value).is_error() {
                        bad.push(value);
                    }
                    values.push(value);
                }
                (Some(Given::Sizes(dims)), _) => lists.push(dims),
                (None, ParamKind::Nat) => {
                    lists.push(bindings.sizes.dims.get(&param.name).cloned().into_iter().collect())
                }
                (None, ParamKind::Value(ty)) => {
                    let Some(Default::Constant(value)) = param.default else { continue };
                    values.push(self.push(ExprKind::Constant(value), ty.clone(), span));
                }
                (Some(Given::Value(_)), ParamKind::Nat | ParamKind::NatList) | (None, ParamKind::NatList) => {}
            }
        }
        let poisoned = !bad.is_empty();
        let result = match (&function.result, &function.code) {
            (Some(result), _) => self.result(function, result, &bindings, &bound, poisoned, span),
            (None, FnCode::Intrinsic(op)) if !poisoned => self.ruled(*op, &mut values, &lists, span),
            (None, _) => Ty::Error,
        };
        if poisoned {
            bad.extend(values);
            // Where an argument does not fit, the result's shape would be a guess.
            let guess = self.diags.len() > before;
            return self.push(ExprKind::Error(bad), if guess { Ty::Error } else { result }, span);
        }
        if let Ty::Tensor(_, shape) = &result
            && let Some(bad) = shape.dims.iter().find_map(Dim::bad_divisor)
        {
            let message = format!("the shape of `{}`'s result is divided by {bad} here", function.name);
            self.error(Code::BadSize, span, message).help = Some("a stride is at least 1".into());
            return self.poison(span);
        }
        if let Some(bad) = result.bad_size() {
            let message = format!("`{}` gives `{result}` here, and a size cannot be {bad}", function.name);
            self.error(Code::BadSize, span, message).help = Some(match function.code {
                FnCode::Intrinsic(Intrinsic::AdaptiveAvgPool) => "it is asked for at least one row and column".into(),
                _ => "the window is larger than the padded input; check kernel, stride and padding".into(),
            });
            return self.poison(span);
        }
        let kind = match function.code {
            FnCode::Intrinsic(op) => ExprKind::Intrinsic { op, args: values, sizes: lists },
            FnCode::Body(_) => ExprKind::Call { callee: id, args: values, bindings },
        };
        self.push(kind, result, span)
    }

    /// One value argument against its parameter's type.
    fn argument(
        &mut self,
        function: &Fn,
        param: &Param,
        ty: &Ty,
        value: ExprId,
        bindings: &Bindings,
        bound: &BTreeSet<String>,
    ) -> ExprId {
        let by_rule = function.result.is_none();
        if by_rule || self.ty(value).is_error() {
            return value;
        }
        let what = format!("`{}` of `{}`", param.name, function.name);
        let actual = self.ty(value).clone();
        let mut open = BTreeSet::new();
        ty.collect_names(&mut open);
        // With sizes still open, the ranks or kinds cannot agree: show the pattern itself.
        let complete = open.is_subset(bound);
        let want = ty.substitute(bindings);
        if complete || actual == Ty::Nat {
            let before = self.diags.len();
            let checked = self.coerce(value, &want, &what);
            if let Some(error) = self.diags[before..].last_mut() {
                error.notes.extend(conflict(function, param, (ty, &actual), bindings));
            }
            return checked;
        }
        let code = if actual.same_kind(ty) { Code::ShapeMismatch } else { Code::TypeMismatch };
        let span = self.span(value);
        self.error(code, span, format!("{what} is `{actual}`, and `{ty}` is needed")).help =
            array_help(&actual, ty).or_else(|| rank_help(&actual, ty));
        self.poison_of(&[value], span)
    }

    fn result(
        &mut self,
        function: &Fn,
        result: &Ty,
        bindings: &Bindings,
        bound: &BTreeSet<String>,
        poisoned: bool,
        span: Span,
    ) -> Ty {
        let open = function.sizes.iter().map(|s| &s.name).find(|s| !bound.contains(*s));
        match open {
            None => result.substitute(bindings),
            Some(open) => {
                if !poisoned {
                    let message = format!("size `{open}` of `{}` does not follow from the arguments", function.name);
                    self.error(Code::OpenSize, span, message).help =
                        Some(format!("make it a parameter: `{open}: nat`"));
                }
                Ty::Error
            }
        }
    }

    /// The type of an intrinsic that has a rule of its own.
    fn ruled(&mut self, op: Intrinsic, values: &mut [ExprId], lists: &[Vec<Dim>], span: Span) -> Ty {
        let elem = values.iter().find_map(|v| match self.ty(*v) {
            Ty::Tensor(elem @ (Elem::Fix | Elem::Int), _) => Some(*elem),
            _ => None,
        });
        for value in values.iter_mut() {
            if *self.ty(*value) == Ty::Nat {
                *value = self.coerce(*value, &Ty::scalar(elem.unwrap_or(Elem::Int)), "the value");
            }
        }
        let types: Vec<Ty> = values.iter().map(|v| self.ty(*v).clone()).collect();
        if types.iter().any(Ty::is_error) {
            return Ty::Error;
        }
        op.rule(&types, lists).unwrap_or_else(|problem| {
            self.error(problem.code, span, problem.message).help = problem.help;
            Ty::Error
        })
    }

    /// The function that a callee names.
    fn callee(&mut self, callee: &ast::Expr) -> Option<FnId> {
        let (name, place, def) = match &callee.kind {
            ast::ExprKind::Name(name) => {
                if matches!(self.lookup(name), Some(Binding::Local(_) | Binding::Size(_))) {
                    let hides = matches!(self.items.modules[self.module].scope.get(name), Some(Def::Fn(_)));
                    let help = match self.lookup(name) {
                        _ if hides => Some(format!("it hides the function `{name}`; give one of the two another name")),
                        Some(Binding::Local(local)) if matches!(self.body.local(*local).ty, Ty::Struct { .. }) => {
                            Some(format!("a record is handed to a function: `x |> linear({name})`"))
                        }
                        _ => None,
                    };
                    self.error(Code::NotAllowedHere, callee.span, format!("`{name}` is a value, not a function"))
                        .help = help;
                    return None;
                }
                (name, callee.span, self.items.modules[self.module].scope.get(name).copied())
            }
            ast::ExprKind::Path(module, name) => {
                let Some(found) = self.items.usable().find(|m| m.name == module.name) else {
                    let help = self.missing_module(&module.name, &name.name);
                    self.error(Code::UnknownModule, module.span, format!("there is no module `{}`", module.name))
                        .help = Some(help);
                    return None;
                };
                self.items.notes.module_name(module);
                let def = found.own.get(&name.name).map(|(def, _)| *def);
                if def.is_none() {
                    let near = nearest(&name.name, found.own.keys().map(String::as_str));
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    let message = format!("module `{}` has no `{}`", found.name, name.name);
                    self.error(Code::UnknownModule, name.span, message).help = help;
                    return None;
                }
                (&name.name, name.span, def)
            }
            ast::ExprKind::Error => return None,
            other => {
                let help = match other {
                    ast::ExprKind::Field(base, name) => Some(self.no_methods(base, &name.name)),
                    ast::ExprKind::Index(base, _) if self.is_function(base) => {
                        Some("sizes follow from the arguments: leave the brackets out".to_string())
                    }
                    _ => None,
                };
                self.error(Code::NotAllowedHere, callee.span, "only a named function can be called").help = help;
                return None;
            }
        };
        let error = match def {
            Some(Def::Fn(id)) => {
                self.items.notes.refer(place, self.items.fns[id.index()].span, Meaning::Fn(id));
                return Some(id);
            }
            Some(Def::Struct(id)) => {
                Diagnostic::error(Code::NotAllowedHere, callee.span, format!("`{name}` is a struct, not a function"))
                    .help(format!("build one: `{}`", literal(&self.items.structs[id.index()])))
            }
            Some(Def::Entry) => Diagnostic::error(
                Code::NotAllowedHere,
                callee.span,
                format!("`{name}` is an entry, which nothing calls"),
            )
            .help("move the shared part into a `fn`"),
            Some(Def::Missing) => return None,
            None => self.unknown_function(name, callee.span),
        };
        self.diags.push(error);
        None
    }

    /// Gives each argument to its parameter.
    fn arguments(&mut self, id: FnId, function: &Fn, args: &[ast::Arg], span: Span) -> Vec<Option<Given>> {
        let mut given: Vec<Option<Given>> = function.params.iter().map(|_| None).collect();
        let mut named = false;
        let positional = args.iter().take_while(|arg| arg.name.is_none()).count();
        if positional > function.params.len() {
            let (name, count) = (&function.name, function.params.len());
            let plural = if count == 1 { "" } else { "s" };
            let message = format!("`{name}` takes {count} argument{plural}, and {} are given", args.len());
            self.diags.push(Diagnostic::error(Code::Arguments, span, message).help(usage(function)));
            for arg in args {
                self.infer(&arg.value);
            }
            return given;
        }
        for (position, arg) in args.iter().enumerate() {
            let index = match &arg.name {
                Some(name) => {
                    named = true;
                    let index = function.params.iter().position(|p| p.name == name.name);
                    if let Some(index) = index {
                        let definition = function.params[index].span;
                        self.items.notes.refer(name.span, definition, Meaning::Param(id, index));
                    }
                    index
                }
                None => Some(position).filter(|p| *p < function.params.len() && !named),
            };
            let place = arg.name.as_ref().map_or(arg.value.span, |n| n.span);
            let error = match (index, &arg.name) {
                (Some(index), _) if given[index].is_none() => {
                    given[index] = Some(self.given(&function.params[index], &arg.value));
                    continue;
                }
                (Some(index), _) => Diagnostic::error(
                    Code::Arguments,
                    place,
                    format!("`{}` is given twice", function.params[index].name),
                ),
                (None, Some(name)) => {
                    let message = format!("`{}` has no parameter `{}`", function.name, name.name);
                    let error = Diagnostic::error(Code::Arguments, place, message);
                    match nearest(&name.name, function.params.iter().map(|p| p.name.as_str())) {
                        Some(near) => error.help(format!("did you mean `{near}`?")),
                        None if self.lookup(&name.name).is_some() => {
                            error.help("`==` compares; `name = value` names an argument")
                        }
                        None => error.help(usage(function)),
                    }
                }
                (None, None) => Diagnostic::error(Code::Arguments, place, "a positional argument after a named one")
                    .help("name it too"),
            };
            self.infer(&arg.value);
            self.diags.push(error);
        }
        given
    }

    fn given(&mut self, param: &Param, value: &ast::Expr) -> Given {
        match (&param.kind, &value.kind) {
            (ParamKind::Value(_), _) => Given::Value(self.infer(value)),
            (ParamKind::Nat, _) => match self.static_size(value, "this argument") {
                Ok(dim) => Given::Sizes(vec![dim]),
                Err(id) => Given::Bad(id),
            },
            (ParamKind::NatList, ast::ExprKind::Array(items)) => {
                let dims: Vec<_> = items.iter().map(|item| self.static_size(item, "a size")).collect();
                dims.into_iter().collect::<Result<_, _>>().map_or_else(Given::Bad, Given::Sizes)
            }
            (ParamKind::NatList, kind) => {
                let text = self.items.sources.text(value.span);
                self.error(Code::TypeMismatch, value.span, "a list of sizes is needed").help = Some(match kind {
                    ast::ExprKind::Int(_) | ast::ExprKind::Name(_) | ast::ExprKind::Binary(..) => {
                        format!("write a list: `[{text}]`")
                    }
                    _ => "write it out: `[N, C * H * W]`".to_string(),
                });
                Given::Bad(self.poison(value.span))
            }
        }
    }
}

/// `conv2d(x, p, stride = .., pad = ..)`.
fn usage(function: &Fn) -> String {
    let mut params = function.params.iter().map(|p| match (&p.default, &p.kind) {
        (Some(_), _) => format!("{} = ..", p.name),
        (None, ParamKind::NatList) => "[..]".to_string(),
        (None, ParamKind::Value(_) | ParamKind::Nat) => p.name.clone(),
    });
    format!("write `{}({})`", function.name, params.join(", "))
}

/// Which size an argument disagrees on, and with which one before it.
fn conflict(function: &Fn, param: &Param, (ty, actual): (&Ty, &Ty), bindings: &Bindings) -> Option<String> {
    let mut own = Bindings::default();
    let sizes = &bindings.sizes;
    ty.bind(actual, &mut own);
    let (name, here) = own.sizes.dims.iter().find(|(name, dim)| sizes.dims.get(*name).is_some_and(|d| d != *dim))?;
    let earlier = function.params.iter().take_while(|p| p.name != param.name);
    let source = earlier.into_iter().find(|p| match &p.kind {
        ParamKind::Value(ty) => {
            let mut names = BTreeSet::new();
            ty.collect_names(&mut names);
            names.contains(name)
        }
        ParamKind::Nat => p.name == *name,
        ParamKind::NatList => false,
    })?;
    Some(format!("`{name}` is {} by `{}`, and {here} here", sizes.dims.get(name)?, source.name))
}

/// What brings a tensor to the number of axes that a parameter has.
fn rank_help(actual: &Ty, want: &Ty) -> Option<String> {
    let (Ty::Tensor(a, from), Ty::Tensor(b, to)) = (actual, want) else { return None };
    let (have, need) = (from.dims.len(), to.dims.len());
    if a != b || from.rest.is_some() || have == need || to.rest.is_some() && have > need {
        return None;
    }
    Some(match (have, need) {
        (4, 2) => "`nn::flatten` makes one axis of all but the first".to_string(),
        (0, _) => "a single number has no axes".to_string(),
        (1.., _) => {
            let axes = if have == 1 { "axis" } else { "axes" };
            let least = if to.rest.is_some() { "at least " } else { "" };
            format!("it has {have} {axes}, and {least}{need} are needed; `reshape` adds axes of size 1, and joins axes")
        }
    })
}
