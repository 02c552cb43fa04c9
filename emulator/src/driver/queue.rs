//! Work on streams, and the order in which it is done.

use std::collections::VecDeque;
use std::time::Instant;

use super::c::{self, Callback};
use super::codes::{Code, ILLEGAL_ADDRESS, INVALID_HANDLE, INVALID_VALUE, LAUNCH_FAILED, MISALIGNED_ADDRESS, SUCCESS};
use super::state::{Locked, PROGRESS, State, current_context, device_of};
use super::{COUNTERS, Counters};
use crate::error::{Error, Fault};
use crate::exec::{Launch, Stats};
use crate::memory::Memory;
use std::sync::Arc;

use crate::module::Module;

/// A kernel with all that it needs.
#[derive(Clone)]
pub(super) struct Kernel {
    pub module: Arc<Module>,
    pub name: String,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic: u32,
    pub params: Vec<Vec<u8>>,
    /// Ordered to fail.
    pub doomed: bool,
}

/// Something to be done on a stream.
pub(super) enum Work {
    Alloc(u64),
    Free(u64),
    /// From pageable memory, read when the copy was asked for.
    Upload {
        to: u64,
        content: Vec<u8>,
    },
    UploadPinned {
        to: u64,
        from: usize,
        bytes: usize,
    },
    Download {
        to: usize,
        from: u64,
        bytes: usize,
    },
    Copy {
        to: u64,
        from: u64,
        bytes: usize,
    },
    /// The same bytes, so many times.
    Fill {
        to: u64,
        value: Vec<u8>,
        count: usize,
    },
    WriteValue {
        to: u64,
        value: u32,
    },
    Record(usize, u64),
    Wait(usize, u64),
    Kernel(Kernel),
    Callback(Callback),
}

#[derive(Default)]
pub(super) struct Stream {
    pub queue: VecDeque<Work>,
    pub context: usize,
    /// A thread is doing a piece of its work.
    pub busy: bool,
    /// Goes away once its work is done.
    pub closing: bool,
}

impl Stream {
    pub fn idle(&self) -> bool {
        self.queue.is_empty() && !self.busy
    }
}

/// The stream behind a handle; the null stream is its context's own.
pub(super) fn stream_id(handle: usize) -> usize {
    if handle <= 2 { current_context() } else { handle }
}

/// Puts work on a stream, and sometimes does a piece of what is ready.
pub(super) fn push(mut state: Locked, handle: usize, work: Work) -> Code {
    let id = stream_id(handle);
    let Some(stream) = state.streams.get_mut(&id).filter(|s| !s.closing) else { return INVALID_HANDLE };
    let device = device_of(stream.context);
    let broken = state.broken(device);
    if broken != SUCCESS {
        return broken;
    }
    if let Some(stream) = state.streams.get_mut(&id) {
        stream.queue.push_back(work);
    }
    if state.draw(4) == 0 {
        let _ = step(state);
    }
    SUCCESS
}

/// Puts work before what is in line, as a mistake of the program might.
pub(super) fn push_early(mut state: Locked, handle: usize, work: Work) -> Code {
    match state.streams.get_mut(&stream_id(handle)) {
        Some(stream) => {
            stream.queue.push_front(work);
            SUCCESS
        }
        None => INVALID_HANDLE,
    }
}

/// Works until a condition holds, or the device fails.
pub(super) fn until(mut state: Locked, device: i32, done: impl Fn(&State) -> bool) -> Code {
    loop {
        let broken = state.broken(device);
        if broken != SUCCESS {
            return broken;
        }
        if done(&state) {
            return SUCCESS;
        }
        let (after, worked) = step(state);
        state = after;
        if worked {
            continue;
        }
        if state.streams.values().any(|s| s.busy) {
            state = state.wait();
        } else {
            state.fault(device, LAUNCH_FAILED, "streams wait for each other".to_owned());
        }
    }
}

/// Works until a stream has nothing left to do.
pub(super) fn drain(state: Locked, handle: usize) -> Code {
    let id = stream_id(handle);
    let Some(context) = state.streams.get(&id).map(|s| s.context) else { return INVALID_HANDLE };
    until(state, device_of(context), |state| state.streams.get(&id).is_none_or(Stream::idle))
}

/// Does one piece of work that may be done now, if there is any.
fn step(mut state: Locked) -> (Locked, bool) {
    let ready: Vec<usize> = state
        .streams
        .iter()
        .filter(|(_, stream)| !stream.busy && state.broken(device_of(stream.context)) == SUCCESS)
        .filter(|(_, stream)| match stream.queue.front() {
            None => false,
            Some(Work::Wait(event, count)) => state.events.get(event).is_none_or(|e| e.done >= *count),
            Some(_) => true,
        })
        .map(|(id, _)| *id)
        .collect();
    if ready.is_empty() {
        return (state, false);
    }
    let id = ready[state.draw(ready.len())];
    let Some(stream) = state.streams.get_mut(&id) else { return (state, false) };
    let (device, work) = (device_of(stream.context), stream.queue.pop_front());
    stream.busy = true;
    state = match work {
        Some(Work::Kernel(kernel)) => run(state, device, &kernel),
        Some(Work::Callback(callback)) => {
            drop(state);
            callback.call();
            super::state::lock()
        }
        Some(work) => {
            quick(&mut state, device, work);
            state
        }
        None => state,
    };
    if let Some(stream) = state.streams.get_mut(&id) {
        stream.busy = false;
        if stream.closing && stream.queue.is_empty() {
            state.streams.remove(&id);
        }
    }
    PROGRESS.notify_all();
    (state, true)
}

/// Runs a kernel; meanwhile others may use the driver.
fn run(mut state: Locked, device: i32, kernel: &Kernel) -> Locked {
    if kernel.doomed {
        state.fault(device, LAUNCH_FAILED, format!("kernel `{}` was ordered to fail", kernel.name));
        return state;
    }
    if state.idle {
        return state;
    }
    let mut memory = Memory::default();
    for (base, buffer) in &state.buffers {
        if buffer.live && state.reaches(device, buffer) {
            let written = (!state.ignore_unwritten).then(|| buffer.written.clone());
            lend(&mut memory, *base, buffer.bytes as u64, written);
        }
    }
    let reverse = state.reverse;
    drop(state);
    let mut launch = Launch { module: &kernel.module, mem: &memory, reverse, stats: Stats::default() };
    let result = launch.run(&kernel.name, kernel.grid, kernel.block, kernel.dynamic, &kernel.params);
    Counters::add(&COUNTERS.instructions, launch.stats.instructions);
    let mut state = super::state::lock();
    if let Err(error) = result {
        let code = match &error {
            Error::Fault(report) => match report.fault {
                Fault::OutOfBounds { .. } => ILLEGAL_ADDRESS,
                Fault::Misaligned { .. } => MISALIGNED_ADDRESS,
                _ => LAUNCH_FAILED,
            },
            _ => LAUNCH_FAILED,
        };
        state.fault(device, code, error.to_string());
    }
    state
}

#[allow(unsafe_code, reason = "device memory is lent to a kernel by address")]
fn lend(memory: &mut Memory<'_>, base: u64, bytes: u64, written: Option<Arc<crate::memory::Written>>) {
    // SAFETY: device memory is never unmapped, and what it holds is any bytes.
    unsafe { memory.add_raw(base, bytes, written) };
}

/// Work that is short enough to keep everybody waiting.
fn quick(state: &mut State, device: i32, work: Work) {
    let outside = |state: &mut State, what: &str, address: u64, bytes: usize| {
        state.fault(device, ILLEGAL_ADDRESS, format!("{what} of {bytes} bytes at {address:#x}: no live buffer there"));
    };
    match work {
        Work::Alloc(address) => {
            if let Some(buffer) = state.buffers.get_mut(&address) {
                buffer.live = true;
            }
        }
        Work::Free(address) => {
            if !state.free(address) {
                state.fault(device, INVALID_VALUE, format!("free of {address:#x}: no live buffer there"));
            }
        }
        Work::Upload { to, content } => match state.buffer(to, content.len()) {
            Some((base, buffer)) => {
                c::copy(to as usize, content.as_ptr().expose_provenance(), content.len());
                buffer.written.mark((to - base) as usize, content.len());
                Counters::add(&COUNTERS.to_device, content.len() as u64);
            }
            None => outside(state, "copy to the device", to, content.len()),
        },
        Work::UploadPinned { to, from, bytes } => match state.buffer(to, bytes) {
            Some((base, buffer)) => {
                c::copy(to as usize, from, bytes);
                buffer.written.mark((to - base) as usize, bytes);
                Counters::add(&COUNTERS.to_device, bytes as u64);
            }
            None => outside(state, "copy to the device", to, bytes),
        },
        Work::Download { to, from, bytes } => match state.buffer(from, bytes) {
            Some(_) => {
                c::copy(to, from as usize, bytes);
                Counters::add(&COUNTERS.to_host, bytes as u64);
            }
            None => outside(state, "copy from the device", from, bytes),
        },
        Work::Copy { to, from, bytes } => match (state.buffer(to, bytes), state.buffer(from, bytes)) {
            (Some((to_base, target)), Some((from_base, source))) => {
                if target.device != source.device {
                    Counters::add(&COUNTERS.between_devices, bytes as u64);
                    // Through memory of the host, which costs time only.
                    if !state.reaches(device, target) || !state.reaches(device, source) {
                        Counters::add(&COUNTERS.staged, bytes as u64);
                    }
                }
                c::copy(to as usize, from as usize, bytes);
                let (to, from) = ((to - to_base) as usize, (from - from_base) as usize);
                if source.written.holds(from, bytes) {
                    target.written.mark(to, bytes);
                } else {
                    (0..bytes)
                        .filter(|i| source.written.holds(from + i, 1))
                        .for_each(|i| target.written.mark(to + i, 1));
                }
            }
            (None, _) => outside(state, "copy", to, bytes),
            (_, None) => outside(state, "copy", from, bytes),
        },
        Work::Fill { to, value, count } => match state.buffer(to, value.len() * count) {
            Some((base, buffer)) => {
                c::fill(to as usize, &value, count);
                buffer.written.mark((to - base) as usize, value.len() * count);
            }
            None => outside(state, "fill", to, value.len() * count),
        },
        Work::WriteValue { to, value } => {
            let bytes = value.to_le_bytes();
            match (state.is_pinned(to as usize, bytes.len()), state.buffer(to, bytes.len())) {
                (Ok(true), _) => c::fill(to as usize, &bytes, 1),
                (_, Some((base, buffer))) => {
                    c::fill(to as usize, &bytes, 1);
                    buffer.written.mark((to - base) as usize, bytes.len());
                }
                _ => outside(state, "write", to, bytes.len()),
            }
        }
        Work::Record(event, count) => {
            if let Some(event) = state.events.get_mut(&event) {
                event.done = event.done.max(count);
                event.at = Some(Instant::now());
            }
        }
        // A wait that is at the front and ready has nothing left to wait for; the rest is not quick.
        Work::Wait(..) | Work::Kernel(_) | Work::Callback(_) => {}
    }
}
