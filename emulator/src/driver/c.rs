//! Pointers that callers of the C functions pass. That they are valid is the callers' part of the bargain, as with the
//! real driver; everything that relies on it is in this file.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::ffi::{CStr, c_char, c_void};

use super::codes::{Code, INVALID_VALUE, SUCCESS};

/// Where a result goes.
#[repr(transparent)]
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub fn set(self, value: T) -> Code {
        if self.0.is_null() {
            return INVALID_VALUE;
        }
        // SAFETY: the caller passes a place for a `T`, or null.
        unsafe { self.0.write(value) };
        SUCCESS
    }

    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Fills so many elements.
    pub fn fill(self, values: &[T])
    where
        T: Copy,
    {
        // SAFETY: the caller passes a place for so many elements.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.0, values.len()) };
    }
}

/// A text that ends with a zero byte.
#[repr(transparent)]
pub(super) struct Text(*const c_char);

impl Text {
    /// The text, if it is any, and UTF-8.
    pub fn read(&self) -> Option<String> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the caller passes a text that ends with a zero byte, or null.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().ok().map(str::to_owned)
    }
}

/// An array of which the caller says elsewhere how long it is.
#[repr(transparent)]
pub(super) struct In<T>(*const T);

impl<T: Copy> In<T> {
    pub fn read(&self, count: usize) -> Vec<T> {
        if count == 0 || self.0.is_null() {
            return Vec::new();
        }
        // SAFETY: the caller passes so many elements.
        unsafe { std::slice::from_raw_parts(self.0, count) }.to_vec()
    }

    pub fn address(&self) -> usize {
        self.0.expose_provenance()
    }
}

/// The bytes of each parameter of a launch: an array of pointers.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Params(*const *const c_void);

impl Params {
    pub fn read(&self, sizes: &[u32]) -> Option<Vec<Vec<u8>>> {
        if self.0.is_null() {
            return sizes.is_empty().then(Vec::new);
        }
        let mut list = Vec::new();
        for (i, size) in sizes.iter().enumerate() {
            // SAFETY: the caller passes a pointer for each parameter, and each points to as many bytes as it has.
            let bytes = unsafe { std::slice::from_raw_parts((*self.0.add(i)).cast::<u8>(), *size as usize) };
            list.push(bytes.to_vec());
        }
        Some(list)
    }
}

/// A function to be called with a pointer when a stream gets there.
#[derive(Clone, Copy)]
pub(super) struct Callback {
    pub function: extern "C" fn(*mut c_void),
    pub data: usize,
}

impl Callback {
    pub fn call(self) {
        (self.function)(std::ptr::with_exposed_provenance_mut(self.data));
    }
}

/// Copies between live device memory, pinned memory and other host memory that the caller keeps until it has waited.
pub(super) fn copy(to: usize, from: usize, bytes: usize) {
    let from = std::ptr::with_exposed_provenance::<u8>(from);
    // SAFETY: the queue has checked the side on the device, the caller vouches for the host's.
    unsafe { std::ptr::copy(from, std::ptr::with_exposed_provenance_mut(to), bytes) };
}

pub(super) fn fill(to: usize, value: &[u8], count: usize) {
    for i in 0..count {
        copy(to + i * value.len(), value.as_ptr().expose_provenance(), value.len());
    }
}

/// Which byte of device memory is not zero and `counts`.
pub(super) fn first_set(start: usize, bytes: usize, counts: impl Fn(usize) -> bool) -> Option<usize> {
    // SAFETY: device memory is an allocation that is kept forever; nobody writes to a buffer that is being freed.
    let there = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(start), bytes) };
    there.iter().enumerate().find(|(at, byte)| **byte != 0 && counts(*at)).map(|(at, _)| at)
}

/// Gives the pages inside a range back to the system; its addresses stay taken.
pub(super) fn release(start: usize, bytes: usize) {
    const PAGE: usize = 4096;
    const DONT_NEED: i32 = 4;
    unsafe extern "C" {
        fn madvise(start: *mut c_void, bytes: usize, advice: i32) -> i32;
    }
    let first = start.next_multiple_of(PAGE);
    let end = (start + bytes) / PAGE * PAGE;
    if end > first {
        // SAFETY: the pages belong to an allocation that is kept forever and that nobody reads any more.
        unsafe { madvise(std::ptr::with_exposed_provenance_mut(first), end - first, DONT_NEED) };
    }
}
