//! Matrix products.

use crate::device::{Args, Device, Fields, in_both_orders, random};

/// A batch of products.
#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    /// Whether one left or right matrix serves the batch.
    shared: [bool; 2],
    parts: u32,
    /// Words before the operands.
    skipped: usize,
}

impl Shape {
    fn new(m: usize, k: usize, n: usize) -> Shape {
        Shape { batch: 1, m, n, k, shared: [false; 2], parts: 1, skipped: 0 }
    }
}

/// The words of two left and two right operands.
type Operands = [[Vec<u64>; 2]; 2];

fn operands(shape: &Shape) -> Operands {
    let sizes = [shape.m * shape.k, shape.k * shape.n];
    let counts: [usize; 2] = std::array::from_fn(|side| if shape.shared[side] { 1 } else { shape.batch });
    [0, 1].map(|side| [0, 1].map(|term| random((2 * side + term) as u64, sizes[side] * counts[side])))
}

fn product(shape: &Shape, a: &[u64], b: &[u64], out: &mut [u64]) {
    let Shape { m, n, k, .. } = *shape;
    for item in 0..shape.batch {
        let a = &a[if shape.shared[0] { 0 } else { item * m * k }..];
        let b = &b[if shape.shared[1] { 0 } else { item * k * n }..];
        for i in 0..m {
            for j in 0..n {
                let sum = (0..k).fold(0u64, |sum, x| sum.wrapping_add(a[i * k + x].wrapping_mul(b[x * n + j])));
                let out = &mut out[(item * m + i) * n + j];
                *out = out.wrapping_add(sum);
            }
        }
    }
}

/// Factors of the sums, or how many pairs.
#[derive(Clone, Copy, Debug)]
enum Form {
    Pairs(u32),
    Sums([[i64; 2]; 2]),
}

fn expected(shape: &Shape, operands: &Operands, form: Form) -> Vec<u64> {
    let mut out = vec![0; shape.batch * shape.m * shape.n];
    match form {
        Form::Pairs(pairs) => {
            (0..pairs as usize).for_each(|j| product(shape, &operands[0][j], &operands[1][j], &mut out));
        }
        Form::Sums(factors) => {
            let [a, b] = [0, 1].map(|side: usize| -> Vec<u64> {
                let [x, y] = factors[side].map(|factor| factor as u64);
                let terms = operands[side][0].iter().zip(&operands[side][1]);
                terms.map(|(a, b)| a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y))).collect()
            });
            product(shape, &a, &b, &mut out);
        }
    }
    out
}

/// How a kernel is launched.
struct Kernel {
    name: &'static str,
    grid: fn(&Shape) -> usize,
    shared: u32,
}

const SIMT: Kernel = Kernel { name: "gemm_simt", grid: |s| s.m.div_ceil(64) * s.n.div_ceil(64), shared: 0 };
const LIMB: Kernel = Kernel { name: "gemm_limb", grid: SIMT.grid, shared: 65_536 };
const LOW: Kernel = Kernel { name: "gemm_limb_low", grid: |s| s.m.div_ceil(32) * s.n.div_ceil(128), shared: 81_920 };
const ROWS: Kernel = Kernel { name: "gemv_rows", grid: |s| s.n.div_ceil(32), shared: 0 };
const COLS: Kernel = Kernel { name: "gemv_cols", grid: |s| s.m.div_ceil(16), shared: 0 };

fn check_on(device: &mut Device, kernel: &Kernel, shape: &Shape, operands: &Operands, form: Form) {
    let expected = expected(shape, operands, form);
    let [a, b] =
        [0, 1].map(|side: usize| [0, 1].map(|term: usize| device.put_after(shape.skipped, &operands[side][term])));
    let c = device.put(&vec![if shape.parts > 1 { 0 } else { 77 }; expected.len()]);
    let (name, pairs, factors) = match form {
        Form::Pairs(pairs) => (kernel.name.to_owned(), pairs, [[0; 2]; 2]),
        Form::Sums(factors) => (format!("{}_sums", kernel.name), 1, factors),
    };
    let steps = [shape.m * shape.k, shape.k * shape.n].map(|words| words as u64);
    let steps: [u64; 2] = std::array::from_fn(|side| if shape.shared[side] { 0 } else { steps[side] });
    let fields = Fields::default().u64s(a).u64s(b).u64(c).u64s(steps);
    let fields = fields.u64s(factors.as_flattened().iter().map(|factor| *factor as u64));
    let fields = fields.u32s([shape.m, shape.n, shape.k].map(|size| size as u32));
    let args = Args::default().fields(fields.u32s([pairs, shape.batch as u32]));
    let grid = [(kernel.grid)(shape) as u32, shape.parts, (shape.batch as u32).div_ceil(2).max(1)];
    device.launch(&name, grid, 256, kernel.shared, &args);
    assert!(device.read(c) == expected, "{name}: {shape:?}, {form:?}");
}

fn check(kernel: &Kernel, shape: &Shape, form: Form) {
    let operands = operands(shape);
    in_both_orders(|device| check_on(device, kernel, shape, &operands, form));
}

const SUMS: Form = Form::Sums([[2, -2], [-1, 1]]);

#[test]
fn tiles_of_words() {
    check(&SIMT, &Shape::new(1, 1, 1), Form::Pairs(1));
    check(&SIMT, &Shape::new(65, 17, 66), Form::Pairs(2));
    check(&SIMT, &Shape { skipped: 1, ..Shape::new(5, 18, 70) }, SUMS);
    check(&SIMT, &Shape { parts: 3, ..Shape::new(3, 70, 2) }, Form::Pairs(2));
    check(&SIMT, &Shape { batch: 3, shared: [true, false], ..Shape::new(4, 6, 5) }, SUMS);
    check(&SIMT, &Shape::new(3, 0, 2), Form::Pairs(1));
}

#[test]
fn tiles_of_bytes() {
    check(&LIMB, &Shape::new(1, 1, 1), Form::Pairs(1));
    check(&LIMB, &Shape::new(65, 34, 66), Form::Pairs(2));
    check(&LIMB, &Shape::new(64, 65, 65), SUMS);
    check(&LIMB, &Shape { skipped: 1, ..Shape::new(33, 36, 20) }, Form::Pairs(1));
    check(&LIMB, &Shape { parts: 3, ..Shape::new(3, 140, 2) }, Form::Pairs(2));
    check(&LIMB, &Shape { parts: 7, ..Shape::new(2, 33, 3) }, SUMS);
    check(&LIMB, &Shape { batch: 3, shared: [false, true], ..Shape::new(4, 6, 5) }, Form::Pairs(1));
    check(&LIMB, &Shape::new(3, 0, 2), Form::Pairs(2));
}

#[test]
fn low_tiles_of_bytes() {
    check(&LOW, &Shape::new(33, 34, 129), Form::Pairs(2));
    check(&LOW, &Shape { parts: 2, ..Shape::new(31, 65, 70) }, SUMS);
}

#[test]
fn bands_of_tiles_cover_the_result() {
    // Nine rows of tiles make a band of eight and one of one.
    check(&SIMT, &Shape::new(513, 1, 65), Form::Pairs(1));
}

#[test]
fn the_largest_bytes_at_the_largest_depth() {
    // With the second pair, more than the depth of 16,512 at which sums of bytes must have become words.
    let (m, k) = (2, 8_260);
    let ones = |len| vec![u64::MAX; len];
    let operands = [[ones(m * k), ones(m * k)], [ones(k), ones(k)]];
    check_on(&mut Device::default(), &LIMB, &Shape::new(m, k, 1), &operands, Form::Pairs(2));
}

#[test]
fn few_rows() {
    check(&ROWS, &Shape::new(1, 1, 1), Form::Pairs(1));
    check(&ROWS, &Shape::new(8, 37, 33), Form::Pairs(2));
    check(&ROWS, &Shape { parts: 4, ..Shape::new(1, 135, 40) }, Form::Pairs(2));
    check(&ROWS, &Shape { parts: 2, ..Shape::new(3, 45, 31) }, SUMS);
    check(&ROWS, &Shape { batch: 3, shared: [false, true], ..Shape::new(2, 9, 3) }, Form::Pairs(1));
    check(&ROWS, &Shape::new(2, 0, 3), Form::Pairs(1));
}

#[test]
fn few_columns() {
    check(&COLS, &Shape::new(1, 1, 1), Form::Pairs(1));
    check(&COLS, &Shape::new(17, 133, 8), Form::Pairs(2));
    check(&COLS, &Shape { parts: 3, ..Shape::new(5, 200, 1) }, Form::Pairs(2));
    check(&COLS, &Shape { parts: 2, ..Shape::new(18, 70, 3) }, SUMS);
    check(&COLS, &Shape { batch: 3, shared: [true, false], ..Shape::new(2, 9, 3) }, Form::Pairs(1));
    check(&COLS, &Shape::new(2, 0, 3), Form::Pairs(1));
}
