//! One body: scopes, statements, patterns. Expressions are in [`super::infer`].

use std::collections::{BTreeMap, BTreeSet};

use super::names::{Items, StructsOf, too_many_parts};
use super::references::Meaning;
use super::size::{Resolver, SizeNames, too_large};
use super::types::{Bindings, Elem, Ty};
use super::{Block, Body, Expr, ExprId, ExprKind, Fn, Local, LocalId, Opening, ParamKind, Pattern, Stmt};
use crate::diag::{Code, Diagnostic, Label, nearest};
use crate::shape::Dim;
use crate::span::{FileId, Span};
use crate::syntax::ast;

/// What a name in a body means.
#[derive(Clone, Debug)]
pub(super) enum Binding {
    /// A run-time value.
    Local(LocalId),
    /// A compile-time integer.
    Size(Dim),
}

/// Checks one body.
pub(super) struct Checker<'a> {
    pub items: &'a Items<'a>,
    /// The module whose names the body sees.
    pub module: usize,
    pub diags: &'a mut Vec<Diagnostic>,
    /// True in an entry, where values may be opened.
    pub entry: bool,
    pub body: Body,
    /// How many of the body's locals are parameters.
    params: usize,
    /// Loops around this place.
    pub loops: usize,
    /// Values of this body whose wrong use has been told.
    pub told: BTreeSet<LocalId>,
    /// Where what is bound next can be used, for the notes.
    pub scope: Span,
    scopes: Vec<BTreeMap<String, Binding>>,
    names: SizeNames,
    pub reveals: Vec<Opening>,
}

impl<'a> Checker<'a> {
    pub fn new(items: &'a Items<'a>, module: usize, names: SizeNames, diags: &'a mut Vec<Diagnostic>) -> Checker<'a> {
        let sizes = names.dims.iter().map(|(name, dim)| (name.clone(), Binding::Size(dim.clone()))).collect();
        Checker {
            items,
            module,
            diags,
            entry: false,
            body: Body::default(),
            params: 0,
            loops: 0,
            told: BTreeSet::new(),
            scope: Span::new(FileId(0), 0, 0),
            scopes: vec![sizes],
            names,
            reveals: Vec::new(),
        }
    }

    /// Checks the whole body against the type it must have, which is `declared` there; `what` names its value in the
    /// message.
    pub fn run(&mut self, block: &ast::Block, want: &Ty, declared: Option<Span>, what: &str) {
        let (mut checked, ty, span) = self.block(block);
        checked.result = match checked.result {
            Some(result) => {
                let before = self.diags.len();
                let result = self.coerce(result, want, what);
                if let (Some(error), Some(span)) = (self.diags[before..].last_mut(), declared) {
                    error.labels.push(Label { span, text: "declared here".to_string() });
                }
                Some(result)
            }
            None => {
                // A value lost in the last statement has been reported there.
                let lost = matches!(checked.stmts.last(), Some(Stmt::Expr(id)) if *self.ty(*id) != Ty::unit());
                if !want.is_error() && ty != *want && !lost {
                    let end = Span { start: span.end.saturating_sub(1), ..span };
                    let message = format!("the body gives nothing back, and `{want}` is declared");
                    let error = Diagnostic::error(Code::TypeMismatch, end, message);
                    self.diags.push(error.help(match block.stmts.last() {
                        Some(
                            ast::Stmt::Let { pattern: ast::Pattern::Name(name), .. } | ast::Stmt::Assign { name, .. },
                        ) => format!("end the body in the value: `{}`", name.name),
                        _ => "end the body in an expression without `;`".to_string(),
                    }));
                }
                None
            }
        };
        self.body.block = checked;
    }

    /// The checked body and what it opens.
    pub fn finish(self) -> (Body, Vec<Opening>) {
        (self.body, self.reveals)
    }

    /// Makes a function's value parameters the body's first variables.
    pub fn bind_params(&mut self, function: &Fn, ast: &ast::Fn) {
        for (param, ast) in function.params.iter().zip(&ast.params) {
            if let ParamKind::Value(ty) = &param.kind {
                self.bind_param(&ast.name, ty.clone());
            }
        }
    }

    pub fn bind_param(&mut self, name: &ast::Ident, ty: Ty) {
        self.bind_local(name, ty, false);
        self.params += 1;
    }

    pub fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.diags.push(Diagnostic::error(code, span, message));
        let last = self.diags.len() - 1;
        &mut self.diags[last]
    }

    pub fn push(&mut self, kind: ExprKind, ty: Ty, span: Span) -> ExprId {
        let (kind, ty) = match &kind {
            ExprKind::Size(dim) if dim.is_too_large() => self.refuse(too_large(span)),
            _ if ty.is_too_large() => self.refuse(too_large(span)),
            ExprKind::Record(_) if self.items.tensors(&ty).is_none() => self.refuse(too_many_parts(span)),
            _ => (kind, ty),
        };
        self.body.exprs.push(Expr { kind, ty, span });
        ExprId(self.body.exprs.len() as u32 - 1)
    }

    fn refuse(&mut self, error: Diagnostic) -> (ExprKind, Ty) {
        self.diags.push(error);
        (ExprKind::Error(Vec::new()), Ty::Error)
    }

    /// What stands for an expression with an error.
    pub fn poison(&mut self, span: Span) -> ExprId {
        self.poison_of(&[], span)
    }

    /// The same, keeping the operands so that their flows are still followed.
    pub fn poison_of(&mut self, operands: &[ExprId], span: Span) -> ExprId {
        self.push(ExprKind::Error(operands.to_vec()), Ty::Error, span)
    }

    pub fn ty(&self, id: ExprId) -> &Ty {
        &self.body.expr(id).ty
    }

    pub fn span(&self, id: ExprId) -> Span {
        self.body.expr(id).span
    }

    pub fn lookup(&self, name: &str) -> Option<&Binding> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    pub fn is_rest(&self, name: &str) -> bool {
        self.names.rests.contains(name)
    }

    /// The variable in scope whose name is nearest.
    pub fn nearest_value(&self, name: &str) -> Option<String> {
        nearest(name, self.scopes.iter().flat_map(|s| s.keys()).map(String::as_str)).map(str::to_string)
    }

    fn bind(&mut self, name: &str, binding: Binding) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_string(), binding);
        }
    }

    fn bind_local(&mut self, name: &ast::Ident, ty: Ty, mutable: bool) -> LocalId {
        self.items.notes.bind(name, self.scope, Meaning::Local { ty: ty.clone(), mutable });
        let id = LocalId(self.body.locals.len() as u32);
        self.body.locals.push(Local { name: name.name.clone(), ty, mutable, span: name.span });
        self.bind(&name.name, Binding::Local(id));
        id
    }

    /// A type written in the body.
    fn resolve(&mut self, ty: &ast::Type) -> Ty {
        let mut used = BTreeSet::new();
        ty.collect_names(&mut used);
        let mut names = SizeNames { dims: BTreeMap::new(), values: BTreeSet::new(), ..self.names.clone() };
        let mut add = |name: &str, binding: &Binding| match binding {
            Binding::Size(dim) => {
                names.values.remove(name);
                names.dims.insert(name.to_string(), dim.clone());
            }
            Binding::Local(_) => {
                names.dims.remove(name);
                names.values.insert(name.to_string());
            }
        };
        let found: Option<Vec<(&str, &Binding)>> = used.into_iter().map(|n| Some((n, self.lookup(n)?))).collect();
        match found {
            Some(found) => found.into_iter().for_each(|(name, binding)| add(name, binding)),
            // A suggestion for a name that is not there wants all of them.
            None => self.scopes.iter().flatten().for_each(|(name, binding)| add(name, binding)),
        }
        Resolver { structs: &StructsOf(self.items, self.module), names: &names, diags: self.diags }.ty(ty)
    }

    /// A block with its type and the place to blame for it.
    pub fn block(&mut self, block: &ast::Block) -> (Block, Ty, Span) {
        let outer = std::mem::replace(&mut self.scope, block.span);
        self.scopes.push(BTreeMap::new());
        let mut stmts = Vec::new();
        for stmt in &block.stmts {
            self.stmt(stmt, &mut stmts);
        }
        let result = block.result.as_deref().map(|e| self.infer(e));
        self.scopes.pop();
        self.scope = outer;
        match result {
            Some(id) => (Block { stmts, result: Some(id) }, self.ty(id).clone(), self.span(id)),
            None => (Block { stmts, result: None }, Ty::unit(), block.span),
        }
    }

    fn stmt(&mut self, stmt: &ast::Stmt, out: &mut Vec<Stmt>) {
        match stmt {
            ast::Stmt::Let { pattern, mutable, ty, value, span } => {
                let mut id = self.infer(value);
                if let (ast::Pattern::Name(_), ExprKind::Reveal(opened, _)) = (pattern, &self.body.expr(id).kind) {
                    let opened = self.items.sources.text(self.span(*opened));
                    let inner = opened.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
                    let opened = inner.filter(|inner| !inner.contains(['(', ')'])).unwrap_or(opened);
                    let help = format!("write the `reveal` as a statement of its own, and go on with `{opened}`");
                    self.error(Code::NotAllowedHere, value.span, "`reveal` opens a value and gives nothing back")
                        .help = Some(help);
                    id = self.poison_of(&[id], value.span);
                }
                if let Some(ty) = ty {
                    let want = self.resolve(ty);
                    if want != Ty::Nat {
                        id = self.coerce(id, &want, "the value");
                    }
                }
                self.scope.start = span.end;
                // A compile-time number stays one under its new name, unless it is to vary at run time.
                match (pattern, &self.body.expr(id).kind, self.ty(id)) {
                    (ast::Pattern::Name(name), ExprKind::Size(dim), Ty::Nat) if !mutable => {
                        let dim = dim.clone();
                        self.items.notes.bind(name, self.scope, Meaning::Size(dim.clone()));
                        self.bind(&name.name, Binding::Size(dim));
                        return;
                    }
                    (_, _, Ty::Nat) => id = self.coerce(id, &Ty::scalar(Elem::Int), "the value"),
                    _ => {}
                }
                let ty = self.ty(id).clone();
                let pattern = self.pattern(pattern, &ty, *mutable);
                out.push(Stmt::Let(pattern, id));
            }
            ast::Stmt::Assign { name, value, span } => self.assign(name, value, *span, out),
            ast::Stmt::For { pattern, range, body, .. } => {
                let outer = std::mem::replace(&mut self.scope, body.span);
                self.for_loop(pattern, range, body, out);
                self.scope = outer;
            }
            ast::Stmt::Expr(e) => {
                let id = self.infer(e);
                let ty = self.ty(id).clone();
                if !ty.is_error() && ty != Ty::unit() {
                    self.diags.push(
                        Diagnostic::error(Code::NotAllowedHere, e.span, "the value of this statement is lost")
                            .here(format!("gives `{ty}`"))
                            .help("bind it with `let`, or drop the `;` to make it the block's value"),
                    );
                }
                out.push(Stmt::Expr(id));
            }
            ast::Stmt::Error(_) => {}
        }
    }

    fn assign(&mut self, name: &ast::Ident, value: &ast::Expr, span: Span, out: &mut Vec<Stmt>) {
        let id = self.infer(value);
        self.items.notes.value(&name.name, name.span);
        let error = match self.lookup(&name.name) {
            Some(Binding::Local(local)) => {
                let (local, variable) = (*local, self.body.local(*local).clone());
                if variable.mutable {
                    let before = self.diags.len();
                    let id = self.coerce(id, &variable.ty, "the new value");
                    out.push(Stmt::Assign(local, id));
                    if let Some(error) = self.diags[before..].last_mut() {
                        let declared =
                            Label { span: variable.span, text: format!("a `var` of type `{}`", variable.ty) };
                        error.labels.push(declared);
                        let help = if self.loops > 0 {
                            "every turn of a loop has to keep the shape".to_string()
                        } else {
                            format!("a `var` keeps its type; `let {} = ...;` binds the name anew", name.name)
                        };
                        if error.help.is_none() || error.code == Code::ShapeMismatch {
                            error.help = Some(help);
                        }
                        // What the loop was to make of it is not known.
                        if self.loops > 0 {
                            self.body.locals[local.index()].ty = Ty::Error;
                        }
                    }
                    return;
                }
                let error = format!("`{}` may not be reassigned", name.name);
                let error = Diagnostic::error(Code::NotAllowedHere, span, error).label(variable.span, "bound here");
                if local.index() < self.params {
                    error.help(format!("a parameter keeps its value; start from a copy: `var y = {};`", name.name))
                } else {
                    error.help(format!("declare it with `var {}`", name.name))
                }
            }
            Some(Binding::Size(_)) => {
                Diagnostic::error(Code::NotAllowedHere, span, format!("`{}` is a compile-time number", name.name))
                    .help("only a `var` may be reassigned")
            }
            None => {
                let error =
                    Diagnostic::error(Code::UnknownName, name.span, format!("there is no variable `{}`", name.name));
                let near = self.nearest_value(&name.name);
                // Later uses of the name are the same mistake.
                self.bind_local(name, Ty::Error, true);
                match near {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("declare it first: `var {} = ...;`", name.name)),
                }
            }
        };
        self.diags.push(error);
    }

    fn for_loop(&mut self, pattern: &ast::Pattern, range: &ast::Expr, body: &ast::Block, out: &mut Vec<Stmt>) {
        let over = self.infer(range);
        self.scopes.push(BTreeMap::new());
        let item = match self.ty(over).clone() {
            Ty::Range(from, to) => {
                let name = self.loop_name(pattern);
                if let ast::Pattern::Name(ident) = pattern {
                    self.bind(&ident.name, Binding::Size(Dim::var(&name)));
                    self.items.notes.bind(ident, self.scope, Meaning::Size(Dim::var(&name)));
                }
                if let ast::Pattern::Tuple(_, span) = pattern {
                    self.error(Code::TypeMismatch, *span, "a range gives single numbers");
                }
                let body = self.loop_body(body);
                out.push(Stmt::ForRange { name, from, to, body });
                self.scopes.pop();
                return;
            }
            Ty::Array(item, _) => *item,
            Ty::Tuple(items) if items.windows(2).all(|w| w[0] == w[1]) && !items.is_empty() => items[0].clone(),
            Ty::Error => Ty::Error,
            other => {
                let error =
                    Diagnostic::error(Code::NotAllowedHere, range.span, format!("a loop cannot run over `{other}`"));
                let text = self.items.sources.text(range.span);
                self.diags.push(error.help(match &other {
                    Ty::Nat => format!("a range starts at a number: `0..{text}`"),
                    Ty::Tensor(_, shape) if !shape.dims.is_empty() && shape.rest.is_none() => {
                        format!("loop over the positions, `for i in 0..{}`, and take `{text}[i]`", shape.dims[0])
                    }
                    _ => "loop over an array, a tuple of alike things, or a range `0..8`".to_string(),
                }));
                Ty::Error
            }
        };
        let pattern = self.pattern(pattern, &item, false);
        let body = self.loop_body(body);
        out.push(Stmt::ForEach(pattern, over, body));
        self.scopes.pop();
    }

    fn loop_body(&mut self, body: &ast::Block) -> Block {
        self.loops += 1;
        let (block, ty, span) = self.block(body);
        self.loops -= 1;
        if !ty.is_error() && ty != Ty::unit() {
            self.error(Code::TypeMismatch, span, "the body of a loop gives no value").help =
                Some("assign it to a `var` declared before the loop".into());
        }
        block
    }

    /// A name for the loop's size variable that no other size of this body has.
    fn loop_name(&self, pattern: &ast::Pattern) -> String {
        let base = match pattern {
            ast::Pattern::Name(ident) => ident.name.clone(),
            ast::Pattern::Ignore(_) | ast::Pattern::Tuple(..) | ast::Pattern::Spread(..) => "_".to_string(),
        };
        let taken = |name: &str| {
            self.scopes.iter().flat_map(|s| s.values()).any(|b| match b {
                Binding::Size(dim) => dim.names().contains(name),
                Binding::Local(_) => false,
            }) || self.names.dims.contains_key(name)
        };
        let fresh = (2..).map(|n| format!("{base}_{n}")).find(|name| !taken(name));
        if taken(&base) { fresh.unwrap_or(base) } else { base }
    }

    fn pattern(&mut self, pattern: &ast::Pattern, ty: &Ty, mutable: bool) -> Pattern {
        match pattern {
            ast::Pattern::Name(ident) => Pattern::Local(self.bind_local(ident, ty.clone(), mutable)),
            ast::Pattern::Ignore(_) => Pattern::Ignore,
            ast::Pattern::Tuple(parts, span) => {
                let spreads = |p: &ast::Pattern| matches!(p, ast::Pattern::Spread(..));
                let items: Vec<Ty> = match ty {
                    Ty::Tuple(items)
                        if items.len() == parts.len()
                            && items.iter().zip(parts).all(|(t, p)| matches!(t, Ty::Spread(..)) == spreads(p)) =>
                    {
                        items.clone()
                    }
                    Ty::Array(item, n) if n.as_constant() == Some(parts.len() as i64) && !parts.iter().any(spreads) => {
                        vec![(**item).clone(); parts.len()]
                    }
                    other => {
                        if !other.is_error() {
                            self.wrong_pattern(parts, other, *span);
                        }
                        vec![Ty::Error; parts.len()]
                    }
                };
                Pattern::Tuple(parts.iter().zip(items).map(|(p, t)| self.pattern(p, &t, mutable)).collect())
            }
            ast::Pattern::Spread(inner, _) => {
                let ty = match ty {
                    Ty::Spread(item, n) => Ty::Array(item.clone(), n.clone()),
                    _ => Ty::Error,
                };
                self.pattern(inner, &ty, mutable)
            }
        }
    }

    fn wrong_pattern(&mut self, parts: &[ast::Pattern], ty: &Ty, span: Span) {
        let spread = parts.iter().find(|p| matches!(p, ast::Pattern::Spread(..)));
        let message = format!("{} names are bound, and the value is `{ty}`", parts.len());
        let help = match (ty, spread) {
            (Ty::Array(..), Some(_)) => Some("take elements and slices of an array: `a[0]`, `a[1..]`".to_string()),
            (Ty::Tuple(items), None) if items.iter().any(|t| matches!(t, Ty::Spread(..))) => {
                Some("the elements behind the fixed ones are bound together: `(first, ..rest)`".to_string())
            }
            (Ty::Tuple(items), Some(_)) => match items.split_last() {
                Some((Ty::Array(item, n), first)) => {
                    let mut types: Vec<String> = first.iter().map(Ty::to_string).collect();
                    types.push(format!("..[{item}; {n}]"));
                    Some(format!("write the type `({})`", types.join(", ")))
                }
                _ => None,
            },
            _ => None,
        };
        self.error(Code::TypeMismatch, span, message).help = help;
    }

    /// The type of a field of a struct, for its sizes.
    pub fn field_ty(&self, ty: &Ty, index: usize) -> Option<Ty> {
        let Ty::Struct { id, sizes, .. } = ty else { return None };
        let record = &self.items.structs[id.index()];
        let dims = record.sizes.iter().cloned().zip(sizes.iter().cloned()).collect();
        Some(record.fields.get(index)?.1.substitute(&Bindings::of(dims)))
    }
}
