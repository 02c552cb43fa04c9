//! What kernels mean, in loops as plain as their definitions. Slow on purpose.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::{Case, stream_key};
use crate::graph::Window;
use crate::plan::{Access, Buf, Instr, Kernel, Lookup, Operand, Product, Program, Stream, Term, View};

/// The words of each result of a case, whose operands fit its kernel.
#[must_use]
pub fn results(case: &Case) -> Vec<Vec<u64>> {
    let operand = |j: usize| &case.contents[case.ins[j].buf.index()];
    let moves = matches!(case.kernel, Kernel::Copy(_) | Kernel::Concat { .. } | Kernel::Gather { .. });
    if moves && case.bufs[case.outs[0].index()].width == 1 {
        return vec![move_bits(case)];
    }
    let result = match &case.kernel {
        Kernel::Map(program) => return map(case, program),
        Kernel::Product(kind) => {
            let mut sum = vec![0u64; case.bufs[case.outs[0].index()].words()];
            for pair in 0..case.ins.len() / 2 {
                let summand = product(kind, operand(2 * pair), operand(2 * pair + 1));
                sum.iter_mut().zip(summand).for_each(|(sum, word)| *sum = sum.wrapping_add(word));
            }
            sum
        }
        Kernel::ProductOfSums(kind, factors) => {
            let mut next = 0;
            let sums = [0, 1].map(|side: usize| {
                let mut sum: Vec<u64> = Vec::new();
                let counts = |(term, factor): &(usize, i8)| *term == 0 || *factor != 0;
                for (_, factor) in factors[side].into_iter().enumerate().filter(counts) {
                    let words = operand(next);
                    next += 1;
                    sum.resize(words.len(), 0);
                    let factor = i64::from(factor) as u64;
                    sum.iter_mut().zip(words).for_each(|(to, word)| *to = to.wrapping_add(factor.wrapping_mul(*word)));
                }
                sum
            });
            product(kind, &sums[0], &sums[1])
        }
        Kernel::Copy(view) => copy(view, operand(0)),
        Kernel::Concat { outer, chunks } => {
            let mut out = Vec::new();
            for o in 0..*outer {
                for (j, chunk) in chunks.iter().enumerate() {
                    out.extend((0..*chunk).map(|i| operand(j)[o * chunk + i]));
                }
            }
            out
        }
        Kernel::Gather { outer, axis, inner, index } => {
            let word = |o, j: usize, i| index[j].map_or(0, |a| operand(0)[(o * axis + a) * inner + i]);
            let row = index.len() * inner;
            (0..outer * row).map(|at| word(at / row, at % row / inner, at % inner)).collect()
        }
        Kernel::Sum { outer, axis, inner } => {
            let word = |o, i| (0..*axis).fold(0u64, |sum, a| sum.wrapping_add(operand(0)[(o * axis + a) * inner + i]));
            (0..outer * inner).map(|at| word(at / inner, at % inner)).collect()
        }
        Kernel::SumPool { planes, h, w, window } => sum_pool([*planes, *h, *w], window, operand(0)),
        Kernel::OneHot { add, shift, places } => {
            let word = |e: usize, j: usize| {
                let at = (operand(0)[e].wrapping_add(*add) >> shift) % *places as u64;
                if at != j as u64 {
                    0
                } else if case.ins.len() == 2 {
                    operand(1)[e]
                } else {
                    1
                }
            };
            (0..operand(0).len() * places).map(|at| word(at / places, at % places)).collect()
        }
        Kernel::Rotate { shift, places } => {
            let from = |e: usize, j: usize| {
                (j as u64 + *places as u64 - (operand(1)[e] >> shift) % *places as u64) as usize % places
            };
            (0..operand(0).len()).map(|at| operand(0)[at / places * places + from(at / places, at % places)]).collect()
        }
        Kernel::Lookup(table) => {
            return table.terms.iter().map(|term| lookup(table, term, operand(0), operand(1))).collect();
        }
    };
    vec![result]
}

/// One result of a lookup.
fn lookup(table: &Lookup, term: &Term, rows: &[u64], by: &[u64]) -> Vec<u64> {
    let divide = |x: i128, bits: u32| x.div_euclid(1 << bits);
    let word = |e: usize| {
        let low = u128::from(by[e]) % (1 << table.shift);
        let v = (low << table.fraction >> table.shift) as i128;
        let polynomial = |c: &[i64]| {
            c.iter().rev().fold(0i64, |y, c| (divide(i128::from(y) * v, table.fraction) as i64).wrapping_add(*c))
        };
        (0..table.pieces).fold(0u64, |sum, j| {
            let piece = ((j as u128 + (u128::from(by[e]) >> table.shift)) % table.pieces as u128) as usize;
            let value = match term {
                Term::Polynomials(pieces) => i128::from(polynomial(&pieces[piece])),
                Term::Multiples { of, factors } => i128::from(polynomial(of)) * i128::from(factors[piece]),
            };
            let rounded = divide(value + (1 << (table.drop - 1)), table.drop);
            sum.wrapping_add(rows[e * table.pieces + j].wrapping_mul(rounded as u64))
        })
    };
    (0..by.len()).map(word).collect()
}

/// A move of bits: the same on words that hold a bit each, plane by plane.
fn move_bits(case: &Case) -> Vec<u64> {
    let out = &case.bufs[case.outs[0].index()];
    let mut words = vec![0; out.words()];
    for plane in 0..out.planes {
        let mut wide = case.clone();
        wide.bufs.iter_mut().for_each(|buf| (buf.planes, buf.width) = (1, 64));
        for (buf, content) in case.bufs.iter().zip(&mut wide.contents) {
            let bit = |e: usize| content[plane * buf.stride() + e / 64] >> (e % 64) & 1;
            *content = (0..buf.len).map(bit).collect();
        }
        if let Kernel::Copy(view) = &mut wide.kernel {
            view.fill &= 1;
        }
        for (e, bit) in results(&wide)[0].iter().enumerate() {
            words[plane * out.stride() + e / 64] |= bit << (e % 64);
        }
    }
    words
}

fn product(kind: &Product, left: &[u64], right: &[u64]) -> Vec<u64> {
    match *kind {
        Product::MatMul { batch, m, k, n } => matmul([batch, m, k, n], left, right),
        Product::Conv2d { n, c, h, w, o, window, groups } => conv([n, c, h, w, o, groups], &window, left, right),
    }
}

/// Runs the program once for every word.
fn map(case: &Case, program: &Program) -> Vec<Vec<u64>> {
    let out_bufs: Vec<&Buf> = case.outs.iter().map(|id| &case.bufs[id.index()]).collect();
    let mut outs: Vec<Vec<u64>> = out_bufs.iter().map(|buf| vec![0; buf.words()]).collect();
    let stride = out_bufs[0].stride();
    let source = |operand: &Operand, i: usize| match operand.access {
        Access::Dense | Access::Bits { .. } => i,
        Access::Repeat { inner, len, start } => ((start + i) / inner) % len,
    };
    for i in 0..stride {
        let mut regs: Vec<u64> = Vec::new();
        for instr in &program.code {
            let reg = |r: crate::plan::Reg| regs[r.0 as usize];
            let value = match *instr {
                Instr::In { input, plane } => {
                    let operand = &case.ins[input as usize];
                    let (buf, words) = (&case.bufs[operand.buf.index()], &case.contents[operand.buf.index()]);
                    match operand.access {
                        Access::Bits { add, from } => taken(words, add, from + u32::from(plane), i),
                        _ => words[plane as usize * buf.stride() + source(operand, i)],
                    }
                }
                Instr::BitOf { input, plane } => {
                    let operand = &case.ins[input as usize];
                    let buf = &case.bufs[operand.buf.index()];
                    let bit = source(operand, i);
                    case.contents[operand.buf.index()][plane as usize * buf.stride() + bit / 64] >> (bit % 64) & 1
                }
                Instr::Prf { stream, plane } => {
                    element(&case.streams[stream as usize], (plane as usize * stride + i) as u64)
                }
                Instr::Imm(value) => value,
                Instr::Add(a, b) => reg(a).wrapping_add(reg(b)),
                Instr::Sub(a, b) => reg(a).wrapping_sub(reg(b)),
                Instr::Mul(a, b) => reg(a).wrapping_mul(reg(b)),
                Instr::And(a, b) => reg(a) & reg(b),
                Instr::Xor(a, b) => reg(a) ^ reg(b),
                Instr::Not(a) => !reg(a),
                Instr::Shl(a, n) => reg(a) << n,
                Instr::Shr(a, n) => reg(a) >> n,
                Instr::Out { output, plane, value } => {
                    outs[output as usize][plane as usize * stride + i] = reg(value);
                    0
                }
            };
            regs.push(value);
        }
    }
    outs
}

/// Element `e` of a stream (word `e` for planes), from the bytes of its keystream.
#[must_use]
pub fn element(stream: &Stream, e: u64) -> u64 {
    let bytes = match stream.bits {
        1 | 33..=64 => 8,
        2..=8 => 1,
        9..=16 => 2,
        _ => 4,
    };
    let cipher = Aes128::new(&stream_key(stream.key).0.into());
    let mut value = 0;
    for b in 0..bytes {
        let at = e * bytes + b;
        let mut block = [0u8; 16];
        block[..8].copy_from_slice(&(at / 16).to_le_bytes());
        block[8..12].copy_from_slice(&stream.id.to_le_bytes());
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        value |= u64::from(block[(at % 16) as usize]) << (8 * b);
    }
    if stream.bits == 1 { value } else { value & (u64::MAX >> (64 - stream.bits)) }
}

fn matmul([batch, m, k, n]: [usize; 4], left: &[u64], right: &[u64]) -> Vec<u64> {
    let left_step = if left.len() == m * k { 0 } else { m * k };
    let right_step = if right.len() == k * n { 0 } else { k * n };
    let mut out = Vec::new();
    for b in 0..batch {
        for i in 0..m {
            for j in 0..n {
                out.push((0..k).fold(0u64, |sum, x| {
                    let product = left[b * left_step + i * k + x].wrapping_mul(right[b * right_step + x * n + j]);
                    sum.wrapping_add(product)
                }));
            }
        }
    }
    out
}

/// The source index of element `tap` of the window at `position`; `None` in the padding.
fn under(window: &Window, axis: usize, position: usize, tap: usize, size: usize) -> Option<usize> {
    (position * window.stride[axis] + tap * window.dilation[axis])
        .checked_sub(window.pad[axis])
        .filter(|index| *index < size)
}

fn conv([n, c, h, w, o, groups]: [usize; 6], window: &Window, image: &[u64], weight: &[u64]) -> Vec<u64> {
    let [oh, ow] = window.output(h, w).unwrap_or([0, 0]);
    let [kh, kw] = window.size;
    let depth = c / groups;
    let mut out = Vec::new();
    for at in 0..n * o * oh * ow {
        let (picture, channel, y, x) = (at / (o * oh * ow), at / (oh * ow) % o, at / ow % oh, at % ow);
        let group = channel / (o / groups);
        let mut sum = 0u64;
        for tap in 0..depth * kh * kw {
            let (d, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            if let (Some(sy), Some(sx)) = (under(window, 0, y, ky, h), under(window, 1, x, kx, w)) {
                let value = image[((picture * c + group * depth + d) * h + sy) * w + sx];
                sum = sum.wrapping_add(value.wrapping_mul(weight[channel * depth * kh * kw + tap]));
            }
        }
        out.push(sum);
    }
    out
}

fn sum_pool([planes, h, w]: [usize; 3], window: &Window, image: &[u64]) -> Vec<u64> {
    let [oh, ow] = window.output(h, w).unwrap_or([0, 0]);
    let mut out = Vec::new();
    for at in 0..planes * oh * ow {
        let (plane, y, x) = (at / (oh * ow), at / ow % oh, at % ow);
        let mut sum = 0u64;
        for tap in 0..window.size[0] * window.size[1] {
            let (ky, kx) = (tap / window.size[1], tap % window.size[1]);
            if let (Some(sy), Some(sx)) = (under(window, 0, y, ky, h), under(window, 1, x, kx, w)) {
                sum = sum.wrapping_add(image[(plane * h + sy) * w + sx]);
            }
        }
        out.push(sum);
    }
    out
}

fn copy(view: &View, words: &[u64]) -> Vec<u64> {
    let count: usize = view.shape.iter().product();
    let mut out = Vec::new();
    for at in 0..count {
        let mut index = vec![0; view.shape.len()];
        let mut rest = at;
        for axis in (0..view.shape.len()).rev() {
            index[axis] = rest % view.shape[axis];
            rest /= view.shape[axis];
        }
        let valid = view
            .bounds
            .iter()
            .all(|bound| (0..bound.limit).contains(&(index[bound.axis] as i64 * bound.step + bound.offset)));
        let word = index.iter().zip(&view.strides).map(|(i, stride)| (i * stride) as i64).sum::<i64>() + view.start;
        out.push(if valid { words[word as usize] } else { view.fill });
    }
    out
}

/// A bit of each of 64 words, after an addition.
fn taken(words: &[u64], add: u64, bit: u32, i: usize) -> u64 {
    let words = words.iter().skip(64 * i).take(64);
    words.enumerate().fold(0, |all, (at, word)| all | (word.wrapping_add(add) >> bit & 1) << at)
}
