//! Where secrets flow: each entry is followed through the calls it makes, with a label for every value.
//!
//! Types are checked once for all callers, labels per call, because parameters are as secret as what they are given.
//! Loops run until the labels stand still; labels only grow, so they do.

mod flow;

use std::collections::{BTreeMap, BTreeSet};

use self::flow::{Flow, Known, Value};
use super::{Block, Body, Destination, ExprId, ExprKind, FnCode, FnId, Pattern, Program, Source, Stmt, Ty};
use crate::diag::{Code, Diagnostic};
use crate::fixed::pow2;
use crate::label::{Label, OwnerId};
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast::BinaryOp;

/// Follows every entry, reports secrets in public places, and fills the labels of results and expressions. Gives back
/// the labels of all places that entries lead to, but for those behind an error.
pub(super) fn check(program: &mut Program, diags: &mut Vec<Diagnostic>) -> BTreeMap<Span, Label> {
    let mut found = Vec::new();
    let mut places = BTreeMap::new();
    for index in 0..program.entries.len() {
        let entry = &program.entries[index];
        let mut walk = Walk {
            program,
            entry: index,
            diags,
            reported: BTreeSet::new(),
            calls: Vec::new(),
            callees: Vec::new(),
            labels: vec![Label::PUBLIC; entry.body.exprs.len()],
            places: &mut places,
            undecided: 0,
            steps: 0,
            depth: 0,
        };
        let mut locals: Vec<Value> = (0..entry.params.len()).map(|i| Value::Leaf(walk.enters(i))).collect();
        locals.resize(entry.body.locals.len(), Value::Leaf(Flow::default()));
        walk.note_params(&entry.body, &locals[..entry.params.len()]);
        let result = walk.block(&entry.body, &mut locals, &entry.body.block);
        found.push((walk.labels, result));
    }
    for (entry, (labels, result)) in program.entries.iter_mut().zip(found) {
        for (index, out) in entry.results.iter_mut().enumerate() {
            out.label = if entry.tuple { result.part(index).flow().label } else { result.flow().label };
        }
        for opening in &mut entry.reveals {
            opening.label = labels.get(opening.value.index()).copied().unwrap_or_default();
        }
        entry.labels = labels;
    }
    places.into_iter().filter_map(|(place, label)| Some((place, label?))).collect()
}

struct Walk<'a> {
    program: &'a Program,
    entry: usize,
    diags: &'a mut Vec<Diagnostic>,
    /// What has been said about which place: loops and repeated calls come by more than once.
    reported: BTreeSet<(Code, Span)>,
    /// Places of the calls that lead from the entry to here.
    calls: Vec<Span>,
    /// What they call.
    callees: Vec<FnId>,
    /// Labels of the entry's own expressions.
    labels: Vec<Label>,
    /// Labels of the expressions and variables at these places, over all calls.
    places: &'a mut BTreeMap<Span, Option<Label>>,
    /// Branches around this place that are decided at run time.
    undecided: usize,
    /// Expressions looked at so far.
    steps: usize,
    /// Expressions that the one looked at stands in, through all calls.
    depth: usize,
}

/// A program whose calls and loops lead to more expressions than this is refused, as later stages would fill the memory.
const MAX_STEPS: usize = 200_000;

/// Expressions stand in one another, through all calls, at most this deep: they are followed recursively.
const MAX_DEPTH: usize = 400;

impl Walk<'_> {
    /// The flow of an entry's parameter.
    fn enters(&self, index: usize) -> Flow {
        let all = || (0..self.program.owners.len() as u32).map(OwnerId).map(Label::of).fold(Label::PUBLIC, Label::join);
        let (label, shared) = match self.program.entries[self.entry].params[index].source {
            Source::Owner(owner) => (Label::of(owner), false),
            Source::Public => (Label::PUBLIC, false),
            // Nobody remembers whose data a state was computed from: anybody's.
            Source::Shares => (all(), true),
        };
        let params = if label.is_public() && !shared { BTreeSet::new() } else { BTreeSet::from([index]) };
        Flow { label, shared, params, known: Known::No, unclear: false }
    }

    fn report(&mut self, diag: Diagnostic, flow: &Flow) {
        let Some(mut place) = diag.labels.first().map(|l| l.span) else { return };
        let program = self.program;
        let mut diag = diag;
        // What goes wrong within the library is shown at the author's call.
        if program.is_library(place)
            && let Some(call) = self.calls.iter().rev().find(|call| !program.is_library(**call))
        {
            diag = diag.label(place, "in the library, here");
            diag.labels[0].span = *call;
            place = *call;
        }
        if !self.reported.insert((diag.code, place)) {
            return;
        }
        for index in &flow.params {
            let param = &program.entries[self.entry].params[*index];
            diag = match param.source {
                Source::Owner(owner) => {
                    diag.label(param.span, format!("{}'s part enters here", program.owners[owner.index()]))
                }
                Source::Shares => diag.label(param.span, "the shared state enters here"),
                Source::Public => diag,
            };
        }
        for call in self.calls.iter().rev().filter(|call| **call != place && !program.is_library(**call)) {
            diag = diag.label(*call, "called here");
        }
        self.diags.push(diag);
    }

    fn depends(&self, flow: &Flow) -> String {
        format!("depends on {}", flow.label.describe(&self.program.owners))
    }

    fn block(&mut self, body: &Body, locals: &mut Vec<Value>, block: &Block) -> Value {
        for stmt in &block.stmts {
            match stmt {
                Stmt::Let(pattern, value) => {
                    let value = self.expr(body, locals, *value);
                    self.note_pattern(body, pattern, &value);
                    bind(pattern, value, locals);
                }
                Stmt::Assign(local, value) => {
                    let value = self.expr(body, locals, *value);
                    self.note(body.local(*local).span, &value);
                    locals[local.index()] = value;
                }
                Stmt::ForEach(pattern, over, inner) => {
                    let item = Value::Leaf(self.expr(body, locals, *over).flow());
                    self.note_pattern(body, pattern, &item);
                    self.repeat(body, locals, inner, |locals| bind(pattern, item.clone(), locals));
                }
                Stmt::ForRange { body: inner, .. } => self.repeat(body, locals, inner, |_| ()),
                Stmt::Expr(value) => {
                    self.expr(body, locals, *value);
                }
            }
        }
        block.result.map_or(Value::Record(Vec::new()), |id| self.expr(body, locals, id))
    }

    /// Runs a loop's body until nothing changes.
    fn repeat(&mut self, body: &Body, locals: &mut Vec<Value>, inner: &Block, start: impl Fn(&mut Vec<Value>)) {
        loop {
            self.steps += 1 + locals.len();
            if self.steps > MAX_STEPS {
                return;
            }
            let before = locals.clone();
            start(locals);
            self.block(body, locals, inner);
            locals.iter_mut().zip(&before).for_each(|(now, then)| *now = now.join(then));
            if *locals == before {
                return;
            }
        }
    }

    fn expr(&mut self, body: &Body, locals: &mut Vec<Value>, id: ExprId) -> Value {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.depth > MAX_DEPTH {
            return self.give_up(body.expr(id).span);
        }
        self.depth += 1;
        let value = self.kind(body, locals, id);
        self.depth -= 1;
        self.note(body.expr(id).span, &value);
        if self.calls.is_empty() {
            let label = &mut self.labels[id.index()];
            *label = label.join(value.flow().label);
        }
        value
    }

    /// Refuses a program that is too large to be followed, once.
    fn give_up(&mut self, span: Span) -> Value {
        let entry = &self.program.entries[self.entry];
        let message = format!("the calls and loops of entry `{}` are too many, or too deep in one another", entry.name);
        let place = self.calls.first().copied().unwrap_or(span);
        if self.reported.insert((Code::Unsupported, entry.span)) {
            self.diags.push(Diagnostic::error(Code::Unsupported, place, message));
        }
        Value::Leaf(Flow::default())
    }

    fn kind(&mut self, body: &Body, locals: &mut Vec<Value>, id: ExprId) -> Value {
        let expr = body.expr(id);
        match &expr.kind {
            ExprKind::Error(operands) => {
                operands.iter().for_each(|id| drop(self.expr(body, locals, *id)));
                Value::Leaf(Flow::unclear())
            }
            ExprKind::Size(dim) => Value::Leaf(Flow::known(dim.as_constant().map(|c| c as f64))),
            ExprKind::Constant(value) => Value::Leaf(Flow::known(Some(*value))),
            ExprKind::Local(local) => locals[local.index()].clone(),
            ExprKind::Unary(op, operand) => self.expr(body, locals, *operand).map(&|flow| flow.unary(*op)),
            ExprKind::Binary(op, a, b) => {
                let left = self.expr(body, locals, *a);
                let right = self.expr(body, locals, *b);
                self.operands(*op, (&left.flow(), body.expr(*a).span), (&right.flow(), body.expr(*b).span));
                left.zip(&right, &|a, b| a.binary(b, *op))
            }
            ExprKind::Call { callee, args, .. } => {
                let args: Vec<(Value, Span)> =
                    args.iter().map(|a| (self.expr(body, locals, *a), body.expr(*a).span)).collect();
                self.call(*callee, args, expr.span)
            }
            ExprKind::Intrinsic { args, .. } => {
                let mut joined = Flow::known(None);
                for arg in args {
                    joined = joined.join(&self.expr(body, locals, *arg).flow());
                }
                // Operations on whole tensors are not folded, so a condition on their result is a run-time one.
                Value::Leaf(Flow { known: Known::No, ..joined })
            }
            ExprKind::Field(base, index) => self.expr(body, locals, *base).part(*index),
            ExprKind::Element(base, at) => {
                let base = self.expr(body, locals, *base);
                match at.as_constant().and_then(|c| usize::try_from(c).ok()) {
                    Some(index) => base.part(index),
                    None => Value::Leaf(base.flow()),
                }
            }
            ExprKind::Elements(base, from) => {
                let base = self.expr(body, locals, *base);
                let number = |d: &Dim| d.as_constant().and_then(|c| usize::try_from(c).ok());
                let length = if let Ty::Array(_, n) = &expr.ty { number(n) } else { None };
                match (number(from), length) {
                    (Some(from), Some(n)) => Value::Record((from..from + n).map(|i| base.part(i)).collect()),
                    _ => Value::Leaf(base.flow()),
                }
            }
            ExprKind::Index(base, _) => self.expr(body, locals, *base),
            ExprKind::Record(items) => Value::Record(items.iter().map(|i| self.expr(body, locals, *i)).collect()),
            ExprKind::If { cond, then, otherwise, select } => {
                let condition = self.expr(body, locals, *cond).flow();
                self.condition(&condition, body.expr(*cond).span, select);
                self.steps += locals.len();
                let mut other = locals.clone();
                // A public value of the run decides: both sides run, and only their values are chosen from.
                let decided = condition.known == Known::No && !condition.secret();
                self.undecided += usize::from(decided);
                let value = self.block(body, locals, then);
                let alternative = self.block(body, &mut other, otherwise);
                self.undecided -= usize::from(decided);
                let join = |a: &Value, b: &Value| match (a.join(b), decided && a != b) {
                    // Which one it is, only the run tells.
                    (joined, true) => joined.map(&|flow| Flow { known: Known::No, ..flow.clone() }),
                    (joined, false) => joined,
                };
                locals.iter_mut().zip(&other).for_each(|(a, b)| *a = join(a, b));
                join(&value, &alternative)
            }
            ExprKind::Block(block) => self.block(body, locals, block),
            ExprKind::Approx(inner, _) => self.expr(body, locals, *inner),
            ExprKind::Gradient { loss, by } => {
                let loss = self.expr(body, locals, *loss).flow();
                let by = self.expr(body, locals, *by);
                by.map(&|flow| Flow { known: Known::No, ..flow.join(&loss) })
            }
            ExprKind::Reveal(value, to) => {
                let flow = self.expr(body, locals, *value).flow();
                self.opened(*to, &flow, expr.span);
                Value::Record(Vec::new())
            }
            ExprKind::NotStatic(inner, role) => {
                let flow = self.expr(body, locals, *inner).flow();
                self.not_static(&flow, body.expr(*inner).span, role);
                Value::Leaf(Flow::unclear())
            }
        }
    }

    fn note(&mut self, place: Span, value: &Value) {
        let flow = value.flow();
        let known = self.places.entry(place).or_insert(Some(Label::PUBLIC));
        *known = known.filter(|_| !flow.unclear).map(|label| label.join(flow.label));
    }

    fn note_params(&mut self, body: &Body, values: &[Value]) {
        body.locals.iter().zip(values).for_each(|(local, value)| self.note(local.span, value));
    }

    fn note_pattern(&mut self, body: &Body, pattern: &Pattern, value: &Value) {
        match pattern {
            Pattern::Local(local) => self.note(body.local(*local).span, value),
            Pattern::Ignore => {}
            Pattern::Tuple(parts) => {
                parts.iter().enumerate().for_each(|(i, part)| self.note_pattern(body, part, &value.part(i)));
            }
        }
    }

    fn opened(&mut self, to: Destination, flow: &Flow, span: Span) {
        if self.undecided > 0 {
            let message = "`reveal` in a branch that is decided while running";
            let error = Diagnostic::error(Code::NotAllowedHere, span, message);
            self.report(error.help("choose the value in the branch, and reveal it behind"), flow);
        }
        if to == Destination::Shares {
            let error =
                Diagnostic::error(Code::NotAllowedHere, span, "`reveal` opens a value, and `shares` keep it closed");
            self.report(error.help("give it back as a result: `-> T to shares`"), flow);
        }
    }

    fn not_static(&mut self, flow: &Flow, span: Span, role: &str) {
        let error = if flow.secret() {
            Diagnostic::error(Code::SecretPosition, span, format!("{role} is a secret, and it must be public"))
                .here(self.depends(flow))
                .help(match role {
                    "an index" => "to look up by a secret, multiply by a row that is 1 at the place and 0 elsewhere",
                    "a loop bound" => "loop as often as any case needs, and `select` the turns that count",
                    _ => "use a number, or a size from the shapes",
                })
        } else {
            Diagnostic::error(Code::Unsupported, span, format!("{role} must be known at compile time in this version"))
                .help("use a number, a size from the shapes, or a `nat` parameter")
        };
        self.report(error, flow);
    }

    fn condition(&mut self, flow: &Flow, span: Span, select: &str) {
        let error = if flow.secret() {
            Diagnostic::error(Code::SecretBranch, span, "a secret decides a branch")
                .here(self.depends(flow))
                .help(format!("compute both and choose: `{select}`"))
        } else {
            return;
        };
        self.report(error, flow);
    }

    /// Checks what a binary operation asks of its operands: a divisor that somebody knows, constants that the
    /// number format holds.
    fn operands(&mut self, op: BinaryOp, left: (&Flow, Span), right: (&Flow, Span)) {
        if op == BinaryOp::Div && right.0.joint() {
            let error = Diagnostic::error(Code::Unsupported, right.1, "division by a value that no single owner knows")
                .here(self.depends(right.0))
                .help(self.instead_of_division(right.1));
            self.report(error, right.0);
        }
        for ((constant, place), other) in [(left, right.0), (right, left.0)] {
            let (Known::Value(value), true) = (constant.known, other.joint()) else { continue };
            let divides = op == BinaryOp::Div && place == right.1;
            if divides && value == 0.0 {
                self.report(Diagnostic::error(Code::TooLarge, place, "division by zero"), constant);
                continue;
            }
            let encoded = if divides { 1.0 / value } else { value };
            self.fits(encoded, value, place);
        }
    }

    /// What to write in place of a division at `place`; in the library, in place of the call that leads there.
    fn instead_of_division(&self, place: Span) -> &'static str {
        let library = |span: Span| self.program.is_library(span);
        let called = self.calls.iter().rposition(|call| !library(*call)).filter(|_| library(place));
        match called.map(|index| self.program.fns[self.callees[index].index()].name.as_str()) {
            Some("batch_norm") => "all fields of `p` have to come from one owner",
            Some("sqrt_local") => "`math::sqrt(..)` and `math::rsqrt(..)` work on shared values",
            _ => "multiply by `reciprocal(..)`, or by one that a single owner computes",
        }
    }

    fn fits(&mut self, encoded: f64, written: f64, place: Span) {
        let format = self.program.format;
        let what = if encoded == written { format!("`{written}`") } else { format!("1/{written}") };
        let error = if encoded.abs() >= format.limit() {
            Diagnostic::error(Code::TooLarge, place, format!("{what} lies outside of the number format"))
                .note(format!("`int = {}` holds magnitudes below {}", format.int, format.limit()))
                .help("raise `int`, or scale the computation")
        } else if encoded != 0.0 && encoded.abs() * pow2(format.frac as i32) < 0.5 {
            Diagnostic::error(Code::Vanishes, place, format!("{what} rounds to zero"))
                .note(format!("the smallest step with `frac = {}` is {:.1e}", format.frac, pow2(-(format.frac as i32))))
                .help("raise `frac`, or scale the computation")
        } else {
            return;
        };
        self.report(error, &Flow::default());
    }

    fn call(&mut self, callee: FnId, args: Vec<(Value, Span)>, span: Span) -> Value {
        let function = &self.program.fns[callee.index()];
        let FnCode::Body(body) = &function.code else { return Value::Leaf(Flow::default()) };
        if body.exprs.is_empty() {
            return Value::Leaf(Flow::unclear()); // it calls itself, which has been reported
        }
        let values = function.params.iter().filter(|p| matches!(p.kind, super::ParamKind::Value(_)));
        for (param, (value, place)) in values.zip(&args) {
            let flow = value.flow();
            if param.public && flow.secret() {
                let message = format!("`{}` of `{}` must be public", param.name, function.name);
                let help = format!("without `public` at `{}`, the function takes secrets too", param.name);
                let error = Diagnostic::error(Code::SecretPosition, *place, message).here(self.depends(&flow));
                let error = error.help(help);
                self.report(error, &flow);
            }
        }
        let mut locals: Vec<Value> = args.into_iter().map(|(value, _)| value).collect();
        self.note_params(body, &locals);
        locals.resize(body.locals.len(), Value::Leaf(Flow::default()));
        self.calls.push(span);
        self.callees.push(callee);
        let result = self.block(body, &mut locals, &body.block);
        self.calls.pop();
        self.callees.pop();
        result
    }
}

fn bind(pattern: &Pattern, value: Value, locals: &mut [Value]) {
    match pattern {
        Pattern::Local(local) => locals[local.index()] = value,
        Pattern::Ignore => {}
        Pattern::Tuple(parts) => {
            for (index, part) in parts.iter().enumerate() {
                bind(part, value.part(index), locals);
            }
        }
    }
}
