//! The plan as text: what an auditor reads. Every round with its launches and messages, then every element program once.
//!
//! Buffers are `b7`; `b7[64..96]` are some of its elements; `b7[/4%10]` reads element `(i / 4) % 10`. Streams are `k1#12:64`: key 1, number 12, 64 bits an element.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use itertools::Itertools as _;

use super::{Access, BufId, Instr, Kernel, Lookup, Operand, Part, Plan, Product, Program, Reg, Step, Term, View, sums};
use crate::graph::{Receiver, Window};

/// Prints a plan.
#[must_use]
pub fn print(plan: &Plan) -> String {
    let mut out = format!("plan {}\n", plan.entry);
    let f = plan.format;
    let _ = writeln!(out, "format ring={} int={} frac={}", f.ring, f.int, f.frac);
    let _ = writeln!(out, "owners {}", plan.owners.join(" "));
    let _ = writeln!(out, "\nclear");
    for line in plan.clear.lines().filter(|l| l.starts_with('%')) {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(out, "\ninputs");
    for input in &plan.inputs {
        let [own, next] = &input.bufs;
        match input.owner {
            Some(owner) => {
                let at = (0..3).map(|i| format!("P{i}: {} {}", own[i], next[i])).join(", ");
                let _ = writeln!(
                    out,
                    "  {} shares %{} ({} elements) -> {at}",
                    plan.owners[owner as usize], input.node, input.len
                );
            }
            None => {
                let at = (0..3).map(|i| format!("P{i}: {}", own[i])).join(", ");
                let _ = writeln!(out, "  public %{} ({} elements) -> {at}", input.node, input.len);
            }
        }
    }
    let mut programs = Programs::default();
    let mut number = 0;
    for round in &plan.rounds {
        if round.sends.is_empty() {
            let _ = writeln!(out, "\nlocal");
        } else {
            number += 1;
            let _ = writeln!(out, "\nround {number}");
        }
        for step in &round.steps {
            let _ = writeln!(
                out,
                "  {}: {}{}",
                step.party,
                if step.once { "once " } else { "" },
                launch(plan, step, &mut programs)
            );
        }
        for send in &round.sends {
            let buf = plan.buf(send.source);
            let planes = if buf.planes > 1 { format!("{} x ", buf.planes) } else { String::new() };
            let opening = send.opening.map_or(String::new(), |r| format!("opening under #{r} "));
            let _ = writeln!(
                out,
                "  {} -> {}: {opening}{} {} -> {} ({planes}{} x {} bits, {} bytes)",
                send.from,
                send.to,
                send.name,
                send.source,
                send.target,
                buf.len,
                buf.width,
                buf.wire_bytes()
            );
        }
    }
    let _ = writeln!(out, "\noutputs");
    for output in &plan.outputs {
        let to = match output.to {
            Receiver::Owner(owner) => plan.owners[owner.index()].as_str(),
            Receiver::All => "all",
        };
        let [a, b] = output.bufs;
        let _ = writeln!(out, "  {} {:?} scale={} -> {to}: P0 {a} + P1 {b}", output.name, output.shape, output.scale);
    }
    let _ = writeln!(out, "\nprograms");
    for (name, program) in &programs.order {
        let _ = writeln!(out, "  {name}");
        for line in formulas(program) {
            let _ = writeln!(out, "    {line}");
        }
    }
    if !programs.tables.is_empty() {
        let _ = writeln!(out, "\ntables");
    }
    for (number, table) in programs.tables.iter().enumerate() {
        let _ = writeln!(out, "  table.{}", number + 1);
        for (a, term) in table.terms.iter().enumerate() {
            match term {
                Term::Polynomials(pieces) => {
                    for (piece, c) in pieces.iter().enumerate() {
                        let _ = writeln!(out, "    out{a} piece {piece}: {}", polynomial(c));
                    }
                }
                Term::Multiples { of, factors } => {
                    let _ = writeln!(out, "    out{a} piece p: factor p times {}", polynomial(of));
                    let _ = writeln!(out, "    factors {}", list(factors, ToString::to_string));
                }
            }
        }
    }
    out
}

/// Coefficients by power of v.
fn polynomial(c: &[i64]) -> String {
    let term = |(d, c): (usize, &i64)| if d == 0 { c.to_string() } else { format!("{c} v^{d}") };
    c.iter().enumerate().map(term).join(" + ")
}

/// Distinct programs, named in order of appearance.
#[derive(Default)]
struct Programs<'p> {
    names: BTreeMap<&'p Program, String>,
    count: BTreeMap<&'p str, usize>,
    order: Vec<(String, &'p Program)>,
    tables: Vec<&'p Lookup>,
}

impl<'p> Programs<'p> {
    fn table(&mut self, table: &'p Lookup) -> String {
        let at = self.tables.iter().position(|t| *t == table).unwrap_or_else(|| {
            self.tables.push(table);
            self.tables.len() - 1
        });
        format!("table.{}", at + 1)
    }

    fn name(&mut self, program: &'p Program) -> String {
        if let Some(name) = self.names.get(program) {
            return name.clone();
        }
        let count = self.count.entry(program.name.as_str()).or_default();
        *count += 1;
        let name = if *count == 1 { program.name.clone() } else { format!("{}.{count}", program.name) };
        self.names.insert(program, name.clone());
        self.order.push((name.clone(), program));
        name
    }
}

fn buffer(plan: &Plan, id: BufId) -> String {
    match plan.buf(id).part {
        Some(Part { of, start }) => format!("{of}[{start}..{}]", start + plan.buf(id).len),
        None => id.to_string(),
    }
}

fn operand(plan: &Plan, o: &Operand) -> String {
    match o.access {
        Access::Dense => buffer(plan, o.buf),
        Access::Repeat { inner, len, start: 0 } => format!("{}[/{inner}%{len}]", buffer(plan, o.buf)),
        Access::Repeat { inner, len, start } => format!("{}[+{start}/{inner}%{len}]", buffer(plan, o.buf)),
        Access::Bits { add, from } => format!("{}[bits {from}.. of +{add:#x}]", buffer(plan, o.buf)),
    }
}

fn list<T>(items: &[T], f: impl Fn(&T) -> String) -> String {
    items.iter().map(f).join(" ")
}

fn window(w: &Window) -> String {
    let pair = |p: [usize; 2]| format!("{}x{}", p[0], p[1]);
    let gaps = if w.is_solid() { String::new() } else { format!(" dilation={}", pair(w.dilation)) };
    format!("window={} stride={} pad={}{gaps}", pair(w.size), pair(w.stride), pair(w.pad))
}

fn launch<'p>(plan: &Plan, step: &'p Step, programs: &mut Programs<'p>) -> String {
    let operand = |o: &Operand| operand(plan, o);
    let outs = list(&step.outs, |id| buffer(plan, *id));
    let ins = list(&step.ins, operand);
    let what = match &step.kernel {
        Kernel::Map(program) => {
            let streams = list(&step.streams, |s| format!("k{}#{}:{}", s.key, s.id, s.bits));
            let parts: Vec<String> = [ins, streams].into_iter().filter(|s| !s.is_empty()).collect();
            format!("{}({})", programs.name(program), parts.join("; "))
        }
        Kernel::Product(product) | Kernel::ProductOfSums(product, _) => {
            let pairs = if let Kernel::ProductOfSums(_, factors) = &step.kernel {
                let sums = sums(factors, &step.ins).into_iter().flatten();
                let sum = |((first, second), [a, b]): ((Operand, Option<Operand>), &[i8; 2])| {
                    let terms = [(Some(first), a), (second, b)].into_iter();
                    let mut terms = terms.filter_map(|(x, factor)| Some(format!("{factor} {}", operand(&x?))));
                    format!("({})", terms.join(" + "))
                };
                sums.zip(factors).map(sum).join(" * ")
            } else {
                let mut pairs = step.ins.chunks(2).map(|pair| list(pair, operand).replace(' ', " * "));
                pairs.join(" + ")
            };
            match product {
                Product::MatMul { batch, m, k, n } => format!("matmul {batch} x [{m}, {k}] [{k}, {n}] ({pairs})"),
                Product::Conv2d { n, c, h, w, o, window: win, groups } => {
                    format!("conv2d [{n}, {c}, {h}, {w}] -> {o} {} groups={groups} ({pairs})", window(win))
                }
            }
        }
        Kernel::Copy(view) => format!("copy {} ({ins})", self::view(view)),
        Kernel::Concat { outer, chunks } => format!("concat outer={outer} chunks={chunks:?} ({ins})"),
        Kernel::Gather { outer, axis, inner, index } => {
            let index = list(index, |i| i.map_or("_".to_string(), |i| i.to_string()));
            format!("gather [{outer}, {axis}, {inner}] index=[{index}] ({ins})")
        }
        Kernel::Sum { outer, axis, inner } => format!("sum [{outer}, {axis}, {inner}] ({ins})"),
        Kernel::SumPool { planes, h, w, window: win } => {
            format!("sum_pool [{planes}, {h}, {w}] {} ({ins})", window(win))
        }
        Kernel::OneHot { add, shift, places } => format!("one_hot bits {shift}.. of +{add:#x} of {places} ({ins})"),
        Kernel::Rotate { shift, places } => format!("rotate by bits {shift}.. of {places} ({ins})"),
        Kernel::Lookup(table) => {
            let Lookup { shift, pieces, fraction, drop, .. } = table;
            let name = programs.table(table);
            format!("lookup {name} bits {shift}.. of {pieces}, fraction={fraction} drop={drop} ({ins})")
        }
    };
    format!("{what} -> {outs}")
}

fn view(v: &View) -> String {
    let mut text = format!("{:?} strides={:?} start={}", v.shape, v.strides, v.start);
    for b in &v.bounds {
        let _ = write!(text, " axis {}: {}i{:+} in 0..{} else {:#x}", b.axis, b.step, b.offset, b.limit, v.fill);
    }
    text
}

/// Longer formulas get a name of their own.
const MAX_FORMULA: usize = 1000;

/// A program as assignments; what is used once is written in place.
fn formulas(program: &Program) -> Vec<String> {
    let mut uses = vec![0usize; program.code.len()];
    for instr in &program.code {
        for reg in instr.operands() {
            uses[reg.0 as usize] += 1;
        }
    }
    let mut text: Vec<String> = Vec::with_capacity(program.code.len());
    let mut lines = Vec::new();
    for (at, instr) in program.code.iter().enumerate() {
        let t = |r: &Reg| text[r.0 as usize].clone();
        let plane = |p: u16| if program.planes { format!(".{p}") } else { String::new() };
        let value = match instr {
            Instr::In { input, plane: p } => format!("in{input}{}", plane(*p)),
            Instr::BitOf { input, plane } => format!("bit(in{input}.{plane})"),
            Instr::Prf { stream, plane: p } => format!("F{stream}{}", plane(*p)),
            Instr::Imm(word) if *word < 1 << 16 => word.to_string(),
            Instr::Imm(word) => format!("{word:#x}"),
            Instr::Add(a, b) => format!("({} + {})", t(a), t(b)),
            Instr::Sub(a, b) => format!("({} - {})", t(a), t(b)),
            Instr::Mul(a, b) => format!("({} * {})", t(a), t(b)),
            Instr::And(a, b) => format!("({} & {})", t(a), t(b)),
            Instr::Xor(a, b) => format!("({} ^ {})", t(a), t(b)),
            Instr::Not(a) => format!("!{}", t(a)),
            Instr::Shl(a, n) => format!("({} << {n})", t(a)),
            Instr::Shr(a, n) => format!("({} >> {n})", t(a)),
            Instr::Out { output, plane: p, value } => {
                lines.push(format!("out{output}{} = {}", plane(*p), t(value)));
                String::new()
            }
        };
        let leaf = matches!(instr, Instr::In { .. } | Instr::BitOf { .. } | Instr::Prf { .. } | Instr::Imm(_));
        if (uses[at] > 1 || value.len() > MAX_FORMULA) && !leaf {
            lines.push(format!("t{at} = {value}"));
            text.push(format!("t{at}"));
        } else {
            text.push(value);
        }
    }
    lines
}
