//! Streams, and the order in which their work is done.

use std::collections::{BTreeSet, VecDeque};

use super::codes::{Code, INVALID_HANDLE, LAUNCH_FAILED, SUCCESS};
use super::races::Standing;
use super::state::{Injection, Locked, PROGRESS, State, current_context, device_of};
use super::work::{Work, quick, run};

#[derive(Default)]
pub(super) struct Stream {
    /// Each with where it stands, if somebody looks for races.
    pub queue: VecDeque<(Work, Option<Standing>)>,
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
    // For a copy to pageable memory the driver itself waits, on the stream that was meant.
    let waited = matches!(work, Work::Download { pinned: false, .. });
    let strays = work.touches() && !waited && state.fails(Injection::OtherStream);
    let id = if strays { current_context() } else { stream_id(handle) };
    let Some(stream) = state.streams.get_mut(&id).filter(|s| !s.closing) else { return INVALID_HANDLE };
    let device = device_of(stream.context);
    let broken = state.broken(device);
    if broken != SUCCESS {
        return broken;
    }
    let standing = stand(&mut state, id, &work);
    if let Some(stream) = state.streams.get_mut(&id) {
        stream.queue.push_back((work, standing));
    }
    if !state.lazy && state.draw(4) == 0 {
        let _ = step(state, &|_| true);
    }
    SUCCESS
}

/// Where work stands that is put in line, and what the stream knows from there on.
fn stand(state: &mut State, id: usize, work: &Work) -> Option<Standing> {
    let races = state.races.as_mut()?;
    match work {
        Work::Record(event, count) => races.record(id, *event, *count),
        Work::Wait(event, count) => races.wait(Some(id), *event, *count),
        work => {
            let standing =
                races.put(id, matches!(work, Work::Kernel(_) | Work::Copy { .. } | Work::Download { .. }), work.name());
            state.tell_mistake();
            return Some(standing);
        }
    }
    None
}

/// Puts work before what is in line, as a mistake of the program might.
pub(super) fn push_early(mut state: Locked, handle: usize, work: Work) -> Code {
    let id = stream_id(handle);
    let standing = match (&work, &mut state.races) {
        (Work::Record(event, count), Some(races)) => {
            races.record_early(id, *event, *count);
            None
        }
        _ => stand(&mut state, id, &work),
    };
    match state.streams.get_mut(&id) {
        Some(stream) => {
            stream.queue.push_front((work, standing));
            SUCCESS
        }
        None => INVALID_HANDLE,
    }
}

/// Works until a condition holds that is up to work of some streams, or the device fails.
pub(super) fn until(
    mut state: Locked,
    device: i32,
    of: impl Fn(&State) -> Vec<usize>,
    done: impl Fn(&State) -> bool,
) -> Code {
    loop {
        let broken = state.broken(device);
        if broken != SUCCESS {
            return broken;
        }
        if done(&state) {
            return SUCCESS;
        }
        let needed = if state.lazy { needed(&state, of(&state)) } else { BTreeSet::new() };
        let lazy = state.lazy;
        let (after, worked) = step(state, &|id| !lazy || needed.contains(&id));
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

/// These streams and those that they wait for.
fn needed(state: &State, mut of: Vec<usize>) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    while let Some(id) = of.pop() {
        if all.insert(id)
            && let Some((Work::Wait(event, count), _)) = state.streams.get(&id).and_then(|stream| stream.queue.front())
        {
            of.extend(recording(state, *event, *count));
        }
    }
    all
}

/// The host does not wait for these streams as a mistake: what they copy from pageable memory is anything by then.
pub(super) fn spoil(state: &mut State, streams: &[usize]) {
    for id in streams {
        let queue = state.streams.get_mut(id).map(|stream| stream.queue.iter_mut());
        for (work, _) in queue.into_iter().flatten() {
            if let Work::Upload { content, .. } = work {
                content.fill(0xa5);
            }
        }
    }
}

/// Does everything that is in line; how many devices have failed.
pub(super) fn finish() -> usize {
    let mut state = super::state::lock();
    loop {
        let (after, worked) = step(state, &|_| true);
        state = after;
        if worked {
            continue;
        }
        if !state.streams.values().any(|s| s.busy) {
            return state.devices.iter().filter(|device| device.broken != SUCCESS).count();
        }
        state = state.wait();
    }
}

/// The streams on which an event is yet to be recorded for that time.
pub(super) fn recording(state: &State, event: usize, count: u64) -> Vec<usize> {
    let records = |work: &Work| matches!(work, Work::Record(other, number) if *other == event && *number >= count);
    let streams = state.streams.iter();
    streams.filter(|(_, s)| s.queue.iter().any(|(work, _)| records(work))).map(|(id, _)| *id).collect()
}

/// Works until a stream has nothing left to do.
pub(super) fn drain(state: Locked, handle: usize) -> Code {
    let id = stream_id(handle);
    let Some(context) = state.streams.get(&id).map(|s| s.context) else { return INVALID_HANDLE };
    let idle = |state: &State| state.streams.get(&id).is_none_or(Stream::idle);
    let code = until(state, device_of(context), |_| vec![id], idle);
    if code == SUCCESS
        && let Some(races) = &mut super::state::lock().races
    {
        races.host_drained(id);
    }
    code
}

/// Works until nothing is left to do on all streams of a context.
pub(super) fn drain_all(state: Locked, context: usize) -> Code {
    let of = |state: &State| -> Vec<usize> {
        state.streams.iter().filter(|(_, s)| s.context == context).map(|(id, _)| *id).collect()
    };
    let all = of(&state);
    let idle = |state: &State| state.streams.values().all(|s| s.context != context || s.idle());
    let code = until(state, device_of(context), of, idle);
    if code == SUCCESS
        && let Some(races) = &mut super::state::lock().races
    {
        all.into_iter().for_each(|id| races.host_drained(id));
    }
    code
}

/// Does one piece of work that may be done now on one of these streams, if there is any.
fn step(mut state: Locked, of: &dyn Fn(usize) -> bool) -> (Locked, bool) {
    let ready: Vec<usize> = state
        .streams
        .iter()
        .filter(|(id, stream)| of(**id) && !stream.busy && state.broken(device_of(stream.context)) == SUCCESS)
        .filter(|(_, stream)| match stream.queue.front() {
            None => false,
            Some((Work::Wait(event, count), _)) => state.events.get(event).is_none_or(|e| e.done >= *count),
            Some(_) => true,
        })
        .map(|(id, _)| *id)
        .collect();
    if ready.is_empty() {
        return (state, false);
    }
    let id = ready[state.draw(ready.len())];
    let Some(stream) = state.streams.get_mut(&id) else { return (state, false) };
    let device = device_of(stream.context);
    let Some((work, standing)) = stream.queue.pop_front() else { return (state, false) };
    stream.busy = true;
    state = match work {
        Work::Kernel(kernel) => run(state, device, &kernel, standing.as_ref()),
        Work::Callback(callback) => {
            drop(state);
            callback.call();
            super::state::lock()
        }
        work => {
            quick(&mut state, device, work, standing.as_ref());
            state
        }
    };
    if let (Some(races), Some(standing)) = (&mut state.races, standing) {
        races.done(standing);
    }
    if let Some(stream) = state.streams.get_mut(&id) {
        stream.busy = false;
        if stream.closing && stream.queue.is_empty() {
            state.streams.remove(&id);
        }
    }
    PROGRESS.notify_all();
    (state, true)
}
