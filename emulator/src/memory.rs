//! Global memory: the buffers that a launch may touch, and which of their bytes have been written.
//!
//! Addresses are addresses of this process. Everything that reads or writes through them is in this file.

#![allow(unsafe_code, reason = "kernels address memory by number; each access is checked against the regions first")]

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::isa::Update;

/// What buffers may hold: types for which every pattern of bits is a value.
pub trait Element: Copy + private::Sealed {}

mod private {
    pub trait Sealed {}
}

macro_rules! elements { ($($t:ty)*) => { $(impl private::Sealed for $t {} impl Element for $t {})* } }
elements!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64);

/// Which bytes of a buffer have been written: a bit for each.
#[derive(Debug)]
pub struct Written(Box<[AtomicU8]>);

impl Written {
    /// For a buffer of so many bytes, none of which is written.
    #[must_use]
    pub fn new(bytes: usize) -> Written {
        Written((0..bytes.div_ceil(8)).map(|_| AtomicU8::new(0)).collect())
    }

    /// Marks bytes as written.
    pub fn mark(&self, start: usize, bytes: usize) {
        self.each(start, bytes, |cell, bits| {
            if cell.load(Ordering::Relaxed) & bits != bits {
                cell.fetch_or(bits, Ordering::Relaxed);
            }
            true
        });
    }

    /// Whether all of these bytes have been written.
    #[must_use]
    pub fn holds(&self, start: usize, bytes: usize) -> bool {
        self.each(start, bytes, |cell, bits| cell.load(Ordering::Relaxed) & bits == bits)
    }

    /// The bytes that it holds, run by run.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let bits = self.0.len() * 8;
        let holds = |at: usize| self.0[at / 8].load(Ordering::Relaxed) >> (at % 8) & 1 == 1;
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < bits && !holds(at) {
                // Eight at a time, where there is none.
                at += if at % 8 == 0 && self.0[at / 8].load(Ordering::Relaxed) == 0 { 8 } else { 1 };
            }
            let start = at.min(bits);
            while at < bits && holds(at) {
                at += 1;
            }
            (start < bits).then_some(start..at)
        })
    }

    fn each(&self, start: usize, bytes: usize, visit: impl Fn(&AtomicU8, u8) -> bool) -> bool {
        let (mut at, end) = (start, start + bytes);
        while at < end {
            let stop = end.min((at | 7) + 1);
            let bits = (0xff_u8 << (at & 7)) & (0xff_u8 >> (7 - ((stop - 1) & 7)));
            if !visit(&self.0[at / 8], bits) {
                return false;
            }
            at = stop;
        }
        true
    }
}

/// Which bytes of a buffer a launch has read, and which it has written.
#[derive(Debug)]
pub struct Touched {
    /// Those that it has read.
    pub read: Written,
    /// Those that it has written.
    pub written: Written,
}

impl Touched {
    /// Nothing of a buffer of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Touched {
        Touched { read: Written::new(bytes), written: Written::new(bytes) }
    }
}

/// A range of addresses that a kernel may touch.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub base: u64,
    pub bytes: u64,
    pub constant: bool,
    /// None if all of it counts as written.
    pub written: Option<Arc<Written>>,
    /// What the launch touches, if somebody wants to know.
    pub touched: Option<Arc<Touched>>,
}

impl Region {
    pub fn holds(&self, address: u64, bytes: u64) -> bool {
        address >= self.base && address - self.base <= self.bytes && bytes <= self.bytes - (address - self.base)
    }
}

/// The buffers that launches may touch.
#[derive(Debug, Default)]
pub struct Memory<'a> {
    regions: Vec<Region>,
    slices: PhantomData<&'a mut [u8]>,
}

impl<'a> Memory<'a> {
    /// Lends a slice to launches; the result is its address on the device. All of it counts as written.
    pub fn add<T: Element>(&mut self, slice: &'a mut [T]) -> u64 {
        let base = slice.as_mut_ptr().expose_provenance() as u64;
        self.insert(base, size_of_val(slice) as u64, None, None);
        base
    }

    /// As [`Memory::add`], but the slice counts as never written: reading it before is a fault.
    pub fn add_unwritten<T: Element>(&mut self, slice: &'a mut [T]) -> u64 {
        let base = slice.as_mut_ptr().expose_provenance() as u64;
        let bytes = size_of_val(slice);
        self.insert(base, bytes as u64, Some(Arc::new(Written::new(bytes))), None);
        base
    }

    /// Lends memory by address. With `written`, reading bytes that it does not hold is a fault; `touched` is told what the launch
    /// reads and writes.
    ///
    /// # Safety
    /// The memory must be valid for reads and writes, with exposed provenance, until the last launch with this value
    /// has ended, and meanwhile nobody else may rely on what it holds.
    pub unsafe fn add_raw(
        &mut self,
        base: u64,
        bytes: u64,
        written: Option<Arc<Written>>,
        touched: Option<Arc<Touched>>,
    ) {
        self.insert(base, bytes, written, touched);
    }

    fn insert(&mut self, base: u64, bytes: u64, written: Option<Arc<Written>>, touched: Option<Arc<Touched>>) {
        self.regions.push(Region { base, bytes, constant: false, written, touched });
    }

    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }
}

/// A variable of a module.
#[derive(Debug)]
pub(crate) struct Storage {
    words: Box<[AtomicU64]>,
    /// Words before the variable, so that it is aligned.
    skip: usize,
    bytes: usize,
}

impl Storage {
    /// Zeros, or the bytes given, at a multiple of `align`.
    pub fn new(bytes: usize, align: usize, content: Option<&[u8]>) -> Storage {
        let count = (bytes + align).div_ceil(8) + 1;
        let words: Box<[AtomicU64]> = (0..count).map(|_| AtomicU64::new(0)).collect();
        let start = words.as_ptr().addr();
        let skip = (start.next_multiple_of(align.max(8)) - start) / 8;
        for (word, bytes) in words[skip..].iter().zip(content.unwrap_or_default().chunks(8)) {
            let mut value = [0; 8];
            value[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
        Storage { words, skip, bytes }
    }

    pub fn region(&self, constant: bool) -> Region {
        let base = self.words[self.skip..].as_ptr().expose_provenance() as u64;
        Region { base, bytes: self.bytes as u64, constant, written: None, touched: None }
    }
}

/// The regions of a launch, in the order of their addresses.
#[derive(Debug)]
pub(crate) struct Regions(Vec<Region>);

impl Regions {
    pub fn new(mut list: Vec<Region>) -> Regions {
        list.sort_by_key(|r| r.base);
        Regions(list)
    }

    /// The region that holds all of these bytes. `last` is where the previous search ended.
    pub fn find(&self, address: u64, bytes: u64, last: &mut usize) -> Option<&Region> {
        if let Some(region) = self.0.get(*last)
            && region.holds(address, bytes)
        {
            return Some(region);
        }
        let after = self.0.partition_point(|r| r.base <= address);
        *last = after.checked_sub(1)?;
        self.0.get(*last).filter(|r| r.holds(address, bytes))
    }
}

impl Region {
    /// Notes that bytes are read.
    #[inline]
    fn note_read(&self, address: u64, bytes: usize) {
        if let Some(touched) = &self.touched {
            touched.read.mark((address - self.base) as usize, bytes);
        }
    }

    /// Notes that bytes are written.
    #[inline]
    fn note_written(&self, address: u64, bytes: usize) {
        for set in
            [self.written.as_deref(), self.touched.as_ref().map(|touched| &touched.written)].into_iter().flatten()
        {
            set.mark((address - self.base) as usize, bytes);
        }
    }

    /// Up to eight bytes at an address, lowest first.
    pub fn read(&self, address: u64, bytes: usize) -> u64 {
        assert!(bytes <= 8 && self.holds(address, bytes as u64), "the caller checks bounds");
        let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
        let mut out = [0; 8];
        // SAFETY: the bytes lie in the region, which whoever lent it keeps valid for the launch.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), bytes) };
        self.note_read(address, bytes);
        u64::from_le_bytes(out)
    }

    /// As [`Region::read`], for any number of bytes.
    pub fn read_bytes(&self, address: u64, out: &mut [u8]) {
        assert!(self.holds(address, out.len() as u64), "the caller checks bounds");
        let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        self.note_read(address, out.len());
    }

    pub fn write(&self, address: u64, bytes: usize, value: u64) {
        assert!(bytes <= 8 && self.holds(address, bytes as u64) && !self.constant, "the caller checks bounds");
        let to = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy_nonoverlapping(value.to_le_bytes().as_ptr(), to, bytes) };
        self.note_written(address, bytes);
    }

    /// An atomic update, also with regard to other launches; returns what was there.
    pub fn update(&self, address: u64, bits: u32, change: impl Fn(u64) -> u64) -> u64 {
        let bytes = u64::from(bits / 8);
        assert!(self.holds(address, bytes) && address.is_multiple_of(bytes) && !self.constant, "the caller checks");
        self.note_read(address, bytes as usize);
        self.note_written(address, bytes as usize);
        if bits == 32 {
            let at = std::ptr::with_exposed_provenance_mut::<u32>(address as usize);
            // SAFETY: as in `read`, and the address is a multiple of the size.
            let cell = unsafe { AtomicU32::from_ptr(at) };
            let old = cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(change(u64::from(old)) as u32));
            old.map_or_else(u64::from, u64::from)
        } else {
            let at = std::ptr::with_exposed_provenance_mut::<u64>(address as usize);
            // SAFETY: as in `read`, and the address is a multiple of the size.
            let cell = unsafe { AtomicU64::from_ptr(at) };
            cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(change(old))).unwrap_or_else(|old| old)
        }
    }
}

/// What an atomic instruction writes. `a` and `b` are its operands, `b` being the new value of a compare-and-swap.
pub(crate) fn updated(op: Update, signed: bool, bits: u32, old: u64, a: u64, b: u64) -> u64 {
    let shift = 64 - bits;
    let value = |v: u64| (v << shift).cast_signed() >> shift;
    let pick = |less: bool| if less { old } else { a };
    match op {
        Update::Add => old.wrapping_add(a),
        Update::And => old & a,
        Update::Or => old | a,
        Update::Xor => old ^ a,
        Update::Min if signed => pick(value(old) < value(a)),
        Update::Max if signed => pick(value(old) > value(a)),
        Update::Min => pick(old < a),
        Update::Max => pick(old > a),
        Update::Exchange => a,
        Update::CompareExchange => {
            if old == a {
                b
            } else {
                old
            }
        }
        Update::Increment => {
            if old >= a {
                0
            } else {
                old + 1
            }
        }
        Update::Decrement => {
            if old == 0 || old > a {
                a
            } else {
                old - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_bytes_are_known_one_by_one() {
        let map = Written::new(40);
        map.mark(3, 14);
        for start in 0..40 {
            for bytes in 1..=(40 - start) {
                assert_eq!(map.holds(start, bytes), start >= 3 && start + bytes <= 17, "{start} {bytes}");
            }
        }
    }

    #[test]
    fn regions_hold_what_lies_in_them_alone() {
        let region = |base, bytes| Region { base, bytes, constant: false, written: None, touched: None };
        let regions = Regions::new(vec![region(200, 8), region(100, 50)]);
        let mut last = 0;
        for (address, bytes, found) in
            [(100, 50, true), (149, 1, true), (149, 2, false), (150, 0, true), (99, 1, false)]
        {
            assert_eq!(regions.find(address, bytes, &mut last).is_some(), found, "{address} {bytes}");
        }
        assert!(regions.find(200, 8, &mut last).is_some() && regions.find(u64::MAX, 8, &mut last).is_none());
    }
}
