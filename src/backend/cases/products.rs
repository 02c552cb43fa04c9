//! Matrix products and convolutions in ordinary, odd and degenerate shapes, of one pair and of two.

use super::{Case, Noise, dense, ring};
use crate::backend::{Backend, BackendError, Launch};
use crate::graph::Window;
use crate::plan::layout::Layout;
use crate::plan::{BufId, Kernel, Product};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        [1, 1, 1],
        [1, 7, 1],
        [1, 300, 65],
        [2, 5, 130],
        [3, 70, 64],
        [65, 300, 1],
        [64, 9, 2],
        [127, 33, 3],
        [4, 4, 4],
        [8, 8, 24],
        [9, 17, 25],
        [31, 257, 47],
        [63, 64, 65],
        [130, 520, 5],
        [131, 3, 127],
        [5, 1, 800],
        [20, 0, 9],
        [4, 21, 111],
        [5, 40, 33],
        [7, 16, 70],
        [90, 50, 6],
        [300, 259, 8],
    ];
    for [m, k, n] in shapes {
        for pairs in [1, 2] {
            cases.push(matmul([1, m, k, n], [false, false], pairs));
        }
        cases.push(of_sums(matmul([1, m, k, n], [false, false], 2), [[1, 2], [-1, 1]]));
        cases.push(of_sums(matmul([1, m, k, n], [false, false], 2), [[2, 1], [1, 0]]));
        cases.push(of_sums(matmul([1, m, k, n], [false, false], 2), [[-2, 0], [2, 1]]));
    }
    for shared in [[false, false], [true, false], [false, true], [true, true]] {
        for [m, k, n] in [[1, 19, 33], [5, 7, 3], [12, 30, 26]] {
            cases.push(matmul([3, m, k, n], shared, 2));
            cases.push(of_sums(matmul([3, m, k, n], shared, 2), [[2, -2], [2, 1]]));
            cases.push(of_sums(matmul([3, m, k, n], shared, 2), [[1, 2], [1, 0]]));
            cases.push(of_sums(matmul([3, m, k, n], shared, 2), [[1, 0], [-1, 1]]));
        }
    }
    cases.push(matmul([0, 2, 2, 2], [false, false], 1));
    let window = Window::new;
    let dilated = |size, stride, pad, dilation| Window { dilation, ..Window::new(size, stride, pad) };
    let convolutions = [
        ([1, 1, 1, 1], 1, window([1, 1], [1, 1], [0, 0]), 1),
        ([1, 3, 8, 8], 8, window([3, 3], [1, 1], [1, 1]), 1),
        ([2, 3, 11, 13], 17, window([3, 3], [1, 1], [1, 1]), 1),
        ([3, 5, 9, 7], 9, window([3, 2], [2, 3], [1, 0]), 1),
        ([1, 16, 14, 14], 24, window([1, 1], [1, 1], [0, 0]), 1),
        ([2, 8, 14, 14], 12, window([1, 1], [2, 2], [0, 0]), 1),
        ([1, 3, 23, 29], 10, window([7, 7], [2, 2], [3, 3]), 1),
        ([1, 40, 5, 5], 33, window([3, 3], [1, 1], [1, 1]), 1),
        ([2, 6, 10, 10], 6, window([3, 3], [1, 1], [1, 1]), 6),
        ([1, 4, 12, 12], 8, window([5, 5], [2, 2], [2, 2]), 4),
        ([2, 3, 17, 19], 9, dilated([3, 4], [2, 3], [1, 2], [2, 2]), 3),
        ([1, 2, 9, 40], 2, window([3, 3], [1, 1], [0, 0]), 2),
        ([2, 12, 6, 7], 15, window([3, 3], [1, 1], [1, 1]), 3),
        ([1, 2, 4, 4], 5, window([4, 4], [1, 1], [0, 0]), 1),
        ([1, 2, 1, 3], 2, window([3, 3], [1, 1], [2, 2]), 1),
        ([2, 3, 9, 11], 4, dilated([3, 3], [1, 1], [2, 2], [2, 2]), 1),
        ([1, 4, 13, 8], 6, dilated([3, 2], [2, 1], [0, 3], [4, 5]), 2),
        ([2, 5, 6, 70], 5, dilated([1, 4], [1, 3], [0, 1], [1, 7]), 5),
        ([1, 1, 5, 5], 2, dilated([2, 2], [1, 1], [0, 0], [4, 4]), 1),
        ([5, 4, 7, 7], 64, window([3, 3], [1, 1], [1, 1]), 1),
        ([1, 3, 9, 10], 3, window([7, 7], [1, 1], [3, 3]), 3),
    ];
    for (image, o, window, groups) in convolutions {
        for pairs in [1, 2] {
            cases.push(conv(image, o, window, groups, pairs));
        }
        cases.push(of_sums(conv(image, o, window, groups, 2), [[2, -2], [-1, 1]]));
        cases.push(of_sums(conv(image, o, window, groups, 2), [[2, 1], [1, 0]]));
        cases.push(of_sums(conv(image, o, window, groups, 2), [[1, 0], [1, 2]]));
    }
    for words in EXTREMES {
        for case in
            [matmul([1, 9, 70, 66], [false, false], 2), conv([2, 8, 5, 6], 17, window([3, 3], [1, 1], [1, 1]), 1, 2)]
        {
            cases.push(of_sums(case.clone(), [[1, 2], [1, 0]]).of_words(words));
            cases.push(of_sums(case.clone(), [[1, 0], [2, -1]]).of_words(words));
            cases.push(case.of_words(words));
        }
    }
    cases
}

/// Words whose products, or whose parts' products, are as large as can be: all bytes 255; of the largest magnitude as numbers with
/// a sign, all but one of one sign, and of both; halves at their limits, and bytes of the largest magnitude as numbers with a sign.
const EXTREMES: [&[u64]; 4] = [
    &[u64::MAX],
    &[1 << 63 | 1],
    &[1 << 63, i64::MAX as u64],
    &[0xffff_ffff_0000_0000, 0x8000_0000_7fff_ffff, 0x0000_0000_ffff_ffff, 0x8080_8080_8080_8080],
];

/// Products of such words as deep as sums of products of bytes are exact, 16,384 terms of four in 32 bits (`kernels/product.h`),
/// and deeper: of few rows, and of windows, which are sums.
#[must_use]
pub fn deep_in_bytes() -> [Case; 2] {
    let windows = conv([1, 1_025, 4, 4], 34, Window::new([4, 4], [1, 1], [0, 0]), 1, 2);
    let few = matmul([1, 3, 16_384, 5], [false, false], 1);
    [few, of_sums(windows, [[2, -1], [1, 0]])].map(|case| case.of_words(EXTREMES[0]))
}

/// One as deep as residues by 18 moduli say what a sum is, 11,162 (`kernels/residue.cu`).
#[must_use]
pub fn deep_in_residues() -> Case {
    matmul([1, 3, 11_162, 5], [false, false], 1).of_words(EXTREMES[2])
}

/// `batch` products; a shared operand is a single matrix for all of them.
#[must_use]
pub fn matmul([batch, m, k, n]: [usize; 4], [left_shared, right_shared]: [bool; 2], pairs: usize) -> Case {
    let left = ring(m * k * if left_shared { 1 } else { batch }, 64);
    let right = ring(k * n * if right_shared { 1 } else { batch }, 64);
    let ins = [left, right].into_iter().cycle().take(2 * pairs);
    let sharing =
        format!("{}{}", if left_shared { ", one left" } else { "" }, if right_shared { ", one right" } else { "" });
    let name = format!("matmul: {batch} of [{m}, {k}] x [{k}, {n}]{sharing}, {pairs} pairs");
    let kernel = Kernel::Product(Product::MatMul { batch, m, k, n });
    Case::new(name, kernel, dense(ins), vec![ring(batch * m * n, 64)])
}

/// A convolution of images `[n, c, h, w]` to `o` channels; the groups divide both.
#[must_use]
pub fn conv([n, c, h, w]: [usize; 4], o: usize, window: Window, groups: usize, pairs: usize) -> Case {
    let [oh, ow] = window.output(h, w).unwrap_or([0, 0]);
    let [kh, kw] = window.size;
    let ins = [ring(n * c * h * w, 64), ring(o * (c / groups) * kh * kw, 64)].into_iter().cycle().take(2 * pairs);
    let name = format!("conv: [{n}, {c}, {h}, {w}] to {o} channels in {groups} groups, {window:?}, {pairs} pairs");
    let kernel = Kernel::Product(Product::Conv2d { n, c, h, w, o, window, groups });
    Case::new(name, kernel, dense(ins), vec![ring(n * o * oh * ow, 64)])
}

/// The product of two sums of the operands of a case of two pairs, with these factors.
#[must_use]
pub fn of_sums(case: Case, factors: [[i8; 2]; 2]) -> Case {
    let Kernel::Product(product) = case.kernel else { return case };
    // The two left operands, then the two right ones; without those that count 0 times.
    let counts = [true, factors[0][1] != 0, true, factors[1][1] != 0];
    let ins = [0, 2, 1, 3].into_iter().zip(counts).filter(|(_, counts)| *counts);
    let ins = ins.map(|(at, _): (usize, _)| case.bufs[case.ins[at].buf.index()].clone());
    let out = case.bufs[case.outs[0].index()].clone();
    Case::new(
        format!("{}, as sums {factors:?}", case.name),
        Kernel::ProductOfSums(product, factors),
        dense(ins),
        vec![out],
    )
}

/// Weights that stay from launch to launch, are read in between, by another kernel too, and change.
///
/// # Errors
/// Says in words what differs.
pub fn lasting_factors(device: &mut dyn Backend) -> Result<(), String> {
    let window = Window::new([3, 3], [1, 1], [1, 1]);
    lasting_factor(of_sums(conv([1, 64, 4, 5], 48, window, 1, 2), [[2, -2], [1, 0]]), device)?;
    lasting_factor(of_sums(matmul([3, 10, 128, 32], [false, true], 2), [[2, -2], [1, 0]]), device)
}

/// The same for the second sum of a case, which is one operand.
fn lasting_factor(mut case: Case, device: &mut dyn Backend) -> Result<(), String> {
    let (weights, copy) = (2, BufId(4));
    case.bufs.push(case.bufs[weights].clone());
    let failed = |error: BackendError| error.to_string();
    let is_factor = |id| id == weights;
    let layout = Layout::apart(&case.bufs).with_factors((0..case.bufs.len()).map(is_factor).collect());
    device.reserve(layout).map_err(failed)?;
    let mut noise = Noise::new("changes");
    for round in 0..5 {
        // The same weights twice.
        for at in (0..=weights).filter(|at| *at < weights || round != 1) {
            case.contents[at].iter_mut().for_each(|word| *word = noise.next());
            let words = &case.contents[at];
            device.write(BufId(at as u32), &mut |to| to.copy_from_slice(words)).map_err(failed)?;
        }
        if round == 2 {
            let kernel = Kernel::Concat { outer: 1, chunks: vec![case.contents[weights].len()] };
            let (ins, bufs) = (&case.ins[weights..=weights], &case.bufs);
            let launch = |device: &mut dyn Backend| {
                device.launch(Launch { kernel: &kernel, ins, streams: &[], outs: &[copy], bufs, site: Some(1) })
            };
            for _ in 0..2 {
                case.again(device)?;
                launch(device).map_err(failed)?;
                if *device.read(copy).map_err(failed)? != case.contents[weights] {
                    return Err("the copy of the weights differs".to_string());
                }
            }
        }
        case.again(device)?;
        if *device.read(BufId(weights as u32)).map_err(failed)? != case.contents[weights] {
            return Err(format!("the weights are others after round {round}"));
        }
    }
    device.free(BufId(weights as u32));
    if device.read(BufId(weights as u32)).is_ok() {
        return Err("the weights are there though they were freed".to_string());
    }
    let words = &case.contents[weights];
    device.write(BufId(weights as u32), &mut |to| to.copy_from_slice(words)).map_err(failed)?;
    case.again(device)
}
