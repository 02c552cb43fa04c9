//! Calls about streams and events.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the functions have the names of the CUDA driver, which they stand in for"
)]

use std::ffi::{c_int, c_uint, c_void};

use super::c::{Callback, Out};
use super::codes::{Code, INVALID_HANDLE, INVALID_VALUE, NOT_READY, SUCCESS, UNKNOWN};
use super::queue::{Stream, drain, push, push_early, recording, spoil, stream_id, until};
use super::state::{Event, Injection, State, current_context, current_device, device_of, enter, lock};
use super::work::Work;

fn create(stream: Out<usize>) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let broken = state.broken(current_device());
    if broken != SUCCESS {
        return broken;
    }
    let id = state.handle();
    state.streams.insert(id, Stream { context: current_context(), ..Stream::default() });
    stream.set(id)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: Out<usize>, _flags: c_uint) -> Code {
    create(stream)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreateWithPriority(stream: Out<usize>, _flags: c_uint, _priority: c_int) -> Code {
    create(stream)
}

/// Does not wait: the stream goes once its work is done.
#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: usize) -> Code {
    let mut state = lock();
    let Some(there) = state.streams.get_mut(&stream) else { return INVALID_HANDLE };
    there.closing = true;
    if there.idle() {
        state.streams.remove(&stream);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: usize) -> Code {
    super::count_wait();
    match enter() {
        Ok(mut state) => {
            let id = stream_id(stream);
            let matters = state.races.as_ref().is_none_or(|races| !races.is_drained(id));
            if matters && state.fails(Injection::NoSync) {
                spoil(&mut state, &[id]);
                return SUCCESS;
            }
            drain(state, stream)
        }
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery(stream: usize) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let id = stream_id(stream);
    let code = match state.streams.get(&id) {
        None => INVALID_HANDLE,
        Some(there) if state.broken(device_of(there.context)) != SUCCESS => state.broken(device_of(there.context)),
        Some(there) if there.idle() => SUCCESS,
        Some(_) => NOT_READY,
    };
    if code == SUCCESS
        && let Some(races) = &mut state.races
    {
        races.host_drained(id);
    }
    code
}

/// Whether this is the wait for an event, by the host or on a stream, that is left out as a mistake. If races are looked for, only
/// those count that order something.
fn is_left_out(state: &mut State, by: Option<usize>, event: usize, count: u64) -> bool {
    let orders = state.races.as_ref().is_none_or(|races| !races.is_known(by, event, count));
    let left_out = orders && state.fails(if by.is_some() { Injection::NoWait } else { Injection::NoSync });
    if let Some(races) = &mut state.races
        && (left_out || races.is_early(event, count))
    {
        races.miss(by, event, count);
    }
    state.tell_mistake();
    left_out
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: usize, event: usize, _flags: c_uint) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let Some(recorded) = state.events.get(&event).map(|e| e.recorded) else { return INVALID_HANDLE };
    if is_left_out(&mut state, Some(stream_id(stream)), event, recorded) {
        return SUCCESS;
    }
    push(state, stream, Work::Wait(event, recorded))
}

/// To memory of a device, or to pinned memory, which has one name for the host and the devices.
#[unsafe(no_mangle)]
extern "C" fn cuStreamWriteValue32_v2(stream: usize, to: u64, value: u32, flags: c_uint) -> Code {
    if flags != 0 || !to.is_multiple_of(4) {
        return INVALID_VALUE;
    }
    enter().map_or_else(|code| code, |state| push(state, stream, Work::WriteValue { to, value }))
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchHostFunc(stream: usize, function: extern "C" fn(*mut c_void), data: *mut c_void) -> Code {
    let callback = Callback { function, data: data.expose_provenance() };
    enter().map_or_else(|code| code, |state| push(state, stream, Work::Callback(callback)))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(event: Out<usize>, flags: c_uint) -> Code {
    const DISABLE_TIMING: c_uint = 2;
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let id = state.handle();
    state.events.insert(id, Event { timed: flags & DISABLE_TIMING == 0, ..Event::default() });
    event.set(id)
}

/// Streams that wait for the event still do, so it is kept until nothing can.
#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: usize) -> Code {
    let mut state = lock();
    if state.events.get(&event).is_some_and(|e| e.done >= e.recorded) {
        state.events.remove(&event);
    }
    if state.fails(Injection::Event) { UNKNOWN } else { SUCCESS }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: usize, stream: usize) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let Some(there) = state.events.get_mut(&event) else { return INVALID_HANDLE };
    there.recorded += 1;
    let work = Work::Record(event, there.recorded);
    if state.fails(Injection::EarlyRecord) { push_early(state, stream, work) } else { push(state, stream, work) }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: usize) -> Code {
    super::count_wait();
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let Some(recorded) = state.events.get(&event).map(|e| e.recorded) else { return INVALID_HANDLE };
    if is_left_out(&mut state, None, event, recorded) {
        let streams = recording(&state, event, recorded);
        spoil(&mut state, &streams);
        return SUCCESS;
    }
    let done = |s: &State| s.events.get(&event).is_none_or(|e| e.done >= recorded);
    let code = until(state, current_device(), |s| recording(s, event, recorded), done);
    if code == SUCCESS
        && let Some(races) = &mut lock().races
    {
        races.wait(None, event, recorded);
    }
    code
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: usize) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let broken = state.broken(current_device());
    let Some((done, recorded)) = state.events.get(&event).map(|e| (e.done, e.recorded)) else { return INVALID_HANDLE };
    if broken != SUCCESS {
        return broken;
    }
    if done < recorded {
        return NOT_READY;
    }
    if let Some(races) = &mut state.races {
        races.wait(None, event, recorded);
    }
    SUCCESS
}

/// The time that the emulator took, which says nothing of a GPU.
fn elapsed(milliseconds: Out<f32>, start: usize, end: usize) -> Code {
    let state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let (Some(start), Some(end)) = (state.events.get(&start), state.events.get(&end)) else { return INVALID_HANDLE };
    if !start.timed || !end.timed {
        return INVALID_HANDLE;
    }
    match (start.at, end.at) {
        (Some(from), Some(to)) if start.done >= start.recorded && end.done >= end.recorded => {
            milliseconds.set(to.saturating_duration_since(from).as_secs_f32() * 1e3)
        }
        _ => NOT_READY,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime(milliseconds: Out<f32>, start: usize, end: usize) -> Code {
    elapsed(milliseconds, start, end)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime_v2(milliseconds: Out<f32>, start: usize, end: usize) -> Code {
    elapsed(milliseconds, start, end)
}
