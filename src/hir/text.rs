//! The HIR as text, for `--emit hir`: one operation a line with its type and, in entries, whose data is in it.

use std::fmt::Write as _;

use itertools::Itertools as _;

use super::{
    Block, Body, Destination, Entry, ExprId, ExprKind, Fn, FnCode, Intrinsic, Param, ParamKind, Pattern, Program,
    Source, Stmt, Ty,
};
use crate::label::Label;
use crate::shape::{Dim, Shape};
use crate::syntax::ast::UnaryOp;

/// The whole program but the library functions that no body calls.
#[must_use]
pub fn print(program: &Program) -> String {
    let mut out = format!("owners {};\n", program.owners.join(", "));
    let f = program.format;
    let _ = writeln!(out, "fixed(int = {}, frac = {}, ring = {});", f.int, f.frac, f.ring);
    for entry in &program.entries {
        let mut printer = Printer { program, body: &entry.body, labels: Some(&entry.labels), out: &mut out, depth: 1 };
        printer.entry(entry);
    }
    for index in reached(program) {
        let function = &program.fns[index];
        if let FnCode::Body(body) = &function.code {
            Printer { program, body, labels: None, out: &mut out, depth: 1 }.function(function);
        }
    }
    out
}

/// Functions that entries lead to, in order of their ids.
fn reached(program: &Program) -> std::collections::BTreeSet<usize> {
    let mut seen = std::collections::BTreeSet::new();
    let callees = |body: &Body| -> Vec<usize> {
        let callee = |e: &super::Expr| match e.kind {
            ExprKind::Call { callee, .. } => Some(callee.index()),
            _ => None,
        };
        body.exprs.iter().filter_map(callee).collect()
    };
    let mut left: Vec<usize> = program.entries.iter().flat_map(|e| callees(&e.body)).collect();
    while let Some(next) = left.pop() {
        if let (true, FnCode::Body(body)) = (seen.insert(next), &program.fns[next].code) {
            left.extend(callees(body));
        }
    }
    seen
}

struct Printer<'a> {
    program: &'a Program,
    body: &'a Body,
    labels: Option<&'a [Label]>,
    out: &'a mut String,
    depth: usize,
}

impl<'a> Printer<'a> {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{:1$}{text}", "", 4 * self.depth);
    }

    fn entry(&mut self, entry: &Entry) {
        let owners = &self.program.owners;
        let mut params = entry.params.iter().map(|p| {
            let range = p.range.map(|(low, high)| format!(" in {low}..{high}")).unwrap_or_default();
            match p.source {
                Source::Owner(owner) => format!("{}: {}{range} from {}", p.name, p.ty, owners[owner.index()]),
                Source::Public => format!("{}: public {}{range}", p.name, p.ty),
                Source::Shares => format!("{}: {}{range} from shares", p.name, p.ty),
            }
        });
        let params = params.join(", ");
        let results: Vec<String> =
            entry.results.iter().map(|r| format!("{} to {}", r.ty, self.destination(r.to))).collect();
        let results = if entry.tuple { format!("({})", results.join(", ")) } else { results.join(", ") };
        let sizes = brackets(&entry.sizes);
        let _ = writeln!(self.out, "\nentry {}{sizes}({params}) -> {results} {{", entry.name);
        self.block(&entry.body.block);
        self.out.push_str("}\n");
    }

    fn function(&mut self, function: &'a Fn) {
        let mut params = function.params.iter().map(|p| match &p.kind {
            ParamKind::Value(ty) => format!("{}: {ty}", p.name),
            ParamKind::Nat | ParamKind::NatList => format!("{}: nat", p.name),
        });
        let params = params.join(", ");
        let sizes: Vec<String> = function.sizes.iter().map(|s| s.kind.text(&s.name)).collect();
        let result = function.result.as_ref().map(|t| format!(" -> {t}")).unwrap_or_default();
        let _ = writeln!(self.out, "\nfn {}{}({params}){result} {{", function.name, brackets(&sizes));
        self.block(&self.body.block);
        self.out.push_str("}\n");
        if let Some(rule) = &function.derivative {
            let by = &rule.body.local(super::LocalId(rule.param as u32)).name;
            let _ = writeln!(self.out, "\nderivative of {} by {by} {{", function.name);
            self.body = &rule.body;
            self.block(&rule.body.block);
            self.out.push_str("}\n");
        }
    }

    fn destination(&self, to: Destination) -> String {
        match to {
            Destination::Owner(owner) => self.program.owners[owner.index()].clone(),
            Destination::All => "all".to_string(),
            Destination::Shares => "shares".to_string(),
        }
    }

    fn nested(&mut self, block: &Block) {
        self.depth += 1;
        self.block(block);
        self.depth -= 1;
        self.line("}");
    }

    fn block(&mut self, block: &Block) {
        for stmt in &block.stmts {
            match stmt {
                Stmt::Let(pattern, value) => {
                    let value = self.expr(*value);
                    let text = format!("let {} = {value}", self.pattern(pattern));
                    self.line(&text);
                }
                Stmt::Assign(local, value) => {
                    let value = self.expr(*value);
                    let text = format!("{} = {value}", self.body.local(*local).name);
                    self.line(&text);
                }
                Stmt::ForEach(pattern, over, inner) => {
                    let over = self.expr(*over);
                    let text = format!("for {} in {over} {{", self.pattern(pattern));
                    self.line(&text);
                    self.nested(inner);
                }
                Stmt::ForRange { name, from, to, body } => {
                    self.line(&format!("for {name} in {from}..{to} {{"));
                    self.nested(body);
                }
                Stmt::Expr(value) => {
                    self.expr(*value);
                }
            }
        }
        if let Some(result) = block.result {
            let result = self.expr(result);
            self.line(&result);
        }
    }

    fn pattern(&self, pattern: &Pattern) -> String {
        match pattern {
            Pattern::Local(local) => self.body.local(*local).name.clone(),
            Pattern::Ignore => "_".to_string(),
            Pattern::Tuple(parts) => {
                format!("({})", parts.iter().map(|p| self.pattern(p)).join(", "))
            }
        }
    }

    /// `stride = 2`, `perm = [1, 0]`: the compile-time arguments under the names of the declaration.
    fn named_sizes(&self, op: Intrinsic, sizes: &[Vec<Dim>]) -> Vec<String> {
        let declared = self.program.fns.iter().find(|f| matches!(f.code, FnCode::Intrinsic(o) if o == op));
        let params = declared.iter().flat_map(|f| &f.params).filter(|p| !matches!(p.kind, ParamKind::Value(_)));
        let show = |param: &Param, dims: &[Dim]| match (&param.kind, dims) {
            (ParamKind::Nat, [dim]) => format!("{} = {dim}", param.name),
            _ => format!("{} = {}", param.name, Shape::of(dims.to_vec())),
        };
        params.zip(sizes).map(|(param, dims)| show(param, dims)).collect()
    }

    fn list(&mut self, ids: &[ExprId]) -> String {
        ids.iter().map(|id| self.expr(*id)).join(", ")
    }

    /// Prints what computes an expression and gives the name under which it can be used.
    fn expr(&mut self, id: ExprId) -> String {
        let body = self.body;
        let expr = body.expr(id);
        let text = match &expr.kind {
            ExprKind::Error(_) => return "?".to_string(),
            ExprKind::Size(dim) => return dim.to_string(),
            ExprKind::Constant(value) => return format!("{value:?}"),
            ExprKind::Local(local) => return body.local(*local).name.clone(),
            ExprKind::Field(base, index) => {
                let name = self.program.fields(&body.expr(*base).ty).into_iter().nth(*index).map(|(name, _)| name);
                let base = self.expr(*base);
                return format!("{base}.{}", name.unwrap_or_else(|| index.to_string()));
            }
            ExprKind::Element(base, at) => return format!("{}[{at}]", self.expr(*base)),
            ExprKind::Elements(base, from) => {
                let to = if let Ty::Array(_, n) = &expr.ty { from.plus(n).to_string() } else { String::new() };
                return format!("{}[{from}..{to}]", self.expr(*base));
            }
            ExprKind::Block(block) => {
                self.line(&format!("{id} = {{"));
                self.nested(block);
                return id.to_string();
            }
            ExprKind::If { cond, then, otherwise, .. } => {
                let cond = self.expr(*cond);
                self.line(&format!("{id} = if {cond} {{"));
                self.depth += 1;
                self.block(then);
                self.depth -= 1;
                self.line("} else {");
                self.nested(otherwise);
                return id.to_string();
            }
            ExprKind::Unary(UnaryOp::Neg, a) => format!("-{}", self.expr(*a)),
            ExprKind::Unary(UnaryOp::Not, a) => format!("!{}", self.expr(*a)),
            ExprKind::Binary(op, a, b) => {
                let a = self.expr(*a);
                format!("{a} {} {}", op.symbol(), self.expr(*b))
            }
            ExprKind::Call { callee, args, bindings } => {
                let dims = bindings.sizes.dims.iter().map(|(name, dim)| format!("{name} = {dim}"));
                let rests = bindings.sizes.rests.iter().map(|(name, shape)| format!("..{name} = {shape}"));
                let records = bindings.records.iter().map(|(name, ty)| format!("{name} = {ty}"));
                let sizes: Vec<String> = dims.chain(rests).chain(records).collect();
                format!("{}{}({})", self.program.fns[callee.index()].name, brackets(&sizes), self.list(args))
            }
            ExprKind::Intrinsic { op, args, sizes } => {
                let mut words: Vec<String> = args.iter().map(|id| self.expr(*id)).collect();
                words.extend(self.named_sizes(*op, sizes));
                format!("{}({})", op.name(), words.join(", "))
            }
            ExprKind::Index(base, starts) => {
                let starts: Vec<String> =
                    starts.iter().map(|s| format!("{}{}", s.start, if s.dropped { "" } else { ".." })).collect();
                format!("{}[{}]", self.expr(*base), starts.join(", "))
            }
            ExprKind::Record(items) => format!("({})", self.list(items)),
            ExprKind::Approx(inner, error) => format!("approx({}, error = {error})", self.expr(*inner)),
            ExprKind::Gradient { loss, by } => {
                let loss = self.expr(*loss);
                format!("grad({loss}, {})", self.expr(*by))
            }
            ExprKind::Reveal(value, to) => {
                let to = self.destination(*to);
                format!("reveal {} to {to}", self.expr(*value))
            }
            ExprKind::NotStatic(value, _) => format!("not-static {}", self.expr(*value)),
        };
        let label = self.labels.map(|l| format!(" {{{}}}", l[id.index()].describe(&self.program.owners)));
        let line = format!("{id}: {}{} = {text}", expr.ty, label.unwrap_or_default());
        self.line(&line);
        id.to_string()
    }
}

fn brackets(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("[{}]", names.join(", ")) }
}
