//! Reads the text of a graph.

use crate::fixed::Format;
use crate::graph::{Constant, Graph, Leading, Loop, NodeId, Op, Piecewise, Receiver, Repr, Ty, Window};
use crate::label::{Label, OwnerId};

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
