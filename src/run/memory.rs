//! How much memory there is, and how the allocator of the system keeps it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{BUFFERS, BackendError, LESS};

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

/// What the processors of all parties in this process have taken for buffers, touched or not.
static ALL_TAKEN: AtomicU64 = AtomicU64::new(0);

/// Bytes of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken(u64);

impl Taken {
    /// Takes so many bytes, if the machine has them: the system promises more than there is, and would end the process later,
    /// without a word.
    ///
    /// # Errors
    /// If it has fewer.
    pub(super) fn new(bytes: u64) -> Result<Taken, BackendError> {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let free = match cfg!(target_os = "linux") {
            true => free(&read("/proc/meminfo"), &read("/proc/self/status")),
            false => None,
        };
        let free = free.unwrap_or(u64::MAX);
        let with = |before: u64| before.checked_add(bytes).filter(|all| *all <= free);
        let taken = ALL_TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        taken.map(|_| Taken(bytes)).map_err(|before| {
            let cause = format!("of {free} the parties in this process have {before}; {LESS}");
            BackendError::Memory { bytes, what: BUFFERS, cause }
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        ALL_TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Bytes that this process has or may still get, if the system says so.
fn free(machine: &str, process: &str) -> Option<u64> {
    let bytes = |text: &str, name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let parts = [bytes(machine, "MemAvailable"), bytes(machine, "SwapFree"), bytes(process, "VmRSS")];
    parts.into_iter().try_fold(0, |sum: u64, part| sum.checked_add(part?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_may_have_is_read() {
        let machine = "MemTotal:       24000000 kB\nMemAvailable:   20000000 kB\nSwapFree:             10 kB\n";
        assert_eq!(free(machine, "VmHWM:\t     900 kB\nVmRSS:\t     500 kB\n"), Some(20_000_510 * 1024));
        assert_eq!(free(machine, ""), None);
        assert_eq!(free("MemAvailable: many\nSwapFree: 0 kB\n", "VmRSS: 1 kB"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_more_is_taken_than_there_is() {
        let _some = Taken::new(1 << 20).unwrap();
        let error = Taken::new(1 << 62).unwrap_err().to_string();
        assert!(error.ends_with(LESS) && ALL_TAKEN.load(Ordering::Relaxed) < 1 << 62, "{error}");
    }
}
