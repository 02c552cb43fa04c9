//! Mistakes in plans: what a mistake of the compiler or of a device would have made of them.

use std::sync::Arc;

use smlc::graph::Window;
use smlc::plan::{Access, Buf, BufId, Instr, Kernel, Party, Plan, Product, Program, Reg, Step, Stream, Term};

/// A mistake. It is made wherever the thing that it is about occurs in a plan.
#[derive(Clone, Debug)]
pub enum Mistake {
    /// An instruction of a party's element program is another one.
    Instr { party: Party, program: Program, at: usize, to: Instr },
    /// A stream of a party's element program is of another key, or another one of that key.
    Stream { party: Party, program: Program, stream: usize, other_key: bool },
    /// A party's element program takes bits of words to which something else was added.
    Added { party: Party, program: Program },
    /// A kernel has other parameters, at one party or at all.
    Kernel { party: Option<Party>, from: Kernel, to: Kernel },
    /// Operands of a kernel are others of them: the numbers of the old ones.
    Operands { kernel: Kernel, operands: Vec<usize> },
    /// A message arrives with every bit flipped.
    Flipped { name: String, from: Party, to: Party },
    /// A message is another buffer of the sender, as large as it should be.
    Other { name: String, from: Party, to: Party },
}

/// What a kernel is called in reports.
pub fn kind(kernel: &Kernel) -> &'static str {
    match kernel {
        Kernel::Map(_) => "Map",
        Kernel::Product(Product::MatMul { .. }) => "MatMul",
        Kernel::Product(Product::Conv2d { .. }) => "Conv2d",
        Kernel::ProductOfSums(..) => "ProductOfSums",
        Kernel::Copy(_) => "Copy",
        Kernel::Concat { .. } => "Concat",
        Kernel::Gather { .. } => "Gather",
        Kernel::Sum { .. } => "Sum",
        Kernel::SumPool { .. } => "SumPool",
        Kernel::OneHot { .. } => "OneHot",
        Kernel::Rotate { .. } => "Rotate",
        Kernel::Lookup(_) => "Lookup",
    }
}

/// All that [`kind`] gives.
pub const KINDS: [&str; 12] = [
    "Map",
    "MatMul",
    "Conv2d",
    "ProductOfSums",
    "Copy",
    "Concat",
    "Gather",
    "Sum",
    "SumPool",
    "OneHot",
    "Rotate",
    "Lookup",
];

/// Other instructions in the place of one.
fn others(program: &Program, at: usize) -> Vec<Instr> {
    let instr = program.code[at];
    let mut found = match instr {
        // The same place of another operand or stream may be none; what is read is then zero.
        Instr::In { input, plane } => {
            vec![Instr::In { input: input ^ 1, plane }, Instr::In { input, plane: plane ^ 1 }, Instr::Imm(0)]
        }
        Instr::BitOf { .. } => vec![Instr::Imm(0), Instr::Imm(1)],
        Instr::Prf { stream, plane } => vec![Instr::Imm(0), Instr::Prf { stream: stream ^ 1, plane }],
        Instr::Imm(c) if program.planes => vec![Instr::Imm(!c)],
        // At the scale of a product too, a large number.
        Instr::Imm(c) => vec![Instr::Imm(c ^ (1 << 40 | 1))],
        Instr::Add(a, b) => vec![Instr::Sub(a, b), Instr::Add(a, a)],
        Instr::Sub(a, b) => vec![Instr::Sub(b, a), Instr::Add(a, b)],
        Instr::Mul(a, b) => vec![Instr::Add(a, b), Instr::Mul(a, a)],
        Instr::And(a, b) => vec![Instr::Xor(a, b), Instr::And(a, a), Instr::And(b, b)],
        Instr::Xor(a, b) => vec![Instr::And(a, b), Instr::And(a, a), Instr::And(b, b)],
        Instr::Not(a) => vec![Instr::And(a, a)],
        Instr::Shl(a, n) => vec![Instr::Shl(a, n ^ 1), Instr::Shr(a, n)],
        Instr::Shr(a, n) => vec![Instr::Shr(a, n ^ 1), Instr::Shl(a, n)],
        Instr::Out { output, plane, value } => {
            let before = (0..value.0).rev().find(|r| !matches!(program.code[usize::from(*r)], Instr::Out { .. }));
            before.map(|r| Instr::Out { output, plane, value: Reg(r) }).into_iter().collect()
        }
    };
    found.retain(|other| *other != instr);
    found
}

/// Mistakes in an element program, at most so many.
pub fn of_program(party: Party, program: &Program, most: usize) -> Vec<Mistake> {
    let instr = |at: usize| {
        let make = move |to| Mistake::Instr { party, program: program.clone(), at, to };
        others(program, at).into_iter().map(make).collect::<Vec<_>>()
    };
    let all: Vec<Mistake> = (0..program.code.len()).flat_map(instr).collect();
    let mut found: Vec<Mistake> = all.iter().step_by(all.len().div_ceil(most).max(1)).cloned().collect();
    let drawn = program.code.iter().filter_map(|instr| match instr {
        Instr::Prf { stream, .. } => Some(usize::from(*stream)),
        _ => None,
    });
    for stream in drawn.collect::<std::collections::BTreeSet<_>>() {
        let wrong = |other_key| Mistake::Stream { party, program: program.clone(), stream, other_key };
        found.extend([wrong(true), wrong(false)]);
    }
    found
}

/// Windows with as many places as one, which are others.
fn windows(window: &Window, h: usize, w: usize) -> Vec<Window> {
    let mut all = Vec::new();
    for axis in 0..2 {
        let mut other = |change: &dyn Fn(&mut Window)| {
            let mut changed = *window;
            change(&mut changed);
            all.push(changed);
        };
        other(&|x| x.stride[axis] += 1);
        other(&|x| x.pad[axis] += 1);
        other(&|x| x.pad[axis] = x.pad[axis].saturating_sub(1));
        other(&|x| x.dilation[axis] += 1);
        other(&|x| {
            x.pad[axis] += 1;
            x.dilation[axis] += 1;
        });
    }
    all.retain(|other| other != window && other.output(h, w) == window.output(h, w));
    all
}

/// Other parameters in the place of a kernel's.
fn parameters(kernel: &Kernel) -> Vec<Kernel> {
    let mut found = Vec::new();
    match kernel {
        Kernel::Map(_) | Kernel::Product(Product::MatMul { .. }) | Kernel::Concat { .. } => {}
        Kernel::ProductOfSums(product, factors) => {
            let terms = [(0, 0), (0, 1), (1, 0), (1, 1)];
            for (side, term) in terms.into_iter().filter(|(side, term)| factors[*side][*term] != 0) {
                let mut factors = *factors;
                factors[side][term] = -factors[side][term];
                found.push(Kernel::ProductOfSums(product.clone(), factors));
            }
        }
        Kernel::Product(Product::Conv2d { n, c, h, w, o, window, groups }) => {
            found.extend(windows(window, *h, *w).into_iter().map(|window| {
                Kernel::Product(Product::Conv2d { n: *n, c: *c, h: *h, w: *w, o: *o, window, groups: *groups })
            }));
        }
        Kernel::Copy(view) => {
            let mut other = |change: &dyn Fn(&mut smlc::plan::View)| {
                let mut changed = view.clone();
                change(&mut changed);
                found.push(Kernel::Copy(changed));
            };
            other(&|v| v.start += 1);
            other(&|v| v.start -= 1);
            for axis in 0..view.shape.len() {
                other(&|v| v.strides[axis] = v.strides[axis].saturating_sub(1));
            }
            for bound in 0..view.bounds.len() {
                other(&|v| v.bounds[bound].limit -= 1);
                other(&|v| v.bounds[bound].offset += 1);
            }
        }
        Kernel::Gather { outer, axis, inner, index } => {
            let mut turned = index.clone();
            turned.rotate_left(1);
            let with = |index| Kernel::Gather { outer: *outer, axis: *axis, inner: *inner, index };
            let lost = |i: usize| index.iter().enumerate().map(|(j, at)| at.filter(|_| i != j)).collect();
            found.extend([with(turned), with(lost(0)), with(lost(index.len() - 1))]);
        }
        Kernel::Sum { outer, axis, inner } => {
            found.push(Kernel::Sum { outer: outer * inner, axis: *axis, inner: 1 });
            found.push(Kernel::Sum { outer: 1, axis: *axis, inner: outer * inner });
        }
        Kernel::SumPool { planes, h, w, window } => {
            let with = |window| Kernel::SumPool { planes: *planes, h: *h, w: *w, window };
            found.extend(windows(window, *h, *w).into_iter().map(with));
        }
        Kernel::OneHot { add, shift, places } => {
            found.push(Kernel::OneHot { add: add.wrapping_add(1 << shift), shift: *shift, places: *places });
            found.push(Kernel::OneHot { add: *add, shift: shift ^ 1, places: *places });
        }
        Kernel::Rotate { shift, places } => found.push(Kernel::Rotate { shift: shift ^ 1, places: *places }),
        Kernel::Lookup(table) => {
            let mut other = |change: &dyn Fn(&mut smlc::plan::Lookup)| {
                let mut changed = table.clone();
                change(&mut changed);
                found.push(Kernel::Lookup(changed));
            };
            other(&|t| t.shift -= 1);
            other(&|t| t.fraction /= 2);
            other(&|t| t.drop += 1);
            for term in 0..table.terms.len() {
                // More than any error of rounding, in the highest power too.
                let large = 1 << (table.drop + 16);
                other(&|t| match &mut t.terms[term] {
                    Term::Polynomials(pieces) => pieces.iter_mut().for_each(|c| c[0] += large),
                    Term::Multiples { of, .. } => of[0] += large,
                });
            }
            other(&|t| match &mut t.terms[0] {
                Term::Polynomials(pieces) => pieces.rotate_left(1),
                Term::Multiples { factors, .. } => factors.rotate_left(1),
            });
        }
    }
    found.retain(|other| other != kernel);
    found
}

/// Mistakes in a kernel other than a program, with so many operands.
pub fn of_kernel(kernel: &Kernel, operands: usize) -> Vec<Mistake> {
    let mut found = Vec::new();
    for to in parameters(kernel) {
        for party in [None, Some(Party(0)), Some(Party(1))] {
            found.push(Mistake::Kernel { party, from: kernel.clone(), to: to.clone() });
        }
    }
    let mut operands_are = |operands: Vec<usize>| found.push(Mistake::Operands { kernel: kernel.clone(), operands });
    match kernel {
        Kernel::Product(_) if operands == 4 => {
            operands_are(vec![0, 1]);
            operands_are(vec![2, 3]);
            operands_are(vec![2, 1, 0, 3]);
        }
        Kernel::ProductOfSums(..) if operands == 4 => operands_are(vec![1, 0, 2, 3]),
        Kernel::ProductOfSums(_, [[_, second], _]) if *second != 0 => operands_are(vec![1, 0, 2]),
        Kernel::ProductOfSums(..) if operands == 3 => operands_are(vec![0, 2, 1]),
        Kernel::Concat { .. } => operands_are((0..operands).rev().collect()),
        _ => {}
    }
    found
}

/// Mistakes in a message.
pub fn of_message(name: &str, from: Party, to: Party) -> [Mistake; 2] {
    let name = name.to_string();
    [Mistake::Flipped { name: name.clone(), from, to }, Mistake::Other { name, from, to }]
}

/// The steps of a kernel at a party, or at all.
fn steps<'p>(plan: &'p mut Plan, kernel: &Kernel, party: Option<Party>) -> impl Iterator<Item = &'p mut Step> {
    let same = move |step: &&mut Step| party.is_none_or(|p| step.party == p) && step.kernel == *kernel;
    plan.rounds.iter_mut().flat_map(|r| &mut r.steps).filter(same)
}

impl Mistake {
    /// The primitive that it is in: an element program's name, a kernel's kind, or a message's name.
    pub fn primitive(&self) -> String {
        match self {
            Mistake::Instr { program, .. } | Mistake::Stream { program, .. } | Mistake::Added { program, .. } => {
                format!("program {}", program.name)
            }
            Mistake::Kernel { from: kernel, .. } | Mistake::Operands { kernel, .. } => {
                format!("kernel {}", kind(kernel))
            }
            Mistake::Flipped { name, .. } | Mistake::Other { name, .. } => format!("message {name}"),
        }
    }

    /// What is wrong, without the numbers of instructions.
    pub fn what(&self) -> String {
        match self {
            Mistake::Instr { party, program, at, to } => format!("{party} #{at}: {:?} -> {to:?}", program.code[*at]),
            Mistake::Stream { party, stream, other_key, .. } => {
                format!("{party} stream {stream} {}", if *other_key { "of another key" } else { "anew" })
            }
            Mistake::Added { party, .. } => format!("{party} adds something before it takes bits"),
            Mistake::Kernel { party, to, .. } => match to {
                Kernel::Lookup(t) => {
                    let sizes = (t.shift, t.fraction, t.drop, t.terms.len());
                    format!("{party:?}: a table of {} pieces and sizes {sizes:?}", t.pieces)
                }
                other => format!("{party:?}: {other:?}"),
            },
            Mistake::Operands { operands, .. } => format!("operands {operands:?}"),
            Mistake::Flipped { from, to, .. } => format!("{from} -> {to} flipped"),
            Mistake::Other { from, to, .. } => format!("{from} -> {to} another buffer"),
        }
    }

    /// The plan with the mistake; none if it has no place in it.
    pub fn plant(&self, plan: &Plan) -> Option<Plan> {
        let mut broken = plan.clone();
        match self {
            Mistake::Instr { party, program, at, to } => {
                for step in steps(&mut broken, &program.clone().into(), Some(*party)) {
                    let Kernel::Map(program) = &mut step.kernel else { unreachable!("it is a program") };
                    Arc::make_mut(program).code[*at] = *to;
                }
            }
            Mistake::Stream { party, program, stream, other_key } => {
                for step in steps(&mut broken, &program.clone().into(), Some(*party)) {
                    let Stream { key, id, .. } = &mut step.streams[*stream];
                    if *other_key {
                        *key = if *key == party.0 { party.plus(1).0 } else { party.0 };
                    } else {
                        *id += 1 << 20;
                    }
                }
            }
            Mistake::Added { party, program } => {
                let kernel = program.clone().into();
                for operand in steps(&mut broken, &kernel, Some(*party)).flat_map(|step| &mut step.ins) {
                    if let Access::Bits { add, from } = &mut operand.access {
                        *add = add.wrapping_add(1 << (*from + 8));
                    }
                }
            }
            Mistake::Kernel { party, from, to } => {
                steps(&mut broken, from, *party).for_each(|step| step.kernel = to.clone());
            }
            Mistake::Operands { kernel, operands } => {
                for step in steps(&mut broken, kernel, None) {
                    step.ins = operands.iter().map(|at| step.ins.get(*at).copied()).collect::<Option<_>>()?;
                }
            }
            Mistake::Flipped { name, from, to } => flip(&mut broken, name, *from, *to),
            Mistake::Other { name, from, to } => replace(&mut broken, name, *from, *to)?,
        }
        (broken != *plan).then_some(broken)
    }
}

/// Every message of that name is sent from a buffer with all bits flipped.
fn flip(plan: &mut Plan, name: &str, from: Party, to: Party) {
    for round in 0..plan.rounds.len() {
        for at in 0..plan.rounds[round].sends.len() {
            let send = &plan.rounds[round].sends[at];
            if (send.name.as_str(), send.from, send.to) != (name, from, to) {
                continue;
            }
            let (source, flipped) = (send.source, BufId(plan.bufs.len() as u32));
            let Buf { planes, width, .. } = plan.buf(source).clone();
            plan.bufs.push(plan.buf(source).clone());
            let mut code = Vec::new();
            for plane in 0..planes as u16 {
                let first = code.len() as u16;
                code.push(Instr::In { input: 0, plane });
                code.push(Instr::Not(Reg(first)));
                code.push(Instr::Out { output: 0, plane, value: Reg(first + 1) });
            }
            let program = Program { name: "flipped".into(), planes: width == 1, code };
            let step = Step {
                party: from,
                kernel: program.into(),
                ins: vec![source.into()],
                streams: Vec::new(),
                outs: vec![flipped],
                once: false,
                span: None,
                free: Vec::new(),
            };
            // What was freed is still needed.
            keep(plan);
            plan.rounds[round].steps.push(step);
            plan.rounds[round].sends[at].source = flipped;
        }
    }
}

/// Nothing is freed.
fn keep(plan: &mut Plan) {
    for round in &mut plan.rounds {
        round.steps.iter_mut().for_each(|s| s.free.clear());
        round.sends.iter_mut().for_each(|s| s.free.clear());
    }
}

/// The first message of that name is the last buffer before its own that is alike.
fn replace(plan: &mut Plan, name: &str, from: Party, to: Party) -> Option<()> {
    keep(plan);
    let named = |s: &smlc::plan::Send| (s.name.as_str(), s.from, s.to) == (name, from, to);
    let (round, at) =
        (0..plan.rounds.len()).find_map(|round| Some((round, plan.rounds[round].sends.iter().position(named)?)))?;
    let source = plan.rounds[round].sends[at].source;
    let wanted = plan.buf(source).clone();
    let written = plan.rounds[..=round].iter().flat_map(|r| &r.steps).flat_map(|s| &s.outs);
    let received = plan.rounds[..round].iter().flat_map(|r| r.sends.iter().map(|s| &s.target));
    let inputs = plan.inputs.iter().flat_map(|i| i.bufs.iter().flatten());
    let mut other = written.chain(received).chain(inputs).copied();
    let other = other.rfind(|id| *id != source && *plan.buf(*id) == wanted)?;
    plan.rounds[round].sends[at].source = other;
    Some(())
}
