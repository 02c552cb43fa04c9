//! The number format: signed fixed point with `frac` fraction bits in the ring Z_2^ring.
//!
//! Only `+ - * /` and rounding of f64 are used here, which IEEE 754 defines to the last bit:
//! three parties that encode the same public number get the same ring element.

use serde::{Deserialize, Serialize};

/// `fixed(int, frac)` over `Z_2^ring`: values x with `|x| < 2^(int-1)` in steps of `2^-frac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Format {
    /// Ring width K in bits, at most 64.
    pub ring: u32,
    /// Integer bits, counting the sign.
    pub int: u32,
    /// Fraction bits.
    pub frac: u32,
}

impl Default for Format {
    fn default() -> Self {
        Format { ring: 64, int: 16, frac: 16 }
    }
}

/// Why a format is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Products would not fit the ring.
    #[error("`int + 2 * frac` is {sum}, which must stay below the ring's {ring} bits")]
    Products {
        /// `int + 2 frac`.
        sum: u32,
        /// Ring width.
        ring: u32,
    },
    /// The ring width is not usable.
    #[error("`ring` is {0}, which must be between 8 and 64")]
    Ring(u32),
    /// No room for the sign or for the fraction.
    #[error("`int` and `frac` must both be at least 1")]
    Empty,
}

impl Format {
    /// Checks the rules `8 <= ring <= 64`, `int, frac >= 1` and `int + 2 frac < ring`.
    ///
    /// # Errors
    /// Names the rule that does not hold.
    pub fn validate(self) -> Result<Format, FormatError> {
        if !(8..=64).contains(&self.ring) {
            return Err(FormatError::Ring(self.ring));
        }
        if self.int == 0 || self.frac == 0 {
            return Err(FormatError::Empty);
        }
        let sum = self.int.saturating_add(self.frac.saturating_mul(2));
        if sum >= self.ring {
            return Err(FormatError::Products { sum, ring: self.ring });
        }
        Ok(self)
    }

    /// Ones in the low `ring` bits.
    #[must_use]
    pub fn mask(self) -> u64 {
        low_mask(self.ring)
    }

    /// Width in bits of the window that holds the sign of any value in range: `int + frac`.
    #[must_use]
    pub fn window(self) -> u32 {
        self.int + self.frac
    }

    /// One unit in the last place: `2^-frac`.
    #[must_use]
    pub fn unit(self) -> f64 {
        pow2(-(self.frac as i32))
    }

    /// The largest magnitude, exclusive: `2^(int-1)`.
    #[must_use]
    pub fn limit(self) -> f64 {
        pow2(self.int as i32 - 1)
    }

    /// `round(x * 2^scale)` (ties away from zero) as a ring element; `None` when `|x| >= 2^(int-1)` or x is not a number.
    #[must_use]
    pub fn encode(self, x: f64, scale: u32) -> Option<u64> {
        if x.is_nan() || x.abs() >= self.limit() {
            return None;
        }
        let scaled = (x * pow2(scale as i32)).round();
        Some((scaled as i64 as u64) & self.mask())
    }

    /// Fraction bits for a constant factor: none for integers; small numbers get as many more bits than `frac` as they have
    /// leading zeros and the ring has room for, so that a mean over many elements is as exact as one over few.
    #[must_use]
    pub fn factor_scale(self, value: f64) -> u32 {
        if value.fract() == 0.0 {
            return 0;
        }
        let room = self.ring - 1 - (self.int + 2 * self.frac);
        let zeros = (0..room).take_while(|bits| value.abs() * pow2(*bits as i32 + 1) < 1.0).count();
        self.frac + zeros as u32
    }

    /// The signed value of a ring element at `scale` fraction bits.
    #[must_use]
    pub fn decode(self, x: u64, scale: u32) -> f64 {
        self.signed(x) as f64 / pow2(scale as i32)
    }

    /// The ring element as a signed integer in `[-2^(ring-1), 2^(ring-1))`.
    #[must_use]
    pub fn signed(self, x: u64) -> i64 {
        let up = 64 - self.ring;
        ((x << up) as i64) >> up
    }
}

/// Ones in the low `bits` bits, `bits <= 64`.
#[must_use]
pub fn low_mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// `2^e` exactly, by construction of the f64 (for `-1022 <= e <= 1023`).
#[must_use]
pub fn pow2(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// e^x by additions, multiplications and divisions alone, so that it is the same number everywhere. Relative error below
/// `1e-15 (1 + |x|)`.
#[must_use]
pub fn exp(x: f64) -> f64 {
    let whole = x.clamp(-700.0, 700.0).round();
    let power = (0..whole.abs() as u32).fold(1.0, |power, _| power * std::f64::consts::E);
    let rest = x.clamp(-700.0, 700.0) - whole;
    let series = (1..20).rev().fold(1.0, |sum, d| 1.0 + sum * rest / f64::from(d));
    if whole < 0.0 { series / power } else { series * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_and_decodes() {
        let f = Format::default();
        assert_eq!(f.encode(1.0, 16), Some(65536));
        assert_eq!(f.decode(f.encode(-2.5, 16).unwrap(), 16), -2.5);
        assert_eq!(f.encode(32768.0, 16), None);
        assert_eq!(f.encode(f64::NAN, 16), None);
        let narrow = Format { ring: 48, int: 15, frac: 16 };
        assert_eq!(narrow.encode(-1.0, 16).unwrap() >> 48, 0);
        assert_eq!(narrow.decode(narrow.encode(-1.0, 16).unwrap(), 16), -1.0);
    }

    #[test]
    fn refuses_formats_whose_products_do_not_fit() {
        assert!(Format { ring: 64, int: 32, frac: 16 }.validate().is_err());
        assert!(Format { ring: 64, int: 31, frac: 16 }.validate().is_ok());
        assert!(Format { ring: 48, int: 15, frac: 16 }.validate().is_ok());
        assert!(Format { ring: 65, int: 1, frac: 1 }.validate().is_err());
    }
}
