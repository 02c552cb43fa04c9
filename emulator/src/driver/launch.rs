//! Calls about modules, functions and launches.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the functions have the names of the CUDA driver, which they stand in for"
)]

use std::ffi::{c_int, c_uint};
use std::path::PathBuf;
use std::sync::Arc;

use super::c::{Out, Params, Text};
use super::codes::{
    Code, INVALID_CONTEXT, INVALID_HANDLE, INVALID_PTX, INVALID_VALUE, NO_BINARY_FOR_GPU, NOT_FOUND, SUCCESS,
};
use super::queue::push;
use super::state::{Function, Injection, State, current_context, enter, lock};
use super::work::{Kernel, Work};
use super::{count_call, count_launch};
use crate::decode::SHARED_LIMIT;
use crate::module::Module;

/// Takes PTX; machine code begins otherwise.
#[unsafe(no_mangle)]
#[allow(clippy::print_stderr, reason = "a driver's functions return numbers; this is the only place for words")]
extern "C" fn cuModuleLoadData(module: Out<usize>, image: Text) -> Code {
    let Some(text) = image.read().filter(|text| !text.starts_with("\u{7f}ELF")) else { return NO_BINARY_FOR_GPU };
    let text = edited(text);
    let parsed = match Module::parse(&text) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("emulated driver: {error}");
            lock().last_fault = Some(error.to_string());
            return INVALID_PTX;
        }
    };
    if let Err(error) = keep(&parsed, &text) {
        eprintln!("emulated driver: cannot keep a module's text: {error}");
        return INVALID_VALUE;
    }
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let id = state.handle();
    state.modules.insert(id, Arc::new(parsed));
    module.set(id)
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoad(module: Out<usize>, path: Text) -> Code {
    let text = path.read().and_then(|path| std::fs::read_to_string(path).ok());
    let Some(Ok(parsed)) = text.map(|text| Module::parse(&text)) else { return INVALID_PTX };
    let mut state = lock();
    let id = state.handle();
    state.modules.insert(id, Arc::new(parsed));
    module.set(id)
}

/// Writes a module's text to the folder of `SMLC_SIM_KEEP`, if there is one. The same text has the same name.
fn keep(module: &Module, text: &str) -> std::io::Result<()> {
    let Some(folder) = std::env::var_os("SMLC_SIM_KEEP").map(PathBuf::from) else { return Ok(()) };
    let name = module.entries.keys().next().map_or("none", String::as_str);
    // FNV-1a.
    let number = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{name}-{number:016x}.ptx")), text)
}

/// A kernel's text with the mistake of `SMLC_SIM_EDIT`.
fn edited(text: String) -> String {
    let edit = std::env::var("SMLC_SIM_EDIT").unwrap_or_default();
    match edit.split_once("=>") {
        Some((old, new)) => text.replace(old, new),
        None => text,
    }
}

/// Launches that are under way keep what they need.
#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: usize) -> Code {
    if lock().modules.remove(&module).is_some() { SUCCESS } else { INVALID_HANDLE }
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetFunction(function: Out<usize>, module: usize, name: Text) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let Some(there) = state.modules.get(&module).cloned() else { return INVALID_HANDLE };
    let Some(name) = name.read().filter(|name| there.entries.contains_key(name)) else { return NOT_FOUND };
    // Without asking for more, a block has 48 KiB.
    let dynamic = (48_u32 << 10).saturating_sub(there.entries[&name].shared_bytes());
    let id = state.handle();
    state.functions.insert(id, Function { module: there, name, dynamic });
    function.set(id)
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetGlobal_v2(address: Out<u64>, bytes: Out<usize>, module: usize, name: Text) -> Code {
    let state = lock();
    let Some(there) = state.modules.get(&module) else { return INVALID_HANDLE };
    let Some((base, size)) = name.read().and_then(|name| there.variable(&name)) else { return NOT_FOUND };
    bytes.set(size as usize);
    address.set(base)
}

/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`, the one attribute that changes what a launch may ask for.
const MAX_DYNAMIC_SHARED: c_int = 8;

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(function: usize, attribute: c_int, value: c_int) -> Code {
    let mut state = lock();
    let Some(there) = state.functions.get_mut(&function) else { return INVALID_HANDLE };
    if attribute == MAX_DYNAMIC_SHARED {
        let fixed = there.module.entries[&there.name].shared_bytes();
        match u32::try_from(value) {
            Ok(bytes) if bytes + fixed <= SHARED_LIMIT => there.dynamic = bytes,
            _ => return INVALID_VALUE,
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncGetAttribute(value: Out<c_int>, attribute: c_int, function: usize) -> Code {
    let state = lock();
    let Some(there) = state.functions.get(&function) else { return INVALID_HANDLE };
    let entry = &there.module.entries[&there.name];
    value.set(match attribute {
        0 => entry.max_threads().unwrap_or(1024) as c_int,
        1 => entry.shared_bytes() as c_int,
        MAX_DYNAMIC_SHARED => there.dynamic as c_int,
        _ => 0,
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetCacheConfig(_function: usize, _config: c_int) -> Code {
    SUCCESS
}

/// By threads and shared memory; registers are not known here.
#[unsafe(no_mangle)]
extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: Out<c_int>,
    function: usize,
    threads: c_int,
    dynamic: usize,
) -> Code {
    let state = lock();
    let Some(there) = state.functions.get(&function) else { return INVALID_HANDLE };
    let shared = there.module.entries[&there.name].shared_bytes() as usize + dynamic + 1024;
    blocks.set((2048 / threads.max(1)).min(((228 << 10) / shared) as c_int).min(32))
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "the CUDA driver's function has as many")]
extern "C" fn cuLaunchKernel(
    function: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic: c_uint,
    stream: usize,
    params: Params,
    _extra: usize,
) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
    match kernel(&state, function, grid, block, dynamic, params) {
        Ok(mut kernel) => {
            kernel.doomed = state.fails(Injection::Launch);
            count_call();
            count_launch();
            push(state, stream, Work::Kernel(kernel))
        }
        Err(code) => code,
    }
}

/// A kernel with all that it needs, if the driver would take it.
pub(super) fn kernel(
    state: &State,
    function: usize,
    grid: [c_uint; 3],
    block: [c_uint; 3],
    dynamic: c_uint,
    params: Params,
) -> Result<Kernel, Code> {
    if current_context() == 0 {
        return Err(INVALID_CONTEXT);
    }
    let there = state.functions.get(&function).ok_or(INVALID_HANDLE)?;
    let (module, name) = (there.module.clone(), there.name.clone());
    let entry = &module.entries[&name];
    let threads: u64 = block.iter().map(|d| u64::from(*d)).product();
    let most = u64::from(entry.max_threads().unwrap_or(1024));
    if grid.contains(&0) || threads == 0 || threads > most.min(1024) || grid[1] > 65_535 || grid[2] > 65_535 {
        return Err(INVALID_VALUE);
    }
    if dynamic > there.dynamic {
        return Err(INVALID_VALUE);
    }
    let params = params.read(&entry.params).ok_or(INVALID_VALUE)?;
    Ok(Kernel { module, name, grid, block, dynamic, params, doomed: false })
}
