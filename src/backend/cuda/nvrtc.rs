//! Kernels from their sources at run time, for those who change them: with NVRTC, which is part of CUDA's toolkit and of no
//! driver. What ships is the PTX in `kernels/ptx`.

use std::path::Path;

use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts, sys};

use crate::backend::BackendError;

/// What `scripts/kernels` compiles for, and how.
const TARGET: &str = "compute_80";
const STANDARD: &str = "--std=c++17";

/// The PTX of a file of kernels, `NAME.cu` in a folder that has its headers, too.
///
/// # Errors
/// If the file cannot be read, there is no NVRTC, or it finds mistakes.
pub(super) fn compile(folder: &Path, name: &str) -> Result<String, BackendError> {
    let path = folder.join(name).with_extension("cu");
    let failed = |why: String| BackendError::Kernels(format!("`{}`: {why}", path.display()));
    let source = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    if source.contains('\0') {
        return Err(failed("there is a zero byte in it".to_string()));
    }
    // SAFETY: looks for the library, and loads it.
    #[allow(unsafe_code, reason = "loading a library")]
    if !unsafe { sys::is_culib_present() } {
        return Err(failed("no NVRTC (libnvrtc.so.13) on the library path".to_string()));
    }
    let options = CompileOptions {
        name: Some(format!("{name}.cu")),
        arch: Some(TARGET),
        include_paths: vec![folder.display().to_string()],
        options: vec![STANDARD.to_string()],
        ..CompileOptions::default()
    };
    match compile_ptx_with_opts(source, options) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(CompileError::CompileError { log, .. }) => Err(failed(log.to_string_lossy().trim_end().to_string())),
        Err(other) => Err(failed(other.to_string())),
    }
}
