//! Pieces of work, and what doing them does.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::c::{self, Callback};
use super::codes::{ILLEGAL_ADDRESS, INVALID_VALUE, LAUNCH_FAILED, MISALIGNED_ADDRESS};
use super::races::{Access, Standing};
use super::state::{Locked, State};
use super::{COUNTERS, Counters};
use crate::error::{Error, Fault};
use crate::exec::{Launch, Stats};
use crate::memory::{Memory, Touched, Written};
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
    /// From pageable memory, read when the copy was asked for; a GPU that reads such memory by itself may read it as long as
    /// nobody has waited.
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
        pinned: bool,
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

impl Work {
    /// Whether it is a launch, a copy or a fill.
    pub fn touches(&self) -> bool {
        match self {
            Work::Upload { .. } | Work::UploadPinned { .. } | Work::Download { .. } => true,
            Work::Copy { .. } | Work::Fill { .. } | Work::Kernel(_) => true,
            Work::Alloc(_) | Work::Free(_) | Work::WriteValue { .. } => false,
            Work::Record(..) | Work::Wait(..) | Work::Callback(_) => false,
        }
    }

    /// What it is, for who reads of it.
    pub fn name(&self) -> String {
        match self {
            Work::Kernel(kernel) => return format!("kernel `{}`", kernel.name),
            Work::Alloc(_) => "an allocation",
            Work::Free(_) => "a release of memory",
            Work::Upload { .. } | Work::UploadPinned { .. } => "a copy to the device",
            Work::Download { .. } => "a copy to the host",
            Work::Copy { .. } => "a copy",
            Work::Fill { .. } => "a fill",
            Work::WriteValue { .. } => "a write",
            Work::Record(..) | Work::Wait(..) => "an event",
            Work::Callback(_) => "a call of the host",
        }
        .to_string()
    }
}

/// Runs a kernel; meanwhile others may use the driver.
pub(super) fn run(mut state: Locked, device: i32, kernel: &Kernel, standing: Option<&Standing>) -> Locked {
    if kernel.doomed {
        state.fault(device, LAUNCH_FAILED, format!("kernel `{}` was ordered to fail", kernel.name));
        return state;
    }
    if state.idle {
        return state;
    }
    let (mut memory, mut all) = (Memory::default(), Vec::new());
    for (base, buffer) in &state.buffers {
        if buffer.live && state.reaches(device, buffer) {
            let written = (!state.ignore_unwritten).then(|| buffer.written.clone());
            let touched = standing.map(|_| Arc::new(Touched::new(buffer.bytes)));
            all.extend(touched.iter().map(|touched| ((*base, buffer.bytes), touched.clone())));
            lend(&mut memory, (*base, buffer.bytes as u64), written, touched);
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
    for (buffer, touched) in all {
        for (bytes, access) in [(&touched.read, Access::Read), (&touched.written, Access::Write)] {
            bytes.runs().for_each(|range| touch(&mut state, (device, standing), buffer, range, access));
        }
    }
    state
}

/// Notes what a piece of work touches; a race is a fault.
fn touch(
    state: &mut State,
    (device, standing): (i32, Option<&Standing>),
    buffer: (u64, usize),
    range: Range<usize>,
    access: Access,
) {
    if let (Some(races), Some(standing)) = (&mut state.races, standing)
        && let Err(race) = races.touch(standing, buffer, range, access)
    {
        state.fault(device, LAUNCH_FAILED, race);
    }
}

#[allow(unsafe_code, reason = "device memory is lent to a kernel by address")]
fn lend(
    memory: &mut Memory<'_>,
    (base, bytes): (u64, u64),
    written: Option<Arc<Written>>,
    touched: Option<Arc<Touched>>,
) {
    // SAFETY: device memory is never unmapped, and what it holds is any bytes.
    unsafe { memory.add_raw(base, bytes, written, touched) };
}

/// Work that is short enough to keep everybody waiting.
pub(super) fn quick(state: &mut State, device: i32, work: Work, standing: Option<&Standing>) {
    let outside = |state: &mut State, what: &str, address: u64, bytes: usize| {
        state.fault(device, ILLEGAL_ADDRESS, format!("{what} of {bytes} bytes at {address:#x}: no live buffer there"));
    };
    let who = (device, standing);
    // The buffer that holds bytes, and which of its bytes those are.
    let place = |state: &State, address: u64, bytes: usize| {
        let (base, buffer) = state.buffer(address, bytes)?;
        let start = (address - base) as usize;
        Some(((base, buffer.bytes), start..start + bytes))
    };
    let host = |state: &State, address: usize, bytes: usize| {
        let (base, length) = state.pinned_at(address, bytes)?;
        Some(((base as u64, length), address - base..address - base + bytes))
    };
    let gone = |state: &mut State, what: &str, address: usize| {
        state.fault(
            device,
            INVALID_VALUE,
            format!("{what}: memory of the host at {address:#x} is not pinned any more"),
        );
    };
    match work {
        Work::Alloc(address) => {
            if let Some(buffer) = state.buffers.get_mut(&address) {
                buffer.live = true;
                let bytes = buffer.bytes;
                touch(state, who, (address, bytes), 0..bytes, Access::Write);
            }
        }
        Work::Free(address) => {
            let bytes = state.buffers.get(&address).map_or(0, |buffer| buffer.bytes);
            touch(state, who, (address, bytes), 0..bytes, Access::Write);
            if !state.free(address) {
                state.fault(device, INVALID_VALUE, format!("free of {address:#x}: no live buffer there"));
            }
        }
        Work::Upload { to, content } => match place(state, to, content.len()) {
            Some((buffer, range)) => {
                c::copy(to as usize, content.as_ptr().expose_provenance(), content.len());
                Counters::add(&COUNTERS.to_device, content.len() as u64);
                state.mark_written(buffer.0, range.clone());
                touch(state, who, buffer, range, Access::Write);
            }
            None => outside(state, "copy to the device", to, content.len()),
        },
        Work::UploadPinned { to, from, bytes } => match (place(state, to, bytes), host(state, from, bytes)) {
            (Some((buffer, range)), Some((pinned, source))) => {
                c::copy(to as usize, from, bytes);
                Counters::add(&COUNTERS.to_device, bytes as u64);
                state.mark_written(buffer.0, range.clone());
                touch(state, who, pinned, source, Access::Read);
                touch(state, who, buffer, range, Access::Write);
            }
            (None, _) => outside(state, "copy to the device", to, bytes),
            (_, None) => gone(state, "copy to the device", from),
        },
        Work::Download { to, from, bytes, pinned } => match (place(state, from, bytes), host(state, to, bytes)) {
            (Some(_), None) if pinned => gone(state, "copy from the device", to),
            (Some((buffer, range)), target) => {
                c::copy(to, from as usize, bytes);
                Counters::add(&COUNTERS.to_host, bytes as u64);
                touch(state, who, buffer, range, Access::Read);
                if let Some((pinned, target)) = target {
                    touch(state, who, pinned, target, Access::Write);
                }
            }
            (None, _) => outside(state, "copy from the device", from, bytes),
        },
        Work::Copy { to, from, bytes } => match (place(state, to, bytes), place(state, from, bytes)) {
            (Some((target, written)), Some((source, read))) => {
                copy_on_devices(state, device, [to, from], bytes);
                touch(state, who, source, read, Access::Read);
                touch(state, who, target, written, Access::Write);
            }
            (None, _) => outside(state, "copy", to, bytes),
            (_, None) => outside(state, "copy", from, bytes),
        },
        Work::Fill { to, value, count } => match place(state, to, value.len() * count) {
            Some((buffer, range)) => {
                c::fill(to as usize, &value, count);
                state.mark_written(buffer.0, range.clone());
                touch(state, who, buffer, range, Access::Write);
            }
            None => outside(state, "fill", to, value.len() * count),
        },
        Work::WriteValue { to, value } => {
            let bytes = value.to_le_bytes();
            match (host(state, to as usize, bytes.len()), place(state, to, bytes.len())) {
                (Some((pinned, range)), _) => {
                    c::fill(to as usize, &bytes, 1);
                    touch(state, who, pinned, range, Access::Write);
                }
                (_, Some((buffer, range))) => {
                    c::fill(to as usize, &bytes, 1);
                    state.mark_written(buffer.0, range.clone());
                    touch(state, who, buffer, range, Access::Write);
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

/// Copies between live buffers, of one device or of two.
fn copy_on_devices(state: &State, device: i32, [to, from]: [u64; 2], bytes: usize) {
    let (Some((to_base, target)), Some((from_base, source))) = (state.buffer(to, bytes), state.buffer(from, bytes))
    else {
        return;
    };
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
        (0..bytes).filter(|i| source.written.holds(from + i, 1)).for_each(|i| target.written.mark(to + i, 1));
    }
}
