//! A look-alike of the CUDA driver: the C functions of `libcuda.so` that a program with streams, events, asynchronous
//! allocation, launches and graphs of them calls, executing PTX with the interpreter.
//!
//! Work that is put on a stream waits. It is done when somebody waits for it, and now and then before, in an order
//! that is drawn at random and honours only what CUDA promises: the order within a stream, and events. Memory that has
//! been freed is never used again, host memory that is pinned is read and written late, and a fault makes every later
//! call on the device fail, as on hardware.
//!
//! Read from the environment at the first call:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `SMLC_SIM_DEVICES` | number of devices | 1 |
//! | `SMLC_SIM_MEM` | bytes of memory of each device | 8 GiB |
//! | `SMLC_SIM_SEED` | which order of work is drawn | 1 |
//! | `SMLC_SIM_REVERSE` | 1: blocks, warps and lanes take turns from last to first | 0 |
//! | `SMLC_SIM_UNWRITTEN` | 1: kernels may read memory that nothing has written | 0 |
//! | `SMLC_SIM_WIPED` | 1: memory that is freed holds only zeros where anything was written | 0 |
//! | `SMLC_SIM_RACES` | 1: work of two streams on the same bytes, one of which writes, of which neither waits for the other is a fault, in whatever order it is done; so is memory that is given back before work on it | 0 |
//! | `SMLC_SIM_LAZY` | 1: work is done only when the host waits for it, or for work behind it | 0 |
//! | `SMLC_SIM_FAIL` | `alloc:N`, `launch:N`, `lost:N`: the N-th allocation (or graph made ready, for lack of memory) or launch fails, the devices are lost from the N-th call on; `graph:N`, `event:N`, `copy:N`: the N-th graph is not made ready, the N-th event does not go, the N-th copy to the host is refused, for no known reason | |
//! | `SMLC_SIM_PLANT` | a mistake of the program: the N-th time, a stream does not wait for an event (`wait:N`), an event is recorded before what is in line (`record:N`), the host does not wait for a stream or an event (`sync:N`), and what was being copied from memory that is not pinned is anything, memory is freed before launches, copies or fills that are in line (`free:N`), a launch, copy or fill goes to another stream (`stream:N`); where there is an N-th time, that is said on stderr. Where races are looked for only waits count that order something | |
//! | `SMLC_SIM_VERSION` | the version of CUDA that the driver says it is of | 13000 |
//! | `SMLC_SIM_INIT` | the code that `cuInit` returns | 0 |
//! | `SMLC_SIM_CAPABILITY` | the compute capability of the devices, as in `8.0` | 9.0 |
//! | `SMLC_SIM_IDLE` | 1: kernels are launched and do nothing, for who wants no results | 0 |
//! | `SMLC_SIM_KEEP` | a folder where the text of each module that is loaded is kept, under its first kernel's name and a number | |
//! | `SMLC_SIM_EDIT` | `OLD=>NEW`: kernels are loaded with another text where they have `OLD` | |
//!
//! Devices reach each other's memory with leave, and copies between them go without, too, which is counted ([`smlc_sim_bytes_staged`]).
//!
//! Programs that have loaded the library may look up [`smlc_sim_launches`] and the other functions of this module there.
//! A program that links the crate as well has a second, idle driver in it: what it calls directly counts nothing.

mod c;
mod codes;
mod device;
mod graph;
mod launch;
mod memory;
mod queue;
mod races;
mod state;
mod stream;
mod work;

use std::ffi::{CString, c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

use state::Injection;

/// What all threads have done since the library was loaded.
#[derive(Default)]
pub(crate) struct Counters {
    launches: AtomicU64,
    instructions: AtomicU64,
    to_device: AtomicU64,
    to_host: AtomicU64,
    between_devices: AtomicU64,
    staged: AtomicU64,
    synchronisations: AtomicU64,
}

pub(crate) static COUNTERS: Counters = Counters {
    launches: AtomicU64::new(0),
    instructions: AtomicU64::new(0),
    to_device: AtomicU64::new(0),
    to_host: AtomicU64::new(0),
    between_devices: AtomicU64::new(0),
    staged: AtomicU64::new(0),
    synchronisations: AtomicU64::new(0),
};

thread_local! {
    /// How often this thread has waited, copied to a device, launched, called to launch, and taken memory.
    static WAITS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static COPIES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static LAUNCHES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static CALLS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static ALLOCATIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl Counters {
    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// The host waits for a device.
pub(crate) fn count_wait() {
    Counters::add(&COUNTERS.synchronisations, 1);
    WAITS.with(|waits| waits.set(waits.get() + 1));
}

/// The host launches a kernel.
pub(crate) fn count_launch() {
    Counters::add(&COUNTERS.launches, 1);
    LAUNCHES.with(|launches| launches.set(launches.get() + 1));
}

/// The host calls for a launch, or for many as a graph.
pub(crate) fn count_call() {
    CALLS.with(|calls| calls.set(calls.get() + 1));
}

/// The host takes memory, of a device or pinned.
pub(crate) fn count_allocation() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

/// The host copies to a device.
pub(crate) fn count_copy() {
    COPIES.with(|copies| copies.set(copies.get() + 1));
}

#[allow(unsafe_code, reason = "functions for C have names of their own, which no other library here has")]
mod exported {
    use super::*;

    /// Kernels launched.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_launches() -> u64 {
        COUNTERS.launches.load(Ordering::Relaxed)
    }

    /// Instructions executed, summed over threads of kernels.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_instructions() -> u64 {
        COUNTERS.instructions.load(Ordering::Relaxed)
    }

    /// Bytes copied from the host to devices.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_bytes_to_device() -> u64 {
        COUNTERS.to_device.load(Ordering::Relaxed)
    }

    /// Bytes copied from devices to the host.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_bytes_to_host() -> u64 {
        COUNTERS.to_host.load(Ordering::Relaxed)
    }

    /// Bytes copied from one device to another.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_bytes_between_devices() -> u64 {
        COUNTERS.between_devices.load(Ordering::Relaxed)
    }

    /// Those of them that went through memory of the host, because the device that copied had no leave to reach the other's memory.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_bytes_staged() -> u64 {
        COUNTERS.staged.load(Ordering::Relaxed)
    }

    /// One device more; its number.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_add_device() -> c_int {
        let mut state = state::lock();
        state.devices.push(state::Device::default());
        state.devices.len() as c_int - 1
    }

    /// Lets two devices not reach each other's memory, as where no bus connects them.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_part(one: c_int, other: c_int) {
        state::lock().apart.insert((one.min(other), one.max(other)));
    }

    /// How often a thread of the host has waited for a device.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_synchronisations() -> u64 {
        COUNTERS.synchronisations.load(Ordering::Relaxed)
    }

    /// How often the calling thread has waited for a device.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_thread_synchronisations() -> u64 {
        WAITS.with(std::cell::Cell::get)
    }

    /// How often the calling thread has copied to a device.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_thread_copies() -> u64 {
        COPIES.with(std::cell::Cell::get)
    }

    /// How many kernels the calling thread has launched.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_thread_launches() -> u64 {
        LAUNCHES.with(std::cell::Cell::get)
    }

    /// How often the calling thread has launched a kernel by itself, or a graph.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_thread_calls() -> u64 {
        CALLS.with(std::cell::Cell::get)
    }

    /// How often the calling thread has taken memory, of a device or pinned.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_thread_allocations() -> u64 {
        ALLOCATIONS.with(std::cell::Cell::get)
    }

    /// Does all work that is in line; how many devices have failed by then.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_finish() -> u64 {
        queue::finish() as u64
    }

    /// Lets the `count`-th allocation (0), launch (1), graph that is made ready (3), event that goes (4) or copy to the host (5) of the
    /// calling thread from now on fail, or loses the devices for it after so many calls (2); a count of 0 takes the order back. Returns 0, or
    /// 1 if there is no such kind.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_fail(kind: c_int, count: u64) -> c_int {
        let kind = match kind {
            0 => Injection::Allocation,
            1 => Injection::Launch,
            2 => Injection::Lost,
            3 => Injection::Graph,
            4 => Injection::Event,
            5 => Injection::Copy,
            _ => return 1,
        };
        state::order(kind, count);
        0
    }

    /// What the last fault was, as text, or null. The text stays where it is.
    #[unsafe(no_mangle)]
    pub extern "C" fn smlc_sim_last_fault() -> *const c_char {
        let state = state::lock();
        let text = state.last_fault.as_ref().and_then(|text| CString::new(text.as_str()).ok());
        text.map_or(std::ptr::null(), |text| text.into_raw().cast_const())
    }
}

pub use exported::{
    smlc_sim_add_device, smlc_sim_bytes_between_devices, smlc_sim_bytes_staged, smlc_sim_bytes_to_device,
    smlc_sim_bytes_to_host, smlc_sim_fail, smlc_sim_finish, smlc_sim_instructions, smlc_sim_last_fault,
    smlc_sim_launches, smlc_sim_part, smlc_sim_synchronisations, smlc_sim_thread_allocations, smlc_sim_thread_calls,
    smlc_sim_thread_copies, smlc_sim_thread_launches, smlc_sim_thread_synchronisations,
};
