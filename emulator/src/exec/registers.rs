//! The registers of a warp: for each register a value of every lane.

use super::{LANES, Lanes, lanes_of};
use crate::isa::{Guard, Kind, Pred, Program, Reg, Ty};

/// What a register holds that nothing has written.
const POISON: u64 = 0xdead_beef_dead_beef;

#[derive(Clone, Debug)]
pub(crate) struct Registers {
    /// Of 16 and 32 bits, zero above their width.
    narrow: Vec<[u32; LANES]>,
    wide: Vec<Lanes>,
    /// A bit for each lane.
    preds: Vec<u32>,
}

impl Registers {
    /// Poison, and the constants of the program.
    pub fn new(program: &Program) -> Registers {
        let [narrow, wide, preds] = program.counts.map(|n| n as usize);
        let mut registers = Registers {
            narrow: vec![[POISON as u32; LANES]; narrow],
            wide: vec![[POISON; LANES]; wide],
            preds: vec![0xaaaa_aaaa; preds],
        };
        registers.preds[Pred::FALSE.0 as usize] = 0;
        for (reg, value) in &program.constants {
            registers.write(*reg, u32::MAX, &[*value; LANES]);
        }
        registers
    }

    /// Takes over what another set holds.
    pub fn reset(&mut self, image: &Registers) {
        self.narrow.clone_from(&image.narrow);
        self.wide.clone_from(&image.wide);
        self.preds.clone_from(&image.preds);
    }

    /// All bits of the register.
    #[inline]
    pub fn raw(&self, reg: Reg) -> Lanes {
        if reg.bits == 64 { self.wide[reg.index as usize] } else { self.narrow[reg.index as usize].map(u64::from) }
    }

    /// A register of at most 32 bits.
    #[inline]
    pub fn narrow(&self, reg: Reg) -> &[u32; LANES] {
        &self.narrow[reg.index as usize]
    }

    /// The value as a type says: its bits, with copies of the sign above if it is signed.
    #[inline]
    pub fn read(&self, reg: Reg, ty: Ty) -> Lanes {
        let mut out = self.raw(reg);
        match (ty.kind, ty.bits) {
            // The usual width, by a shift that vector instructions have.
            (Kind::Signed, 32) => {
                out.iter_mut().for_each(|v| *v = i64::from((*v as u32).cast_signed()).cast_unsigned())
            }
            (Kind::Signed, bits) if bits < 64 => {
                let shift = 64 - bits;
                out.iter_mut().for_each(|v| *v = ((*v << shift).cast_signed() >> shift).cast_unsigned());
            }
            (_, bits) if bits < reg.bits => {
                let mask = (1 << bits) - 1;
                out.iter_mut().for_each(|v| *v &= mask);
            }
            _ => {}
        }
        out
    }

    /// One lane's bits.
    #[inline]
    pub fn lane(&self, reg: Reg, lane: usize) -> u64 {
        if reg.bits == 64 {
            self.wide[reg.index as usize][lane]
        } else {
            u64::from(self.narrow[reg.index as usize][lane])
        }
    }

    /// Writes the lanes of a mask; bits above the register's width are dropped.
    #[inline]
    pub fn write(&mut self, reg: Reg, mask: u32, values: &Lanes) {
        if reg.bits == 64 {
            let target = &mut self.wide[reg.index as usize];
            if mask == u32::MAX {
                *target = *values;
            } else {
                lanes_of(mask).for_each(|lane| target[lane] = values[lane]);
            }
            return;
        }
        let keep = if reg.bits == 32 { u32::MAX } else { 0xffff };
        let target = &mut self.narrow[reg.index as usize];
        if mask == u32::MAX {
            for (target, v) in target.iter_mut().zip(values) {
                *target = *v as u32 & keep;
            }
        } else {
            lanes_of(mask).for_each(|lane| target[lane] = values[lane] as u32 & keep);
        }
    }

    #[inline]
    pub fn pred(&self, guard: Guard) -> u32 {
        let bits = self.preds[guard.pred.0 as usize];
        if guard.negated { !bits } else { bits }
    }

    #[inline]
    pub fn write_pred(&mut self, pred: Pred, mask: u32, bits: u32) {
        let target = &mut self.preds[pred.0 as usize];
        *target = (*target & !mask) | (bits & mask);
    }
}
