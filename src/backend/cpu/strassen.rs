//! Large products with fewer multiplications: Strassen's way, in Winograd's form.
//!
//! A matrix product is one of quarters: eight products of them, or seven products of sums of quarters. Modulo 2^64 sums are
//! exact, so the words are the same. Each of the seven may be computed in the same way: every level takes an eighth of the
//! multiplications away, until the additions, 4 for a quarter of each factor and 7 for one of the result, cost more.
//!
//! Of a convolution the right factor is not put together: sums of windows are windows of sums of images ([`Windows`]).

use std::array::from_fn;

use super::factor::Axis;
use super::gemm::{Product, Target, Workspace};
use super::isa::Isa;
use super::matrices::{Add, Form, Matrix, Spread, Sum, dense, grow, row_by_row};
use super::simd::GROUP;
use super::windows::{Right, Tables, Windows};

/// Rows, inner dimension and columns that are multiplied at a time, at most: the room for it is some 17 MB.
pub(super) const MOST: [usize; 3] = [512, 1024, 1024];

/// Multiply-adds that take as long as an addition, which waits for memory: from what was measured.
const ADDITION: usize = 6;

/// Levels that a product has at most.
pub(super) const DEEPEST: usize = 3;

/// Rows and channels that are not halved any more: tiles have as many rows.
const LEAST: usize = 8;

/// How many levels are worth their additions, for a product of these rows, inner dimension and columns whose right factor lies
/// in memory row by row.
pub(super) fn levels([rows, depth, cols]: [usize; 3]) -> usize {
    levels_of([rows, depth.min(MOST[1]), cols.min(MOST[2])], |[depth, cols]| depth * cols)
}

/// The same for sizes that are multiplied at a time, and how many words so many rows and columns of the right factor are.
fn levels_of([rows, depth, cols]: [usize; 3], right: impl Fn([usize; 2]) -> usize) -> usize {
    let rows = rows.min(MOST[0]);
    let pays = |level: &usize| {
        let [rows, depth, cols] = [rows >> level, depth >> level, cols >> level];
        let whole = rows * depth * cols.next_multiple_of(GROUP);
        let seven = 7 * (rows * depth / 4) * (cols / 2).next_multiple_of(GROUP);
        // A quarter of each factor four times, one of the result seven times.
        whole > seven + ADDITION * (rows * depth + right([depth, cols]) + 2 * rows * cols)
    };
    (0..DEEPEST).take_while(pays).count()
}

/// How many levels are worth their additions, for a product of so many rows with windows of so many channels.
pub(super) fn levels_of_windows(rows: usize, channels: usize, cols: usize, windows: &Windows<'_>) -> usize {
    let taps = windows.taps.len();
    let most = (cols / windows.unit).trailing_zeros().min((rows.min(channels) / LEAST).max(1).ilog2());
    let [channels, units] = [channels.min(MOST[1] / taps), (cols / windows.unit).min(MOST[2] / windows.unit).max(1)];
    let right = |[depth, cols]: [usize; 2]| depth / taps * windows.span(cols.max(1));
    levels_of([rows, channels * taps, units * windows.unit], right).min(most as usize)
}

/// Room for large products, kept from launch to launch.
#[derive(Default)]
pub(super) struct Room {
    /// Factors that do not lie in memory row by row, but for windows.
    left: Vec<u64>,
    pub right: Vec<u64>,
    /// A result that does not either.
    result: Vec<u64>,
    /// Sums of quarters.
    sums: Vec<u64>,
    /// Where windows are in them.
    tables: Tables,
}

/// Adds a product to `out`, by so many levels and in parts of at most so many rows, inner dimension and columns, but one unit of
/// each. Right factors are windows, if there are any.
///
/// What is left over of sizes that cannot be halved so often is multiplied without levels.
pub(super) fn add(
    product: &Product<'_>,
    windows: Option<&Windows<'_>>,
    (levels, most): (usize, [usize; 3]),
    isa: Isa,
    space: &mut Workspace,
    out: &mut [u64],
) {
    let size = [product.rows, product.depth, product.cols];
    // Rows may be odd, and columns come in groups.
    let [taps, unit] = windows.map_or([1, GROUP], |windows| [windows.taps.len(), windows.unit]);
    let units = [1, taps << levels, unit << levels];
    let [rows, depth, cols] = from_fn(|i| size[i] - size[i] % units[i]);
    let step: [_; 3] = from_fn(|i| size[i].div_ceil(size[i].div_ceil(most[i])).next_multiple_of(units[i]));
    let mut room = std::mem::take(&mut space.strassen);
    for col in (0..cols).step_by(step[2]) {
        for k in (0..depth).step_by(step[1]) {
            for row in (0..rows).step_by(step[0]) {
                let size = [step[0].min(rows - row), step[1].min(depth - k), step[2].min(cols - col)];
                product.part([row, k, col], size, out, |part, out| {
                    part_of(part, windows, levels, (isa, &mut *space), &mut room, out);
                });
            }
        }
    }
    space.strassen = room;
    product.part([0, 0, cols], [rows, size[1], size[2] - cols], out, |rest, out| rest.run(isa, space, out));
    product.part([0, depth, 0], [rows, size[1] - depth, cols], out, |rest, out| rest.run(isa, space, out));
}

/// The same for a part whose sizes, but that of rows, can be halved so often.
fn part_of(
    product: &Product<'_>,
    windows: Option<&Windows<'_>>,
    levels: usize,
    (isa, space): (Isa, &mut Workspace),
    room: &mut Room,
    out: &mut [u64],
) {
    let Product { rows, depth, cols, pairs, target } = *product;
    // The last of many parts may have few rows.
    let levels = levels.min(rows.ilog2() as usize);
    let Room { left: left_words, right: right_words, result, sums, tables } = room;
    let stride = match target {
        Target { rows: Axis::Stride(stride), cols: Axis::Stride(1) } => Some(stride),
        _ => None,
    };
    result.clear();
    result.resize(if stride.is_some() { 0 } else { rows * cols }, 0);
    if let Some(windows) = windows {
        tables.set(windows, [depth, cols], levels);
    }
    for (left, right) in pairs {
        let left = row_by_row(left, [rows, depth], isa, left_words);
        let right = match windows {
            Some(windows) => Right::windows(right, *windows, tables, [depth, cols]),
            None => Right::matrix(row_by_row(right, [depth, cols], isa, right_words)),
        };
        grow(sums, words(rows, depth, right, levels));
        let out = match stride {
            Some(stride) => (&mut *out, stride),
            None => (&mut result[..], cols),
        };
        multiply(levels, left, right, out, sums, (isa, &mut *space));
    }
    if stride.is_none() {
        isa.run(Spread { words: result, cols, target, out });
    }
}

/// Words of sums that so many levels need.
fn words(rows: usize, depth: usize, right: Right<'_>, levels: usize) -> usize {
    let quarter = |level: usize| {
        let rows = rows.div_ceil(1 << level);
        rows * (depth >> level) + right.words_of_quarters(level) + rows * (right.cols >> level)
    };
    (1..=levels).map(quarter).sum()
}

/// Adds the product of two matrices to `out`, whose rows are `stride` words apart, by so many levels.
///
/// `m` is in turn the products P5; P1, P1 + P6 and P1 + P6 + P7 of the literature, `s` its S1, S2, S4 and S3, and `t` its T1,
/// T2, T4 with the other sign, and T3.
fn multiply(
    levels: usize,
    left: Matrix<'_>,
    right: Right<'_>,
    (out, stride): (&mut [u64], usize),
    room: &mut [u64],
    (isa, space): (Isa, &mut Workspace),
) {
    if levels == 0 {
        let target = Target { rows: Axis::Stride(stride), cols: Axis::Stride(1) };
        let pairs = &[(left.factor(), right.factor())];
        let product = Product { rows: left.rows, depth: left.cols, cols: right.cols, pairs, target };
        return product.packed(isa, space, out);
    }
    let ([a11, a12, a21, a22], [b11, b12, b21, b22]) = (left.quarters(), right.quarters());
    let (above, below, depth, cols) = (a11.rows, a21.rows, a11.cols, b11.cols);
    let (s, room) = room.split_at_mut(above * depth);
    let (t, room) = room.split_at_mut(right.words_of_quarters(1));
    let (m, room) = room.split_at_mut(above * cols);
    let [c11, c12, c21, c22] = [0, cols, above * stride, above * stride + cols];
    let mut product = |left: Matrix<'_>, right: Right<'_>, out: (&mut [u64], usize)| {
        multiply(levels - 1, left, right, out, room, (isa, &mut *space));
    };
    let add = |m: &[u64], rows: usize, to: &mut [u64]| {
        isa.run(Add { to, other: (&mut [], 0), stride, what: dense(m, rows, cols) });
    };
    let add_above_and_below = |m: &[u64], to: &mut [u64]| {
        let (to, other) = to.split_at_mut(above * stride);
        isa.run(Add { to, other: (other, below), stride, what: dense(m, above, cols) });
    };

    isa.run(Form { to: s, sum: Sum::Plus(a21, a22) });
    isa.run(Form { to: t, sum: Sum::Minus(b12.words, b11.words) });
    m.fill(0);
    product(dense(s, above, depth), b11.of(t), (m, cols));
    add_above_and_below(m, &mut out[c12..]);

    m.fill(0);
    product(a11, b11, (m, cols));
    add(m, above, &mut out[c11..]);
    product(a12, b21, (&mut out[c11..], stride));

    isa.run(Form { to: s, sum: Sum::Less(a11) });
    isa.run(Form { to: t, sum: Sum::From(b22.words) });
    product(dense(s, above, depth), b11.of(t), (m, cols));
    add(m, above, &mut out[c12..]);

    isa.run(Form { to: s, sum: Sum::From(a12) });
    isa.run(Form { to: t, sum: Sum::From(b21.words) });
    product(dense(s, above, depth), b22, (&mut out[c12..], stride));
    product(a22, b11.of(t), (&mut out[c21..], stride));

    isa.run(Form { to: s, sum: Sum::Minus(a11, a21) });
    isa.run(Form { to: t, sum: Sum::Minus(b22.words, b12.words) });
    product(dense(s, above, depth), b11.of(t), (m, cols));
    add(m, below, &mut out[c21..]);
    add(m, below, &mut out[c22..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::factor::{Factor, Words};
    use crate::backend::cpu::gemm::tests::{by_definition, noise};

    /// Computes a product to so many words with each instruction set, by each number of levels, whole and in parts.
    fn check(name: &str, product: &Product<'_>, windows: Option<&Windows<'_>>, words: usize) {
        let before = noise(words, 9);
        let mut expected = before.clone();
        by_definition(product, &mut expected);
        let Product { rows, depth, cols, .. } = *product;
        for isa in Isa::available() {
            // What earlier products left in the workspace does not matter.
            let mut space = Workspace::default();
            for (levels, most) in (0..4).flat_map(|levels| [(levels, MOST), (levels, [11, 24, 80])]) {
                let mut out = before.clone();
                add(product, windows, (levels, most), isa, &mut space, &mut out);
                assert!(out == expected, "{name}, {rows}x{depth}x{cols}, {levels} levels, at most {most:?}, {isa:?}");
            }
        }
    }

    /// `a` times words `i` and `b` times those after them.
    fn sum(words: &[Vec<u64>; 4], i: usize, by: [u64; 2]) -> Words<'_> {
        Words { first: &words[i], second: Some((&words[i + 1], by)) }
    }

    /// A target without gaps.
    fn row_major(cols: usize) -> Target<'static> {
        Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) }
    }

    #[test]
    fn matrices_of_all_sizes() {
        for rows in [1, 2, 3, 5, 8, 13, 16, 22] {
            for depth in [1, 7, 8, 12, 19, 33] {
                for cols in [1, 15, 16, 50, 64, 137] {
                    let (left, right) = (noise(rows * depth, 1), noise(depth * cols, 2));
                    let pairs =
                        [(Factor::row_major(left[..].into(), depth), Factor::row_major(right[..].into(), cols))];
                    let product = Product { rows, depth, cols, pairs: &pairs, target: row_major(cols) };
                    check("matrices", &product, None, rows * cols);
                }
            }
        }
    }

    #[test]
    fn sums_of_two_pairs_of_sums() {
        for [rows, depth, cols] in [[9, 17, 130], [16, 32, 64], [23, 50, 199]] {
            let words: [_; 4] = from_fn(|i| noise(rows * depth, i as u64));
            let others: [_; 4] = from_fn(|i| noise(depth * cols, 10 + i as u64));
            let minus = |n: u64| n.wrapping_neg();
            let pairs = [
                (
                    Factor::row_major(sum(&words, 0, [1, 2]), depth),
                    Factor::row_major(sum(&others, 0, [minus(1), 1]), cols),
                ),
                (
                    Factor::row_major(words[3][..].into(), depth),
                    Factor::row_major(sum(&others, 2, [minus(2), 3]), cols),
                ),
            ];
            let product = Product { rows, depth, cols, pairs: &pairs, target: row_major(cols) };
            check("sums", &product, None, rows * cols);
        }
    }

    #[test]
    fn transposed_factors_and_results_with_gaps() {
        for [rows, depth, cols] in [[9, 17, 130], [16, 32, 64], [18, 45, 77]] {
            let (left, right) = (noise(rows * depth, 1), noise(depth * cols, 2));
            let pairs = [(
                Factor::row_major(left[..].into(), rows).transposed(),
                Factor::row_major(right[..].into(), depth).transposed(),
            )];
            let target = row_major(cols + 3);
            check("transposed", &Product { rows, depth, cols, pairs: &pairs, target }, None, rows * (cols + 3));
            let target = Target { rows: Axis::Stride(1), cols: Axis::Stride(rows) };
            check("to transposed", &Product { rows, depth, cols, pairs: &pairs, target }, None, rows * cols);
        }
    }

    #[test]
    fn windows_of_images() {
        let ([images, channels, height, width], outputs) = ([4, 18, 19, 13], 13);
        for (side, stride) in [(3, 1), (3, 2), (1, 1), (2, 3), (1, 2)] {
            let places = |len: usize| (0..=len - side).step_by(stride);
            // Channel by channel, as padded images lie, or image by image.
            for by_channel in [true, false] {
                let [plane, image] = if by_channel { [images, 1] } else { [1, channels] }.map(|n| n * height * width);
                let taps: Vec<usize> = (0..channels * side * side)
                    .map(|i| i / (side * side) * plane + i / side % side * width + i % side)
                    .collect();
                let sources: Vec<usize> = (0..images)
                    .flat_map(|at| places(height).map(move |y| at * image + y * width))
                    .flat_map(|row| places(width).map(move |x| row + x))
                    .collect();
                let [rows, row] = [height, width].map(|len| places(len).count());
                let words = [1, 2].map(|seed| noise(images * channels * height * width, seed));
                let weights = [3, 4].map(|seed| noise(outputs * taps.len(), seed));
                // Rows of an image, some of them, all images, and some.
                let some = [(0, 1), (2, 1), (0, images), (1, 2)];
                for (first, count) in some.into_iter().filter(|(_, count)| by_channel || *count == 1) {
                    let pixels = rows * row;
                    for (start, end) in [(0, count * pixels), (if count > 1 { pixels } else { row }, count * pixels)] {
                        let [unit, step] = if count > 1 { [pixels, image] } else { [row, stride * width] };
                        let windows = Windows { taps: &taps[..side * side], sources: &sources, plane, unit, step };
                        let factor = |i: usize| Factor {
                            words: words[i][first * image..].into(),
                            rows: Axis::Table(&taps),
                            cols: Axis::Table(&sources[start..end]),
                        };
                        let left = |i: usize| Factor::row_major(weights[i][..].into(), taps.len());
                        let targets: Vec<usize> =
                            (start..end).map(|at| at / pixels * outputs * pixels + at % pixels).collect();
                        let pairs = [(left(0), factor(0)), (left(1), factor(1))];
                        let product = Product {
                            rows: outputs,
                            depth: taps.len(),
                            cols: end - start,
                            pairs: &pairs,
                            target: Target { rows: Axis::Stride(pixels), cols: Axis::Table(&targets) },
                        };
                        check("windows", &product, Some(&windows), count * outputs * pixels);
                        let product = Product { target: row_major(end - start + 1), pairs: &pairs[..1], ..product };
                        check("windows", &product, Some(&windows), outputs * (end - start + 1));
                    }
                }
            }
        }
    }

    #[test]
    fn levels_are_for_large_products() {
        for size in [[0; 3], [1, 1024, 1024], [64, 64, 64], [1024, 9, 1024], [128, 4096, 8]] {
            assert_eq!(levels(size), 0, "{size:?}");
        }
        for size in [[256, 256, 256], [128, 576, 784], [342, 1024, 1024], [1 << 20, 1 << 20, 1 << 20]] {
            assert!(levels(size) > 0, "{size:?}");
        }
    }

    #[test]
    fn levels_are_for_windows_that_can_be_halved() {
        let taps: Vec<usize> = (0..9).map(|tap| tap / 3 * 58 + tap % 3).collect();
        let sources: Vec<usize> = (0..56 * 56).map(|at| at / 56 * 58 + at % 56).collect();
        let windows = Windows { taps: &taps, sources: &sources, plane: 58 * 58, unit: 56, step: 58 };
        let levels = |outputs, channels, rows: usize| levels_of_windows(outputs, channels, 56 * rows, &windows);
        assert!(levels(64, 64, 56) > 0, "of 64 channels");
        assert_eq!([levels(64, 64, 55), levels(64, 3, 56), levels(8, 64, 56), levels(512, 512, 14)], [0, 0, 0, 1]);
    }
}
