//! Views, concatenation, indices and sums.

use super::{Case, bits, dense, ring};
use crate::graph::Window;
use crate::plan::{Bound, Kernel, View};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = views();
    for (outer, chunks) in
        [(1, vec![1]), (3, vec![5]), (1, vec![64, 65, 1]), (7, vec![3, 0, 11]), (65, vec![1, 2, 3, 4])]
    {
        let ins: Vec<_> = chunks.iter().map(|chunk| ring(outer * chunk, 64)).collect();
        let total = ring(outer * chunks.iter().sum::<usize>(), 64);
        let name = format!("concat: {outer} times {chunks:?}");
        cases.push(Case::new(name, Kernel::Concat { outer, chunks }, dense(ins), vec![total]));
    }
    for (outer, chunks, planes) in
        [(1, vec![128, 65], 3), (3, vec![70, 129], 2), (7, vec![3, 0, 11], 1), (64, vec![1, 1], 2), (1, vec![1], 1)]
    {
        let ins: Vec<_> = chunks.iter().filter(|c| **c > 0).map(|chunk| bits(outer * chunk, planes)).collect();
        let chunks: Vec<usize> = chunks.into_iter().filter(|c| *c > 0).collect();
        let total = bits(outer * chunks.iter().sum::<usize>(), planes);
        let name = format!("concat: {outer} times {chunks:?} bits of {planes} planes");
        cases.push(Case::new(name, Kernel::Concat { outer, chunks }, dense(ins), vec![total]));
    }
    let some = |indices: &[usize]| indices.iter().copied().map(Some).collect::<Vec<_>>();
    for ([outer, axis, inner], index) in [
        ([1, 1, 1], some(&[0])),
        ([1, 5, 1], some(&[4, 3, 2, 1, 0])),
        ([3, 4, 7], vec![None, Some(2), Some(2), None, Some(0), Some(3), None]),
        ([2, 3, 65], some(&[1, 2])),
        ([4, 2, 3], vec![None, None]),
        ([2, 0, 3], vec![None]),
        ([2, 3, 4], Vec::new()),
    ] {
        let name = format!("gather: {index:?} of {axis} between {outer} and {inner}");
        let words = ring(outer * index.len() * inner, 64);
        let kernel = Kernel::Gather { outer, axis, inner, index };
        if axis > 0 && words.len > 0 {
            let (of, planes) = (bits(outer * axis * inner, 2), bits(words.len, 2));
            cases.push(Case::new(format!("{name}, bits"), kernel.clone(), dense([of]), vec![planes]));
        }
        cases.push(Case::new(name, kernel, dense([ring(outer * axis * inner, 64)]), vec![words]));
    }
    for [outer, axis, inner] in [[1, 1, 1], [5, 7, 1], [1, 1000, 1], [3, 5, 65], [64, 2, 3], [2, 0, 4], [1, 9, 257]] {
        let name = format!("sum: axis {axis} between {outer} and {inner}");
        let kernel = Kernel::Sum { outer, axis, inner };
        cases.push(Case::new(name, kernel, dense([ring(outer * axis * inner, 64)]), vec![ring(outer * inner, 64)]));
    }
    let pools = [
        ([1, 1, 1], [1, 1], [1, 1], [0, 0]),
        ([3, 8, 8], [2, 2], [2, 2], [0, 0]),
        ([2, 13, 9], [3, 3], [2, 2], [1, 1]),
        ([5, 7, 7], [7, 7], [1, 1], [0, 0]),
        ([1, 5, 65], [2, 3], [1, 4], [1, 2]),
        ([2, 2, 3], [3, 5], [1, 1], [2, 4]),
        ([2, 3, 600], [2, 301], [1, 40], [0, 150]),
    ];
    for ([planes, h, w], size, stride, pad) in pools {
        let window = Window::new(size, stride, pad);
        let [oh, ow] = window.output(h, w).unwrap_or([0, 0]);
        let name = format!("sum_pool: [{planes}, {h}, {w}], {window:?}");
        let kernel = Kernel::SumPool { planes, h, w, window };
        cases.push(Case::new(name, kernel, dense([ring(planes * h * w, 64)]), vec![ring(planes * oh * ow, 64)]));
    }
    cases
}

fn views() -> Vec<Case> {
    let plain = |shape: &[usize], strides: &[usize], start: i64| View {
        shape: shape.to_vec(),
        strides: strides.to_vec(),
        start,
        bounds: Vec::new(),
        fill: 0,
    };
    let bounded = |view: View, bounds: &[(usize, i64, i64, i64)]| View {
        bounds: bounds.iter().map(|&(axis, offset, step, limit)| Bound { axis, offset, step, limit }).collect(),
        fill: 0x8000_0000_0000_0001,
        ..view
    };
    let views = [
        ("everything", plain(&[210], &[1], 0)),
        ("a scalar", plain(&[], &[], 17)),
        ("a scalar everywhere", plain(&[5, 13], &[0, 0], 3)),
        ("transposed", plain(&[15, 14], &[1, 15], 0)),
        ("transposed, many tiles", plain(&[3, 33, 2], &[70, 2, 1], 4)),
        ("axes in another order", plain(&[7, 5, 6], &[1, 42, 7], 0)),
        ("a slice", plain(&[4, 9], &[15, 1], 32)),
        ("every third", plain(&[70], &[3], 1)),
        ("a row broadcast", plain(&[6, 15], &[0, 1], 30)),
        ("a column broadcast", plain(&[14, 4], &[15, 0], 2)),
        ("nothing", plain(&[3, 0, 2], &[1, 1, 1], 0)),
        ("padded", bounded(plain(&[2, 9, 12], &[70, 10, 1], -11), &[(1, -1, 1, 7), (2, -1, 1, 10)])),
        ("one position of windows", bounded(plain(&[3, 4, 5], &[70, 20, 2], -11), &[(1, -1, 2, 7), (2, -1, 2, 10)])),
        ("twice bounded", bounded(plain(&[20], &[1], -5), &[(0, -5, 1, 100), (0, -9, 1, 6)])),
        ("wholly out of bounds", bounded(plain(&[4, 4], &[10, 1], 500), &[(0, 9, 1, 3)])),
        ("a single row out of bounds", bounded(plain(&[1, 4], &[10, 1], 0), &[(0, -1, 1, 3)])),
        ("a single row far out of bounds", bounded(plain(&[1, 20], &[0, 1 << 40], 0), &[(0, 5, 1, 3)])),
        ("a bound that walks down", bounded(plain(&[10], &[1], 0), &[(0, 7, -1, 5)])),
        ("padded and transposed", bounded(plain(&[12, 9], &[1, 10], -11), &[(1, -1, 1, 7), (0, -1, 1, 10)])),
    ];
    let of_words = views.iter().map(|(name, view)| view_case(name, view.clone()));
    let of_bits = views.iter().filter(|(name, _)| *name != "nothing").map(|(name, view)| bit_case(name, view.clone()));
    of_words.chain(of_bits).collect()
}

fn bit_case(name: &str, view: View) -> Case {
    let count = view.shape.iter().product();
    Case::new(format!("copy: {name}, bits"), Kernel::Copy(view), dense([bits(210, 2)]), vec![bits(count, 2)])
}

fn view_case(name: &str, view: View) -> Case {
    let count = view.shape.iter().product();
    Case::new(format!("copy: {name}"), Kernel::Copy(view), dense([ring(210, 64)]), vec![ring(count, 64)])
}
