//! Bits of integers, rows of tables by secret numbers, and random bits.

use crate::table::{Draw, FEW, Instance, Operator, SHAPES, SIZES, Wanted, count, map, tensor};

pub const OPERATORS: &[Operator] = &[
    Operator::new("bits", |d| {
        integers(d, |b| format!("bits(x + y, {b})"), "bool", |x, b| (0..b).map(|i| (x >> i & 1) as f64).collect())
    }),
    Operator::new("from_bits", |d| {
        integers(d, |b| format!("from_bits(bits(x + y, {b}))"), "int", |x, b| vec![x.rem_euclid(1 << b) as f64])
    }),
    Operator::new("any_above", |d| {
        let set = |x: i64, b: u32| (0..b).map(|i| f64::from(u8::from(x.rem_euclid(1 << b) >> i != 0))).collect();
        integers(d, |b| format!("any_above(bits(x + y, {b}))"), "bool", set)
    }),
    Operator::new("from_bits of comparisons", from_comparisons),
    Operator::new("one_hot", one_hot),
    Operator::new("rows_at", |d| rows(d, false)),
    Operator::new("embedding", |d| rows(d, true)),
    Operator::new("dropout", dropout),
    Operator::new("keep_some", keep_some),
];

/// A function of integers and of the number of their bits that it sees.
fn integers(d: &mut Draw, call: impl Fn(u32) -> String, elem: &str, f: impl Fn(i64, u32) -> Vec<f64>) -> Instance {
    let n = d.pick(SIZES);
    let bits = d.pick(&[1, 2, 5, 13, 17, 31, 40]);
    let limit = 1i64 << (bits - 1).min(d.format.int - 2);
    let sums = d.whole(n, -limit, limit - 1);
    let [x, y] = d.split(&sums);
    let wanted = sums.iter().flat_map(|x| f(*x as i64, bits)).collect();
    let out = if elem == "bool" { format!("[{n}, {bits}]") } else { format!("[{n}]") };
    Instance::new(
        d,
        format!("entry f(x: int[{n}] from a, y: int[{n}] from b) -> {elem}{out} to a {{ {} }}", call(bits)),
    )
    .exactly(wanted)
    .with("x", x)
    .with("y", y)
}

/// Bits that were never together in a number.
fn from_comparisons(d: &mut Draw) -> Instance {
    let n = d.pick(SIZES);
    let sums = d.around(n, 100.0);
    let [x, y] = d.split(&sums);
    let wanted = map(&sums, |s| f64::from(u8::from(s > 0.0) + 2 * u8::from(s < 1.0)));
    let text = format!(
        "entry f(x: fix[{n}] from a, y: fix[{n}] from b) -> int[{n}] to b {{ let s = reshape(x + y, [{n}, 1]); \
         from_bits(concat(s > 0.0, s < 1.0, axis = 1)) }}"
    );
    Instance::new(d, text).exactly(wanted).with("x", x).with("y", y)
}

fn one_hot(d: &mut Draw) -> Instance {
    let (n, places) = (d.pick(&[1, 3, 65]), d.pick(&[1, 2, 5, 13, 64]));
    let sums = d.whole(n, 0, places as i64 - 1);
    let [x, y] = d.split(&sums);
    let wanted = sums.iter().flat_map(|s| (0..places).map(move |i| f64::from(u8::from(i as f64 == *s)))).collect();
    let text = format!(
        "entry f(x: int[{n}] from a, y: int[{n}] from b) -> int[{n}, {places}] to a {{ one_hot(x + y, {places}) }}"
    );
    Instance::new(d, text).exactly(wanted).with("x", x).with("y", y)
}

fn rows(d: &mut Draw, layer: bool) -> Instance {
    let (n, m, v, w) = (d.pick(FEW), d.pick(&[1, 3]), d.pick(&[1, 2, 7, 31]), d.pick(FEW));
    let limit = d.largest();
    let table = d.around(v * w, limit);
    let sums = d.whole(n * m, 0, v as i64 - 1);
    let [x, y] = d.split(&sums);
    let wanted = sums.iter().flat_map(|s| table[*s as usize * w..][..w].to_vec()).collect();
    let (input, call, path) = if layer {
        (format!("p: Embedding[{v}, {w}] from b"), "nn::embedding(x + y, p)", "p.weight")
    } else {
        (format!("t: fix[{v}, {w}] from b"), "rows_at(t, x + y)", "t")
    };
    let text = format!(
        "entry f(x: int[{n}, {m}] from a, y: int[{n}, {m}] from b, {input}) -> fix[{n}, {m}, {w}] to a {{ {call} }}"
    );
    Instance::new(d, text).exactly(wanted).with("x", x).with("y", y).with(path, table)
}

/// No element is 0, so that one sees which are kept.
fn kept(d: &mut Draw, call: &str, scale: f64, part: f64, bound: f64) -> Instance {
    let shape = d.pick(&SHAPES[1..]);
    let limit = d.largest() / scale;
    let low = limit / 64.0;
    let sums = d.numbers(count(shape), (low / d.u()).ceil() * d.u(), (limit / d.u()).floor() * d.u());
    let [x, y] = d.split(&sums);
    let t = tensor("fix", shape);
    let mut instance = Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to a {{ {call} }}"))
        .with("x", x)
        .with("y", y);
    let wanted = Wanted::Kept { values: map(&sums, |s| s * scale), bound, part };
    instance.wanted.insert("out".into(), wanted);
    instance
}

/// Kept elements are doubled, which is exact.
fn dropout(d: &mut Draw) -> Instance {
    kept(d, "nn::dropout(x + y)", 2.0, 0.5, 0.0)
}

fn keep_some(d: &mut Draw) -> Instance {
    kept(d, "keep_some(x + y, 0.3)", 1.0, 0.3, 0.0)
}
