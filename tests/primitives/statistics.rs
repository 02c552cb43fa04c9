//! Whether rows of bits from many runs are jointly uniform, and do not change with the secret.
//!
//! All samples come from fixed seeds, so a test gives one answer for one plan. Each single test may reject uniform data
//! with probability [`RARE`]; a whole run of the tests makes fewer than 10^9 of them, so that a change of a sound
//! protocol is refused with probability below 10^-9 where the bound is exact (Hoeffding's), and below 10^-6 with the
//! approximation for the tails of chi-square (Wilson and Hilferty; at 8 a cell the true tail is some hundred times
//! thicker). The rank test rejects with probability 2^-[`SPARE`].

/// How seldom one test may reject what is uniform.
const RARE: f64 = 1e-18;
/// Rows beyond the columns whose rank is taken.
const SPARE: usize = 64;

/// A plane of something that was seen: its bits in a row and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is, for messages.
    pub name: String,
    /// Bits that mean something; the plane starts at a byte of its own.
    pub bits: usize,
    /// Bits of an element.
    pub width: usize,
    /// Whether it is one of the fields that must be independent; others are functions of those.
    pub free: bool,
}

/// Rows of bytes, one a run.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub fields: Vec<Field>,
    pub rows: Vec<Vec<u8>>,
}

/// A bit in all rows, 64 rows a word.
type Column = Vec<u64>;

impl Sample {
    /// First byte of each field.
    fn offsets(&self) -> Vec<usize> {
        let ends = self.fields.iter().scan(0, |at, f| {
            *at += f.bits.div_ceil(8);
            Some(*at)
        });
        std::iter::once(0).chain(ends).collect()
    }

    fn column(&self, bit: usize) -> Column {
        let word = |rows: &[Vec<u8>]| {
            rows.iter().enumerate().map(|(i, row)| u64::from(row[bit / 8] >> (bit % 8) & 1) << i).sum()
        };
        self.rows.chunks(64).map(word).collect()
    }

    /// Counts of the values of `bits` bits from `bit` on, within a byte.
    fn values(&self, bit: usize, bits: usize) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().map(move |row| usize::from(row[bit / 8]) >> (bit % 8) & ((1 << bits) - 1))
    }
}

/// Tests that samples of several secrets are uniform and alike; says what is not.
pub fn check(samples: &[Sample]) -> Result<(), String> {
    let fields = &samples[0].fields;
    assert!(samples.iter().all(|s| s.fields == *fields && s.rows.len() == samples[0].rows.len()));
    bytes(samples)?;
    bits(samples)?;
    nibbles(samples)
}

/// Every byte: uniform, and the same for all secrets.
fn bytes(samples: &[Sample]) -> Result<(), String> {
    let offsets = samples[0].offsets();
    for (field, at) in samples[0].fields.iter().zip(offsets) {
        for byte in 0..field.bits.div_ceil(8) {
            let bits = (field.bits - 8 * byte).min(8);
            let counts = |s: &Sample| histogram(s.values(8 * (at + byte), bits), 1 << bits);
            let counts: Vec<Vec<u32>> = samples.iter().map(counts).collect();
            compare(&counts).map_err(|what| format!("{}, byte {byte}: {what}", field.name))?;
        }
    }
    Ok(())
}

/// Low and high 4 bits of every element pair of two fields: all 256 values alike.
fn nibbles(samples: &[Sample]) -> Result<(), String> {
    let offsets = samples[0].offsets();
    let mut places = Vec::new();
    for (number, (field, at)) in samples[0].fields.iter().zip(offsets).enumerate() {
        let mut starts = vec![0];
        if field.width.is_multiple_of(8) {
            starts = (0..field.bits / field.width).flat_map(|e| [e * field.width, (e + 1) * field.width - 4]).collect();
        }
        places.extend(starts.into_iter().map(|start| (number, field, 8 * at + start, (field.bits - start).min(4))));
    }
    let values: Vec<Vec<Vec<u8>>> = samples
        .iter()
        .map(|s| places.iter().map(|(_, _, bit, bits)| s.values(*bit, *bits).map(|v| v as u8).collect()).collect())
        .collect();
    for (i, (number, field, _, bits)) in places.iter().enumerate() {
        for (j, (other_number, other, _, other_bits)) in places[..i].iter().enumerate() {
            if number == other_number || !(field.free && other.free) {
                continue;
            }
            let joint = |v: &Vec<Vec<u8>>| {
                let pairs = v[i].iter().zip(&v[j]).map(|(a, b)| usize::from(*a) << other_bits | usize::from(*b));
                histogram(pairs, 1 << (bits + other_bits))
            };
            let counts: Vec<Vec<u32>> = values.iter().map(joint).collect();
            compare(&counts).map_err(|what| format!("{} with {}: {what}", field.name, other.name))?;
        }
    }
    Ok(())
}

/// Every bit and the exclusive or of every two bits are fair coins, for all secrets alike, and no exclusive or of any
/// set of bits is the same in all rows: the columns are of full rank beside the constant one.
fn bits(samples: &[Sample]) -> Result<(), String> {
    let rows = samples[0].rows.len();
    let mut places = Vec::new();
    for (number, (field, at)) in samples[0].fields.iter().zip(samples[0].offsets()).enumerate() {
        for bit in 0..field.bits {
            // Lowest and highest bits first, when there are more than the rows can tell apart.
            let (element, bit_of) = (bit / field.width, bit % field.width);
            let turn = if bit_of > 0 && bit_of + 1 == field.width { 1 } else { bit_of };
            places.push(((turn, element, number), 8 * at + bit, field));
        }
    }
    places.sort_by_key(|(order, ..)| *order);
    places.truncate(rows.saturating_sub(SPARE + 1));
    let name = |i: usize| {
        let ((_, element, _), at, field) = &places[i];
        format!("{}, element {element} (bit {at} of the row)", field.name)
    };
    let columns: Vec<Vec<Column>> =
        samples.iter().map(|s| places.iter().map(|(_, at, _)| s.column(*at)).collect()).collect();
    // Hoeffding: P(|ones - n/2| >= d) <= 2 exp(-2 d^2 / n); for a difference of two such, n is doubled.
    let limit = (rows as f64 * (2.0 / RARE).ln() / 2.0).sqrt();
    let single = limit * std::f64::consts::SQRT_2;
    for (i, (_, _, field)) in places.iter().enumerate() {
        for j in (0..=i).filter(|j| *j == i || (field.free && places[*j].2.free)) {
            // Column i alone stands in the place of a pair with itself.
            let ones = |c: &Vec<Column>| -> u32 {
                let words = c[i].iter().zip(&c[j]);
                words.map(|(a, b)| if i == j { a.count_ones() } else { (a ^ b).count_ones() }).sum()
            };
            let counts: Vec<f64> = columns.iter().map(|c| f64::from(ones(c))).collect();
            let what = || if i == j { name(i) } else { format!("{} xor {}", name(i), name(j)) };
            if let Some(ones) = counts.iter().find(|n| (*n - rows as f64 / 2.0).abs() > limit) {
                return Err(format!("{}: set in {ones} of {rows} rows", what()));
            }
            if counts.iter().any(|n| (n - counts[0]).abs() > single) {
                return Err(format!("{}: set in {counts:?} of {rows} rows, by secret", what()));
            }
        }
    }
    let free: Vec<usize> = (0..places.len()).filter(|i| places[*i].2.free).collect();
    for columns in &columns {
        rank(free.iter().map(|i| &columns[*i]), rows)
            .map_err(|at| format!("{}: the exclusive or of it and others is the same in all rows", name(free[at])))?;
    }
    Ok(())
}

/// Gaussian elimination, the constant column first; the number of the first column that depends on those before it.
fn rank<'c>(columns: impl Iterator<Item = &'c Column>, rows: usize) -> Result<(), usize> {
    let ones: Column =
        (0..rows.div_ceil(64)).map(|w| if rows - 64 * w < 64 { (1 << (rows % 64)) - 1 } else { u64::MAX }).collect();
    let mut basis: Vec<(usize, Column)> = vec![(0, ones)];
    for (number, column) in columns.enumerate() {
        let mut column = column.clone();
        for (pivot, reduced) in &basis {
            if column[pivot / 64] >> (pivot % 64) & 1 == 1 {
                column.iter_mut().zip(reduced).for_each(|(a, b)| *a ^= b);
            }
        }
        let Some(word) = column.iter().position(|w| *w != 0) else { return Err(number) };
        basis.push((64 * word + column[word].trailing_zeros() as usize, column));
    }
    Ok(())
}

fn histogram(values: impl Iterator<Item = usize>, cells: usize) -> Vec<u32> {
    let mut counts = vec![0; cells];
    values.for_each(|v| counts[v] += 1);
    counts
}

/// Chi-square of each count against uniform, and of each against the first.
fn compare(counts: &[Vec<u32>]) -> Result<(), String> {
    let limit = chi_square_limit(counts[0].len() - 1);
    for (secret, count) in counts.iter().enumerate() {
        let mean = f64::from(count.iter().sum::<u32>()) / count.len() as f64;
        let chi: f64 = count.iter().map(|n| (f64::from(*n) - mean).powi(2) / mean).sum();
        if chi > limit {
            return Err(format!(
                "not uniform with secret {secret}: chi-square {chi:.0} of {} values, limit {limit:.0}",
                count.len()
            ));
        }
        let pairs = count.iter().zip(&counts[0]).filter(|(a, b)| **a + **b > 0);
        let chi: f64 = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2) / f64::from(a + b)).sum();
        if chi > limit {
            return Err(format!("changes with the secret: chi-square {chi:.0}, limit {limit:.0}"));
        }
    }
    Ok(())
}

/// The value that chi-square exceeds with probability [`RARE`].
fn chi_square_limit(freedom: usize) -> f64 {
    // z with exp(-z^2 / 2) / (z sqrt(2 pi)) = RARE, which bounds the normal tail from above.
    let mut z = 8.0f64;
    for _ in 0..20 {
        z = (-2.0 * (RARE * z * std::f64::consts::TAU.sqrt()).ln()).sqrt();
    }
    let k = freedom as f64;
    let spread = 2.0 / (9.0 * k);
    // Few cells: the exact bound of a sum of squares, k + 2 sqrt(k t) + 2 t, is the larger one.
    let t = -RARE.ln();
    let exact = k + 2.0 * (k * t).sqrt() + 2.0 * t;
    let cube = k * (1.0 - spread + z * spread.sqrt()).powi(3);
    if freedom < 15 { exact } else { cube }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sample(seed: u64, change: impl Fn(&mut Vec<u8>, &mut Random)) -> Sample {
        let field = |name: &str, bits, width| Field { name: name.to_string(), bits, width, free: true };
        let fields = vec![field("a", 32, 16), field("b", 32, 16), field("c", 11, 1)];
        let mut random = Random(seed);
        let rows = (0..2048).map(|_| {
            let mut row: Vec<u8> = (0..10).map(|_| random.next() as u8).collect();
            row[9] &= 7;
            change(&mut row, &mut random);
            row
        });
        Sample { rows: rows.collect(), fields }
    }

    /// Tabulated quantiles at 10^-18 are not to be had; the approximation is exact to a few per mille where they are.
    #[test]
    fn the_limit_grows_with_the_cells() {
        let limits: Vec<f64> = [15, 31, 63, 127, 255].map(chi_square_limit).to_vec();
        assert!(limits.windows(2).all(|w| w[0] < w[1]) && (500.0..600.0).contains(&limits[4]), "{limits:?}");
    }

    #[test]
    fn uniform_rows_pass_and_others_do_not() {
        let good = || sample(1, |_, _| {});
        for seed in 2..20 {
            check(&[good(), sample(seed, |_, _| {})]).unwrap();
        }
        let found = |change: fn(&mut Vec<u8>, &mut Random)| check(&[good(), sample(2, change)]).unwrap_err();
        assert!(found(|row, _| row[3] = 7).contains("a, byte 3: not uniform"));
        assert!(
            found(|row, r| if r.next() % 3 == 0 {
                row[8] = 1
            })
            .contains("c, byte 0")
        );
        // The last bits of a plane.
        assert!(found(|row, _| row[9] &= 5).contains("c, byte 1"));
        // Two words, 16 bits each, under one mask.
        assert!(found(|row, _| row[4] = row[0].wrapping_add(77)).contains(" xor "));
        // Three bits of which any two are independent.
        assert!(found(|row, _| row[5] = row[5] & 0xfe | (row[0] ^ row[8] >> 5) & 1).contains("others"));
        // A bit that is another's copy three times of four.
        assert!(
            found(|row, r| if r.next() & 1 == 0 {
                row[7] = row[7] & 0x7f | row[0] << 7
            })
            .contains(" xor ")
        );
        // Low 4 bits that are a product of two others': a function that no two bits show.
        let product =
            |row: &mut Vec<u8>, _: &mut Random| row[0] = row[0] & 0xf0 | (row[4] & 15).wrapping_mul(7) >> 1 & 7;
        assert!(!found(product).is_empty());
    }
}
