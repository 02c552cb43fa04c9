//! The GPU that the tests run on.

#![allow(unsafe_code, reason = "loading the emulated driver, and reading its counters")]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use smlc::backend::cuda::Gpu;

/// Whether the tests run on the emulated driver: unless a real GPU is demanded.
pub fn is_emulated() -> bool {
    std::env::var_os("SMLC_REQUIRE_GPU").is_none()
}

/// The emulated driver's file, which lies beside the tests.
pub fn library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("libptx_emulator.so")
}

/// The emulated driver. It bears the name under which the program looks for a driver.
fn driver() -> Option<&'static Library> {
    static DRIVER: OnceLock<Option<Library>> = OnceLock::new();
    // SAFETY: the library has nothing that runs when it is loaded.
    let open = || is_emulated().then(|| unsafe { Library::open(Some(library()), RTLD_NOW | RTLD_GLOBAL) }.unwrap());
    DRIVER.get_or_init(open).as_ref()
}

/// GPU 0.
pub fn gpu() -> Arc<Gpu> {
    driver();
    Gpu::open(0, None).unwrap()
}

/// A count of the emulated driver; 0 on a real one.
pub fn counter(name: &str) -> u64 {
    let Some(library) = driver() else { return 0 };
    // SAFETY: the emulator's counters take nothing and return a number of 64 bits.
    let function = unsafe { library.get::<extern "C" fn() -> u64>(name.as_bytes()) }.unwrap();
    function()
}

/// An emulated GPU that no other test has, to fail.
pub fn another() -> Arc<Gpu> {
    Gpu::open(add(driver().unwrap()) as usize, None).unwrap()
}

fn add(library: &Library) -> i32 {
    // SAFETY: the emulator's function takes nothing.
    let add = unsafe { library.get::<extern "C" fn() -> i32>(b"smlc_sim_add_device") }.unwrap();
    add()
}

/// GPUs of a machine with several. The first two reach each other's memory, another two do not; a real machine has two at
/// most here, of which nothing is known.
pub fn gpus() -> Vec<[Arc<Gpu>; 2]> {
    let Some(library) = driver() else {
        let second = Gpu::open(1, None).ok();
        return second.map(|second| [gpu(), second]).into_iter().collect();
    };
    // SAFETY: the emulator's function takes the numbers of two devices.
    let part = unsafe { library.get::<extern "C" fn(i32, i32)>(b"smlc_sim_part") }.unwrap();
    let pairs = [true, false].map(|reach| {
        let numbers = [add(library), add(library)];
        if !reach {
            part(numbers[0], numbers[1]);
        }
        numbers.map(|number| Gpu::open(number as usize, None).unwrap())
    });
    pairs.into()
}

/// What may be ordered to fail, by the emulated driver's numbers.
#[derive(Clone, Copy)]
pub enum Fails {
    /// An allocation, or a graph that is made ready, for lack of memory.
    Allocation = 0,
    /// A launch.
    Launch = 1,
    /// This call and all behind it: the GPU is lost.
    Lost = 2,
    /// A graph that is made ready.
    Graph = 3,
    /// An event that goes.
    Event = 4,
    /// A copy to the host.
    Copy = 5,
}

/// Lets this thread's next of so many such calls of the emulated driver fail; none of 0.
pub fn fail(kind: Fails, count: u64) {
    let Some(library) = driver() else { return };
    // SAFETY: the emulator's function takes the kind and a number.
    let function = unsafe { library.get::<extern "C" fn(i32, u64) -> i32>(b"smlc_sim_fail") }.unwrap();
    assert_eq!(function(kind as i32, count), 0);
}
