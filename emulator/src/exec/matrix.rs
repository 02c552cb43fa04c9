//! Matrix instructions. Where each lane's values lie in a matrix follows the PTX manual, section "matrix fragments".

use super::block::Block;
use super::memory::{misaligned, out_of_bounds};
use super::shared::Touch;
use super::warp::Warp;
use super::{LANES, Outcome, lane_fault};
use crate::isa::{Address, Reg};

const DEPTH: usize = 32;

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
        let value = |byte: u8, signed: bool| if signed { i16::from(byte.cast_signed()) } else { i16::from(byte) };
        // Rows of `a` and columns of `b`; bytes as 16 bits, whose products a processor sums in pairs.
        let (mut rows, mut columns) = ([[0_i16; DEPTH]; 16], [[0_i16; DEPTH]; 8]);
        for (i, reg) in a.iter().enumerate() {
            let values = warp.regs.raw(*reg);
            for (lane, word) in values.iter().enumerate() {
                let (row, start) = (lane / 4 + 8 * (i & 1), 4 * (lane % 4) + 16 * (i >> 1));
                for (k, byte) in (*word as u32).to_le_bytes().into_iter().enumerate() {
                    rows[row][start + k] = value(byte, signed[0]);
                }
            }
        }
        for (i, reg) in b.iter().enumerate() {
            let values = warp.regs.raw(*reg);
            for (lane, word) in values.iter().enumerate() {
                let (column, start) = (lane / 4, 4 * (lane % 4) + 16 * i);
                for (k, byte) in (*word as u32).to_le_bytes().into_iter().enumerate() {
                    columns[column][start + k] = value(byte, signed[1]);
                }
            }
        }
        let mut sums = [[0_i32; 8]; 16];
        for (sums, row) in sums.iter_mut().zip(&rows) {
            for (sum, column) in sums.iter_mut().zip(&columns) {
                *sum = row.iter().zip(column).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
            }
        }
        let added: [_; 4] = std::array::from_fn(|i| warp.regs.raw(c[i]));
        for (i, reg) in d.iter().enumerate() {
            let mut values = [0; LANES];
            for (lane, value) in values.iter_mut().enumerate() {
                let (row, column) = (lane / 4 + 8 * (i >> 1), 2 * (lane % 4) + (i & 1));
                *value = added[i][lane].wrapping_add(u64::from(sums[row][column].cast_unsigned()));
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
