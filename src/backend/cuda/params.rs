//! Structures that kernels take or find in tables, laid out as those declare them. Padding is spelled out, so that every byte
//! is one that was set.

use bytemuck::{Pod, Zeroable};

/// Exact division of numbers below 2^31, as `divide` in `kernels/device.h` computes it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Divisor {
    mul: u32,
    shift: u32,
}

impl Divisor {
    /// By `d`, from 1 to 2^31; by 1 in place of 0, which nothing is divided by.
    pub(super) fn by(d: u32) -> Divisor {
        let d = d.max(1);
        let shift = d.next_power_of_two().trailing_zeros();
        Divisor { mul: (((1u64 << 32) * ((1u64 << shift) - u64::from(d))) / u64::from(d) + 1) as u32, shift }
    }
}

/// The same for numbers below 2^63.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct LongDivisor {
    pub mul: u64,
    pub shift: u32,
    unused: u32,
}

impl LongDivisor {
    /// By `d`, from 1 to 2^63; by 1 in place of 0, which nothing is divided by.
    pub(super) fn by(d: u64) -> LongDivisor {
        let d = d.max(1);
        let shift = d.next_power_of_two().trailing_zeros();
        let mul = (((1u128 << shift) - u128::from(d)) << 64) / u128::from(d) + 1;
        LongDivisor { mul: mul as u64, shift, unused: 0 }
    }
}

/// A stream's elements, `struct StreamUse` in `streams.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct StreamUse {
    pub out: u64,
    pub start: u64,
    pub count: u64,
    pub unit: u64,
    pub id: u32,
    pub bits: u32,
    pub key: u32,
    pub unused: u32,
}

/// Products of matrices, `struct Gemm` in `gemm.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Gemm {
    pub a: [u64; 2],
    pub b: [u64; 2],
    pub c: u64,
    pub step_a: u64,
    pub step_b: u64,
    pub factor_a: [u64; 2],
    pub factor_b: [u64; 2],
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub pairs: u32,
    pub batch: u32,
    pub unused: u32,
}

/// A convolution, `struct Conv` in `conv.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Conv {
    pub image: [u64; 2],
    pub weight: [u64; 2],
    pub out: u64,
    pub image_factor: [u64; 2],
    pub weight_factor: [u64; 2],
    pub images: u32,
    pub groups: u32,
    pub channels: u32,
    pub outputs: u32,
    pub size: [u32; 2],
    pub window: [u32; 2],
    pub stride: [u32; 2],
    pub pad: [u32; 2],
    pub dilation: [u32; 2],
    pub result: [u32; 2],
    pub by_image: Divisor,
    pub by_row: Divisor,
    pub by_channel: Divisor,
    pub by_line: Divisor,
    pub pairs: u32,
    pub unused: u32,
}

/// Axes that a view may have.
pub(super) const MAX_AXES: usize = 8;

/// A strided view, `struct View<u32>` in `moves.cu`; innermost axis first.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct View {
    pub start: i64,
    pub stride: [i64; MAX_AXES],
    pub fill: u64,
    pub size: [u32; MAX_AXES],
    pub first: [u32; MAX_AXES],
    pub end: [u32; MAX_AXES],
    pub by: [Divisor; MAX_AXES],
    pub axes: u32,
    pub unused: u32,
}

/// The same for more elements, `struct View<u64>`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct LongView {
    pub start: i64,
    pub stride: [i64; MAX_AXES],
    pub fill: u64,
    pub size: [u64; MAX_AXES],
    pub first: [u64; MAX_AXES],
    pub end: [u64; MAX_AXES],
    pub by: [Divisor; MAX_AXES],
    pub axes: u32,
    pub unused: u32,
}

/// An operand of a concatenation, `struct Chunk` in `moves.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Chunk {
    pub words: u64,
    pub before: u64,
    pub chunk: u64,
    pub stride: u64,
}

/// An axis by its indices, `struct Gather` in `moves.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Gather {
    pub index: u64,
    pub inner: u64,
    pub axis: u64,
    pub row: u64,
    pub by_inner: LongDivisor,
    pub by_row: LongDivisor,
}

/// Windows of images, `struct Pool` in `sums.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Pool {
    pub size: [u32; 2],
    pub window: [u32; 2],
    pub stride: [u32; 2],
    pub pad: [u32; 2],
    pub result: [u32; 2],
    pub by_image: LongDivisor,
    pub by_row: LongDivisor,
}

/// A term of a lookup, `struct Term` in `tables.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Term {
    pub coefficients: u64,
    pub factors: u64,
    pub out: u64,
    pub powers: u32,
    pub unused: u32,
}

/// A buffer of a message, `struct Packed` in `wire.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Packed {
    pub words: u64,
    pub len: u64,
    pub stride: u64,
    pub plane_bytes: u64,
    pub byte: u64,
    pub word: u64,
    pub by_plane: LongDivisor,
    pub by_stride: LongDivisor,
    pub by_width: LongDivisor,
    pub planes: u32,
    pub width: u32,
}

/// An element's terms, `struct Terms` in `terms.h`: `factor[0] * words[0] + factor[1] * words[1]`, or one of them.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Terms {
    pub words: [u64; 2],
    pub factor: [u64; 2],
}

/// A factor to split into planes, `struct Split` in `terms.h`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Split {
    pub pair: [Terms; 2],
    pub planes: u64,
    pub pitch: u64,
    pub lines: u32,
    pub k: u32,
    pub pairs: u32,
    pub count: u32,
}

/// A product of planes of bytes, `struct Planes` in `planes.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct PlaneProduct {
    pub left: u64,
    pub right: u64,
    pub c: u64,
    pub pitch: u64,
    pub m: u32,
    pub n: u32,
    pub steps: u32,
    pub add: u32,
}

/// A product of residues, `struct Product` in `residue.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ResidueProduct {
    pub left: u64,
    pub right: u64,
    pub bytes: u64,
    pub m: u32,
    pub n: u32,
    pub steps: u32,
    pub unused: u32,
}

/// Residues of a result to join, `struct Joined` in `residue.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Joined {
    pub bytes: u64,
    pub c: u64,
    pub pitch: u64,
    pub m: u32,
    pub n: u32,
    pub moduli: u32,
    pub add: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quotients_are_exact(n in 0u32..1 << 31, d in 1u32..1 << 31, small in 1u32..20, long in 0u64..1 << 63, by in 1u64..1 << 63) {
            for d in [d, small] {
                for n in [n, n / d * d, (n / d * d).saturating_sub(1)] {
                    let Divisor { mul, shift } = Divisor::by(d);
                    let high = (u64::from(n) * u64::from(mul)) >> 32;
                    prop_assert_eq!((high + u64::from(n)) >> shift, u64::from(n / d));
                }
            }
            for d in [by, u64::from(small), u64::from(d)] {
                let LongDivisor { mul, shift, .. } = LongDivisor::by(d);
                for n in [long, long / d * d, (long / d * d).saturating_sub(1)] {
                    let high = (u128::from(n) * u128::from(mul)) >> 64;
                    prop_assert_eq!((high + u128::from(n)) >> shift, u128::from(n / d));
                }
            }
        }
    }
}
