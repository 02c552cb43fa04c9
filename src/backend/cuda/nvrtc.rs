//! Kernels from their sources at run time, for those who change them: with NVRTC, which is part of CUDA's toolkit and of no
//! driver. What ships is the PTX in `kernels/ptx`.

use std::collections::BTreeMap;

use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts, sys};

use crate::backend::BackendError;

/// What `scripts/kernels` compiles for, and how.
const TARGET: &str = "compute_80";
const STANDARD: &str = "--std=c++17";

/// The sources of kernels.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A folder with the headers.
    pub folder: String,
    /// Texts by the files' names, `gemm.cu`.
    pub files: BTreeMap<String, String>,
}

/// The PTX of a file of kernels, `NAME.cu`.
///
/// # Errors
/// If there is no such file, there is no NVRTC, or it finds mistakes.
pub(super) fn compile(sources: &Sources, name: &str) -> Result<String, BackendError> {
    let name = format!("{name}.cu");
    let failed = |why: String| BackendError::Kernels(format!("`{name}` in `{}`: {why}", sources.folder));
    let Some(source) = sources.files.get(&name) else { return Err(failed("there is no such file".to_string())) };
    if source.contains('\0') {
        return Err(failed("there is a zero byte in it".to_string()));
    }
    // SAFETY: looks for the library, and loads it.
    #[allow(unsafe_code, reason = "loading a library")]
    if !unsafe { sys::is_culib_present() } {
        return Err(failed("no NVRTC (libnvrtc.so.13) on the library path".to_string()));
    }
    let options = CompileOptions {
        name: Some(name.clone()),
        arch: Some(TARGET),
        include_paths: vec![sources.folder.clone()],
        options: vec![STANDARD.to_string()],
        ..CompileOptions::default()
    };
    match compile_ptx_with_opts(source, options) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(CompileError::CompileError { log, .. }) => Err(failed(log.to_string_lossy().trim_end().to_string())),
        Err(other) => Err(failed(other.to_string())),
    }
}
