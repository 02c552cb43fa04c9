//! Calls about devices, contexts and pools.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the functions have the names of the CUDA driver, which they stand in for"
)]

use std::ffi::{c_char, c_int, c_uint};

use super::c::{In, Out};
use super::codes::{
    Code, INVALID_CONTEXT, INVALID_DEVICE, INVALID_VALUE, NO_DEVICE, PEER_ACCESS_ALREADY_ENABLED,
    PEER_ACCESS_UNSUPPORTED, SUCCESS, describe,
};
use super::queue::{Stream, drain_all};
use super::state::{context_of, current_context, current_device, device_of, enter, lock, set_current_context};
use crate::decode::SHARED_LIMIT;

/// Pools have the handle of their device, above this.
const POOLS: usize = 0x1000;

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> Code {
    enter().map_or_else(|code| code, |state| if state.devices.is_empty() { NO_DEVICE } else { state.init })
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: Out<c_int>) -> Code {
    version.set(lock().version)
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(code: Code, name: Out<*const c_char>) -> Code {
    describe(code).map_or(INVALID_VALUE, |(text, _)| name.set(text.as_ptr()))
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(code: Code, text: Out<*const c_char>) -> Code {
    describe(code).map_or(INVALID_VALUE, |(_, meaning)| text.set(meaning.as_ptr()))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: Out<c_int>) -> Code {
    enter().map_or_else(|code| code, |state| count.set(state.devices.len() as c_int))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(device: Out<c_int>, ordinal: c_int) -> Code {
    let known = enter().map(|mut state| state.device(ordinal).is_some());
    known.map_or_else(|code| code, |known| if known { device.set(ordinal) } else { INVALID_DEVICE })
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetName(name: Out<u8>, length: c_int, device: c_int) -> Code {
    let text = format!("PTX emulator {device}\0");
    if text.len() > length as usize {
        return INVALID_VALUE;
    }
    name.fill(text.as_bytes());
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetUuid(uuid: Out<[u8; 16]>, device: c_int) -> Code {
    uuid.set([device as u8; 16])
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetUuid_v2(uuid: Out<[u8; 16]>, device: c_int) -> Code {
    cuDeviceGetUuid(uuid, device)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceTotalMem_v2(bytes: Out<usize>, _device: c_int) -> Code {
    enter().map_or_else(|code| code, |state| bytes.set(state.limit))
}

/// Attributes by the numbers of `CUdevice_attribute`; what is not listed is zero.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetAttribute(value: Out<c_int>, attribute: c_int, _device: c_int) -> Code {
    value.set(match attribute {
        // Threads a block, and its dimensions.
        1..=3 => 1024,
        4 => 64,
        // Dimensions of the grid.
        5 => c_int::MAX,
        6 | 7 => 65_535,
        // Shared memory of a block, without asking and with.
        8 => 48 << 10,
        97 => SHARED_LIMIT as c_int,
        // Shared memory of a multiprocessor.
        81 => 228 << 10,
        // Lanes, registers, clock in kHz.
        10 => 32,
        12 | 82 => 65_536,
        13 => 1_980_000,
        // Multiprocessors and the threads of each.
        16 => 132,
        39 => 2048,
        // Bytes of the second cache.
        38 => 50 << 20,
        // Compute capability.
        75 => lock().capability.0,
        76 => lock().capability.1,
        // Mapped host memory, concurrent kernels, copy engines, one address space, pools.
        19 | 31 | 41 | 115 => 1,
        40 => 3,
        _ => 0,
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRetain(context: Out<usize>, device: c_int) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let Some(held) = state.device(device) else { return INVALID_DEVICE };
    held.holders += 1;
    let id = context_of(device);
    state.streams.entry(id).or_insert_with(|| Stream { context: id, ..Stream::default() });
    context.set(id)
}

/// The last release takes what is left of the context away, its error included.
#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> Code {
    let mut state = lock();
    let Some(held) = state.device(device) else { return INVALID_DEVICE };
    if held.holders == 0 {
        return INVALID_CONTEXT;
    }
    held.holders -= 1;
    if held.holders > 0 {
        return SUCCESS;
    }
    if held.broken == SUCCESS {
        drain_all(state, context_of(device));
        state = lock();
    }
    // Another thread may have come while this one waited.
    if let Some(held) = state.device(device).filter(|held| held.holders == 0) {
        held.broken = SUCCESS;
        let context = context_of(device);
        state.peers.retain(|(who, whose)| *who != device && *whose != device);
        state.streams.retain(|_, stream| stream.context != context || stream.busy);
        let left: Vec<u64> = state.buffers.iter().filter(|(_, b)| b.device == device).map(|(base, _)| *base).collect();
        left.into_iter().for_each(|base| {
            state.free(base);
        });
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetCurrent(context: Out<usize>) -> Code {
    context.set(current_context())
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: usize) -> Code {
    set_current_context(context);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetDevice(device: Out<c_int>) -> Code {
    device.set(current_device())
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetFlags(_flags: c_uint) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetStreamPriorityRange(least: Out<c_int>, greatest: Out<c_int>) -> Code {
    least.set(0);
    greatest.set(-5)
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> Code {
    super::count_wait();
    let context = current_context();
    match enter() {
        Ok(state) => drain_all(state, context),
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceCanAccessPeer(can: Out<c_int>, device: c_int, peer: c_int) -> Code {
    enter().map_or_else(|code| code, |state| can.set(c_int::from(state.may_reach(device, peer))))
}

/// Leave to reach another context's memory, but for that of pools. Counts as a wait: the driver maps what there is.
#[unsafe(no_mangle)]
extern "C" fn cuCtxEnablePeerAccess(peer: usize, _flags: c_uint) -> Code {
    super::count_wait();
    let (mine, theirs) = (current_device(), device_of(peer));
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    if !state.may_reach(mine, theirs) {
        return PEER_ACCESS_UNSUPPORTED;
    }
    if state.peers.insert((mine, theirs)) { SUCCESS } else { PEER_ACCESS_ALREADY_ENABLED }
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetDefaultMemPool(pool: Out<usize>, device: c_int) -> Code {
    pool.set(POOLS + device as usize)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetMemPool(pool: Out<usize>, device: c_int) -> Code {
    pool.set(POOLS + device as usize)
}

/// Who may touch a pool's memory, as `CUmemAccessDesc` lays it out: kind and number of the device, and what it may.
#[derive(Clone, Copy)]
#[repr(C)]
struct Access {
    kind: c_int,
    device: c_int,
    flags: c_int,
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAccess(pool: usize, list: In<Access>, count: usize) -> Code {
    const DEVICE: c_int = 1;
    const READ_AND_WRITE: c_int = 3;
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let owner = pool.wrapping_sub(POOLS) as i32;
    for access in list.read(count) {
        if access.kind != DEVICE {
            return INVALID_VALUE;
        }
        if access.device != owner && !state.may_reach(access.device, owner) {
            return INVALID_DEVICE;
        }
        if access.flags == READ_AND_WRITE {
            state.pool_peers.insert((access.device, owner));
        } else {
            state.pool_peers.remove(&(access.device, owner));
        }
    }
    SUCCESS
}

/// Attributes by the numbers of `CUmemPool_attribute`.
#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(pool: usize, attribute: c_int, value: In<u64>) -> Code {
    let mut state = lock();
    let Some(device) = state.device(pool.wrapping_sub(POOLS) as i32) else { return INVALID_VALUE };
    if attribute == 4 {
        device.threshold = value.read(1).first().copied().unwrap_or(0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolGetAttribute(pool: usize, attribute: c_int, value: Out<u64>) -> Code {
    let mut state = lock();
    let Some(device) = state.device(pool.wrapping_sub(POOLS) as i32) else { return INVALID_VALUE };
    match attribute {
        4 => value.set(device.threshold),
        5 | 7 => value.set(device.used as u64),
        6 | 8 => value.set(device.most_used as u64),
        _ => INVALID_VALUE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolTrimTo(_pool: usize, _bytes: usize) -> Code {
    SUCCESS
}
