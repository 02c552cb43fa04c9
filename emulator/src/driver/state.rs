//! What the driver knows: devices, memory, streams, events, modules.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::codes::{Code, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, SUCCESS};
use super::graph::Graph;
use super::queue::Stream;
use super::races::Races;
use crate::memory::Written;
use crate::module::Module;

/// Live device memory.
pub(super) struct Buffer {
    pub bytes: usize,
    pub device: i32,
    /// From the device's pool, whose access is granted apart from other memory's.
    pub pooled: bool,
    /// Whether the stream has reached the allocation.
    pub live: bool,
    pub written: Arc<Written>,
}

#[derive(Default)]
pub(super) struct Event {
    /// How often it was put on a stream, and which of those the stream has passed.
    pub recorded: u64,
    pub done: u64,
    pub timed: bool,
    pub at: Option<Instant>,
}

pub(super) struct Function {
    pub module: Arc<Module>,
    pub name: String,
    /// Bytes of dynamic shared memory that a launch may ask for.
    pub dynamic: u32,
}

#[derive(Default)]
pub(super) struct Device {
    /// The error that all further calls return.
    pub broken: Code,
    pub used: usize,
    pub most_used: usize,
    pub threshold: u64,
    pub holders: u32,
}

/// What is made to fail, or to go as if the program had a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Injection {
    Allocation,
    Launch,
    Lost,
    /// A graph is not made ready.
    Graph,
    /// An event goes, and the call says that it does not.
    Event,
    /// A stream does not wait for an event.
    NoWait,
    /// An event is recorded before what is in line.
    EarlyRecord,
    /// The host does not wait.
    NoSync,
    /// Memory is freed before what is in line.
    EarlyFree,
    /// A launch, a copy or a fill goes to another stream.
    OtherStream,
    /// A copy to the host is refused.
    Copy,
}

impl Injection {
    /// By the names of `SMLC_SIM_FAIL`, and of `SMLC_SIM_PLANT`.
    const FAIL: [(&str, Injection); 6] = [
        ("alloc", Injection::Allocation),
        ("launch", Injection::Launch),
        ("lost", Injection::Lost),
        ("graph", Injection::Graph),
        ("event", Injection::Event),
        ("copy", Injection::Copy),
    ];
    const PLANT: [(&str, Injection); 5] = [
        ("wait", Injection::NoWait),
        ("record", Injection::EarlyRecord),
        ("sync", Injection::NoSync),
        ("free", Injection::EarlyFree),
        ("stream", Injection::OtherStream),
    ];
}

/// In which call each kind comes, if it is to come.
type Orders = [u64; 11];

#[derive(Default)]
pub(super) struct State {
    pub devices: Vec<Device>,
    pub limit: usize,
    pub version: c_int,
    /// What `cuInit` returns, if there are devices.
    pub init: Code,
    pub capability: (c_int, c_int),
    pub reverse: bool,
    pub ignore_unwritten: bool,
    /// Kernels do nothing.
    pub idle: bool,
    /// Memory that is freed holds nothing but zeros.
    wiped: bool,
    /// Work is done only when somebody waits for it.
    pub lazy: bool,
    /// What is known of races between streams, if they are looked for.
    pub races: Option<Races>,
    pub buffers: BTreeMap<u64, Buffer>,
    /// Pinned host memory: bytes by address.
    pub pinned: BTreeMap<usize, usize>,
    /// By handle; every context also has a stream of its own, with the context's handle.
    pub streams: BTreeMap<usize, Stream>,
    pub events: BTreeMap<usize, Event>,
    pub modules: BTreeMap<usize, Arc<Module>>,
    pub functions: BTreeMap<usize, Function>,
    pub graphs: BTreeMap<usize, Graph>,
    /// Graphs that are ready to run.
    pub ready: BTreeMap<usize, Graph>,
    /// (who, whose): memory that kernels of `who` may touch, of a device or of its pool.
    pub peers: BTreeSet<(i32, i32)>,
    pub pool_peers: BTreeSet<(i32, i32)>,
    /// Devices, the lower number first, that cannot reach each other's memory.
    pub apart: BTreeSet<(i32, i32)>,
    pub last_fault: Option<String>,
    fail: Orders,
    next: usize,
    random: u64,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);
/// Work has been done that somebody may wait for.
pub(super) static PROGRESS: Condvar = Condvar::new();

thread_local! {
    static CONTEXT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    /// What is ordered for calls of this thread.
    static ORDERS: std::cell::Cell<Orders> = const { std::cell::Cell::new([0; 11]) };
}

/// Orders what comes of calls of this thread; a count of 0 takes the order back.
pub(super) fn order(kind: Injection, count: u64) {
    let mut orders = ORDERS.get();
    orders[kind as usize] = count;
    ORDERS.set(orders);
}

/// The state, locked.
pub(super) struct Locked(MutexGuard<'static, Option<State>>);

impl std::ops::Deref for Locked {
    type Target = State;
    fn deref(&self) -> &State {
        self.0.as_ref().expect("filled when it was locked")
    }
}

impl std::ops::DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("filled when it was locked")
    }
}

impl Locked {
    /// Waits until other threads have done some work.
    pub fn wait(self) -> Locked {
        Locked(PROGRESS.wait(self.0).unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

pub(super) fn lock() -> Locked {
    let mut guard = STATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    guard.get_or_insert_with(State::from_environment);
    Locked(guard)
}

/// The state, for a call that a lost device does not answer.
pub(super) fn enter() -> Result<Locked, Code> {
    let mut state = lock();
    let mut mine = ORDERS.get();
    let mut lost = false;
    for orders in [&mut state.fail, &mut mine] {
        // Counts down to one, and stays there.
        let left = &mut orders[Injection::Lost as usize];
        lost |= *left == 1;
        *left = if *left > 1 { *left - 1 } else { *left };
    }
    ORDERS.set(mine);
    if lost { Err(DEVICE_UNAVAILABLE) } else { Ok(state) }
}

pub(super) fn current_context() -> usize {
    CONTEXT.with(std::cell::Cell::get)
}

pub(super) fn set_current_context(context: usize) {
    CONTEXT.with(|c| c.set(context));
}

const CONTEXTS: usize = 0x100;

pub(super) fn context_of(device: i32) -> usize {
    CONTEXTS + 16 * device as usize
}

pub(super) fn device_of(context: usize) -> i32 {
    (context.saturating_sub(CONTEXTS) / 16) as i32
}

/// The device of the calling thread's context.
pub(super) fn current_device() -> i32 {
    device_of(current_context())
}

impl State {
    fn from_environment() -> State {
        let text = |name: &str| std::env::var(name).ok();
        let number = |name: &str, default: u64| text(name).and_then(|v| v.parse().ok()).unwrap_or(default);
        let capability = text("SMLC_SIM_CAPABILITY").and_then(|text| {
            let (major, minor) = text.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let mut state = State {
            limit: number("SMLC_SIM_MEM", 8 << 30) as usize,
            version: number("SMLC_SIM_VERSION", 13_000) as c_int,
            init: number("SMLC_SIM_INIT", 0) as Code,
            capability: capability.unwrap_or((9, 0)),
            reverse: number("SMLC_SIM_REVERSE", 0) != 0,
            ignore_unwritten: number("SMLC_SIM_UNWRITTEN", 0) != 0,
            idle: number("SMLC_SIM_IDLE", 0) != 0,
            wiped: number("SMLC_SIM_WIPED", 0) != 0,
            lazy: number("SMLC_SIM_LAZY", 0) != 0,
            races: (number("SMLC_SIM_RACES", 0) != 0).then(Races::default),
            random: number("SMLC_SIM_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            next: 0x10_0000,
            ..State::default()
        };
        state.devices.resize_with(number("SMLC_SIM_DEVICES", 1) as usize, Device::default);
        for (variable, kinds) in [("SMLC_SIM_FAIL", &Injection::FAIL[..]), ("SMLC_SIM_PLANT", &Injection::PLANT)] {
            if let Some(order) = text(variable)
                && let Some((kind, count)) = order.split_once(':')
                && let Ok(count) = count.parse()
                && let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == kind)
            {
                state.fail[*kind as usize] = count;
            }
        }
        state
    }

    /// Whether the call that is being made is the one that was ordered to fail, or to be wrong. Of a mistake that is made so it
    /// is said, so that who plants it knows that there was a place for it.
    #[allow(clippy::print_stderr, reason = "a driver's functions return numbers; this is the only place for words")]
    pub fn fails(&mut self, kind: Injection) -> bool {
        let mut mine = ORDERS.get();
        let mut now = false;
        for orders in [&mut self.fail, &mut mine] {
            let left = &mut orders[kind as usize];
            now |= *left == 1;
            *left = left.saturating_sub(1);
        }
        ORDERS.set(mine);
        if now && let Some((name, _)) = Injection::PLANT.iter().find(|(_, planted)| *planted == kind) {
            let place = std::backtrace::Backtrace::force_capture();
            eprintln!("emulated driver: planted `{name}`\n{place}");
        }
        now
    }

    /// Says on stderr if a mistake of `SMLC_SIM_PLANT` has just made a difference to what comes before what.
    #[allow(clippy::print_stderr, reason = "a driver's functions return numbers; this is the only place for words")]
    pub fn tell_mistake(&mut self) {
        if self.races.as_mut().is_some_and(super::races::Races::mistaken) {
            eprintln!("emulated driver: the planted mistake makes a difference");
        }
    }

    /// A number that is no handle yet.
    pub fn handle(&mut self) -> usize {
        self.next += 16;
        self.next
    }

    /// A number below `bound`.
    pub fn draw(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }

    pub fn device(&mut self, device: i32) -> Option<&mut Device> {
        self.devices.get_mut(usize::try_from(device).ok()?)
    }

    /// Whether two devices could reach each other's memory, with leave.
    pub fn may_reach(&self, one: i32, other: i32) -> bool {
        one != other && !self.apart.contains(&(one.min(other), one.max(other)))
    }

    /// Whether a device reaches memory: its own, or another's that it has leave for.
    pub fn reaches(&self, device: i32, buffer: &Buffer) -> bool {
        let peers = if buffer.pooled { &self.pool_peers } else { &self.peers };
        buffer.device == device || peers.contains(&(device, buffer.device))
    }

    /// The error of a device that has failed.
    pub fn broken(&self, device: i32) -> Code {
        if self.fail[Injection::Lost as usize] == 1 {
            return DEVICE_UNAVAILABLE;
        }
        usize::try_from(device).ok().and_then(|d| self.devices.get(d)).map_or(SUCCESS, |d| d.broken)
    }

    /// A fault: all later calls on the device return the code.
    #[allow(clippy::print_stderr, reason = "a driver's functions return numbers; this is the only place for words")]
    pub fn fault(&mut self, device: i32, code: Code, what: String) {
        eprintln!("emulated device {device}: {what}");
        self.last_fault = Some(what);
        if let Some(device) = self.device(device)
            && device.broken == SUCCESS
        {
            device.broken = code;
        }
        PROGRESS.notify_all();
    }

    /// The live buffer that holds all of these bytes.
    pub fn buffer(&self, address: u64, bytes: usize) -> Option<(u64, &Buffer)> {
        let (base, buffer) = self.buffers.range(..=address).next_back()?;
        let inside = (address - base) as usize;
        (buffer.live && inside <= buffer.bytes && bytes <= buffer.bytes - inside).then_some((*base, buffer))
    }

    /// Marks bytes of a buffer as written.
    pub fn mark_written(&self, base: u64, range: std::ops::Range<usize>) {
        if let Some(buffer) = self.buffers.get(&base) {
            buffer.written.mark(range.start, range.len());
        }
    }

    /// The pinned memory that holds all of these bytes, and how many it has.
    pub fn pinned_at(&self, address: usize, bytes: usize) -> Option<(usize, usize)> {
        let (base, length) = self.pinned.range(..=address).next_back()?;
        let inside = address - base;
        (inside <= *length && bytes <= length - inside).then_some((*base, *length))
    }

    /// Whether host memory is pinned. A range that begins in pinned memory must lie in it.
    pub fn is_pinned(&self, address: usize, bytes: usize) -> Result<bool, Code> {
        let Some((base, length)) = self.pinned.range(..=address).next_back() else { return Ok(false) };
        match address - base {
            inside if inside >= *length => Ok(false),
            inside if bytes <= length - inside => Ok(true),
            _ => Err(super::codes::INVALID_VALUE),
        }
    }

    /// Device memory, poisoned, at an address that was never used before.
    pub fn allocate(&mut self, device: i32, bytes: usize, pooled: bool) -> Result<u64, Code> {
        if self.fails(Injection::Allocation) {
            return Err(OUT_OF_MEMORY);
        }
        let limit = self.limit;
        let Some(owner) = self.device(device) else { return Err(super::codes::INVALID_CONTEXT) };
        if owner.used.checked_add(bytes).is_none_or(|used| used > limit) {
            return Err(OUT_OF_MEMORY);
        }
        owner.used += bytes;
        owner.most_used = owner.most_used.max(owner.used);
        let base = reserve(bytes) as u64;
        let written = Arc::new(Written::new(bytes));
        self.buffers.insert(base, Buffer { bytes, device, pooled, live: !pooled, written });
        Ok(base)
    }

    /// Ends a buffer; its address stays taken.
    pub fn free(&mut self, address: u64) -> bool {
        let Some(buffer) = self.buffers.remove(&address) else { return false };
        if self.wiped {
            let left = super::c::first_set(address as usize, buffer.bytes, |at| buffer.written.holds(at, 1));
            if let Some(at) = left {
                let what =
                    format!("{} bytes at {address:#x} are freed with words in them, first at {at}", buffer.bytes);
                self.fault(buffer.device, super::codes::INVALID_VALUE, what);
            }
        }
        if let Some(owner) = self.device(buffer.device) {
            owner.used -= buffer.bytes;
        }
        super::c::release(address as usize, buffer.bytes);
        true
    }
}

/// Memory that is never given back, at a multiple of 256 as the driver's.
pub(super) fn reserve(bytes: usize) -> usize {
    const ALIGN: usize = 256;
    let words = vec![0xa5a5_a5a5_a5a5_a5a5_u64; (bytes + ALIGN) / 8 + 1];
    let start = Vec::leak(words).as_mut_ptr().expose_provenance();
    start.next_multiple_of(ALIGN)
}
