//! What the grammar's actions do beyond filling a record: places, order of the file, pipes, values of blocks.

use crate::diag::{Code, Diagnostic};
use crate::span::{FileId, Span};
use crate::syntax::ast::{self, BinaryOp, Expr, ExprKind};

/// One thing at the top level of a file.
#[allow(clippy::large_enum_variant, reason = "lives only until its file is put together")]
pub(super) enum Top {
    Header(ast::Header),
    Use(ast::Use),
    Item(ast::Item),
}

/// What the actions know and collect while a file is parsed.
pub(super) struct Actions {
    /// The file being parsed.
    pub file: FileId,
    /// Errors in what the grammar accepts.
    pub diags: Vec<Diagnostic>,
}

impl Actions {
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    pub(super) fn ident(&self, name: &str, start: usize, end: usize) -> ast::Ident {
        ast::Ident { name: name.to_owned(), span: self.span(start, end) }
    }

    /// Sorts the parts of a file and reports those out of place.
    pub(super) fn file(&mut self, tops: Vec<Top>) -> ast::File {
        let mut file = ast::File::default();
        for top in tops {
            match top {
                Top::Header(header) => {
                    let span = match &header {
                        ast::Header::Owners { span, .. } | ast::Header::Fixed { span, .. } => *span,
                    };
                    if !file.uses.is_empty() || !file.items.is_empty() {
                        let message = "the header stands before everything else in a file";
                        self.diags.push(Diagnostic::error(Code::Header, span, message));
                    }
                    file.headers.push(header);
                }
                Top::Use(import) => {
                    if !file.items.is_empty() {
                        let message = "`use` lines stand before the first item of a file";
                        self.diags.push(Diagnostic::error(Code::Syntax, import.span, message));
                    }
                    file.uses.push(import);
                }
                Top::Item(item) => file.items.push(item),
            }
        }
        file
    }

    /// `P: record`.
    pub(super) fn record_param(&mut self, name: ast::Ident, kind: &ast::Ident) -> ast::SizeParam {
        if kind.name != "record" {
            let message = format!("`{}` is nothing that a name in brackets can stand for", kind.name);
            let diag = Diagnostic::error(Code::Syntax, kind.span, message);
            self.diags.push(diag.help("write `N` for a size, `..S` for leading axes, `P: record` for any record type"));
        }
        ast::SizeParam { name, kind: ast::SizeKind::Record }
    }

    /// `T to owner`.
    pub(super) fn entry_result(&self, ty: ast::Type, to: Option<ast::Ident>) -> ast::EntryResult {
        let span = to.as_ref().map_or(ty.span(), |to| ty.span().to(to.span));
        ast::EntryResult { ty, to, span }
    }

    /// `(T to a, U to b)`; in `(T, U) to a` the receiver is that of every part.
    pub(super) fn entry_results(
        &mut self,
        first: ast::EntryResult,
        rest: Vec<ast::EntryResult>,
        parens: Span,
        to: Option<ast::Ident>,
    ) -> (Vec<ast::EntryResult>, bool) {
        let mut results = vec![first];
        results.extend(rest);
        if let Some(to) = to {
            for result in &mut results {
                if let Some(own) = &result.to {
                    let message = "this result has two receivers";
                    let diag =
                        Diagnostic::error(Code::Syntax, own.span, message).here(format!("goes to `{}`", own.name));
                    self.diags.push(diag.label(parens.to(to.span), format!("all of these go to `{}`", to.name)));
                }
                result.to.get_or_insert_with(|| to.clone());
            }
        }
        (results, true)
    }

    /// `left |> right`: the left side becomes the first argument of the call on the right.
    pub(super) fn pipe(&mut self, left: Expr, right: Expr) -> Expr {
        let span = left.span.to(right.span);
        let place = right.span;
        match piped(left, right, span) {
            Some(expr) => expr,
            None => {
                let diag = Diagnostic::error(Code::Syntax, place, "`|>` hands a value to a function, and this is none");
                self.diags.push(diag.help("write `x |> f` or `x |> f(p)`"));
                Expr { kind: ExprKind::Error, span }
            }
        }
    }
}

/// `None` when the right side is no function.
fn piped(left: Expr, right: Expr, span: Span) -> Option<Expr> {
    let first = ast::Arg { name: None, value: left };
    let kind = match right.kind {
        ExprKind::Name(_) | ExprKind::Path(..) => {
            ExprKind::Call { callee: Box::new(right), args: vec![first], piped: true }
        }
        ExprKind::Call { callee, mut args, piped: false } => {
            args.insert(0, first);
            ExprKind::Call { callee, args, piped: true }
        }
        ExprKind::Approx(call, options) => {
            let span = first.value.span.to(call.span);
            ExprKind::Approx(Box::new(piped(first.value, *call, span)?), options)
        }
        _ => return None,
    };
    Some(Expr { kind, span })
}

pub(super) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = left.span.to(right.span);
    Expr { kind: ExprKind::Binary(op, Box::new(left), Box::new(right)), span }
}

pub(super) fn field(base: Expr, name: ast::Ident) -> Expr {
    let span = base.span.to(name.span);
    Expr { kind: ExprKind::Field(Box::new(base), name), span }
}

pub(super) fn float(text: &str) -> ExprKind {
    // The lexer accepts only spellings of finite numbers.
    ExprKind::Float { value: text.parse().unwrap_or(f64::NAN), text: text.to_owned() }
}

/// A block whose last `if` or `{ }` has a value gives that value, as it needs no `;`.
pub(super) fn block(mut stmts: Vec<ast::Stmt>, result: Option<Expr>, span: Span) -> ast::Block {
    let result = result.or_else(|| match stmts.pop() {
        Some(ast::Stmt::Expr(last)) if has_value(&last) => Some(last),
        other => {
            stmts.extend(other);
            None
        }
    });
    ast::Block { stmts, result: result.map(Box::new), span }
}

/// Whether a braced expression gives a value; everything else stands before a `;` and its value is dropped.
fn has_value(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Block(block) => block.result.is_some(),
        ExprKind::If { then, otherwise, .. } => {
            then.result.is_some() || otherwise.as_ref().is_some_and(|block| block.result.is_some())
        }
        _ => false,
    }
}
