//! Types of expressions. Operators are in [`super::ops`], calls in [`super::call`].

use super::body::{Binding, Checker};
use super::entry::destination;
use super::index::spread_position;
use super::names::{Def, literal};
use super::references::Meaning;
use super::types::{Bindings, Elem, Ty};
use super::{ExprId, ExprKind, Opening};
use crate::diag::{Code, Diagnostic, list, nearest};
use crate::label::Label;
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast;

impl Checker<'_> {
    /// Checks an expression.
    pub fn infer(&mut self, e: &ast::Expr) -> ExprId {
        use ast::ExprKind as E;
        match &e.kind {
            E::Int(value) => {
                let dim = Dim::constant(i64::try_from(*value).unwrap_or(i64::MAX));
                self.push(ExprKind::Size(dim), Ty::Nat, e.span)
            }
            E::Float { value, .. } => self.push(ExprKind::Constant(*value), Ty::scalar(Elem::Fix), e.span),
            E::Bool(value) => self.push(ExprKind::Constant(f64::from(*value)), Ty::scalar(Elem::Bool), e.span),
            E::Name(name) => self.name(name, e.span),
            E::Path(module, name) => {
                let message = format!("`{}::{}` is no value", module.name, name.name);
                self.error(Code::NotAllowedHere, e.span, message);
                self.poison(e.span)
            }
            E::Unary(op, operand) => self.unary(*op, operand, e.span),
            E::Binary(op, a, b) => {
                let (a, b) = (self.infer(a), self.infer(b));
                self.binary(*op, a, b, e.span)
            }
            E::Call { callee, args, piped } => self.call(callee, args, *piped, e.span),
            E::Field(base, field) => self.field(base, field, e.span),
            E::Index(base, indices) => self.index(base, indices, e.span),
            E::Tuple(items) => {
                let items: Vec<ExprId> = items.iter().map(|item| self.value(item)).collect();
                let ty = Ty::Tuple(items.iter().map(|i| self.ty(*i).clone()).collect());
                self.push(ExprKind::Record(items), ty, e.span)
            }
            E::Array(items) => self.array(items, e.span),
            E::Struct(name, fields) => self.struct_value(name, fields, e.span),
            E::If { cond, then, otherwise } => self.branch(cond, then, otherwise.as_ref(), e.span),
            E::Block(block) => {
                let (block, ty, _) = self.block(block);
                self.push(ExprKind::Block(block), ty, e.span)
            }
            E::Range(from, to) => {
                let (from, to) = (self.static_size(from, "a loop bound"), self.static_size(to, "a loop bound"));
                match (from, to) {
                    (Ok(from), Ok(to)) => self.push(ExprKind::Record(Vec::new()), Ty::Range(from, to), e.span),
                    (Err(bad), _) | (_, Err(bad)) => bad,
                }
            }
            E::Reveal(value, to) => self.reveal(value, to, e.span),
            E::Approx(call, options) => self.approx(call, options, e.span),
            E::Error => self.poison(e.span),
        }
    }

    /// An expression as a run-time value: a compile-time number becomes an `int`.
    pub fn value(&mut self, e: &ast::Expr) -> ExprId {
        let id = self.infer(e);
        match self.ty(id) {
            Ty::Nat => self.coerce(id, &Ty::scalar(Elem::Int), "the value"),
            _ => id,
        }
    }

    /// A compile-time integer; otherwise the poisoned expression that stands for it.
    pub fn static_size(&mut self, e: &ast::Expr, role: &'static str) -> Result<Dim, ExprId> {
        let id = self.infer(e);
        let expr = self.body.expr(id);
        match (&expr.kind, &expr.ty) {
            (ExprKind::Size(dim), Ty::Nat) => Ok(dim.clone()),
            (_, Ty::Error) => Err(id),
            (_, Ty::Tensor(Elem::Int, _)) => Err(self.push(ExprKind::NotStatic(id, role), Ty::Error, e.span)),
            (kind, ty) => {
                let (kind, message) = (kind.clone(), format!("{role} is a compile-time integer, and this is `{ty}`"));
                let help = self.literal_help(&kind, &Ty::Nat);
                self.error(Code::TypeMismatch, e.span, message).help = help;
                Err(self.poison(e.span))
            }
        }
    }

    fn name(&mut self, name: &str, span: Span) -> ExprId {
        self.items.notes.value(name, span);
        match self.lookup(name) {
            Some(Binding::Local(local)) => {
                let local = *local;
                let ty = self.body.local(local).ty.clone();
                return self.push(ExprKind::Local(local), ty, span);
            }
            Some(Binding::Size(dim)) => {
                let dim = dim.clone();
                return self.push(ExprKind::Size(dim), Ty::Nat, span);
            }
            None => {}
        }
        let scope = &self.items.modules[self.module].scope;
        let error = match scope.get(name) {
            Some(Def::Fn(_)) => Diagnostic::error(Code::NotAllowedHere, span, format!("`{name}` is a function"))
                .help(format!("call it: `{name}(...)`")),
            Some(Def::Struct(id)) => Diagnostic::error(Code::NotAllowedHere, span, format!("`{name}` is a struct"))
                .help(format!("build one: `{}`", literal(&self.items.structs[id.index()]))),
            Some(Def::Entry) => Diagnostic::error(Code::NotAllowedHere, span, format!("`{name}` is an entry")),
            Some(Def::Missing) => return self.poison(span),
            None if self.items.owners.iter().any(|owner| owner == name) => {
                let message = format!("`{name}` is an owner, which is no value");
                Diagnostic::error(Code::NotAllowedHere, span, message)
            }
            None if self.is_rest(name) => {
                let message = format!("`{name}` stands for any number of sizes, which is no value");
                Diagnostic::error(Code::NotAllowedHere, span, message)
            }
            None => {
                let error = Diagnostic::error(Code::UnknownName, span, format!("there is no `{name}` in scope"));
                match self.nearest_value(name) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => match name {
                        "True" | "False" => error.help(format!("write `{}`", name.to_ascii_lowercase())),
                        "None" | "null" | "nil" => error.help("there is no empty value; `()` is the empty tuple"),
                        _ => error,
                    },
                }
            }
        };
        self.diags.push(error);
        self.poison(span)
    }

    fn field(&mut self, base: &ast::Expr, field: &ast::Ident, span: Span) -> ExprId {
        let base = self.infer(base);
        let ty = self.ty(base).clone();
        let number = field.name.parse::<usize>().ok();
        let error = match (&ty, number) {
            (Ty::Error, _) => return self.poison_of(&[base], span),
            (Ty::Struct { id, .. }, _) => {
                let record = &self.items.structs[id.index()];
                if let Some(index) = record.fields.iter().position(|(name, _)| *name == field.name)
                    && let Some(ty) = self.field_ty(&ty, index)
                {
                    self.items.notes.refer(field.span, record.places[index], Meaning::Field(*id, index));
                    return self.push(ExprKind::Field(base, index), ty, span);
                }
                let names = || record.fields.iter().map(|(name, _)| name.as_str());
                let message = format!("`{}` has no field `{}`", record.name, field.name);
                let error = Diagnostic::error(Code::UnknownField, field.span, message);
                match nearest(&field.name, names()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("it has {}", list(names()))),
                }
            }
            (Ty::Tuple(items), Some(index)) if !matches!(items.get(index), None | Some(Ty::Spread(..))) => {
                let ty = items[index].clone();
                return self.push(ExprKind::Field(base, index), ty, span);
            }
            (Ty::Tuple(items), Some(index)) if spread_position(items, index).is_some() => {
                return self.spread_element(base, items, index, span);
            }
            (Ty::Array(item, n), Some(index)) if n.as_constant().is_none_or(|n| (index as i64) < n) => {
                let ty = (**item).clone();
                return self.push(ExprKind::Element(base, Dim::constant(index as i64)), ty, span);
            }
            (Ty::Tuple(_) | Ty::Array(..), _) => {
                let message = format!("`{ty}` has no element `.{}`", field.name);
                let error = Diagnostic::error(Code::UnknownField, field.span, message);
                let last = match &ty {
                    Ty::Tuple(items) if !items.iter().any(|item| matches!(item, Ty::Spread(..))) => {
                        items.len().checked_sub(1).map(|n| n.to_string())
                    }
                    Ty::Array(_, n) => n.as_constant().map(|n| (n - 1).to_string()),
                    _ => None,
                };
                match last {
                    Some(last) => error.help(format!("elements go from `.0` to `.{last}`")),
                    None => error.help("elements count from `.0`"),
                }
            }
            (Ty::Tensor(..) | Ty::Nat | Ty::Range(..) | Ty::Spread(..) | Ty::Param(_), _) => {
                let error = Diagnostic::error(Code::NotAllowedHere, field.span, format!("`{ty}` has no fields"));
                match field.name.as_str() {
                    _ if ty == Ty::Nat => {
                        error.help("a fixed-point number has digits on both sides of its point: `1.0e3`")
                    }
                    "T" => error.help("write `transpose(x, [1, 0])`"),
                    "shape" => error.help("sizes have names: `fn f[N](x: fix[N])` may use `N`"),
                    _ => error,
                }
            }
        };
        self.diags.push(error);
        self.poison(span)
    }

    fn array(&mut self, items: &[ast::Expr], span: Span) -> ExprId {
        let mut ids: Vec<ExprId> = items.iter().map(|item| self.value(item)).collect();
        let Some(first) = ids.first().copied() else {
            self.error(Code::Unsupported, span, "an empty array has no type");
            return self.poison(span);
        };
        let ty = self.ty(first).clone();
        for id in &mut ids[1..] {
            let before = self.diags.len();
            *id = self.coerce(*id, &ty, "this element");
            if let Some(error) = self.diags[before..].last_mut() {
                error.help.get_or_insert("an array holds one type; a tuple holds several: `(a, b)`".to_string());
            }
        }
        let length = Dim::constant(ids.len() as i64);
        self.push(ExprKind::Record(ids), Ty::Array(Box::new(ty), length), span)
    }

    fn struct_value(&mut self, name: &ast::Ident, fields: &[(ast::Ident, ast::Expr)], span: Span) -> ExprId {
        let values: Vec<ExprId> = fields.iter().map(|(_, e)| self.value(e)).collect();
        let scope = &self.items.modules[self.module].scope;
        let def = scope.get(&name.name).copied();
        let Some(Def::Struct(id)) = def else {
            if def == Some(Def::Missing) {
                return self.poison_of(&values, span);
            }
            let structs = scope.iter().filter(|(_, d)| matches!(d, Def::Struct(_))).map(|(n, _)| n.as_str());
            let near = nearest(&name.name, structs).map(|n| format!("did you mean `{n}`?"));
            self.error(Code::UnknownType, name.span, format!("there is no struct `{}`", name.name)).help = near;
            return self.poison(span);
        };
        let record = &self.items.structs[id.index()];
        let mut misnamed = false;
        self.items.notes.refer(name.span, record.span, Meaning::Struct(id));
        let mut given: Vec<Option<ExprId>> = vec![None; record.fields.len()];
        for ((field, _), value) in fields.iter().zip(values) {
            let error = match record.fields.iter().position(|(n, _)| *n == field.name) {
                Some(index) if given[index].is_none() => {
                    self.items.notes.refer(field.span, record.places[index], Meaning::Field(id, index));
                    given[index] = Some(value);
                    continue;
                }
                Some(_) => {
                    Diagnostic::error(Code::DefinedTwice, field.span, format!("`{}` is given twice", field.name))
                }
                None => {
                    let message = format!("`{}` has no field `{}`", record.name, field.name);
                    let error = Diagnostic::error(Code::UnknownField, field.span, message);
                    match nearest(&field.name, record.fields.iter().map(|(n, _)| n.as_str())) {
                        Some(near) => error.help(format!("did you mean `{near}`?")),
                        None => error.help(format!("it has {}", list(record.fields.iter().map(|(n, _)| n.as_str())))),
                    }
                }
            };
            misnamed |= error.code == Code::UnknownField;
            self.diags.push(error);
        }
        let missing: Vec<&str> =
            record.fields.iter().zip(&given).filter(|(_, g)| g.is_none()).map(|((n, _), _)| n.as_str()).collect();
        if !missing.is_empty() {
            // A misspelt field has been answered already.
            if !misnamed {
                let message = format!("`{}` also needs {}", record.name, list(missing.into_iter()));
                self.error(Code::Arguments, span, message).help = Some(format!("write `{}`", literal(record)));
            }
            return self.poison(span);
        }
        let mut bindings = Bindings::default();
        let values: Vec<ExprId> = given.into_iter().flatten().collect();
        for ((_, ty), value) in record.fields.iter().zip(&values) {
            ty.bind(self.ty(*value), &mut bindings);
        }
        if let Some(open) = record.sizes.iter().find(|s| !bindings.sizes.dims.contains_key(*s)) {
            if values.iter().all(|v| !self.ty(*v).is_error()) {
                let message = format!("size `{open}` of `{}` does not follow from the fields", record.name);
                self.error(Code::OpenSize, span, message);
            }
            return self.poison_of(&values, span);
        }
        let values = record.fields.iter().zip(values).map(|((name, ty), value)| {
            self.coerce(value, &ty.substitute(&bindings), &format!("`{name}` of `{}`", record.name))
        });
        let values = values.collect();
        let dims = record.sizes.iter().filter_map(|s| bindings.sizes.dims.get(s).cloned()).collect();
        let ty = Ty::Struct { id, name: record.name.clone(), sizes: dims };
        self.push(ExprKind::Record(values), ty, span)
    }

    fn branch(&mut self, cond: &ast::Expr, then: &ast::Block, otherwise: Option<&ast::Block>, span: Span) -> ExprId {
        let id = self.infer(cond);
        match self.ty(id).clone() {
            Ty::Error => {}
            Ty::Tensor(Elem::Bool, shape) if shape.rest.is_none() && shape.dims.iter().all(Dim::is_one) => {}
            ty => {
                let help = match &ty {
                    Ty::Tensor(Elem::Bool, _) => {
                        Some(format!("choose elementwise: `{}`", self.select_text(cond, then, otherwise)))
                    }
                    Ty::Nat => Some(format!("compare it: `{} > 0`", self.items.sources.text(cond.span))),
                    Ty::Tensor(..) => Some(format!("compare it: `{} > ..`", self.items.sources.text(cond.span))),
                    _ => None,
                };
                let message = format!("a condition is a single `bool`, and this is `{ty}`");
                self.error(Code::TypeMismatch, cond.span, message).help = help;
            }
        }
        let (then_block, then_ty, _) = self.block(then);
        let (mut else_block, else_ty, _) = match otherwise {
            Some(block) => self.block(block),
            None => (super::Block::default(), Ty::unit(), span),
        };
        let ty = if then_ty.is_error() || else_ty.is_error() {
            if then_ty.is_error() { else_ty } else { then_ty }
        } else {
            if let Some(result) = else_block.result {
                let wanted = if then_ty == Ty::Nat { Ty::scalar(Elem::Int) } else { then_ty.clone() };
                else_block.result = Some(self.coerce(result, &wanted, "the value of `else`"));
            } else if then_ty != Ty::unit() {
                let (place, message, help) = match otherwise {
                    Some(block) => (block.span, "`else` gives nothing", "end it in an expression without `;`"),
                    None => (span, "without it there is no value", "add `else { ... }`"),
                };
                let message = format!("the branch gives `{then_ty}`, and {message}");
                self.error(Code::TypeMismatch, place, message).help = Some(help.into());
            }
            then_ty
        };
        let mut then_block = then_block;
        let ty = match (ty, then_block.result) {
            (Ty::Nat, Some(result)) => {
                then_block.result = Some(self.coerce(result, &Ty::scalar(Elem::Int), "the value"));
                Ty::scalar(Elem::Int)
            }
            (ty, _) => ty,
        };
        let select = self.select_text(cond, then, otherwise);
        self.push(ExprKind::If { cond: id, then: then_block, otherwise: else_block, select }, ty, span)
    }

    /// `select(c, a, b)` in the author's words when both sides are plain expressions.
    fn select_text(&self, cond: &ast::Expr, then: &ast::Block, otherwise: Option<&ast::Block>) -> String {
        let text = |span: Span| {
            let words: Vec<&str> = self.items.sources.text(span).split_whitespace().collect();
            words.join(" ")
        };
        let side = |block: &ast::Block| match (&block.result, block.stmts.is_empty()) {
            (Some(e), true) => Some(text(e.span)),
            _ => None,
        };
        let parts = side(then).zip(otherwise.and_then(side)).unwrap_or(("a".into(), "b".into()));
        format!("select({}, {}, {})", text(cond.span), parts.0, parts.1)
    }

    fn reveal(&mut self, value: &ast::Expr, to: &ast::Ident, span: Span) -> ExprId {
        let value = self.value(value);
        if !self.entry {
            self.diags.push(
                Diagnostic::error(Code::RevealOutsideEntry, span, "a function cannot open a value")
                    .help("give the value back, and open it in the `entry` that calls"),
            );
            return self.poison(span);
        }
        self.items.notes.owner(to);
        let Some(to) = destination(&self.items.owners, to, self.diags) else { return self.poison(span) };
        self.reveals.push(Opening { value, to, label: Label::PUBLIC, repeated: self.loops > 0 });
        self.push(ExprKind::Reveal(value, to), Ty::unit(), span)
    }
}
