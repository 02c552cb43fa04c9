//! From the typed program to the dataflow graph of one entry with all sizes known.
//!
//! Functions are inlined, conditions decided; the turns of a loop are lowered one by one, and those that compute the
//! same become one loop node ([`roll`]). A value stays in the clear for as long as one owner (or
//! everybody) knows all of it, so owner-local work costs the parties nothing; it is shared where it first meets
//! another owner's data, before any broadcast that would make it larger. The arithmetic is in [`build`].

mod branch;
mod build;
mod functions;
mod intrinsics;
mod moves;
mod records;
mod roll;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::build::Builder;
use self::records::{Value, bind, part};
use self::roll::Turns;
use crate::diag::{Code, Diagnostic, list};
use crate::graph::{Graph, MAX_ELEMENTS, NodeId, Op};
use crate::hir::{self, Bindings, Body, Elem, Entry, ExprId, ExprKind, FnCode, LocalId, Program, Stmt};
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// More turns of all loops together than this are refused: loops are unrolled.
const MAX_TURNS: usize = 1_000_000;
/// More expressions, in all calls and turns, are refused.
const MAX_STEPS: usize = 20_000_000;
/// More nodes are refused.
const MAX_NODES: usize = 4_000_000;
/// Expressions stand in one another at most this deep.
const MAX_DEPTH: usize = 400;

/// Builds the graph of an entry. `dims` gives every open size; what they lead to is checked here, and `None` follows
/// an error in `diags`.
pub fn lower(
    program: &Program,
    entry: &str,
    dims: &BTreeMap<String, usize>,
    diags: &mut Vec<Diagnostic>,
) -> Option<Graph> {
    let entry = match program.entry(Some(entry)) {
        Ok(entry) => entry,
        Err(problem) => {
            diags.push(problem);
            return None;
        }
    };
    let sizes = entry.sizes.iter().map(String::as_str).zip(&entry.size_places);
    let open: Vec<(&str, &Span)> = sizes.filter(|(name, _)| !dims.contains_key(*name)).collect();
    if let Some(((_, place), others)) = open.split_first() {
        let names = list(open.iter().map(|(name, _)| *name));
        let flags: Vec<String> = open.iter().map(|(name, _)| format!("--dim {name}=32")).collect();
        let verb = if others.is_empty() { "is" } else { "are" };
        let message = format!("nothing determines the size {names}");
        let mut error = Diagnostic::error(Code::OpenSize, **place, message);
        for (_, other) in others {
            error = error.label(**other, "and this one");
        }
        diags.push(error.help(format!("{names} {verb} open: say how large with `{}`", flags.join(" "))));
        return None;
    }
    let bindings = Bindings::of(dims.iter().map(|(name, n)| (name.clone(), Dim::count(*n))).collect());
    let graph = Graph::new(entry.name.clone(), program.format, program.owners.clone());
    let mut lowering = Lowering {
        program,
        build: Builder::new(graph, entry.span),
        openings: &entry.reveals,
        opened: BTreeMap::new(),
        reveals: 0,
        turns: 0,
        asked: 0,
        steps: 0,
        depth: 0,
    };
    let done = lowering.entry(entry, bindings);
    if done.is_none() && lowering.build.diags.is_empty() {
        lowering.build.error(Code::Unsupported, "this program is not compiled for these sizes");
    }
    let failed = !lowering.build.diags.is_empty();
    diags.append(&mut lowering.build.diags);
    (done.is_some() && !failed).then(|| lowering.build.finish())
}

/// A call being inlined.
struct Frame<'a> {
    body: &'a Body,
    /// What the function's sizes are here: numbers all.
    bindings: Bindings,
    locals: Vec<Value>,
}

impl Frame<'_> {
    fn set(&mut self, local: LocalId, value: Value) {
        self.locals[local.index()] = value;
    }
}

/// Walks the bodies. Every method gives `None` after an error it has reported.
struct Lowering<'a> {
    program: &'a Program,
    build: Builder,
    /// The places of the entry that open a value.
    openings: &'a [hir::Opening],
    /// How often each has opened one so far.
    opened: BTreeMap<usize, usize>,
    reveals: usize,
    turns: usize,
    /// Bits that the call lowered next may leave unread (`approx`).
    asked: u32,
    /// Expressions lowered so far.
    steps: usize,
    /// Expressions that the one being lowered stands in.
    depth: usize,
}

impl<'a> Lowering<'a> {
    fn entry(&mut self, entry: &'a Entry, bindings: Bindings) -> Option<()> {
        let mut locals = Vec::new();
        for param in &entry.params {
            self.build.span = param.span;
            let ty = param.ty.substitute(&bindings);
            let mut path = param.name.clone();
            locals.push(self.input(&mut path, &ty, param.source, 0)?);
        }
        locals.resize(entry.body.locals.len(), Value::unbound());
        let mut frame = Frame { body: &entry.body, bindings, locals };
        let value = self.block(&mut frame, &entry.body.block)?;
        for (index, result) in entry.results.iter().enumerate() {
            self.build.span = entry.body.block.result.map_or(result.span, |id| entry.body.expr(id).span);
            let ty = result.ty.substitute(&frame.bindings);
            if entry.tuple {
                let part = part(&value, index);
                self.reveal(&format!("out.{index}"), &part, &ty, result.to, 0)?;
            } else {
                self.reveal("out", &value, &ty, result.to, 0)?;
            }
        }
        Some(())
    }

    fn unsupported<T>(&mut self, what: &str) -> Option<T> {
        let message = format!("{what} is not compiled in this version");
        self.build.error(Code::Unsupported, message);
        None
    }

    fn number(&mut self, dim: &Dim) -> Option<i64> {
        if dim.is_too_large() {
            self.build.error(Code::BadSize, "a size comes out too large for these sizes");
        } else if dim.as_constant().is_none() {
            self.build.error(Code::OpenSize, format!("nothing determines the size `{dim}`"));
        }
        dim.as_constant()
    }

    /// The shape of a tensor type whose sizes are put in.
    fn shape(&mut self, ty: &hir::Ty) -> Option<Vec<usize>> {
        let hir::Ty::Tensor(_, shape) = ty else { return Some(Vec::new()) };
        let dims: Option<Vec<i64>> = shape.dims.iter().map(|d| self.number(d)).collect();
        let dims = dims?;
        if dims.iter().any(|d| *d < 1) {
            let help = "the window is larger than the padded input, or a `--dim` is too small";
            self.build.error(Code::BadSize, format!("a shape comes out as `{shape}` for these sizes")).help =
                Some(help.into());
            return None;
        }
        let dims: Vec<usize> = dims.into_iter().map(|d| d as usize).collect();
        if dims.iter().fold(1, |len: usize, n| len.saturating_mul(*n)) > MAX_ELEMENTS {
            let message = format!("a tensor of shape `{shape}` has more than {MAX_ELEMENTS} elements");
            self.build.error(Code::BadSize, message);
            return None;
        }
        Some(dims)
    }

    fn block(&mut self, frame: &mut Frame<'a>, block: &'a hir::Block) -> Option<Value> {
        for stmt in &block.stmts {
            match stmt {
                Stmt::Let(pattern, value) => {
                    let value = self.expr(frame, *value)?;
                    bind(pattern, value, frame);
                }
                Stmt::Assign(local, value) => {
                    let value = self.expr(frame, *value)?;
                    frame.set(*local, value);
                }
                Stmt::ForEach(pattern, over, body) => {
                    let Value::Record(items) = self.expr(frame, *over)? else { continue };
                    let mut turns = Turns::new(&frame.locals);
                    for item in items {
                        self.turn()?;
                        turns.begin(&self.build, &mut frame.locals);
                        bind(pattern, item, frame);
                        self.block(frame, body)?;
                        turns.end(&self.build);
                    }
                    turns.roll(&mut self.build, &mut frame.locals);
                }
                Stmt::ForRange { name, from, to, body } => {
                    let from = self.number(&from.substitute(&frame.bindings.sizes.dims))?;
                    let to = self.number(&to.substitute(&frame.bindings.sizes.dims))?;
                    let mut turns = Turns::new(&frame.locals);
                    for turn in from..to {
                        self.turn()?;
                        frame.bindings.sizes.dims.insert(name.clone(), Dim::constant(turn));
                        turns.begin(&self.build, &mut frame.locals);
                        self.block(frame, body)?;
                        turns.end(&self.build);
                    }
                    turns.roll(&mut self.build, &mut frame.locals);
                }
                Stmt::Expr(value) => {
                    self.expr(frame, *value)?;
                }
            }
        }
        match block.result {
            Some(id) => self.expr(frame, id),
            None => Some(Value::Record(Vec::new())),
        }
    }

    /// Counts a turn of a loop.
    fn turn(&mut self) -> Option<()> {
        self.turns += 1;
        if self.turns > MAX_TURNS {
            return self.unsupported(&format!("a program whose loops take more than {MAX_TURNS} turns"));
        }
        Some(())
    }

    /// Lowers an expression; its nodes carry the innermost place in the user's own files.
    fn expr(&mut self, frame: &mut Frame<'a>, id: ExprId) -> Option<Value> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.build.graph.dag.node_count() > MAX_NODES || self.depth > MAX_DEPTH {
            return self.unsupported("a program whose calls and loops lead to so many operations");
        }
        let outer = self.build.span;
        let span = frame.body.expr(id).span;
        if !self.program.is_library(span) {
            self.build.span = span;
        }
        self.depth += 1;
        let value = self.kind(frame, id, span);
        self.depth -= 1;
        self.build.span = outer;
        value
    }

    fn kind(&mut self, frame: &mut Frame<'a>, id: ExprId, span: Span) -> Option<Value> {
        let body = frame.body;
        let expr = body.expr(id);
        match &expr.kind {
            ExprKind::Error(_) | ExprKind::NotStatic(..) => {
                self.build.error(Code::Unsupported, "this expression has an error");
                None
            }
            ExprKind::Size(dim) => Some(Value::Const(self.number(&dim.substitute(&frame.bindings.sizes.dims))? as f64)),
            ExprKind::Constant(value) => Some(Value::Const(*value)),
            ExprKind::Local(local) => Some(frame.locals[local.index()].clone()),
            ExprKind::Unary(op, a) => {
                let a = self.expr(frame, *a)?;
                self.unary(*op, &a)
            }
            ExprKind::Binary(op, a, b) => {
                let elem = operand_elem(&body.expr(*a).ty);
                let (a, b) = (self.expr(frame, *a)?, self.expr(frame, *b)?);
                let ty = expr.ty.substitute(&frame.bindings);
                self.binary(*op, &a, &b, elem, &ty)
            }
            ExprKind::Approx(inner, error) => {
                self.asked = hir::unread_bits(self.program.format, *error);
                self.kind(frame, *inner, span)
            }
            ExprKind::Call { callee, args, bindings } => {
                let asked = std::mem::take(&mut self.asked);
                let args: Option<Vec<Value>> = args.iter().map(|a| self.expr(frame, *a)).collect();
                let function = &self.program.fns[callee.index()];
                let FnCode::Body(body) = &function.code else { return self.unsupported("this call") };
                let mut locals = args?;
                locals.resize(body.locals.len(), Value::unbound());
                let bindings = bindings.substitute(&frame.bindings);
                self.coarsely(asked, |this| this.block(&mut Frame { body, bindings, locals }, &body.block))
            }
            ExprKind::Intrinsic { op, args, sizes } => {
                let asked = std::mem::take(&mut self.asked);
                let (mut values, mut types) = (Vec::new(), Vec::new());
                for arg in args {
                    values.push(self.expr(frame, *arg)?);
                    types.push(body.expr(*arg).ty.substitute(&frame.bindings));
                }
                let mut numbers: Vec<Vec<i64>> = Vec::new();
                for list in sizes {
                    let list: Option<_> =
                        list.iter().map(|d| self.number(&d.substitute(&frame.bindings.sizes.dims))).collect();
                    numbers.push(list?);
                }
                let ty = expr.ty.substitute(&frame.bindings);
                self.coarsely(asked, |this| this.intrinsic(*op, &values, &types, &numbers, &ty))
            }
            ExprKind::Field(base, index) => Some(part(&self.expr(frame, *base)?, *index)),
            ExprKind::Element(base, at) => {
                let base = self.expr(frame, *base)?;
                let at = self.number(&at.substitute(&frame.bindings.sizes.dims))?;
                match &base {
                    Value::Record(items) if usize::try_from(at).is_ok_and(|at| at < items.len()) => {
                        Some(part(&base, at as usize))
                    }
                    _ => {
                        self.build.error(Code::BadSize, format!("there is no element {at} in this array"));
                        None
                    }
                }
            }
            ExprKind::Index(base, starts) => {
                let ty = body.expr(*base).ty.substitute(&frame.bindings);
                let base = self.expr(frame, *base)?;
                let result = expr.ty.substitute(&frame.bindings);
                self.index(&base, &ty, starts, &result, &frame.bindings.sizes)
            }
            ExprKind::Record(items) => {
                let items: Option<Vec<Value>> = items.iter().map(|i| self.expr(frame, *i)).collect();
                Some(Value::Record(items?))
            }
            ExprKind::Elements(base, from) => {
                let base = self.expr(frame, *base)?;
                let from = self.number(&from.substitute(&frame.bindings.sizes.dims))?;
                let hir::Ty::Array(_, n) = expr.ty.substitute(&frame.bindings) else { return Some(base) };
                let n = self.number(&n)?;
                let range = usize::try_from(from).ok().zip(usize::try_from(n).ok().filter(|n| *n > 0));
                match (&base, range) {
                    (Value::Record(items), Some((from, n))) if from + n <= items.len() => {
                        Some(Value::Record(items[from..from + n].to_vec()))
                    }
                    _ => {
                        self.build.error(Code::BadSize, format!("there are no {n} elements from {from} in this array"));
                        None
                    }
                }
            }
            ExprKind::If { cond, then, otherwise, .. } => match self.expr(frame, *cond)? {
                Value::Const(0.0) => self.block(frame, otherwise),
                Value::Const(_) => self.block(frame, then),
                Value::Node(cond) => self.branch(frame, cond, then, otherwise, &expr.ty),
                Value::Record(_) => self.unsupported("a record as a condition"),
            },
            ExprKind::Gradient { loss, by } => {
                let loss = self.expr(frame, *loss)?;
                let loss = self.node(&loss)?;
                let ty = expr.ty.substitute(&frame.bindings);
                let by = self.expr(frame, *by)?;
                self.gradient(loss, &by, &ty)
            }
            ExprKind::Block(block) => self.block(frame, block),
            ExprKind::Reveal(id, to) => {
                let ty = body.expr(*id).ty.substitute(&frame.bindings);
                let value = self.expr(frame, *id)?;
                // The number is that of the place in the text; in a loop each turn has one more.
                let place = self.openings.iter().position(|o| o.value == *id).unwrap_or(0);
                let turn = self.opened.entry(place).or_default();
                let name = match self.openings.get(place) {
                    Some(opening) if opening.repeated => format!("reveal.{place}.{turn}"),
                    _ => format!("reveal.{place}"),
                };
                *turn += 1;
                self.reveals += 1;
                self.build.span = span;
                self.reveal(&name, &value, &ty, *to, 0)?;
                Some(Value::Record(Vec::new()))
            }
        }
    }

    /// Lowers what a call does, with comparisons that leave `bits` unread (or more, if a call around it asks so). The
    /// arguments are none of it.
    fn coarsely<T>(&mut self, bits: u32, call: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.build.coarse;
        self.build.coarse = outer.max(bits);
        let result = call(self);
        self.build.coarse = outer;
        result
    }

    fn unary(&mut self, op: UnaryOp, a: &Value) -> Option<Value> {
        Some(match (a, op) {
            (Value::Const(a), UnaryOp::Neg) => Value::Const(-a),
            (Value::Const(a), UnaryOp::Not) => Value::Const(1.0 - a),
            (Value::Node(a), UnaryOp::Neg) => Value::Node(self.build.like(Op::Neg, *a)),
            (Value::Node(a), UnaryOp::Not) => Value::Node(self.build.not(*a)),
            (Value::Record(parts), _) => {
                let parts: Option<Vec<Value>> = parts.iter().map(|p| self.unary(op, p)).collect();
                Value::Record(parts?)
            }
        })
    }

    /// A binary operation; on records part by part, where a single number goes with every part.
    fn binary(&mut self, op: BinaryOp, a: &Value, b: &Value, elem: Elem, ty: &hir::Ty) -> Option<Value> {
        if let (Value::Const(a), Value::Const(b)) = (a, b) {
            return Some(Value::Const(fold(op, *a, *b)));
        }
        if let hir::Ty::Tensor(..) = ty {
            let shape = self.shape(ty)?;
            let (a, b) = (self.filled(a, &shape)?, self.filled(b, &shape)?);
            return self.build.binary(op, a, b, elem, &shape).map(Value::Node);
        }
        let mut parts = Vec::new();
        for (index, at) in self.parts(ty, 0)?.iter().enumerate() {
            parts.push(self.binary(op, &part(a, index), &part(b, index), operand_elem(&at.ty), &at.ty)?);
        }
        Some(Value::Record(parts))
    }

    /// The value as a node; a single number takes the shape it will be broadcast to.
    fn filled(&mut self, value: &Value, shape: &[usize]) -> Option<NodeId> {
        match value {
            Value::Const(value) => Some(self.build.constant(*value, shape)),
            Value::Node(_) | Value::Record(_) => self.node(value),
        }
    }

    /// The value as a node.
    fn node(&mut self, value: &Value) -> Option<NodeId> {
        match value {
            Value::Const(value) => Some(self.build.constant(*value, &[])),
            Value::Node(node) => Some(*node),
            Value::Record(_) => self.unsupported("a record in this place"),
        }
    }
}

/// The element type of an operand; compile-time numbers are integers.
fn operand_elem(ty: &hir::Ty) -> Elem {
    match ty {
        hir::Ty::Tensor(elem, _) => *elem,
        hir::Ty::Nat => Elem::Int,
        _ => Elem::Fix,
    }
}

fn fold(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Rem => a % b,
        BinaryOp::Less => f64::from(a < b),
        BinaryOp::LessEqual => f64::from(a <= b),
        BinaryOp::Greater => f64::from(a > b),
        BinaryOp::GreaterEqual => f64::from(a >= b),
        BinaryOp::Equal => f64::from(a == b),
        BinaryOp::NotEqual => f64::from(a != b),
        BinaryOp::And => a * b,
        BinaryOp::Or => a.max(b),
    }
}
