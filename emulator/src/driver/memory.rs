//! Calls that allocate, free, copy and fill.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the functions have the names of the CUDA driver, which they stand in for"
)]

use std::ffi::c_uint;

use super::c::{In, Out};
use super::codes::{Code, INVALID_VALUE, OUT_OF_MEMORY, SUCCESS, UNKNOWN};
use super::queue::{drain, drain_all, push, push_early, stream_id};
use super::state::{Injection, State, current_context, current_device, device_of, enter, lock, reserve};
use super::work::Work;

#[unsafe(no_mangle)]
extern "C" fn cuMemAlloc_v2(address: Out<u64>, bytes: usize) -> Code {
    allocate(address, bytes, None)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocAsync(address: Out<u64>, bytes: usize, stream: usize) -> Code {
    allocate(address, bytes, Some(stream))
}

fn allocate(address: Out<u64>, bytes: usize, stream: Option<usize>) -> Code {
    if address.is_null() || bytes == 0 {
        return INVALID_VALUE;
    }
    super::count_allocation();
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let device = current_device();
    let broken = state.broken(device);
    if broken != SUCCESS {
        return broken;
    }
    match state.allocate(device, bytes, stream.is_some()) {
        Ok(base) => {
            address.set(base);
            stream.map_or(SUCCESS, |stream| push(state, stream, Work::Alloc(base)))
        }
        Err(code) => code,
    }
}

/// Waits for everything, as the driver does, because any of it may use the memory.
#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> Code {
    super::count_wait();
    let context = current_context();
    let state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let code = drain_all(state, context);
    if code != SUCCESS {
        return code;
    }
    let mut state = lock();
    let bytes = state.buffers.get(&address).map_or(0, |buffer| buffer.bytes);
    host_takes(&mut state, address, bytes);
    if state.free(address) { SUCCESS } else { INVALID_VALUE }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: u64, stream: usize) -> Code {
    let work = Work::Free(address);
    match enter() {
        Ok(mut state) => {
            let there = state.streams.get(&stream_id(stream));
            let in_line = there.is_some_and(|stream| stream.queue.iter().any(|(work, _)| work.touches()));
            if in_line && state.fails(Injection::EarlyFree) {
                push_early(state, stream, work)
            } else {
                push(state, stream, work)
            }
        }
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let limit = state.limit;
    let used = state.device(current_device()).map_or(0, |d| d.used);
    free.set(limit - used);
    total.set(limit)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemHostAlloc(address: Out<usize>, bytes: usize, _flags: c_uint) -> Code {
    super::count_allocation();
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    if state.fails(Injection::Allocation) {
        return OUT_OF_MEMORY;
    }
    let base = reserve(bytes);
    state.pinned.insert(base, bytes);
    address.set(base)
}

/// The host gives memory back, which is a fault if work may still touch it.
fn host_takes(state: &mut State, address: u64, bytes: usize) {
    if let Some(races) = &mut state.races
        && let Err(race) = races.host_takes((address, bytes), "the host, which gives memory back,")
    {
        state.fault(current_device(), INVALID_VALUE, race);
    }
}

/// Work that still uses the memory finds other words there: its addresses are never used again.
#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(address: usize) -> Code {
    let mut state = lock();
    let Some(bytes) = state.pinned.remove(&address) else { return INVALID_VALUE };
    host_takes(&mut state, address as u64, bytes);
    super::c::fill(address, &[0xa5], bytes);
    SUCCESS
}

/// Pinned memory is read when the copy is done, other memory now.
#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: In<u8>, bytes: usize, stream: usize) -> Code {
    super::count_copy();
    let state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    match state.is_pinned(from.address(), bytes) {
        Ok(true) => push(state, stream, Work::UploadPinned { to, from: from.address(), bytes }),
        Ok(false) => push(state, stream, Work::Upload { to, content: from.read(bytes) }),
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoD_v2(to: u64, from: In<u8>, bytes: usize) -> Code {
    super::count_copy();
    super::count_wait();
    let content = from.read(bytes);
    match enter().map_or_else(|code| code, |state| push(state, 0, Work::Upload { to, content })) {
        SUCCESS => drain(lock(), 0),
        code => code,
    }
}

/// To memory that is not pinned, the driver waits until the copy is done.
#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoHAsync_v2(to: In<u8>, from: u64, bytes: usize, stream: usize) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    if state.fails(Injection::Copy) {
        return UNKNOWN;
    }
    let pinned = match state.is_pinned(to.address(), bytes) {
        Ok(pinned) => pinned,
        Err(code) => return code,
    };
    match push(state, stream, Work::Download { to: to.address(), from, bytes, pinned }) {
        SUCCESS if !pinned => {
            super::count_wait();
            drain(lock(), stream)
        }
        code => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoH_v2(to: In<u8>, from: u64, bytes: usize) -> Code {
    super::count_wait();
    let work = Work::Download { to: to.address(), from, bytes, pinned: false };
    match enter().map_or_else(|code| code, |state| push(state, 0, work)) {
        SUCCESS => drain(lock(), 0),
        code => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: usize) -> Code {
    enter().map_or_else(|code| code, |state| push(state, stream, Work::Copy { to, from, bytes }))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    to_context: usize,
    from: u64,
    from_context: usize,
    bytes: usize,
    stream: usize,
) -> Code {
    let state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    for (address, context) in [(to, to_context), (from, from_context)] {
        // What is allocated on a stream that has not come so far is not live yet.
        let buffer = state.buffers.range(..=address).next_back();
        if buffer.is_none_or(|(_, buffer)| buffer.device != device_of(context)) {
            return INVALID_VALUE;
        }
    }
    push(state, stream, Work::Copy { to, from, bytes })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: usize) -> Code {
    fill(to, vec![value], count, stream)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32Async(to: u64, value: u32, count: usize, stream: usize) -> Code {
    fill(to, value.to_le_bytes().to_vec(), count, stream)
}

fn fill(to: u64, value: Vec<u8>, count: usize, stream: usize) -> Code {
    enter().map_or_else(|code| code, |state| push(state, stream, Work::Fill { to, value, count }))
}
