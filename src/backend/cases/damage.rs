//! Launches of damaged plans, which a backend refuses without reading or writing out of place.

use super::elements::{out, program};
use super::tables::polynomials;
use super::{Case, bits, dense, ring};
use crate::graph::Window;
use crate::plan::{Access, Buf, BufId, Instr, Kernel, Lookup, Part, Party, Product, Program, Reg, Stream, Term, View};

const IN: Instr = Instr::In { input: 0, plane: 0 };

pub(super) fn cases() -> Vec<Case> {
    let mut cases = maps();
    cases.extend(others());
    cases.extend(tables());
    cases.extend(buffers());
    cases.into_iter().map(Case::refused).collect()
}

/// A program that copies its operand, on these buffers.
fn identity(name: &str, access: Access) -> Case {
    Case::new(name, program(false, vec![IN, out(0, 0, 0)]), vec![(ring(10, 64), access)], vec![ring(10, 64)])
}

fn maps() -> Vec<Case> {
    let on_words =
        |name: &str, code: Vec<Instr>| Case::new(name, program(false, code), dense([ring(10, 64)]), vec![ring(10, 64)]);
    let drawn = |name: &str, key: u8, bits: u32, planes: bool, plane: u16| {
        let code = vec![Instr::Prf { stream: 0, plane }, out(0, 0, 0)];
        let buf = if planes { super::bits(10, 1) } else { ring(10, 64) };
        Case::new(name, program(planes, code), vec![], vec![buf]).with_streams(vec![Stream { key, id: 0, bits }])
    };
    vec![
        on_words("refused: no such operand", vec![Instr::In { input: 1, plane: 0 }, out(0, 0, 0)]),
        on_words("refused: no such plane of an operand", vec![Instr::In { input: 0, plane: 1 }, out(0, 0, 0)]),
        on_words("refused: bits of words", vec![Instr::BitOf { input: 0, plane: 0 }, out(0, 0, 0)]),
        on_words("refused: no such result", vec![IN, out(0, 0, 0), out(1, 0, 0)]),
        on_words("refused: no such plane of a result", vec![IN, out(0, 0, 0), out(0, 1, 0)]),
        on_words("refused: a result written twice", vec![IN, out(0, 0, 0), out(0, 0, 0)]),
        on_words("refused: a result never written", vec![IN]),
        on_words("refused: a register that comes later", vec![Instr::Not(Reg(1)), IN, out(0, 0, 0)]),
        on_words("refused: a register of itself", vec![IN, Instr::Not(Reg(1)), out(0, 0, 1)]),
        on_words("refused: a register far away", vec![IN, Instr::Add(Reg(0), Reg(999)), out(0, 0, 1)]),
        on_words("refused: a shift by 64", vec![IN, Instr::Shr(Reg(0), 64), out(0, 0, 1)]),
        on_words("refused: no such stream", vec![Instr::Prf { stream: 0, plane: 0 }, out(0, 0, 0)]),
        drawn("refused: a key of others", 0, 64, false, 0),
        drawn("refused: no such key", 3, 64, false, 0),
        drawn("refused: a stream of no bits", 1, 0, false, 0),
        drawn("refused: a stream of 65 bits", 1, 65, false, 0),
        drawn("refused: a plane of words", 1, 64, false, 1),
        drawn("refused: words in planes", 1, 64, true, 0),
        drawn("refused: planes in words", 1, 1, false, 0),
        identity("refused: repeats of nothing", Access::Repeat { inner: 1, len: 0, start: 0 }),
        identity("refused: repeats zero times", Access::Repeat { inner: 0, len: 10, start: 0 }),
        identity("refused: repeats of more than there is", Access::Repeat { inner: 1, len: 11, start: 0 }),
        identity("refused: repeats from behind the last one on", Access::Repeat { inner: 3, len: 10, start: 30 }),
        identity("refused: repeats beyond all memory", Access::Repeat { inner: usize::MAX / 2, len: 10, start: 0 }),
        Case::new(
            "refused: a short operand",
            program(false, vec![IN, out(0, 0, 0)]),
            dense([ring(9, 64)]),
            vec![ring(10, 64)],
        ),
        Case::new(
            "refused: planes read as words",
            program(false, vec![IN, out(0, 0, 0)]),
            dense([bits(640, 1)]),
            vec![ring(10, 64)],
        ),
        Case::new("refused: no result", program(false, vec![IN]), dense([ring(9, 64)]), vec![]),
        Case::new(
            "refused: results of two lengths",
            program(false, vec![IN, out(0, 0, 0), out(1, 0, 0)]),
            dense([ring(9, 64)]),
            vec![ring(9, 64), ring(10, 64)],
        ),
    ]
}

fn tables() -> Vec<Case> {
    let row = |name: &str, kernel: Kernel, ins: &[usize], out: usize| {
        Case::new(name, kernel, dense(ins.iter().map(|len| ring(*len, 64))), vec![ring(out, 64)])
    };
    let one_hot = |shift, places| Kernel::OneHot { add: 1, shift, places };
    let table = polynomials(4, 16, 16, &[2]);
    let damaged = |change: &dyn Fn(&mut Lookup)| {
        let mut table = table.clone();
        change(&mut table);
        Kernel::Lookup(table)
    };
    let short = damaged(&|t| t.terms = vec![Term::Polynomials(vec![vec![1]; 3])]);
    let empty = damaged(&|t| t.terms = vec![Term::Polynomials(vec![vec![]; 4])]);
    let several = Kernel::Lookup(polynomials(4, 16, 16, &[2, 2]));
    vec![
        row("refused: three places", one_hot(0, 3), &[5], 15),
        row("refused: no places", one_hot(0, 0), &[5], 0),
        row("refused: places beyond a word", one_hot(63, 4), &[5], 20),
        row("refused: a short row", one_hot(0, 4), &[5], 19),
        row("refused: values of other elements", one_hot(0, 4), &[5, 6], 20),
        row("refused: turned by too few", Kernel::Rotate { shift: 0, places: 4 }, &[20, 4], 20),
        row("refused: turned by nothing", Kernel::Rotate { shift: 0, places: 4 }, &[20], 20),
        row("refused: a table of other places", Kernel::Lookup(table.clone()), &[19, 5], 5),
        row("refused: a table for one operand", Kernel::Lookup(table.clone()), &[20], 5),
        row("refused: a term too few", several, &[20, 5], 5),
        row("refused: a table of too few pieces", short, &[20, 5], 5),
        row("refused: a polynomial of no powers", empty, &[20, 5], 5),
        row("refused: a fraction of 63 bits", damaged(&|t| t.fraction = 63), &[20, 5], 5),
        row("refused: nothing to round", damaged(&|t| t.drop = 0), &[20, 5], 5),
        row("refused: a shift by a word", damaged(&|t| t.shift = 64), &[20, 5], 5),
    ]
}

fn others() -> Vec<Case> {
    let window = Window::new([3, 3], [1, 1], [0, 0]);
    let product = |name: &str, product: Product, ins: &[usize], out: usize| {
        Case::new(name, Kernel::Product(product), dense(ins.iter().map(|len| ring(*len, 64))), vec![ring(out, 64)])
    };
    let square = Product::MatMul { batch: 1, m: 4, k: 4, n: 4 };
    let sums = |name: &str, ins: &[usize]| {
        let kernel = Kernel::ProductOfSums(Product::MatMul { batch: 1, m: 4, k: 4, n: 4 }, [[1, 2], [2, 1]]);
        Case::new(name, kernel, dense(ins.iter().map(|len| ring(*len, 64))), vec![ring(16, 64)])
    };
    let huge = usize::MAX / 2;
    let conv = |window, groups| Product::Conv2d { n: 1, c: 4, h: 4, w: 4, o: 4, window, groups };
    let copy = |name: &str, shape: &[usize], strides: &[usize], start| {
        let view = View { shape: shape.to_vec(), strides: strides.to_vec(), start, bounds: vec![], fill: 0 };
        Case::new(name, Kernel::Copy(view), dense([ring(10, 64)]), vec![ring(shape.iter().product(), 64)])
    };
    let bit_copy = |name: &str, from, to| {
        let view = View { shape: vec![10], strides: vec![1], start: 0, bounds: vec![], fill: 0 };
        Case::new(name, Kernel::Copy(view), dense([from]), vec![to])
    };
    let gather = |name: &str, index: &[Option<usize>], len| {
        let kernel = Kernel::Gather { outer: 2, axis: 3, inner: 2, index: index.to_vec() };
        Case::new(name, kernel, dense([ring(12, 64)]), vec![ring(len, 64)])
    };
    let planes = |name: &str, from, source, target: Buf| {
        let kernel = Kernel::from(Program::planes(target.planes as u16));
        Case::new(name, kernel, vec![(source, Access::Bits { add: 0, from })], vec![target])
    };
    let taken = |name: &str, planes, instr, operands: usize| {
        let code = (0..operands as u16).map(|input| Instr::In { input, plane: 63 }).chain([instr]);
        let written = [out(0, 0, operands as u16)];
        let kernel = program(planes, code.chain(written).collect());
        let target = if planes { bits(640, 1) } else { ring(640, 64) };
        Case::new(name, kernel, vec![(ring(640, 64), Access::Bits { add: 0, from: 0 }); operands], vec![target])
    };
    let pool = |name: &str, window, len| {
        let kernel = Kernel::SumPool { planes: 1, h: 4, w: 4, window };
        Case::new(name, kernel, dense([ring(len, 64)]), vec![ring(4, 64)])
    };
    vec![
        product("refused: a short matrix", square.clone(), &[16, 15], 16),
        product("refused: a long result", square.clone(), &[16, 16], 17),
        product("refused: one and a half pairs", square.clone(), &[16, 16, 16], 16),
        product("refused: no pair", square.clone(), &[], 16),
        product("refused: three pairs", square, &[16; 6], 16),
        sums("refused: one pair as sums", &[16; 2]),
        sums("refused: three operands of sums", &[16; 3]),
        sums("refused: a sum of unlike terms", &[16, 16, 16, 15]),
        product("refused: huge matrices", Product::MatMul { batch: 1, m: huge, k: huge, n: huge }, &[1, 1], 1),
        product("refused: a window without stride", conv(Window { stride: [0, 1], ..window }, 1), &[64, 144], 16),
        product("refused: a window larger than the image", conv(Window { size: [5, 5], ..window }, 1), &[64, 400], 16),
        product("refused: no dilation", conv(Window { dilation: [1, 0], ..window }, 1), &[64, 144], 16),
        product("refused: a wide window", conv(Window { dilation: [2, 1], ..window }, 1), &[64, 144], 16),
        product("refused: huge dilation", conv(Window { dilation: [huge, huge], ..window }, 1), &[64, 144], 16),
        product("refused: groups that do not divide", conv(window, 3), &[64, 144], 16),
        product("refused: no groups", conv(window, 0), &[64, 144], 16),
        product("refused: huge padding", conv(Window { pad: [huge, huge], ..window }, 1), &[64, 144], 16),
        product("refused: weights of another shape", conv(window, 2), &[64, 144], 16),
        copy("refused: reads past the end", &[2, 5], &[6, 1], 0),
        copy("refused: reads before the start", &[2, 5], &[5, 1], -1),
        copy("refused: huge strides", &[2, 5], &[usize::MAX, usize::MAX], 0),
        copy("refused: strides of another shape", &[2, 5], &[1], 0),
        planes("refused: bits past the top", 60, ring(10, 64), bits(10, 5)),
        planes("refused: planes of another length", 0, ring(64, 64), bits(65, 5)),
        planes("refused: planes to words", 0, ring(10, 64), ring(10, 64)),
        planes("refused: bits from far beyond", u32::MAX, ring(10, 64), bits(10, 5)),
        taken("refused: planes in a program of words", false, Instr::Imm(1), 1),
        Case::new(
            "refused: bits of bits of words",
            program(false, vec![Instr::BitOf { input: 0, plane: 0 }, out(0, 0, 0)]),
            vec![(ring(640, 64), Access::Bits { add: 0, from: 0 })],
            vec![ring(10, 64)],
        ),
        taken("refused: more planes of words than there is room for", true, Instr::Imm(1), 3),
        Case::new(
            "refused: bits without a program",
            Kernel::Sum { outer: 1, axis: 1, inner: 10 },
            vec![(ring(10, 64), Access::Bits { add: 0, from: 0 })],
            vec![ring(10, 64)],
        ),
        planes("refused: planes of planes", 0, bits(10, 1), bits(10, 1)),
        pool("refused: pooling without stride", Window { stride: [1, 0], ..window }, 16),
        pool("refused: pooling with gaps", Window { dilation: [1, 2], size: [3, 2], ..window }, 16),
        pool("refused: pooling a short image", window, 15),
        Case::new(
            "refused: a sum of too little",
            Kernel::Sum { outer: 2, axis: 3, inner: 4 },
            dense([ring(23, 64)]),
            vec![ring(8, 64)],
        ),
        gather("refused: an index beyond the axis", &[Some(0), Some(3)], 8),
        bit_copy("refused: bits of words", ring(10, 64), bits(10, 1)),
        bit_copy("refused: words of bits", bits(10, 1), ring(10, 64)),
        bit_copy("refused: bits of fewer planes", bits(10, 1), bits(10, 2)),
        bit_copy("refused: bits past the end", bits(9, 1), bits(10, 1)),
        bit_copy("refused: more bits than the view has", bits(11, 1), bits(11, 1)),
        gather("refused: fewer indices than the result has", &[Some(0), None], 12),
        Case::new(
            "refused: a missing chunk",
            Kernel::Concat { outer: 2, chunks: vec![1, 2] },
            dense([ring(2, 64)]),
            vec![ring(6, 64)],
        ),
        Case::new(
            "refused: a long chunk",
            Kernel::Concat { outer: 2, chunks: vec![2] },
            dense([ring(2, 64)]),
            vec![ring(2, 64)],
        ),
    ]
}

fn buffers() -> Vec<Case> {
    let edited = |name: &str, edit: fn(&mut Case)| {
        let mut case = identity(name, Access::Dense);
        edit(&mut case);
        case
    };
    // Operand 0 is a part of buffer 2, result 1 of buffer 3.
    let part = |name: &str, edit: fn(&mut Case)| {
        let whole = identity(name, Access::Dense);
        let mut case = whole.in_parts().unwrap_or(whole);
        edit(&mut case);
        case
    };
    vec![
        part("refused: an operand past the end", |case| case.bufs[2].len = 10),
        part("refused: a result past the end", |case| case.bufs[3].len = 11),
        part("refused: a part that starts nowhere", |case| {
            case.bufs[1].part = Some(Part { of: BufId(3), start: usize::MAX })
        }),
        part("refused: a part of nothing", |case| case.bufs[1].part = Some(Part { of: BufId(9), start: 0 })),
        part("refused: a part of a part", |case| case.bufs[3].part = Some(Part { of: BufId(2), start: 0 })),
        part("refused: a part of itself", |case| case.bufs[1].part = Some(Part { of: BufId(1), start: 0 })),
        part("refused: a part of its operand", |case| case.bufs[1].part = Some(Part { of: BufId(2), start: 0 })),
        part("refused: a part of another width", |case| case.bufs[3].width = 32),
        part("refused: a part of another party's", |case| case.bufs[3].party = Party(0)),
        edited("refused: an operand that is not there", |case| case.contents.clear()),
        edited("refused: an operand with too few words", |case| case.contents[0].truncate(9)),
        edited("refused: an operand the plan does not know", |case| case.ins[0].buf = BufId(7)),
        edited("refused: a result the plan does not know", |case| case.outs[0] = BufId(7)),
        edited("refused: a buffer of another party", |case| case.bufs[1].party = Party(0)),
        edited("refused: a result that is its operand", |case| case.outs[0] = BufId(0)),
        edited("refused: a buffer of no width", |case| case.bufs[0].width = 0),
        edited("refused: a buffer of huge planes", |case| {
            case.bufs[1].width = 1;
            case.bufs[1].planes = usize::MAX;
        }),
    ]
}
