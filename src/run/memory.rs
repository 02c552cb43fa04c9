//! How the allocator of the system keeps memory.

/// Bytes from which on a piece of memory is the system's own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const APART: libc::c_int = 128 << 10;

/// Has large pieces of memory, such as messages, come from the system and go back to it as soon as they are free; for a program
/// to call when it begins. The GNU allocator begins like that, but takes pieces as large as those that were freed from its
/// heaps from then on: one for each thread, with gaps where other threads free what was taken there.
#[allow(unsafe_code, reason = "the allocator's own function")]
pub(crate) fn keep_large_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no thread but this one runs yet that could see the setting change.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, APART);
    }
}

/// Gives memory that nobody uses back to the system: what compiling or sharing a network took for a while is as much as a
/// party's buffers. The GNU allocator does so by itself only where the free memory is the last in its heap.
#[allow(unsafe_code, reason = "the allocator's own function")]
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` has no preconditions; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
