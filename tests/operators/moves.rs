//! Moves: elements of numbers, integers and bits in other places. All are exact.

use crate::table::{Draw, Instance, Operator, at, count, positions};

pub const OPERATORS: &[Operator] = &[
    Operator::new("reshape", |d| moved(d, |_, s| (format!("reshape(V, [{}])", count(&s)), vec![count(&s)], whole(s)))),
    Operator::new("transpose", transpose),
    Operator::new("slice", slice),
    Operator::new("index", |d| {
        moved(d, |d, s| {
            let (i, j) = (d.random.below(s[0]), d.random.below(s[2]));
            (format!("V[{i}, .., {j}]"), vec![s[1]], (0..s[1]).map(|c| Some(at(&s, &[i, c, j]))).collect())
        })
    }),
    Operator::new("concat", concat),
    Operator::new("gather", |d| {
        along(d, |d, n| {
            let index: Vec<usize> = (0..5).map(|_| d.random.below(n)).collect();
            (format!("gather(V, {index:?}, axis = A)"), index.into_iter().map(Some).collect())
        })
    }),
    Operator::new("reverse", |d| along(d, |_, n| ("reverse(V, axis = A)".into(), (0..n).rev().map(Some).collect()))),
    Operator::new("every", |d| {
        along(d, |d, n| {
            let (step, start) = (1 + d.random.below(3), d.random.below(n));
            (format!("every(V, {step}, axis = A, start = {start})"), (start..n).step_by(step).map(Some).collect())
        })
    }),
    Operator::new("zero_pad", |d| {
        along(d, |d, n| {
            let (before, after) = (d.random.below(4), d.random.below(4));
            let index = vec![None; before].into_iter().chain((0..n).map(Some)).chain(vec![None; after]).collect();
            (format!("zero_pad(V, {before}, {after}, axis = A)"), index)
        })
    }),
    Operator::new("zero_pad by less than nothing", |d| {
        along(d, |d, n| {
            let less = d.random.below(n);
            let index = vec![None].into_iter().chain((0..n - less).map(Some)).collect();
            (format!("zero_pad(V, 1, {}, axis = A)", if less == 0 { "0".into() } else { format!("0 - {less}") }), index)
        })
    }),
    Operator::new("spread", |d| {
        along(d, |d, n| {
            let step = 1 + d.random.below(3);
            let index = (0..(n - 1) * step + 1).map(|i| (i % step == 0).then_some(i / step)).collect();
            (format!("spread(V, {step}, axis = A)"), index)
        })
    }),
];

fn whole(shape: [usize; 3]) -> Vec<Option<usize>> {
    (0..count(&shape)).map(Some).collect()
}

/// A move of a shared tensor, given as a call of `V`, the shape of the result, and where each of its elements was. It is
/// applied to numbers, to integers and to bits at once.
fn moved(d: &mut Draw, f: impl Fn(&mut Draw, [usize; 3]) -> (String, Vec<usize>, Vec<Option<usize>>)) -> Instance {
    let shape = d.pick(&[[1, 1, 1], [2, 5, 3], [1, 7, 64], [3, 13, 1], [2, 1, 67], [5, 3, 7]]);
    let (call, out, from) = f(d, shape);
    let limit = d.largest();
    let (sums, integers) = (d.around(count(&shape), limit), d.whole(count(&shape), -1000, 1000));
    let ([x, y], [i, j]) = (d.split(&sums), d.split(&integers));
    let of = |x: &[f64]| -> Vec<f64> { from.iter().map(|at| at.map_or(0.0, |at| x[at])).collect() };
    let bits: Vec<f64> = sums.iter().map(|s| f64::from(u8::from(*s > 0.0))).collect();
    let body = ["s", "i + j", "s > 0.0"].map(|v| call.replace('V', &format!("({v})"))).join(", ");
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b, i: int{shape:?} from a, j: int{shape:?} from b) -> \
         (fix{out:?} to a, int{out:?} to b, bool{out:?} to a) {{ let s = x + y; ({body}) }}"
    );
    Instance::new(d, text)
        .result("out.0", of(&sums), |_| 0.0)
        .result("out.1", of(&integers), |_| 0.0)
        .result("out.2", of(&bits), |_| 0.0)
        .with("x", x)
        .with("y", y)
        .with("i", i)
        .with("j", j)
}

/// A move along an axis `A`, given by the old place of each new one.
fn along(d: &mut Draw, f: impl Fn(&mut Draw, usize) -> (String, Vec<Option<usize>>)) -> Instance {
    let axis = d.pick(&[0, 1, 2]);
    moved(d, |d, shape| {
        let (call, index) = f(d, shape[axis]);
        let mut out = shape;
        out[axis] = index.len();
        let from = positions(&out).into_iter().map(|mut p| {
            p[axis] = index[p[axis]]?;
            Some(at(&shape, &p))
        });
        (call.replace('A', &axis.to_string()), out.to_vec(), from.collect())
    })
}

fn transpose(d: &mut Draw) -> Instance {
    let perm = d.pick(&[[0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]]);
    moved(d, |_, shape| {
        let out = perm.map(|a| shape[a]);
        let from = positions(&out).into_iter().map(|p| {
            let mut index = [0; 3];
            perm.iter().zip(&p).for_each(|(a, i)| index[*a] = *i);
            Some(at(&shape, &index))
        });
        (format!("transpose(V, {perm:?})"), out.to_vec(), from.collect())
    })
}

fn slice(d: &mut Draw) -> Instance {
    moved(d, |d, shape| {
        let range = |d: &mut Draw, n: usize| {
            let from = d.random.below(n);
            from..from + 1 + d.random.below(n - from)
        };
        let [a, b, c] = shape.map(|n| range(d, n));
        let out = vec![a.len(), b.len(), c.len()];
        let from =
            positions(&out).into_iter().map(|p| Some(at(&shape, &[a.start + p[0], b.start + p[1], c.start + p[2]])));
        (format!("V[{a:?}, {b:?}, {c:?}]"), out.clone(), from.collect())
    })
}

/// A tensor between its reverse and itself.
fn concat(d: &mut Draw) -> Instance {
    along(d, |_, n| {
        let index = (0..n).rev().chain(0..n).map(Some).collect();
        ("concat(reverse(V, axis = A), V, axis = A)".into(), index)
    })
}
