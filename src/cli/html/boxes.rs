//! The dataflow graph by expressions: a box for each, with all nodes that it stands for.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use petgraph::unionfind::UnionFind;
use petgraph::visit::NodeIndexable as _;

use super::layout;
use super::svg::{escape, rounded};
use crate::cli::compile::Checked;
use crate::cli::cost::{Report, bytes};
use crate::cli::output::plural;
use crate::graph::{self, Graph, NodeId, Op, Receiver, Repr, text};
use crate::plan::cost::LineCost;
use crate::span::Span;

/// Characters of a box's lines.
const WIDTH: usize = 34;
/// With more boxes than this, all that a line computes is one box.
const MOST: usize = 600;
/// Pixels of a character and of a line, and around them.
const CHARACTER: f64 = 6.7;
const LINE: f64 = 16.0;
const PADDING: f64 = 9.0;

/// What nodes become one box.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Input(String),
    Line(Span),
    Output(String),
    /// A node of no line.
    Node(NodeId),
}

/// A box.
#[derive(Debug, Default)]
struct Item {
    title: String,
    lines: Vec<String>,
    /// Its style: `owner`, `shared`, `public` or `end`.
    class: &'static str,
    /// The rows of the table it belongs to.
    rows: Vec<usize>,
}

/// The drawing of a graph.
pub(super) fn svg(report: &Report<'_>, graph: &Graph) -> String {
    let (items, edges) = items(report, graph);
    let size = |item: &Item| {
        let longest = item.lines.iter().chain([&item.title]).map(|l| l.chars().count()).max().unwrap_or(0);
        [longest as f64 * CHARACTER + 2.0 * PADDING, (1 + item.lines.len()) as f64 * LINE + 2.0 * PADDING - 4.0]
    };
    let sized = layout::Graph { sizes: items.iter().map(size).collect(), edges };
    let drawing = layout::draw(&sized);
    let [width, height] = drawing.size.map(|side| side + 4.0);
    let mut out = format!(
        "<svg class=\"graph\" width=\"{0}\" height=\"{1}\" viewBox=\"-2 -2 {0} {1}\" role=\"img\" aria-label=\"graph\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\"/></marker></defs>\n",
        rounded(width),
        rounded(height)
    );
    for route in &drawing.routes {
        let mut path = format!("M{} {}", rounded(route[0][0]), rounded(route[0][1]));
        for (at, pair) in route.windows(2).enumerate() {
            let [[x, y], [to_x, to_y]] = [pair[0], pair[1]];
            let middle = rounded(f64::midpoint(y, to_y));
            let [x, to_x, to_y] = [x, to_x, to_y].map(rounded);
            path += &match at % 2 {
                0 => format!(" C{x} {middle} {to_x} {middle} {to_x} {to_y}"),
                _ => format!(" L{to_x} {to_y}"),
            };
        }
        out += &format!("<path class=\"edge\" d=\"{path}\" marker-end=\"url(#tip)\"/>\n");
    }
    for ((item, [x, y]), [width, height]) in items.iter().zip(&drawing.corners).zip(&sized.sizes) {
        let [x, y, width, height] = [*x, *y, *width, *height].map(rounded);
        let (open, close) = match item.rows.first() {
            Some(row) => (format!("<a href=\"#line{row}\">"), "</a>"),
            None => (String::new(), ""),
        };
        out += &format!(
            "{open}<g class=\"box {}\" data-rows=\"{}\" transform=\"translate({x} {y})\"><rect width=\"{width}\" height=\"{height}\" rx=\"5\"/>",
            item.class,
            item.rows.iter().map(usize::to_string).join(" ")
        );
        for (at, line) in [&item.title].into_iter().chain(&item.lines).enumerate() {
            let class = if at == 0 { " class=\"title\"" } else { "" };
            let y = rounded(PADDING + LINE * at as f64 + 10.0);
            out += &format!("<text{class} x=\"{PADDING}\" y=\"{y}\">{}</text>", escape(line));
        }
        out += &format!("</g>{close}\n");
    }
    out + "</svg>\n"
}

/// Boxes and the edges between them.
fn items(report: &Report<'_>, graph: &Graph) -> (Vec<Item>, Vec<(usize, usize)>) {
    let order = graph.order();
    let fields = fields(graph, &order);
    let drawn = |id: &NodeId| !fields.contains_key(id);
    let key = |id: NodeId| {
        let node = graph.node(id);
        match (&node.op, node.span) {
            (Op::Input { path }, _) => Key::Input(path.clone()),
            (Op::Reveal { name, .. } | Op::Keep { name }, _) => Key::Output(name.clone()),
            (_, Some(span)) => Key::Line(span),
            (_, None) => Key::Node(id),
        }
    };
    // Neighbours of one line are one box: a line that is computed several times has several.
    let mut sets: UnionFind<usize> = UnionFind::new(graph.dag.node_bound());
    let apart = |sets: &mut UnionFind<usize>| {
        order.iter().filter(|id| drawn(id)).map(|id| sets.find_mut(id.index())).collect::<BTreeSet<_>>().len()
    };
    for id in order.iter().copied().filter(drawn) {
        for operand in graph.operands(id).into_iter().filter(drawn).filter(|operand| key(*operand) == key(id)) {
            sets.union(operand.index(), id.index());
        }
    }
    if apart(&mut sets) > MOST {
        let mut first = BTreeMap::new();
        for id in order.iter().copied().filter(drawn) {
            let first = *first.entry(key(id)).or_insert(id);
            sets.union(first.index(), id.index());
        }
    }
    let mut quotient: DiGraph<Key, ()> = DiGraph::new();
    let mut index = BTreeMap::new();
    for id in order.iter().copied().filter(drawn) {
        index.entry(sets.find_mut(id.index())).or_insert_with(|| quotient.add_node(key(id)));
    }
    for id in order.iter().copied().filter(drawn) {
        for operand in graph.operands(id).into_iter().filter(drawn) {
            let [from, to] = [operand, id].map(|id| index[&sets.find(id.index())]);
            if from != to {
                quotient.update_edge(from, to, ());
            }
        }
    }
    // Lines that need one another, as in a loop, are one box.
    let mut groups = tarjan_scc(&quotient);
    groups.reverse();
    let group_of: BTreeMap<_, usize> =
        groups.iter().enumerate().flat_map(|(at, group)| group.iter().map(move |node| (*node, at))).collect();
    let edges: BTreeSet<(usize, usize)> = quotient
        .raw_edges()
        .iter()
        .map(|edge| (group_of[&edge.source()], group_of[&edge.target()]))
        .filter(|(from, to)| from != to)
        .collect();
    let mut nodes: Vec<Vec<NodeId>> = vec![Vec::new(); groups.len()];
    for id in order.iter().copied().filter(drawn) {
        nodes[group_of[&index[&sets.find(id.index())]]].push(id);
    }
    let keys: Vec<BTreeSet<Key>> =
        groups.iter().map(|group| group.iter().map(|node| quotient[*node].clone()).collect()).collect();
    let mut times: BTreeMap<&Key, usize> = BTreeMap::new();
    keys.iter().flatten().for_each(|key| *times.entry(key).or_default() += 1);
    let alone = |group: &BTreeSet<Key>| group.iter().all(|key| times[key] == 1);
    let drawn = keys.iter().zip(&nodes);
    let items = drawn.map(|(keys, nodes)| item(report, graph, &fields, keys, nodes, alone(keys))).collect();
    (items, edges.into_iter().collect())
}

/// Constants and the fields of struct parameters, as their owners arrange and share them, with the fields' paths: they are
/// named in the boxes of who uses them, and have none of their own.
fn fields(graph: &Graph, order: &[NodeId]) -> BTreeMap<NodeId, BTreeSet<String>> {
    let mut fields: BTreeMap<NodeId, BTreeSet<String>> = BTreeMap::new();
    for id in order {
        let node = graph.node(*id);
        let paths: Option<BTreeSet<String>> = match &node.op {
            Op::Input { path } => path.contains('.').then(|| BTreeSet::from([path.clone()])),
            Op::Const(_) => Some(BTreeSet::new()),
            op => {
                let in_clear = matches!(node.ty.repr, Repr::Clear(_) | Repr::Public { .. });
                let operands = graph.operands(*id);
                let paths: Option<Vec<&BTreeSet<String>>> = operands.iter().map(|id| fields.get(id)).collect();
                let fits = !operands.is_empty() && (in_clear || matches!(op, Op::Share { .. }));
                paths.filter(|_| fits).map(|paths| paths.into_iter().flatten().cloned().collect())
            }
        };
        fields.extend(paths.map(|paths| (*id, paths)));
    }
    fields
}

/// A box. What lines cost is said where the box is the only one of its lines (`alone`).
fn item(
    report: &Report<'_>,
    graph: &Graph,
    fields: &BTreeMap<NodeId, BTreeSet<String>>,
    keys: &BTreeSet<Key>,
    nodes: &[NodeId],
    alone: bool,
) -> Item {
    let checked = report.checked;
    let last = nodes.last().map(|id| graph.node(*id));
    let shape = last.map(|node| format!("{:?}", node.ty.shape)).unwrap_or_default();
    let owner = |node: &graph::Node| match node.ty.repr {
        Repr::Clear(label) if !label.is_public() => Some(label.describe(&graph.owners)),
        Repr::Clear(_) | Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => None,
    };
    let mut item = Item::default();
    let spans: Vec<Span> =
        keys.iter().filter_map(|key| if let Key::Line(span) = key { Some(*span) } else { None }).collect();
    match (keys.first(), spans.as_slice()) {
        (Some(Key::Input(path)), []) => {
            item.title = cut(path);
            item.class = "end";
        }
        (Some(Key::Output(name)), []) => {
            let to = match last.map(|node| &node.op) {
                Some(Op::Reveal { to: Receiver::Owner(owner), .. }) => graph.owners[owner.0 as usize].clone(),
                Some(Op::Reveal { to: Receiver::All, .. }) => "all owners".to_string(),
                _ => "the parties".to_string(),
            };
            item.title = cut(&format!("{name} to {to}"));
            item.class = "end";
        }
        (_, [span]) => {
            item.title = checked.one_line(*span, WIDTH);
            item.lines.push(cut(&format!("{} {}", short(checked, *span), operations(graph, nodes))));
        }
        (_, []) => item.title = cut(&operations(graph, nodes)),
        (_, [first, rest @ ..]) => {
            item.title = checked.one_line(*first, WIDTH);
            item.lines.extend(rest.iter().take(3).map(|span| checked.one_line(*span, WIDTH)));
            if rest.len() > 3 {
                item.lines.push(format!("and {}", plural(rest.len() - 3, "expression")));
            }
            item.lines.push(cut(&format!("{} {}", short(checked, *first), operations(graph, nodes))));
        }
    }
    item.lines.push(cut(&shape));
    if item.class.is_empty() {
        let shared = nodes.iter().any(|id| matches!(graph.node(*id).ty.repr, Repr::Ring { .. } | Repr::Bit));
        item.class = match last.and_then(owner) {
            _ if shared => "shared",
            Some(_) => "owner",
            None => "public",
        };
    }
    if let Some(owner) = last.and_then(owner) {
        item.lines.push(cut(&format!("at {owner}")));
    }
    let operands = nodes.iter().flat_map(|id| graph.operands(*id));
    let used: BTreeSet<&str> = operands.filter_map(|id| fields.get(&id)).flatten().map(String::as_str).collect();
    if let Some(first) = used.first() {
        let names = used.iter().copied().join(", ");
        let fits = names.chars().count() <= WIDTH - 2;
        item.lines.push(if fits {
            format!("+ {names}")
        } else {
            cut(&format!("+ {first} and {} more", used.len() - 1))
        });
    }
    let rows: Vec<(usize, &LineCost)> = (report.cost.lines.iter().enumerate())
        .filter(|(_, line)| line.span.is_some_and(|span| spans.contains(&span)))
        .collect();
    item.rows = rows.iter().map(|(row, _)| *row).collect();
    let sent: u64 = rows.iter().map(|(_, line)| line.bytes).sum();
    let rounds: usize = rows.iter().map(|(_, line)| line.rounds).sum();
    if sent > 0 && alone {
        item.lines.push(format!("{}, {}", plural(rounds, "round"), bytes(sent)));
    }
    item
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_string();
    }
    text.chars().take(WIDTH - 2).chain("..".chars()).collect()
}

/// `18:12`, with the file's name when it is not the program's own.
fn short(checked: &Checked, span: Span) -> String {
    let place = checked.sources.place(span);
    let own = checked.path.display().to_string() + ":";
    place.strip_prefix(&own).map(str::to_string).unwrap_or(place)
}

/// The operations of some nodes, but for those that only rearrange.
fn operations(graph: &Graph, nodes: &[NodeId]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for id in nodes {
        let name = text::name(&graph.node(*id).op);
        if !["share", "encode", "reshape", "broadcast", "trunc", "up", "transpose"].contains(&name)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names.join(" ")
}
