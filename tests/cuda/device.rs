//! The GPU that the tests run on.

#![allow(unsafe_code, reason = "loading the emulated driver")]

use std::sync::{Arc, OnceLock};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use smlc::backend::cuda::Gpu;

/// The emulated driver, or nothing when a real one is demanded.
fn driver() -> Option<&'static Library> {
    static DRIVER: OnceLock<Option<Library>> = OnceLock::new();
    DRIVER
        .get_or_init(|| {
            if std::env::var_os("SMLC_REQUIRE_GPU").is_some() {
                return None;
            }
            // It lies beside the tests, and bears the name under which the program looks for a driver.
            let path = std::env::current_exe().unwrap().with_file_name("libptx_emulator.so");
            // SAFETY: the library has nothing that runs when it is loaded.
            Some(unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) }.unwrap())
        })
        .as_ref()
}

/// GPU 0.
pub fn gpu() -> Arc<Gpu> {
    driver();
    Gpu::open(0).unwrap()
}
