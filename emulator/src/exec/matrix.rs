//! Matrix instructions. Where each lane's values lie in a matrix follows the PTX manual, section "matrix fragments".

use super::block::Block;
use super::memory::{misaligned, out_of_bounds};
use super::shared::Touch;
use super::warp::Warp;
use super::{LANES, Outcome, lane_fault};
use crate::isa::{Address, Reg};

const DEPTH: usize = 32;

/// A byte as it is read.
fn value(byte: u8, signed: bool) -> f32 {
    if signed { f32::from(byte.cast_signed()) } else { f32::from(byte) }
}

/// The product of 16 rows and 8 columns. Sums of 32 products of bytes are below 2^24 and thus exact as floats, which,
/// unlike products of integers, every processor multiplies several at a time.
fn product(rows: &[[f32; DEPTH]; 16], b: &[[f32; 8]; DEPTH]) -> [[f32; 8]; 16] {
    let mut sums = [[0.0; 8]; 16];
    for (sums, rows) in sums.as_chunks_mut::<4>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        let mut kept = [[0.0; 8]; 4];
        for (k, b) in b.iter().enumerate() {
            for (sums, row) in kept.iter_mut().zip(rows) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum += row[k] * b;
                }
            }
        }
        *sums = kept;
    }
    sums
}

impl Block<'_> {
    /// `d = a b + c`, mod 2^32: `a` is 16 x 32 and `b` 32 x 8, of bytes.
    pub(super) fn mma(
        &mut self,
        warp: &mut Warp,
        signed: [bool; 2],
        regs: (&[Reg; 4], &[Reg; 4], &[Reg; 2], &[Reg; 4]),
    ) {
        let (d, a, b, c) = regs;
        self.stats.mma += 1;
        let (mut rows, mut columns) = ([[0.0; DEPTH]; 16], [[0.0; 8]; DEPTH]);
        for (i, reg) in a.iter().enumerate() {
            for (lane, word) in warp.regs.narrow(*reg).iter().enumerate() {
                let (row, start) = (lane / 4 + 8 * (i & 1), 4 * (lane % 4) + 16 * (i >> 1));
                for (k, byte) in word.to_le_bytes().into_iter().enumerate() {
                    rows[row][start + k] = value(byte, signed[0]);
                }
            }
        }
        for (i, reg) in b.iter().enumerate() {
            for (lane, word) in warp.regs.narrow(*reg).iter().enumerate() {
                let (column, start) = (lane / 4, 4 * (lane % 4) + 16 * i);
                for (k, byte) in word.to_le_bytes().into_iter().enumerate() {
                    columns[start + k][column] = value(byte, signed[1]);
                }
            }
        }
        let sums = product(&rows, &columns);
        let added: [_; 4] = std::array::from_fn(|i| warp.regs.raw(c[i]));
        for (i, reg) in d.iter().enumerate() {
            let mut values = [0; LANES];
            for (lane, value) in values.iter_mut().enumerate() {
                let (row, column) = (lane / 4 + 8 * (i >> 1), 2 * (lane % 4) + (i & 1));
                *value = added[i][lane].wrapping_add(i64::from(sums[row][column] as i32).cast_unsigned());
            }
            warp.regs.write(*reg, u32::MAX, &values);
        }
    }

    /// Loads 8 x 8 matrices of 16 bits. Lane `8 i + r` gives the address of row `r` of matrix `i`.
    pub(super) fn load_matrix(&mut self, warp: &mut Warp, transposed: bool, d: &[Reg], at: Address) -> Outcome<()> {
        for (i, reg) in d.iter().enumerate() {
            let mut matrix = [[0_u16; 8]; 8];
            for (row, elements) in matrix.iter_mut().enumerate() {
                let lane = 8 * i + row;
                let address = warp.address(at, lane);
                if !address.is_multiple_of(16) {
                    return lane_fault(lane, misaligned("ldmatrix", "shared", 16, address));
                }
                if address.checked_add(16).is_none_or(|end| end > self.shared.len()) {
                    return lane_fault(lane, out_of_bounds("ldmatrix", "shared", 16, address));
                }
                for (column, element) in elements.iter_mut().enumerate() {
                    *element = self.shared.read(address as usize + 2 * column, 2) as u16;
                }
                // Each word goes to a lane of its own.
                for word in 0..4 {
                    let reader = if transposed { lane } else { 4 * row + word };
                    let who = warp.who(reader);
                    if let Err(fault) = self.shared.touch(address as usize + 4 * word, 4, Touch::Read, who) {
                        return lane_fault(reader, fault);
                    }
                }
            }
            let values = std::array::from_fn(|lane| {
                let (row, column) = (lane / 4, 2 * (lane % 4));
                let pair = |c: usize| if transposed { matrix[c][row] } else { matrix[row][c] };
                u64::from(pair(column)) | u64::from(pair(column + 1)) << 16
            });
            warp.regs.write(*reg, u32::MAX, &values);
        }
        Ok(())
    }
}
