//! Memory that the program has freed and the allocator keeps.

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
