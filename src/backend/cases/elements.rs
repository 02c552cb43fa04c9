//! Element programs in every instruction, access and stream class, and the way from words to planes.

use super::{Case, bits, dense, ring};
use crate::plan::{Access, Instr, Kernel, Party, Program, Reg, Stream};

/// Elements: one, around a word of bits, primes, around a block of words.
const SIZES: [usize; 10] = [1, 63, 64, 65, 127, 509, 512, 1021, 1600, 4099];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in SIZES {
        cases.push(every_instruction(len));
        cases.push(every_instruction_on_planes(len));
        cases.push(bit_of(len));
        cases.push(reused_registers(len));
    }
    for repeated in [
        [1, 1, 0],
        [1, 7, 0],
        [1, 7, 5],
        [3, 5, 0],
        [3, 5, 14],
        [64, 3, 0],
        [64, 3, 130],
        [100, 1, 0],
        [100, 1, 99],
        [1, 600, 0],
        [1, 600, 599],
        [300, 4, 0],
        [300, 4, 1000],
        [2000, 2, 0],
        [2000, 2, 1999],
    ] {
        cases.push(repeats(repeated));
    }
    for bits in [1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 48, 63, 64] {
        for len in [1, 65, 1021] {
            cases.push(stream(bits, len));
        }
    }
    for party in Party::ALL {
        cases.push(both_keys(party));
    }
    for len in SIZES {
        for (add, from, planes) in [
            (0, 0, 64),
            (0x1234_5678_9abc_def0, 16, 32),
            (u64::MAX, 3, 1),
            (5, 63, 1),
            (7, 15, 33),
            (9, 40, 16),
            (1, 0, 17),
        ] {
            let name = format!("map: {planes} bits from {from} of {len} words");
            let kernel = Kernel::from(Program::planes(planes));
            let ins = vec![(ring(len, 64), Access::Bits { add, from })];
            cases.push(Case::new(name, kernel, ins, vec![bits(len, usize::from(planes))]));
        }
        cases.push(bits_beside_planes(len));
    }
    cases
}

/// A map of these instructions.
pub(super) fn program(planes: bool, code: Vec<Instr>) -> Kernel {
    Kernel::from(Program { name: "case".into(), planes, code })
}

/// The instruction that writes register `value`.
pub(super) fn out(output: u16, plane: u16, value: u16) -> Instr {
    Instr::Out { output, plane, value: Reg(value) }
}

fn arithmetic(a: Reg, b: Reg) -> [Instr; 9] {
    [
        Instr::Add(a, b),
        Instr::Sub(a, b),
        Instr::Mul(a, b),
        Instr::And(a, b),
        Instr::Xor(a, b),
        Instr::Not(a),
        Instr::Shl(a, 17),
        Instr::Shr(a, 43),
        Instr::Shr(b, 0),
    ]
}

pub(crate) fn every_instruction(len: usize) -> Case {
    let mut code = vec![
        Instr::In { input: 0, plane: 0 },
        Instr::In { input: 1, plane: 0 },
        Instr::Imm(0xdead_beef_0bad_cafe),
        Instr::Sub(Reg(2), Reg(1)),
    ];
    code.extend(arithmetic(Reg(0), Reg(3)));
    code.extend((0..9).map(|r| out(r, 0, 4 + r)));
    // Operands, constants and computed words may also be written as they are, and more than once.
    code.extend([out(9, 0, 0), out(10, 0, 2), out(11, 0, 4)]);
    let outs = vec![ring(len, 64); 12];
    Case::new(
        format!("map: every instruction on {len} words"),
        program(false, code),
        dense([ring(len, 64), ring(len, 48)]),
        outs,
    )
}

pub(crate) fn every_instruction_on_planes(len: usize) -> Case {
    let mut code = vec![
        Instr::In { input: 0, plane: 2 },
        Instr::In { input: 1, plane: 0 },
        Instr::Prf { stream: 0, plane: 0 },
        Instr::Prf { stream: 0, plane: 3 },
        Instr::Xor(Reg(1), Reg(3)),
    ];
    code.extend(arithmetic(Reg(0), Reg(4)));
    code.extend((0..9).map(|r| out(0, r, 5 + r)));
    code.push(out(1, 0, 2));
    let streams = vec![Stream { key: 2, id: 0xffff_fff1, bits: 1 }];
    let name = format!("map: every instruction on planes of {len} bits");
    Case::new(name, program(true, code), dense([bits(len, 3), bits(len, 1)]), vec![bits(len, 9), bits(len, 1)])
        .with_streams(streams)
}

pub(crate) fn bit_of(len: usize) -> Case {
    let code = vec![
        Instr::BitOf { input: 0, plane: 0 },
        Instr::BitOf { input: 0, plane: 4 },
        Instr::BitOf { input: 1, plane: 1 },
        Instr::Imm(3),
        Instr::Mul(Reg(1), Reg(3)),
        Instr::Add(Reg(0), Reg(4)),
        Instr::Shl(Reg(2), 4),
        Instr::Add(Reg(5), Reg(6)),
        Instr::BitOf { input: 2, plane: 1 },
        Instr::Shl(Reg(8), 5),
        Instr::Add(Reg(7), Reg(9)),
        out(0, 0, 10),
    ];
    let repeated = |start| (bits(71, 2), Access::Repeat { inner: 3, len: 67, start });
    let ins = vec![(bits(len, 5), Access::Dense), repeated(0), repeated(130)];
    Case::new(format!("map: bits of {len} elements"), program(false, code), ins, vec![ring(len, 64)])
}

/// Bits of the words of two operands, beside planes and a stream; some are read twice or never, and as many as may be.
pub(crate) fn bits_beside_planes(len: usize) -> Case {
    let mut code = vec![
        Instr::In { input: 0, plane: 63 },
        Instr::In { input: 1, plane: 1 },
        Instr::In { input: 2, plane: 3 },
        Instr::Prf { stream: 0, plane: 1 },
        Instr::In { input: 0, plane: 63 },
        Instr::In { input: 2, plane: 40 },
        Instr::In { input: 0, plane: 7 },
        Instr::And(Reg(0), Reg(2)),
        Instr::Xor(Reg(7), Reg(1)),
        Instr::Xor(Reg(8), Reg(3)),
        Instr::In { input: 3, plane: 15 },
        Instr::Xor(Reg(6), Reg(4)),
        Instr::And(Reg(10), Reg(11)),
    ];
    code.extend([out(0, 0, 9), out(0, 1, 12), out(1, 0, 10), out(1, 1, 2)]);
    let ins = vec![
        (ring(len, 64), Access::Bits { add: 0x0123_4567_89ab_cdef, from: 0 }),
        (bits(len, 2), Access::Dense),
        (ring(len, 48), Access::Bits { add: 0, from: 5 }),
        (ring(len, 64), Access::Bits { add: u64::MAX, from: 48 }),
    ];
    let streams = vec![Stream { key: 1, id: 9, bits: 1 }];
    let outs = vec![bits(len, 2), bits(len, 2)];
    Case::new(format!("map: bits of {len} words beside planes"), program(true, code), ins, outs).with_streams(streams)
}

/// A long program whose registers die at different times, some at once and some never read.
fn reused_registers(len: usize) -> Case {
    let mut code = vec![Instr::In { input: 0, plane: 0 }, Instr::Imm(0x9e37_79b9_7f4a_7c15)];
    for r in 2..60u16 {
        let (a, b) = (Reg(r - 1), Reg(if r % 5 == 0 { r - 1 } else { r * 7 % r.min(11) }));
        code.push(match r % 6 {
            0 => Instr::Add(a, b),
            1 => Instr::Xor(b, a),
            2 => Instr::Mul(a, a),
            3 => Instr::Sub(b, a),
            4 => Instr::And(a, b),
            _ => Instr::Xor(a, b),
        });
    }
    code.extend([out(0, 0, 59), out(1, 0, 30)]);
    Case::new(
        format!("map: reused registers on {len} words"),
        program(false, code),
        dense([ring(len, 64)]),
        vec![ring(len, 64); 2],
    )
}

fn repeats([inner, len, start]: [usize; 3]) -> Case {
    let code = vec![
        Instr::In { input: 0, plane: 0 },
        Instr::In { input: 1, plane: 0 },
        Instr::Add(Reg(0), Reg(1)),
        out(0, 0, 2),
    ];
    let ins = vec![(ring(1500, 64), Access::Dense), (ring(len, 64), Access::Repeat { inner, len, start })];
    let name = format!("map: {len} words repeated {inner} times each, from {start} on");
    Case::new(name, program(false, code), ins, vec![ring(1500, 64)])
}

pub(crate) fn stream(width: u32, len: usize) -> Case {
    let planes = width == 1;
    let mut code =
        vec![Instr::Prf { stream: 0, plane: 0 }, Instr::Prf { stream: 1, plane: 0 }, Instr::Sub(Reg(0), Reg(1))];
    code.push(out(0, 0, 2));
    let mut buf = if planes { bits(len, 1) } else { ring(len, 64) };
    if planes {
        buf.planes = 2;
        code.extend([Instr::Prf { stream: 0, plane: 5 }, out(0, 1, 4)]);
    }
    let streams = vec![Stream { key: 1, id: 3, bits: width }, Stream { key: 2, id: 0, bits: width }];
    Case::new(format!("map: streams of {width} bits, {len} elements"), program(planes, code), vec![], vec![buf])
        .with_streams(streams)
}

fn both_keys(party: Party) -> Case {
    let code = vec![Instr::Prf { stream: 0, plane: 0 }, Instr::Prf { stream: 1, plane: 0 }, out(0, 0, 0), out(1, 0, 1)];
    let streams = vec![Stream { key: party.0, id: 1, bits: 64 }, Stream { key: party.plus(1).0, id: 1, bits: 24 }];
    Case::new(format!("map: both keys of {party}"), program(false, code), vec![], vec![ring(100, 64), ring(100, 24)])
        .with_streams(streams)
        .at(party)
}
