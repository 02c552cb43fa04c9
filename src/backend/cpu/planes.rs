//! From words to bit planes: 64 words by 64 bits are a bit matrix, which is transposed.

use super::check::{Input, Output, misfit, unary};
use super::isa::{Isa, Task};
use crate::backend::BackendError;

/// Bit matrices transposed side by side, one in each lane of a vector.
const LANES: usize = 8;

/// Words that [`LANES`] bit matrices hold.
const BLOCK: usize = 64 * LANES;

/// Plane j of `outs[0]` is bit `from + j` of `ins[0] + add`; bits past the last element are zero.
pub(super) fn to_planes(
    isa: Isa,
    add: u64,
    from: u32,
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    let (input, output) = unary("to_planes", ins, outs)?;
    let (source, target) = (input.buf, output.buf);
    if source.width == 1 || target.width != 1 || source.len != target.len || source.planes != 1 {
        return misfit("to_planes: a ring operand and planes of the same length expected");
    }
    if target.planes > 64 || from as usize + target.planes > 64 {
        return misfit(format!("to_planes: {} planes from bit {from} on are more than a word has", target.planes));
    }
    if !output.words.is_empty() {
        let (stride, planes) = (target.stride(), target.planes);
        isa.run(ToPlanes { words: input.words, add, from, stride, planes, out: &mut output.words });
    }
    Ok(())
}

struct ToPlanes<'a> {
    words: &'a [u64],
    add: u64,
    from: u32,
    stride: usize,
    planes: usize,
    out: &'a mut [u64],
}

impl Task for ToPlanes<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut matrix = [[0; LANES]; 64];
        for (block, words) in self.words.chunks(BLOCK).enumerate() {
            if words.len() < BLOCK {
                matrix = [[0; LANES]; 64];
            }
            for (lane, words) in words.chunks(64).enumerate() {
                for (row, word) in matrix.iter_mut().zip(words) {
                    row[lane] = word.wrapping_add(self.add) >> self.from;
                }
            }
            transpose(&mut matrix, self.planes);
            let first = block * LANES;
            let count = LANES.min(self.stride - first);
            for (plane, row) in self.out.chunks_exact_mut(self.stride).zip(&matrix) {
                plane[first..first + count].copy_from_slice(&row[..count]);
            }
        }
    }
}

/// Transposes the bit matrix in each lane: bit `e` of row `j` and bit `j` of row `e` change places. Only the first
/// `planes` rows of the result are meaningful.
///
/// Blocks of half the size change places at each level. When no row of the lower half is wanted, the rows that are left
/// are half as many.
#[inline(always)]
fn transpose(matrix: &mut [[u64; LANES]; 64], planes: usize) {
    let mut rows = 64;
    let mut half = 32;
    let mut mask = 0x0000_0000_ffff_ffff;
    while half > 0 {
        if planes <= half {
            let (upper, lower) = matrix[..rows].split_at_mut(half);
            for (upper, lower) in upper.iter_mut().zip(lower) {
                for (u, l) in upper.iter_mut().zip(lower) {
                    *u = (*u & mask) | (*l & mask) << half;
                }
            }
            rows = half;
        } else {
            for pair in matrix[..rows].chunks_exact_mut(2 * half) {
                let (upper, lower) = pair.split_at_mut(half);
                for (upper, lower) in upper.iter_mut().zip(lower) {
                    for (u, l) in upper.iter_mut().zip(lower) {
                        let swap = ((*u >> half) ^ *l) & mask;
                        *u ^= swap << half;
                        *l ^= swap;
                    }
                }
            }
        }
        half /= 2;
        mask ^= mask << half;
    }
}
