//! The graph as text, both ways. One node a line, operands first, numbered from 0:
//!
//! ```text
//! graph classify
//! format ring=64 int=16 frac=16
//! owners hospital vendor
//! %0 = input "image" : clear(hospital) [2, 1, 28, 28]
//! %1 = share scale=16 %0 : ring(16) [2, 1, 28, 28]
//! ```
//! A loop's turn stands in braces, with numbers of its own, and the loop has no type; a type follows ` : ` on every other
//! line:
//!
//! ```text
//! %3 = loop turns=4 carried=1 scanned=0 %1 %2 {
//!     %0 = arg 0 : ring(16) [8]
//!     %1 = arg 1 : ring(16) [8]
//!     %2 = add %0 %1 : ring(16) [8]
//!     %3 = yield 0 %2 : ring(16) [8]
//! }
//! %4 = final 0 %3 : ring(16) [8]
//! ```
//! Types: `clear(owner)` and `clear` (public) are f64, `public(scale)` are ring elements everybody knows, `ring(scale)`
//! are shares, `bit` are Boolean shares. Places in the source are not part of the text.

mod parse;

use std::fmt::Write as _;

use itertools::Itertools as _;

use super::{Constant, Graph, Leading, Op, Piecewise, Receiver, Repr, Ty, Window};
use crate::fixed::Format;
pub use parse::{TextError, parse};

/// Prints a graph, renumbered so that operands come first.
#[must_use]
pub fn print(graph: &Graph) -> String {
    let graph = &graph.compact();
    let mut out = format!("graph {}\n", graph.entry);
    let Format { ring, int, frac } = graph.format;
    let _ = writeln!(out, "format ring={ring} int={int} frac={frac}");
    let _ = writeln!(out, "owners {}", graph.owners.join(" "));
    nodes(graph, 0, &mut out);
    out
}

/// The nodes of a graph, numbered operands first; a loop's turn is indented below it.
fn nodes(graph: &Graph, depth: usize, out: &mut String) {
    for id in graph.order() {
        let node = graph.node(id);
        let _ = write!(out, "{:depth$}%{} = {}", "", id.index(), op(graph, &node.op));
        for operand in graph.operands(id) {
            let _ = write!(out, " %{}", operand.index());
        }
        match &node.op {
            Op::Loop(turns) => {
                out.push_str(" {\n");
                nodes(&turns.turn.compact(), depth + 4, out);
                let _ = writeln!(out, "{:depth$}}}", "");
            }
            _ => drop(writeln!(out, " : {}", ty(graph, &node.ty))),
        }
    }
}

/// A type as the graph's text spells it.
#[must_use]
pub fn ty(graph: &Graph, ty: &Ty) -> String {
    let repr = match ty.repr {
        Repr::Clear(label) => match label.single() {
            Some(owner) => format!("clear({})", graph.owners[owner.index()]),
            None => "clear".to_string(),
        },
        Repr::Public { scale } => format!("public({scale})"),
        Repr::Ring { scale } => format!("ring({scale})"),
        Repr::Bit => "bit".to_string(),
    };
    format!("{repr} {:?}", ty.shape)
}

fn window(w: &Window) -> String {
    let pair = |p: [usize; 2]| format!("{}x{}", p[0], p[1]);
    let gaps = if w.is_solid() { String::new() } else { format!(" dilation={}", pair(w.dilation)) };
    format!("size={} stride={} pad={}{gaps}", pair(w.size), pair(w.stride), pair(w.pad))
}

/// The bits that an approximate comparison does not read; exact ones say nothing of it.
fn unread(bits: u32) -> String {
    if bits == 0 { String::new() } else { format!(" unread={bits}") }
}

/// An operation with its attributes, without operands.
fn op(graph: &Graph, op: &Op) -> String {
    let name = name(op);
    match op {
        Op::Input { path } | Op::Stored { path } | Op::Keep { name: path } => format!("{name} \"{path}\""),
        Op::Loop(l) => format!("{name} turns={} carried={} scanned={}", l.turns, l.carried, l.scanned),
        Op::Final { index } | Op::Arg { index } | Op::Yield { index } => format!("{name} {index}"),
        Op::Const(Constant::Splat(x)) => format!("{name} {x:?}"),
        Op::Const(Constant::Dense(x)) => format!("{name} dense={}", join(x.iter().map(|v| format!("{v:?}")))),
        Op::Share { scale } | Op::Encode { scale } => format!("{name} scale={scale}"),
        Op::Conv2d { window: w, groups } => format!("{name} {} groups={groups}", window(w)),
        Op::Transpose { perm } => format!("{name} perm={}", join(perm.iter().map(ToString::to_string))),
        Op::Concat { axis } | Op::Sum { axis } => format!("{name} axis={axis}"),
        Op::Max { axis, unread: n } | Op::Argmax { axis, unread: n } => format!("{name} axis={axis}{}", unread(*n)),
        Op::Slice { axis, start, step } => format!("{name} axis={axis} start={start} step={step}"),
        Op::Gather { axis, index } => {
            let index = index.iter().map(|i| i.map_or("_".to_string(), |i| i.to_string()));
            format!("{name} axis={axis} index={}", join(index))
        }
        Op::SumPool { window: w } => format!("{name} {}", window(w)),
        Op::MaxPool { window: w, unread: n } => format!("{name} {}{}", window(w), unread(*n)),
        Op::Relu { unread: n } | Op::IsNegative { unread: n } => format!("{name}{}", unread(*n)),
        Op::Exp { low, pieces, top } => format!("{name} low={low} pieces={pieces} top={top}"),
        Op::Piecewise(table) => {
            let Piecewise { low, shift, top, periodic, coefficients } = table.as_ref();
            let all = join(coefficients.iter().flatten().map(|c| format!("{c:?}")));
            format!(
                "{name} low={low} shift={shift} top={top} periodic={periodic} pieces={} coefficients={all}",
                coefficients.len()
            )
        }
        Op::Leading(what) => {
            let (_, what) = Leading::ALL.iter().find(|(l, _)| l == what).expect("all are listed");
            format!("{name} what={what}")
        }
        Op::OneHot { places } => format!("{name} places={places}"),
        Op::Bits { count } => format!("{name} count={count}"),
        Op::Random { ones } => format!("{name} ones={ones}"),
        Op::Trunc { bits } | Op::Up { bits } => format!("{name} bits={bits}"),
        Op::Reveal { name: result, to } => {
            let to = match to {
                Receiver::Owner(owner) => &graph.owners[owner.index()],
                Receiver::All => "all",
            };
            format!("{name} \"{result}\" to={to}")
        }
        Op::Add | Op::Sub | Op::Neg | Op::Mul | Op::Div | Op::MatMul | Op::Reshape | Op::Broadcast => name.into(),
        Op::Xor | Op::And | Op::Select | Op::Gradient | Op::IsZero | Op::FromBits | Op::AnyAbove => name.into(),
    }
}

fn join(mut items: impl Iterator<Item = String>) -> String {
    items.join(",")
}

/// The operation's name in every spelling.
#[must_use]
pub fn name(op: &Op) -> &'static str {
    match op {
        Op::Input { .. } => "input",
        Op::Stored { .. } => "stored",
        Op::Const(_) => "const",
        Op::Share { .. } => "share",
        Op::Encode { .. } => "encode",
        Op::Add => "add",
        Op::Sub => "sub",
        Op::Neg => "neg",
        Op::Mul => "mul",
        Op::Div => "div",
        Op::MatMul => "matmul",
        Op::Conv2d { .. } => "conv2d",
        Op::Reshape => "reshape",
        Op::Transpose { .. } => "transpose",
        Op::Broadcast => "broadcast",
        Op::Concat { .. } => "concat",
        Op::Slice { .. } => "slice",
        Op::Gather { .. } => "gather",
        Op::Sum { .. } => "sum",
        Op::SumPool { .. } => "sum_pool",
        Op::MaxPool { .. } => "max_pool",
        Op::Max { .. } => "max",
        Op::Argmax { .. } => "argmax",
        Op::Relu { .. } => "relu",
        Op::Exp { .. } => "exp",
        Op::Piecewise(_) => "piecewise",
        Op::Leading(_) => "leading",
        Op::IsZero => "is_zero",
        Op::OneHot { .. } => "one_hot",
        Op::Bits { .. } => "bits",
        Op::FromBits => "from_bits",
        Op::AnyAbove => "any_above",
        Op::Random { .. } => "random",
        Op::IsNegative { .. } => "is_negative",
        Op::Xor => "xor",
        Op::And => "and",
        Op::Select => "select",
        Op::Trunc { .. } => "trunc",
        Op::Up { .. } => "up",
        Op::Loop(_) => "loop",
        Op::Final { .. } => "final",
        Op::Arg { .. } => "arg",
        Op::Yield { .. } => "yield",
        Op::Gradient => "gradient",
        Op::Keep { .. } => "keep",
        Op::Reveal { .. } => "reveal",
    }
}
