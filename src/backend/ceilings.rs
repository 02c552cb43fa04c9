//! What a device does at most, for its kernels to be held against.

use super::{BackendError, Launch};

/// What kernels may be bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes that are read and written.
    Memory,
    /// Products of bytes, each added to a sum, on tensor cores.
    ByteProducts,
    /// Multiply-adds of 32 bits.
    MultiplyAdds,
    /// Lookups of 32 bits in shared memory.
    Lookups,
}

impl Unit {
    /// All.
    pub const ALL: [Unit; 4] = [Unit::Memory, Unit::ByteProducts, Unit::MultiplyAdds, Unit::Lookups];

    /// What it is called as that which bounds something.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unit::Memory => "memory",
            Unit::ByteProducts => "tensor cores",
            Unit::MultiplyAdds => "multiply-adds of 32 bits",
            Unit::Lookups => "lookups",
        }
    }

    /// What is counted.
    #[must_use]
    pub fn counted(self) -> &'static str {
        match self {
            Unit::Memory => "bytes",
            Unit::ByteProducts => "products of bytes",
            Unit::MultiplyAdds => "multiply-adds of 32 bits",
            Unit::Lookups => "lookups",
        }
    }
}

/// How much of each unit a launch needs, or a device has in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work([f64; Unit::ALL.len()]);

impl Work {
    /// Adds work of a unit.
    pub fn add(&mut self, unit: Unit, amount: f64) {
        self.0[unit as usize] += amount;
    }

    /// The unit that keeps a device busy longest which does so much in a second, and the seconds; `None` if there is nothing to do.
    #[must_use]
    pub fn bound(&self, rates: &Work) -> Option<(Unit, f64)> {
        let seconds = Unit::ALL.into_iter().map(|unit| (unit, self.0[unit as usize] / rates.0[unit as usize]));
        seconds.filter(|(_, seconds)| *seconds > 0.0).max_by(|one, other| one.1.total_cmp(&other.1))
    }
}

/// A device whose units can be measured.
pub trait Ceilings {
    /// Puts a launch in line that needs hardly anything but a unit: so many rounds. How much of it the launch needs; `None` for
    /// memory, which a copy measures.
    ///
    /// # Errors
    /// If the device fails, or has no room.
    fn exert(&mut self, unit: Unit, rounds: u32) -> Result<Option<f64>, BackendError>;

    /// What a launch needs at least, with the kernel that it has on this device: its operands and results once, keystream on its
    /// way through memory, multiplications without what fills up tiles.
    fn needs(&self, launch: &Launch<'_>) -> Work;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longest_bounds() {
        let (mut needs, mut rates) = (Work::default(), Work::default());
        for (unit, rate) in Unit::ALL.into_iter().zip([10.0, 100.0, 1000.0, 5.0]) {
            rates.add(unit, rate);
        }
        assert_eq!(needs.bound(&rates), None);
        needs.add(Unit::Memory, 5.0);
        needs.add(Unit::ByteProducts, 40.0);
        assert_eq!(needs.bound(&rates), Some((Unit::Memory, 0.5)));
        needs.add(Unit::ByteProducts, 40.0);
        assert_eq!(needs.bound(&rates), Some((Unit::ByteProducts, 0.8)));
    }
}
