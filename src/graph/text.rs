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

use std::fmt::Write as _;

use itertools::Itertools as _;

use super::{Constant, Graph, Leading, Loop, NodeId, Op, Piecewise, Receiver, Repr, Ty, Window};
use crate::fixed::Format;
use crate::label::{Label, OwnerId};

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

/// Why a text is not a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// One-based line.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a graph back. The result is not verified; call `verify` before use.
///
/// # Errors
/// Names the first line that is no graph text.
pub fn parse(text: &str) -> Result<Graph, TextError> {
    let mut graph = Graph::new("", Format::default(), Vec::new());
    // Loops whose turn is being read, with what the loop line says; `graph` is the innermost turn.
    let mut open: Vec<(Graph, Head)> = Vec::new();
    let mut last = 0;
    for (number, line) in text.lines().enumerate() {
        let at = |what: String| TextError { line: number + 1, what };
        last = number + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        match keyword {
            "graph" | "owners" | "format" if !open.is_empty() || graph.dag.node_count() > 0 => {
                return Err(at(format!("`{keyword}` stands before the nodes")));
            }
            "graph" => graph.entry = rest.trim().to_string(),
            "owners" => graph.owners = parse_owners(rest).map_err(at)?,
            "format" => graph.format = parse_format(rest).map_err(at)?,
            "}" => {
                let (outer, head) = open.pop().ok_or_else(|| at("no loop is open here".to_string()))?;
                let turn = std::mem::replace(&mut graph, outer);
                head.close(&mut graph, turn);
            }
            _ => match line.strip_suffix('{') {
                Some(line) if open.len() < MAX_DEPTH => {
                    let head = Head::parse(&graph, line).map_err(at)?;
                    let turn = Graph::new("", graph.format, graph.owners.clone());
                    open.push((std::mem::replace(&mut graph, turn), head));
                }
                Some(_) => return Err(at("loops are nested too deeply".to_string())),
                None => parse_node(&mut graph, line).map_err(at)?,
            },
        }
    }
    if !open.is_empty() {
        return Err(TextError { line: last, what: "a loop is not closed".to_string() });
    }
    Ok(graph)
}

/// More loops in loops than this are no graph.
const MAX_DEPTH: usize = 64;

/// The first line of a loop.
struct Head {
    turns: usize,
    carried: usize,
    scanned: usize,
    operands: Vec<NodeId>,
}

impl Head {
    fn parse(graph: &Graph, line: &str) -> Result<Head, String> {
        let mut a = Line::parse(graph, line)?;
        if a.name != "loop" {
            return Err(format!("`{}` has no turns", a.name));
        }
        let number = &mut a.attributes;
        let (turns, carried, scanned) = (number.number("turns")?, number.number("carried")?, number.number("scanned")?);
        a.attributes.done("loop")?;
        Ok(Head { turns, carried, scanned, operands: a.operands })
    }

    fn close(self, graph: &mut Graph, turn: Graph) {
        let Head { turns, carried, scanned, operands } = self;
        let ty = Ty { shape: Vec::new(), repr: Repr::Clear(Label::PUBLIC) };
        graph.add(Op::Loop(Box::new(Loop { turns, carried, scanned, turn })), &operands, ty, None);
    }
}

fn parse_owners(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split_whitespace().map(str::to_string).collect();
    if names.len() > Label::MAX_OWNERS {
        return Err(format!("more than {} owners", Label::MAX_OWNERS));
    }
    let is_name = |name: &String| name != "all" && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(format!("`{name}` is no owner's name")),
        None => Ok(names),
    }
}

fn parse_format(text: &str) -> Result<Format, String> {
    let mut attributes = Attributes::new(text.split_whitespace());
    let format =
        Format { ring: attributes.number("ring")?, int: attributes.number("int")?, frac: attributes.number("frac")? };
    format.validate().map_err(|e| e.to_string())
}

/// `key=value` words of one line.
struct Attributes<'t> {
    words: Vec<&'t str>,
}

impl<'t> Attributes<'t> {
    fn new(words: impl Iterator<Item = &'t str>) -> Attributes<'t> {
        Attributes { words: words.collect() }
    }

    fn text(&mut self, key: &str) -> Result<&'t str, String> {
        let found = self.words.iter().position(|w| w.split_once('=').is_some_and(|(k, _)| k == key));
        let at = found.ok_or_else(|| format!("`{key}=` is missing"))?;
        Ok(self.words.remove(at).split_once('=').map_or("", |(_, v)| v))
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, String> {
        let text = self.text(key)?;
        text.parse().map_err(|_| format!("`{text}` is no number for `{key}`"))
    }

    fn list<T: std::str::FromStr>(&mut self, key: &str) -> Result<Vec<T>, String> {
        let text = self.text(key)?;
        text.split(',').map(|v| v.parse().map_err(|_| format!("`{v}` is no number for `{key}`"))).collect()
    }

    /// Indices, with `_` for none.
    fn places(&mut self, key: &str) -> Result<Vec<Option<usize>>, String> {
        let text = self.text(key)?;
        let one = |v: &str| match v {
            "_" => Ok(None),
            v => v.parse().map(Some).map_err(|_| format!("`{v}` is no index for `{key}`")),
        };
        text.split(',').map(one).collect()
    }

    fn pair(&mut self, key: &str) -> Result<[usize; 2], String> {
        let text = self.text(key)?;
        let parsed = text.split_once('x').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
        parsed.ok_or_else(|| format!("`{text}` is no `HxW` for `{key}`"))
    }

    fn window(&mut self) -> Result<Window, String> {
        let solid = !self.words.iter().any(|w| w.starts_with("dilation="));
        let dilation = if solid { [1, 1] } else { self.pair("dilation")? };
        Ok(Window { size: self.pair("size")?, stride: self.pair("stride")?, pad: self.pair("pad")?, dilation })
    }

    /// Bits that a comparison does not read.
    fn unread(&mut self) -> Result<u32, String> {
        if self.words.iter().any(|w| w.starts_with("unread=")) { self.number("unread") } else { Ok(0) }
    }

    /// The number at the front.
    fn position(&mut self) -> Result<usize, String> {
        let word = self.words.first().copied().ok_or("a position is missing")?;
        self.words.remove(0);
        word.parse().map_err(|_| format!("`{word}` is no position"))
    }

    /// Nothing is left over.
    fn done(&self, name: &str) -> Result<(), String> {
        self.words.first().map_or(Ok(()), |word| Err(format!("`{word}` does not belong to `{name}`")))
    }

    fn quoted(&mut self) -> Result<String, String> {
        if self.words.is_empty() {
            return Err("a quoted name is missing".to_string());
        }
        let word = self.words.remove(0);
        let inner = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
        inner.map(str::to_string).ok_or_else(|| format!("`{word}` is no quoted name"))
    }
}

/// `%N = name attributes operands`.
struct Line<'t> {
    name: &'t str,
    attributes: Attributes<'t>,
    operands: Vec<NodeId>,
}

impl<'t> Line<'t> {
    fn parse(graph: &Graph, line: &'t str) -> Result<Line<'t>, String> {
        let (id, body) = line.split_once(" = ").ok_or("a node line is `%N = op ... : type`")?;
        if id != format!("%{}", graph.dag.node_count()) {
            return Err(format!("`{id}` is out of order: nodes are numbered from %0"));
        }
        let mut words = body.split_whitespace();
        let name = words.next().ok_or("the operation is missing")?;
        let mut operands = Vec::new();
        let mut rest = Vec::new();
        for word in words {
            match word.strip_prefix('%') {
                Some(number) => {
                    let index: usize = number.parse().map_err(|_| format!("`{word}` is no node"))?;
                    if index >= graph.dag.node_count() {
                        return Err(format!("`{word}` is not defined above"));
                    }
                    operands.push(NodeId::new(index));
                }
                None => rest.push(word),
            }
        }
        Ok(Line { name, attributes: Attributes::new(rest.into_iter()), operands })
    }
}

fn parse_node(graph: &mut Graph, line: &str) -> Result<(), String> {
    let (node, ty) = line.rsplit_once(" : ").ok_or("the type is missing")?;
    let mut line = Line::parse(graph, node)?;
    let ty = parse_ty(graph, ty)?;
    let op = parse_op(graph, line.name, &mut line.attributes)?;
    line.attributes.done(line.name)?;
    graph.add(op, &line.operands, ty, None);
    Ok(())
}

fn parse_op(graph: &Graph, name: &str, a: &mut Attributes<'_>) -> Result<Op, String> {
    Ok(match name {
        "input" => Op::Input { path: a.quoted()? },
        "stored" => Op::Stored { path: a.quoted()? },
        "final" => Op::Final { index: a.position()? },
        "arg" => Op::Arg { index: a.position()? },
        "yield" => Op::Yield { index: a.position()? },
        "gradient" => Op::Gradient,
        "keep" => Op::Keep { name: a.quoted()? },
        "const" if a.words.first().is_some_and(|w| w.starts_with("dense=")) => {
            Op::Const(Constant::Dense(a.list("dense")?))
        }
        "const" => {
            let word = a.words.first().copied().ok_or("the constant's value is missing")?;
            a.words.remove(0);
            Op::Const(Constant::Splat(word.parse().map_err(|_| format!("`{word}` is no number"))?))
        }
        "share" => Op::Share { scale: a.number("scale")? },
        "encode" => Op::Encode { scale: a.number("scale")? },
        "add" => Op::Add,
        "sub" => Op::Sub,
        "neg" => Op::Neg,
        "mul" => Op::Mul,
        "div" => Op::Div,
        "matmul" => Op::MatMul,
        "conv2d" => Op::Conv2d { window: a.window()?, groups: a.number("groups")? },
        "reshape" => Op::Reshape,
        "transpose" => Op::Transpose { perm: a.list("perm")? },
        "broadcast" => Op::Broadcast,
        "concat" => Op::Concat { axis: a.number("axis")? },
        "slice" => Op::Slice { axis: a.number("axis")?, start: a.number("start")?, step: a.number("step")? },
        "gather" => Op::Gather { axis: a.number("axis")?, index: a.places("index")? },
        "sum" => Op::Sum { axis: a.number("axis")? },
        "sum_pool" => Op::SumPool { window: a.window()? },
        "max_pool" => Op::MaxPool { window: a.window()?, unread: a.unread()? },
        "max" => Op::Max { axis: a.number("axis")?, unread: a.unread()? },
        "argmax" => Op::Argmax { axis: a.number("axis")?, unread: a.unread()? },
        "relu" => Op::Relu { unread: a.unread()? },
        "is_negative" => Op::IsNegative { unread: a.unread()? },
        "exp" => Op::Exp { low: a.number("low")?, pieces: a.number("pieces")?, top: a.number("top")? },
        "piecewise" => {
            let (low, shift, top) = (a.number("low")?, a.number("shift")?, a.number("top")?);
            let periodic = a.number("periodic")?;
            let (pieces, all) = (a.number::<usize>("pieces")?, a.list::<f64>("coefficients")?);
            if pieces == 0 || all.len() % pieces != 0 {
                return Err(format!("{} coefficients are not of {pieces} pieces", all.len()));
            }
            let coefficients = all.chunks(all.len() / pieces).map(<[f64]>::to_vec).collect();
            Op::Piecewise(Box::new(Piecewise { low, shift, top, periodic, coefficients }))
        }
        "leading" => {
            let name = a.text("what")?;
            let found = Leading::ALL.iter().find(|(_, n)| *n == name);
            Op::Leading(found.ok_or_else(|| format!("`{name}` does not follow from a highest bit"))?.0)
        }
        "bits" => Op::Bits { count: a.number("count")? },
        "from_bits" => Op::FromBits,
        "any_above" => Op::AnyAbove,
        "random" => Op::Random { ones: a.number("ones")? },
        "is_zero" => Op::IsZero,
        "one_hot" => Op::OneHot { places: a.number("places")? },
        "xor" => Op::Xor,
        "and" => Op::And,
        "select" => Op::Select,
        "trunc" => Op::Trunc { bits: a.number("bits")? },
        "up" => Op::Up { bits: a.number("bits")? },
        "reveal" => {
            let name = a.quoted()?;
            let to = match a.text("to")? {
                "all" => Receiver::All,
                owner => Receiver::Owner(find_owner(graph, owner)?),
            };
            Op::Reveal { name, to }
        }
        other => return Err(format!("`{other}` is no operation")),
    })
}

fn find_owner(graph: &Graph, name: &str) -> Result<OwnerId, String> {
    let found = graph.owners.iter().position(|o| o == name);
    found.map(|i| OwnerId(i as u32)).ok_or_else(|| format!("`{name}` is no owner"))
}

fn parse_ty(graph: &Graph, text: &str) -> Result<Ty, String> {
    let (repr, shape) = text.split_once(' ').ok_or("a type is `repr [sizes]`")?;
    let (kind, argument) = match repr.split_once('(') {
        Some((kind, rest)) => (kind, rest.strip_suffix(')').ok_or("`)` is missing in the type")?),
        None => (repr, ""),
    };
    let scale = || argument.parse().map_err(|_| format!("`{argument}` is no scale"));
    let repr = match kind {
        "clear" if argument.is_empty() => Repr::Clear(Label::PUBLIC),
        "clear" => Repr::Clear(Label::of(find_owner(graph, argument)?)),
        "public" => Repr::Public { scale: scale()? },
        "ring" => Repr::Ring { scale: scale()? },
        "bit" => Repr::Bit,
        other => return Err(format!("`{other}` is no representation")),
    };
    let inner = shape.trim().strip_prefix('[').and_then(|s| s.strip_suffix(']')).ok_or("a shape is `[a, b]`")?;
    let sizes = inner.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape = sizes.map(|s| s.parse().map_err(|_| format!("`{s}` is no size"))).collect::<Result<_, _>>()?;
    Ok(Ty { shape, repr })
}
