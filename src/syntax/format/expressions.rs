//! Layout of blocks, statements and expressions.

use super::items::{braces, delimited, tuple};
use super::trivia::Gap;
use super::{Formatter, INDENT};
use crate::syntax::ast::{Arg, BinaryOp, Block, Expr, ExprKind, Ident, IndexArg, Pattern, Stmt, UnaryOp};
use crate::syntax::layout::{Layout, broken, concat, group, join, nest, text};

/// A step of a pipe: what stands behind `|>`, and the place of the whole step.
struct Stage<'e> {
    callee: &'e Expr,
    args: &'e [Arg],
    /// Set for `|> approx(f(p), options)`.
    options: Option<&'e [Arg]>,
    /// The pipe up to this step.
    pipe: &'e Expr,
    /// The pipe before this step.
    left: &'e Expr,
}

impl Formatter<'_> {
    /// The body of an item, always on lines of its own.
    pub(super) fn body(&mut self, block: &Block) -> Layout {
        broken(self.bare_block("{", block, block.span.start as usize + 1))
    }

    /// `{ z => ... }`.
    pub(super) fn rule(&mut self, name: &Ident, block: &Block) -> Layout {
        let behind_name = name.span.end as usize;
        let arrow = self.trivia.text[behind_name..].find("=>").map_or(0, |at| at + "=>".len());
        let all = self.bare_block(&format!("{{ {} =>", name.name), block, behind_name + arrow);
        if self.is_small(block) { group(all) } else { broken(all) }
    }

    /// A block in an expression or a loop.
    fn block(&mut self, block: &Block) -> Layout {
        let all = self.bare_block("{", block, block.span.start as usize + 1);
        if self.is_small(block) { group(all) } else { broken(all) }
    }

    /// Whether the author wrote a block on one line and it holds at most one thing: then it stays so if it fits.
    fn is_small(&self, block: &Block) -> bool {
        let things = block.stmts.len() + usize::from(block.result.is_some());
        things <= 1 && self.trivia.one_line(block.span.start as usize, block.span.end as usize)
    }

    /// Statements and result, one a line; `start` is the place behind the opening brace.
    fn bare_block(&mut self, open: &str, block: &Block, start: usize) -> Layout {
        let behind = self.trivia.behind(start);
        let mut lines = Vec::new();
        let mut gap = Gap::First;
        for stmt in &block.stmts {
            lines.push(self.stmt(stmt, gap));
            gap = Gap::Kept;
        }
        if let Some(result) = &block.result {
            lines.push(self.beside(result.span, gap, |f| f.expr(result)));
            gap = Gap::Kept;
        }
        lines.extend(self.trivia.dangling(block.span.end as usize, gap));
        if lines.is_empty() {
            return concat([text(open), behind, text("}")]);
        }
        braces(open, behind, join(lines, &Layout::HardLine))
    }

    fn stmt(&mut self, stmt: &Stmt, gap: Gap) -> Layout {
        match stmt {
            Stmt::Let { pattern, mutable, ty, value, span } => self.beside(*span, gap, |f| {
                let mut parts = vec![text(if *mutable { "var " } else { "let " }), pattern_layout(pattern)];
                if let Some(ty) = ty {
                    parts.extend([text(": "), f.ty(ty)]);
                }
                parts.extend([text(" = "), f.expr(value), text(";")]);
                concat(parts)
            }),
            Stmt::Assign { name, value, span } => {
                self.beside(*span, gap, |f| concat([text(format!("{} = ", name.name)), f.expr(value), text(";")]))
            }
            Stmt::For { pattern, range, body, span } => self.beside(*span, gap, |f| {
                let head = [text("for "), pattern_layout(pattern), text(" in "), f.expr(range), text(" ")];
                concat(head.into_iter().chain([f.block(body)]))
            }),
            Stmt::Expr(value) => self.beside(value.span, gap, |f| {
                let braced = matches!(value.kind, ExprKind::If { .. } | ExprKind::Block(_)) && !f.in_parens(value);
                concat([f.expr(value), text(if braced { "" } else { ";" })])
            }),
            // A file with errors is not formatted.
            Stmt::Error(_) => text(""),
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Layout {
        let inner = self.bare(expr);
        if self.in_parens(expr) { concat([text("("), inner, text(")")]) } else { inner }
    }

    /// Whether the author put parentheses around an expression: then its place includes them.
    fn in_parens(&self, expr: &Expr) -> bool {
        let first_part = match &expr.kind {
            ExprKind::Tuple(_) => return false,
            ExprKind::Binary(_, first, _) | ExprKind::Field(first, _) | ExprKind::Index(first, _) => Some(first),
            ExprKind::Range(first, _) | ExprKind::Approx(first, _) => Some(first),
            ExprKind::Call { callee, args, piped } => match args.first() {
                Some(left) if *piped => return self.opens_before(expr, &left.value),
                _ => Some(callee),
            },
            _ => None,
        };
        match first_part {
            Some(part) => self.opens_before(expr, part),
            None => self.trivia.text[expr.span.start as usize..].starts_with('('),
        }
    }

    /// Whether a parenthesis of `expr` itself stands before its first part.
    fn opens_before(&self, expr: &Expr, part: &Expr) -> bool {
        expr.span.start < part.span.start && self.trivia.text[expr.span.start as usize..].starts_with('(')
    }

    fn bare(&mut self, expr: &Expr) -> Layout {
        if let Some(stage) = self.stage(expr) {
            return self.pipe(stage);
        }
        match &expr.kind {
            ExprKind::Int(value) => text(value.to_string()),
            ExprKind::Float { text: spelling, .. } => text(spelling),
            ExprKind::Bool(value) => text(value.to_string()),
            ExprKind::Name(name) => text(name),
            ExprKind::Path(module, name) => text(format!("{}::{}", module.name, name.name)),
            ExprKind::Unary(op, operand) => {
                let sign = match op {
                    UnaryOp::Neg => "-",
                    UnaryOp::Not => "!",
                };
                concat([text(sign), self.expr(operand)])
            }
            ExprKind::Binary(op, left, right) => group(nest(INDENT, self.chain(*op, left, right))),
            ExprKind::Call { callee, args, .. } => concat([self.expr(callee), self.args(args)]),
            ExprKind::Field(base, name) => {
                // `0 .5` is not the number `0.5`.
                let number = matches!(base.kind, ExprKind::Int(_)) && !self.in_parens(base);
                let dot = if number { " ." } else { "." };
                concat([self.expr(base), text(format!("{dot}{}", name.name))])
            }
            ExprKind::Index(base, indices) => {
                let base = self.expr(base);
                concat([base, delimited("[", indices.iter().map(|index| self.index(index)).collect(), "]")])
            }
            ExprKind::Tuple(parts) => match parts.as_slice() {
                [only] => concat([text("("), self.expr(only), text(",)")]),
                _ => delimited("(", self.parts(parts), ")"),
            },
            ExprKind::Array(parts) => delimited("[", self.parts(parts), "]"),
            ExprKind::Struct(name, fields) => self.literal(name, fields),
            ExprKind::If { cond, then, otherwise } => self.branch(cond, then, otherwise.as_ref()),
            ExprKind::Block(block) => self.block(block),
            ExprKind::Range(from, to) => concat([self.expr(from), text(".."), self.expr(to)]),
            ExprKind::Reveal(value, owner) => {
                concat([text("reveal "), self.expr(value), text(format!(" to {}", owner.name))])
            }
            ExprKind::Approx(call, options) => {
                let parts =
                    [self.expr(call)].into_iter().chain(options.iter().map(|option| self.arg(option))).collect();
                concat([text("approx"), delimited("(", parts, ")")])
            }
            // A file with errors is not formatted.
            ExprKind::Error => text(""),
        }
    }

    /// `a + b - c`: operators of one strength break together.
    fn chain(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Layout {
        let left = match &left.kind {
            ExprKind::Binary(inner, first, second) if strength(*inner) == strength(op) && !self.in_parens(left) => {
                self.chain(*inner, first, second)
            }
            _ => self.expr(left),
        };
        concat([left, Layout::Line, text(format!("{} ", op.symbol())), self.expr(right)])
    }

    fn args(&mut self, args: &[Arg]) -> Layout {
        delimited("(", args.iter().map(|arg| self.arg(arg)).collect(), ")")
    }

    fn arg(&mut self, arg: &Arg) -> Layout {
        let span = arg.name.as_ref().map_or(arg.value.span, |name| name.span.to(arg.value.span));
        self.beside(span, Gap::Never, |f| {
            let name = arg.name.as_ref().map(|name| text(format!("{} = ", name.name)));
            concat(name.into_iter().chain([f.expr(&arg.value)]))
        })
    }

    fn parts(&mut self, parts: &[Expr]) -> Vec<Layout> {
        parts.iter().map(|part| self.beside(part.span, Gap::Never, |f| f.expr(part))).collect()
    }

    fn index(&mut self, index: &IndexArg) -> Layout {
        match index {
            IndexArg::At(at) => self.expr(at),
            IndexArg::Slice(from, to, _) => {
                let mut parts = Vec::new();
                parts.extend(from.as_ref().map(|from| self.expr(from)));
                parts.push(text(".."));
                parts.extend(to.as_ref().map(|to| self.expr(to)));
                concat(parts)
            }
        }
    }

    fn literal(&mut self, name: &Ident, fields: &[(Ident, Expr)]) -> Layout {
        let mut parts = Vec::new();
        for (name, value) in fields {
            parts.push(self.beside(name.span.to(value.span), Gap::Never, |f| {
                concat([text(format!("{}: ", name.name)), f.expr(value)])
            }));
        }
        let inside = join(parts, &concat([text(","), Layout::Line]));
        let open = format!("{} {{", name.name);
        group(braces(&open, text(""), concat([inside, Layout::IfBroken(",")])))
    }

    /// `if c { a } else if d { b } else { e }`: either all branches are on one line or none is.
    fn branch(&mut self, cond: &Expr, then: &Block, otherwise: Option<&Block>) -> Layout {
        let mut small = true;
        let mut parts = Vec::new();
        let (mut cond, mut then, mut otherwise) = (cond, then, otherwise);
        loop {
            parts.extend([text("if "), self.expr(cond), text(" "), self.branch_block(then, &mut small)]);
            let Some(block) = otherwise else { break };
            parts.push(text(" else "));
            match self.nested_if(block) {
                Some(ExprKind::If { cond: c, then: t, otherwise: o }) => (cond, then, otherwise) = (c, t, o.as_ref()),
                _ => {
                    parts.push(self.branch_block(block, &mut small));
                    break;
                }
            }
        }
        let all = concat(parts);
        if small { group(all) } else { broken(all) }
    }

    fn branch_block(&mut self, block: &Block, small: &mut bool) -> Layout {
        *small &= self.is_small(block);
        self.bare_block("{", block, block.span.start as usize + 1)
    }

    /// The `if` of an `else if`, which the parser wraps in a block without braces.
    fn nested_if<'e>(&self, block: &'e Block) -> Option<&'e ExprKind> {
        if self.trivia.text[block.span.start as usize..].starts_with('{') {
            return None;
        }
        match (block.stmts.as_slice(), &block.result) {
            ([], Some(result)) => Some(&result.kind),
            ([Stmt::Expr(only)], None) => Some(&only.kind),
            _ => None,
        }
    }

    /// The last step of a pipe, unless `expr` is none.
    fn stage<'e>(&self, expr: &'e Expr) -> Option<Stage<'e>> {
        let (call, options) = match &expr.kind {
            ExprKind::Approx(call, options) if self.pipes_into(expr, call) => (&**call, Some(options.as_slice())),
            _ => (expr, None),
        };
        match &call.kind {
            ExprKind::Call { callee, args, piped: true } => {
                let (first, args) = args.split_first()?;
                Some(Stage { callee, args, options, pipe: expr, left: &first.value })
            }
            _ => None,
        }
    }

    /// Tells `x |> approx(f)` from `approx(x |> f)`: the first word of the latter is `approx`.
    fn pipes_into(&self, approx: &Expr, call: &Expr) -> bool {
        let before = &self.trivia.text[approx.span.start as usize..call.span.start as usize];
        before.chars().all(|c| c == '(' || c.is_whitespace())
    }

    /// A pipe on one line, or broken where the author broke it, or at every step.
    fn pipe(&mut self, last: Stage<'_>) -> Layout {
        let mut stages = vec![last];
        let base = loop {
            let left = stages[stages.len() - 1].left;
            match self.stage(left) {
                Some(stage) if !self.in_parens(left) => stages.push(stage),
                _ => break left,
            }
        };
        stages.reverse();
        let by_author = stages.iter().any(|stage| self.breaks(stage));
        let first = self.expr(base);
        let mut steps = vec![self.trivia.behind(base.span.end as usize)];
        for (index, stage) in stages.iter().enumerate() {
            let before = if self.breaks(stage) { Layout::HardLine } else { Layout::Line };
            let mut step = vec![before, self.step(stage)];
            // What stands behind the last step belongs to the whole statement.
            if index + 1 < stages.len() {
                step.push(self.trivia.behind(stage.pipe.span.end as usize));
            }
            // Where the author set the breaks, a step moves to a new line only when it does not fit.
            steps.push(if by_author { group(concat(step)) } else { concat(step) });
        }
        let all = concat([first, nest(INDENT, concat(steps))]);
        if by_author { all } else { group(all) }
    }

    fn breaks(&self, stage: &Stage<'_>) -> bool {
        !self.trivia.one_line(stage.left.span.end as usize, stage.callee.span.start as usize)
    }

    fn step(&mut self, stage: &Stage<'_>) -> Layout {
        let leading = self.trivia.leading(stage.callee.span.start as usize, Gap::Never);
        let mut call = self.expr(stage.callee);
        if !stage.args.is_empty() {
            call = concat([call, self.args(stage.args)]);
        }
        if let Some(options) = stage.options {
            let parts = [call].into_iter().chain(options.iter().map(|option| self.arg(option))).collect();
            call = concat([text("approx"), delimited("(", parts, ")")]);
        }
        concat([leading, text("|> "), call])
    }
}

fn pattern_layout(pattern: &Pattern) -> Layout {
    match pattern {
        Pattern::Name(name) => text(&name.name),
        Pattern::Ignore(_) => text("_"),
        Pattern::Tuple(parts, _) => tuple(parts.iter().map(pattern_layout).collect()),
        Pattern::Spread(inner, _) => concat([text(".."), pattern_layout(inner)]),
    }
}

/// Operators of one number may stand in one chain.
fn strength(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 0,
        BinaryOp::And => 1,
        BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual
        | BinaryOp::Equal
        | BinaryOp::NotEqual => 2,
        BinaryOp::Add | BinaryOp::Sub => 3,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => 4,
    }
}
