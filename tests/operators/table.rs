//! What an operator is: how to draw an instance of it, and what its results have to be.

use std::collections::BTreeMap;

use smlc::fixed::{Format, pow2};
use smlc::graph::{self, Graph};
use smlc::span::Sources;
use smlc::{hir, pass};

pub type Data = BTreeMap<String, Vec<f64>>;

/// The formats under test.
pub const FORMATS: [Format; 3] = [
    Format { ring: 64, int: 16, frac: 16 },
    Format { ring: 48, int: 15, frac: 16 },
    Format { ring: 64, int: 24, frac: 14 },
];

/// Sizes that are odd in every way: one, primes, around a word of bits.
pub const SIZES: &[usize] = &[1, 7, 63, 64, 65, 131];
/// Sizes of axes that a product of sizes has several of.
pub const FEW: &[usize] = &[1, 2, 3, 5, 7];
/// Shapes of elementwise operators.
pub const SHAPES: &[&[usize]] =
    &[&[], &[1], &[7], &[1, 1], &[3, 1], &[63], &[2, 37], &[65], &[1, 67], &[131], &[13, 1, 5], &[3, 7, 5]];

/// A row of the table.
pub struct Operator {
    pub name: &'static str,
    /// A format, by its place in [`FORMATS`], that the documented domain excludes, and why.
    pub skip: Option<(usize, &'static str)>,
    pub draw: fn(&mut Draw) -> Instance,
}

impl Operator {
    pub const fn new(name: &'static str, draw: fn(&mut Draw) -> Instance) -> Operator {
        Operator { name, skip: None, draw }
    }

    /// Not in the format whose fraction is shorter than its whole part.
    pub const fn fine(name: &'static str, draw: fn(&mut Draw) -> Instance) -> Operator {
        Operator { name, skip: Some((2, "`normaliser` and its kin take int <= frac + 1, or int <= frac")), draw }
    }

    /// The formats that it takes.
    pub fn formats(&self) -> impl Iterator<Item = Format> {
        let skipped = self.skip.map(|(at, _)| at);
        FORMATS.into_iter().enumerate().filter(move |(at, _)| Some(*at) != skipped).map(|(_, format)| format)
    }
}

/// All rows.
pub fn operators() -> impl Iterator<Item = &'static Operator> {
    let modules: [&[Operator]; 8] = [
        crate::elementwise::OPERATORS,
        crate::products::OPERATORS,
        crate::pools::OPERATORS,
        crate::moves::OPERATORS,
        crate::bits::OPERATORS,
        crate::functions::OPERATORS,
        crate::rows::OPERATORS,
        crate::losses::OPERATORS,
    ];
    modules.into_iter().flatten()
}

/// What a result has to be.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// This, as plain code computes it, with an error bound for each element.
    Near(Vec<f64>, Vec<f64>),
    /// Each element this within the bound, or 0: kept with the probability `part`. Chance decides, so the evaluator's
    /// choice is another.
    Kept { values: Vec<f64>, bound: f64, part: f64 },
}

/// An operator with sizes and data.
#[derive(Clone, Debug)]
pub struct Instance {
    pub format: Format,
    /// The entry `f`.
    pub text: String,
    pub data: Data,
    /// What every result has to be.
    pub wanted: BTreeMap<String, Wanted>,
}

impl Instance {
    pub fn new(draw: &Draw, text: String) -> Instance {
        Instance { format: draw.format, text, data: Data::new(), wanted: BTreeMap::new() }
    }

    /// With the data of an input.
    pub fn with(mut self, name: &str, values: Vec<f64>) -> Instance {
        self.data.insert(name.to_string(), values);
        self
    }

    /// Result `name` has to be this, within a bound for each element.
    pub fn result(mut self, name: &str, values: Vec<f64>, bound: impl Fn(f64) -> f64) -> Instance {
        let bounds = values.iter().map(|v| bound(*v)).collect();
        self.wanted.insert(name.to_string(), Wanted::Near(values, bounds));
        self
    }

    /// The only result, within a bound that depends on the value alone.
    pub fn near(self, values: Vec<f64>, bound: impl Fn(f64) -> f64) -> Instance {
        self.result("out", values, bound)
    }

    /// The only result, within a bound for each element.
    pub fn within(mut self, values: Vec<f64>, bounds: Vec<f64>) -> Instance {
        self.wanted.insert("out".to_string(), Wanted::Near(values, bounds));
        self
    }

    /// The only result, exactly.
    pub fn exactly(self, values: Vec<f64>) -> Instance {
        self.near(values, |_| 0.0)
    }

    /// The entry's graph as the passes leave it, or the compiler's messages.
    pub fn compile(&self) -> Result<(Graph, Sources), String> {
        let Format { ring, int, frac } = self.format;
        let mut sources = Sources::default();
        let head = format!(
            "owners a, b;\nfixed(int = {int}, frac = {frac}, ring = {ring});\nuse nn::{{BatchNorm, Conv, Conv1d, \
             ConvRect, ConvTranspose, DepthwiseConv, Embedding, GroupNorm, LayerNorm, Linear, LinearNoBias, \
             MultiheadAttention}};\n"
        );
        let file = sources.add("operators.sml", format!("{head}{}\n", self.text));
        let mut diags = Vec::new();
        let program = hir::check(&mut sources, file, &mut diags);
        let graph = program.and_then(|p| graph::lower::lower(&p, "f", &BTreeMap::new(), &mut diags));
        let messages = smlc::diag::render::render(&diags, &sources, false);
        let mut graph = graph.filter(|_| diags.is_empty()).ok_or(messages)?;
        pass::run(&mut graph, None, &[]).map_err(|(pass, e)| format!("{pass}: {e}"))?;
        Ok((graph, sources))
    }

    /// Whether two runs need not agree.
    pub fn by_chance(&self) -> bool {
        self.wanted.values().any(|wanted| matches!(wanted, Wanted::Kept { .. }))
    }

    /// Says what is wrong with some results.
    pub fn compare(&self, found: &Data) -> Result<(), String> {
        if !found.keys().eq(self.wanted.keys()) {
            return Err(format!("results {:?}", found.keys()));
        }
        for (name, wanted) in &self.wanted {
            match wanted {
                Wanted::Near(values, bounds) => near(name, &found[name], values, bounds)?,
                Wanted::Kept { values, bound, part } => kept(&found[name], values, *bound, *part)?,
            }
        }
        Ok(())
    }

    /// Says what is wrong with the evaluator's results.
    pub fn compare_real(&self, real: &Data) -> Result<(), String> {
        for (name, wanted) in &self.wanted {
            if let Wanted::Near(values, bounds) = wanted {
                near(name, &real[name], values, bounds)?;
            }
        }
        Ok(())
    }

    /// Says what is wrong with some results if `real` is right.
    pub fn compare_with(&self, found: &Data, real: &Data) -> Result<(), String> {
        for (name, wanted) in &self.wanted {
            if let Wanted::Near(_, bounds) = wanted {
                near(name, &found[name], &real[name], bounds)?;
            }
        }
        Ok(())
    }
}

fn near(name: &str, found: &[f64], wanted: &[f64], bounds: &[f64]) -> Result<(), String> {
    if found.len() != wanted.len() {
        return Err(format!("{name} has {} elements instead of {}", found.len(), wanted.len()));
    }
    for (i, ((found, wanted), bound)) in found.iter().zip(wanted).zip(bounds).enumerate() {
        let error = (found - wanted).abs();
        if error > *bound || error.is_nan() {
            return Err(format!("{name}[{i}] is {found} instead of {wanted} within {bound}"));
        }
    }
    Ok(())
}

fn kept(found: &[f64], values: &[f64], bound: f64, part: f64) -> Result<(), String> {
    let count = found.iter().filter(|v| **v != 0.0).count() as f64;
    let all: Vec<f64> = found.iter().zip(values).map(|(f, v)| if *f == 0.0 { 0.0 } else { *v }).collect();
    near("out", found, &all, &vec![bound; values.len()])?;
    let n = values.len() as f64;
    // Six standard deviations, and one for few elements.
    let allowed = 6.0 * (n * part * (1.0 - part)).sqrt() + 1.0;
    if (count - n * part).abs() > allowed {
        return Err(format!("{count} of {n} are kept instead of {part}"));
    }
    Ok(())
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / pow2(53)
    }

    /// One of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}

/// What an instance is drawn from: choices of sizes, which a failing test makes smaller, and numbers.
#[derive(Clone, Debug)]
pub struct Draw {
    pub format: Format,
    /// Parts of 2^16.
    choices: Vec<u16>,
    made: usize,
    pub random: Random,
}

impl Draw {
    pub fn new(format: Format, choices: Vec<u16>, seed: u64) -> Draw {
        Draw { format, choices, made: 0, random: Random(seed) }
    }

    /// One of several, the first of which is the simplest.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let choice = self.choices[self.made % self.choices.len()];
        self.made += 1;
        of[(usize::from(choice) * of.len()) >> 16]
    }

    /// The step of the format.
    pub fn u(&self) -> f64 {
        self.format.unit()
    }

    /// The largest number of the format.
    pub fn largest(&self) -> f64 {
        self.format.limit() - self.u()
    }

    fn round(&self, x: f64) -> f64 {
        (x / self.u()).round() * self.u()
    }

    /// Numbers of the format from `low` to `high`, which some are; of all sizes from the step on.
    pub fn numbers(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        let u = self.u();
        let one = |draw: &mut Draw| {
            let r = draw.random.unit();
            let x = match draw.random.below(16) {
                0 => low,
                1 => high,
                2 => 0.0,
                3 => u * draw.random.below(7) as f64 - 3.0 * u,
                4..=6 => u * (high / u).abs().max(1.0).powf(r) * high.signum(),
                7..=9 => u * (low / u).abs().max(1.0).powf(r) * low.signum(),
                _ => low + (high - low) * r,
            };
            let x = draw.round(x);
            if (low..=high).contains(&x) { x } else { draw.round(low + (high - low) * r).clamp(low, high) }
        };
        (0..count).map(|_| one(self)).collect()
    }

    /// Numbers of the format between -limit and limit.
    pub fn around(&mut self, count: usize, limit: f64) -> Vec<f64> {
        let limit = (limit / self.u()).floor() * self.u();
        self.numbers(count, -limit, limit)
    }

    /// Whole numbers.
    pub fn whole(&mut self, count: usize, low: i64, high: i64) -> Vec<f64> {
        (0..count).map(|_| (low + self.random.below((high - low + 1) as usize) as i64) as f64).collect()
    }

    /// Two numbers of the format for each one, of which it is the sum: what two owners share, and neither knows.
    pub fn split(&mut self, sums: &[f64]) -> [Vec<f64>; 2] {
        let largest = self.largest();
        let second: Vec<f64> = sums
            .iter()
            .map(|s| {
                let room = (largest - s.abs()).min(largest / 2.0);
                let part = 2.0 * self.random.unit() - 1.0;
                if s.fract() == 0.0 { (part * room).trunc() } else { self.round(part * room) }
            })
            .collect();
        [sums.iter().zip(&second).map(|(s, y)| s - y).collect(), second]
    }

    /// The relative error of a constant factor and of its product with a number, which is truncated: a bound for a
    /// product `y` with the constant `c`.
    pub fn scaled(&self, c: f64) -> impl Fn(f64) -> f64 + use<> {
        let Format { ring, int, frac } = self.format;
        let room = ring - 1 - (int + 2 * frac);
        let zeros = (0..room).take_while(|bits| c.abs() * pow2(*bits as i32 + 1) < 1.0).count() as i32;
        let error = if c.fract() == 0.0 { 0.0 } else { pow2(-(frac as i32) - zeros - 1) / c.abs() };
        let u = self.u();
        move |y| y.abs() * error + u
    }
}

/// Elements of a shape.
pub fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Row-major positions of a shape, as their indices.
pub fn positions(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |all, n| {
        all.iter().flat_map(|at| (0..*n).map(move |i| at.iter().copied().chain([i]).collect())).collect()
    })
}

/// The row-major place of an index.
pub fn at(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |at, (n, i)| at * n + i)
}

/// The type of a tensor.
pub fn tensor(elem: &str, shape: &[usize]) -> String {
    if shape.is_empty() { elem.to_string() } else { format!("{elem}{shape:?}") }
}

/// `f` of each element.
pub fn map(x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|x| f(*x)).collect()
}

/// `f` of each pair of elements.
pub fn zip(x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| f(*x, *y)).collect()
}
