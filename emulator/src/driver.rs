//! A stand-in for the CUDA driver library: the C entry points that cudarc's safe layer calls, executing real PTX with `ptxsim`.
//! Work on streams is deferred and run in a seeded random interleaving that honours only stream order and events.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::unwrap_used,
    non_snake_case,
    clippy::missing_safety_doc,
    clippy::print_stderr,
    unsafe_op_in_unsafe_fn,
    reason = "C names"
)]
use crate::{Launch, Memory, Module, Stats};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::{Arc, Mutex, MutexGuard};

type R = c_int;
type P = *mut c_void;
const OK: R = 0;
const INVALID_VALUE: R = 1;
const OOM: R = 2;
const NO_DEVICE: R = 100;
const INVALID_DEVICE: R = 101;
const INVALID_PTX: R = 218;
const INVALID_HANDLE: R = 400;
const NOT_FOUND: R = 500;
const NOT_READY: R = 600;
const LAUNCH_FAILED: R = 719;

#[derive(Clone)]
enum Op {
    H2D { dst: u64, src: Vec<u8> },
    H2DPinned { dst: u64, src: usize, n: usize },
    D2H { dst: usize, src: u64, n: usize },
    D2D { dst: u64, src: u64, n: usize },
    Set { dst: u64, v: u8, n: usize },
    Free(u64),
    Record(u64, u64),
    Wait(u64, u64),
    Launch { f: usize, grid: [u32; 3], block: [u32; 3], dynsh: u32, params: Vec<u64>, dev: i32 },
}
#[derive(Default)]
struct Stream {
    q: VecDeque<Op>,
    ctx: usize,
}
#[derive(Default)]
struct Ev {
    recorded: u64,
    done: u64,
}
struct Func {
    module: usize,
    name: String,
}
#[derive(Default)]
struct Sim {
    bufs: BTreeMap<u64, (Vec<u64>, usize, i32)>, // base -> (storage, bytes, device)
    pinned: BTreeMap<usize, (Vec<u64>, usize)>,
    streams: BTreeMap<usize, Stream>,
    events: HashMap<u64, Ev>,
    modules: Vec<Arc<Module>>,
    funcs: Vec<Func>,
    next: usize,
    rng: u64,
    ndev: i32,
    sticky: R,
    reverse: bool,
    graveyard: Vec<Vec<u64>>,
    in_use: usize,
    limit: usize,
}
static SIM: Mutex<Option<Sim>> = Mutex::new(None);
thread_local! { static CTX: std::cell::Cell<usize> = const { std::cell::Cell::new(0) }; }
struct G(MutexGuard<'static, Option<Sim>>);
impl std::ops::Deref for G {
    type Target = Sim;
    fn deref(&self) -> &Sim {
        self.0.as_ref().unwrap()
    }
}
impl std::ops::DerefMut for G {
    fn deref_mut(&mut self) -> &mut Sim {
        self.0.as_mut().unwrap()
    }
}
fn env(k: &str, d: u64) -> u64 {
    std::env::var(k).ok().and_then(|s| s.parse().ok()).unwrap_or(d)
}
fn sim() -> G {
    let mut g = SIM.lock().unwrap_or_else(|e| e.into_inner());
    g.get_or_insert_with(|| Sim {
        rng: env("SMLC_SIM_SEED", 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        ndev: env("SMLC_SIM_DEVICES", 1) as i32,
        reverse: env("SMLC_SIM_REVERSE", 0) != 0,
        limit: env("SMLC_SIM_MEM", 8 << 30) as usize,
        next: 0x1000,
        ..Default::default()
    });
    G(g)
}
fn sid(h: P) -> usize {
    match h as usize {
        0..=2 => CTX.with(|c| c.get()),
        x => x,
    }
} // a context's null stream has the context's id
impl Sim {
    fn id(&mut self) -> usize {
        self.next += 16;
        self.next
    }
    fn rnd(&mut self) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng
    }
    fn err(&mut self, code: R, msg: String) {
        eprintln!("fakecuda: {msg}");
        if self.sticky == OK {
            self.sticky = code
        }
    }
    fn inside(&self, p: u64, n: usize) -> bool {
        self.bufs.range(..=p).next_back().is_some_and(|(b, (_, l, _))| p + n as u64 <= b + *l as u64)
    }
    fn push(&mut self, h: P, op: Op) -> R {
        if self.sticky != OK {
            return self.sticky;
        }
        match self.streams.get_mut(&sid(h)) {
            Some(s) => {
                s.q.push_back(op);
                OK
            }
            None => INVALID_HANDLE,
        }
    }
    fn pump(&mut self, until: impl Fn(&Sim) -> bool) -> R {
        while !until(self) && self.sticky == OK {
            let ready: Vec<usize> = self
                .streams
                .iter()
                .filter(|(_, s)| match s.q.front() {
                    None => false,
                    Some(Op::Wait(e, v)) => self.events.get(e).is_none_or(|x| x.done >= *v),
                    _ => true,
                })
                .map(|(k, _)| *k)
                .collect();
            if ready.is_empty() {
                self.err(LAUNCH_FAILED, "streams wait for each other".into());
                break;
            }
            let k = ready[(self.rnd() % ready.len() as u64) as usize];
            let op = self.streams.get_mut(&k).unwrap().q.pop_front().unwrap();
            self.exec(op);
        }
        self.sticky
    }
    fn drain(&mut self, h: P) -> R {
        let k = sid(h);
        self.pump(|s| s.streams.get(&k).is_none_or(|x| x.q.is_empty()))
    }
    fn exec(&mut self, op: Op) {
        let (ok, what) = match &op {
            Op::H2D { dst, src } => (self.inside(*dst, src.len()), "copy to device"),
            Op::H2DPinned { dst, n, .. } => (self.inside(*dst, *n), "copy to device"),
            Op::D2H { src, n, .. } => (self.inside(*src, *n), "copy from device"),
            Op::D2D { dst, src, n } => (self.inside(*dst, *n) && self.inside(*src, *n), "device copy"),
            Op::Set { dst, n, .. } => (self.inside(*dst, *n), "memset"),
            _ => (true, ""),
        };
        if !ok {
            return self.err(700, format!("{what} outside any live buffer"));
        }
        unsafe {
            match op {
                Op::H2D { dst, src } => std::ptr::copy_nonoverlapping(src.as_ptr(), dst as *mut u8, src.len()),
                Op::H2DPinned { dst, src, n } => std::ptr::copy_nonoverlapping(src as *const u8, dst as *mut u8, n),
                Op::D2H { dst, src, n } => std::ptr::copy_nonoverlapping(src as *const u8, dst as *mut u8, n),
                Op::D2D { dst, src, n } => std::ptr::copy(src as *const u8, dst as *mut u8, n),
                Op::Set { dst, v, n } => std::ptr::write_bytes(dst as *mut u8, v, n),
                Op::Free(p) => match self.bufs.remove(&p) {
                    Some((v, n, _)) => {
                        self.in_use -= n;
                        self.graveyard.push(v)
                    }
                    None => self.err(INVALID_VALUE, format!("free of {p:#x}: no live buffer")),
                },
                Op::Record(e, v) => {
                    if let Some(x) = self.events.get_mut(&e) {
                        x.done = x.done.max(v)
                    }
                }
                Op::Wait(..) => {}
                Op::Launch { f, grid, block, dynsh, params, dev } => {
                    let (m, name) = (self.modules[self.funcs[f].module].clone(), self.funcs[f].name.clone());
                    let mut mem = Memory::default();
                    for (b, (_, n, d)) in &self.bufs {
                        if *d == dev {
                            mem.add_raw(*b, *n as u64, None)
                        }
                    } // another device's buffer is out of bounds
                    let r = Launch { module: &m, mem: &mem, reverse: self.reverse, stats: Stats::default() }
                        .run(&name, grid, block, dynsh, &params);
                    if let Err(e) = r {
                        self.err(LAUNCH_FAILED, e.to_string())
                    }
                }
            }
        }
    }
}
macro_rules! api { ($($name:ident($($a:ident: $t:ty),*) $body:block)*) => { $(#[unsafe(no_mangle)] pub unsafe extern "C" fn $name($($a: $t),*) -> R $body)* } }
fn ctx_of(dev: i32) -> usize {
    0x100 + 16 * dev as usize
}
fn dev_of(ctx: usize) -> i32 {
    (ctx as i32 - 0x100) / 16
}
fn cur_dev() -> i32 {
    dev_of(CTX.with(|c| c.get()))
}
api! {
    cuInit(_f: c_uint) { if sim().ndev > 0 { OK } else { NO_DEVICE } }
    cuDriverGetVersion(v: *mut c_int) { *v = 13000; OK }
    cuDeviceGetCount(n: *mut c_int) { *n = sim().ndev; OK }
    cuDeviceGet(d: *mut c_int, i: c_int) { if i < 0 || i >= sim().ndev { return INVALID_DEVICE } *d = i; OK }
    cuDeviceGetName(s: *mut c_char, n: c_int, d: c_int) { let t = CString::new(format!("PTX interpreter {d}")).unwrap(); for (i, b) in t.as_bytes_with_nul().iter().take(n as usize).enumerate() { *s.add(i) = *b as c_char } OK }
    cuDeviceGetUuid_v2(u: *mut u8, d: c_int) { std::ptr::write_bytes(u, d as u8, 16); OK }
    cuDeviceTotalMem_v2(n: *mut usize, _d: c_int) { *n = sim().limit; OK }
    cuDeviceGetAttribute(v: *mut c_int, a: c_int, _d: c_int) { *v = match a { 1 => 1024, 10 => 32, 16 => 132, 75 => 9, 76 => 0, 97 => 227 << 10, 115 => 1, _ => 0 }; OK }
    cuDeviceCanAccessPeer(v: *mut c_int, a: c_int, b: c_int) { *v = (a != b) as c_int; OK }
    cuCtxEnablePeerAccess(_c: P, _f: c_uint) { OK }
    cuDevicePrimaryCtxRetain(c: *mut P, d: c_int) { let k = ctx_of(d); sim().streams.entry(k).or_insert(Stream { q: VecDeque::new(), ctx: k }); *c = k as P; OK }
    cuDevicePrimaryCtxRelease_v2(_d: c_int) { OK }
    cuCtxGetCurrent(c: *mut P) { *c = CTX.with(|x| x.get()) as P; OK }
    cuCtxSetCurrent(c: P) { CTX.with(|x| x.set(c as usize)); OK }
    cuCtxSetFlags(_f: c_uint) { OK }
    cuCtxSynchronize() { let c = CTX.with(|x| x.get()); sim().pump(|s| s.streams.values().all(|x| x.ctx != c || x.q.is_empty())) }
    cuStreamCreate(h: *mut P, _f: c_uint) { let c = CTX.with(|x| x.get()); let mut s = sim(); let k = s.id(); s.streams.insert(k, Stream { q: VecDeque::new(), ctx: c }); *h = k as P; OK }
    cuStreamCreateWithPriority(h: *mut P, f: c_uint, _p: c_int) { cuStreamCreate(h, f) }
    cuStreamDestroy_v2(h: P) { let mut s = sim(); let r = s.drain(h); s.streams.remove(&sid(h)); r }
    cuStreamSynchronize(h: P) { sim().drain(h) }
    cuEventCreate(e: *mut P, _f: c_uint) { let mut s = sim(); let k = s.id(); s.events.insert(k as u64, Ev::default()); *e = k as P; OK }
    cuEventDestroy_v2(_e: P) { OK }
    cuEventRecord(e: P, h: P) { let mut s = sim(); let v = { let Some(x) = s.events.get_mut(&(e as u64)) else { return INVALID_HANDLE }; x.recorded += 1; x.recorded }; s.push(h, Op::Record(e as u64, v)) }
    cuStreamWaitEvent(h: P, e: P, _f: c_uint) { let mut s = sim(); let Some(v) = s.events.get(&(e as u64)).map(|x| x.recorded) else { return INVALID_HANDLE }; s.push(h, Op::Wait(e as u64, v)) }
    cuEventSynchronize(e: P) { let mut s = sim(); let Some(v) = s.events.get(&(e as u64)).map(|x| x.recorded) else { return INVALID_HANDLE }; s.pump(|s| s.events[&(e as u64)].done >= v) }
    cuEventQuery(e: P) { let s = sim(); let x = &s.events[&(e as u64)]; if x.done >= x.recorded { OK } else { NOT_READY } }
    cuEventElapsedTime(ms: *mut f32, _a: P, _b: P) { *ms = 1.0; OK }
    cuEventElapsedTime_v2(ms: *mut f32, _a: P, _b: P) { *ms = 1.0; OK }
    cuMemAlloc_v2(p: *mut u64, n: usize) {
        let mut s = sim();
        if s.in_use + n > s.limit { return OOM }
        let v = vec![0xA5A5_A5A5_A5A5_A5A5u64; n.div_ceil(8) + 2]; // poisoned; freed storage is kept, so addresses are never reused
        *p = (v.as_ptr() as u64 + 15) & !15; s.in_use += n;
        let (k, d) = (*p, cur_dev()); s.bufs.insert(k, (v, n, d)); OK
    }
    cuMemAllocAsync(p: *mut u64, n: usize, _h: P) { cuMemAlloc_v2(p, n) }
    cuMemFree_v2(p: u64) { let r = cuCtxSynchronize(); sim().exec(Op::Free(p)); r }
    cuMemFreeAsync(p: u64, h: P) { sim().push(h, Op::Free(p)) }
    cuMemGetInfo_v2(f: *mut usize, t: *mut usize) { let s = sim(); *t = s.limit; *f = s.limit - s.in_use; OK }
    cuMemHostAlloc(p: *mut P, n: usize, _f: c_uint) { let v = vec![0xA5A5_A5A5_A5A5_A5A5u64; n.div_ceil(8) + 1]; *p = v.as_ptr() as P; sim().pinned.insert(*p as usize, (v, n)); OK }
    cuMemFreeHost(p: P) { sim().pinned.remove(&(p as usize)); OK }
    cuMemcpyHtoDAsync_v2(d: u64, src: *const u8, n: usize, h: P) {
        let mut s = sim();
        let pin = s.pinned.range(..=src as usize).next_back().is_some_and(|(b, (_, l))| (src as usize) < b + l);
        if pin { s.push(h, Op::H2DPinned { dst: d, src: src as usize, n }) } else { s.push(h, Op::H2D { dst: d, src: std::slice::from_raw_parts(src, n).to_vec() }) }
    }
    cuMemcpyDtoHAsync_v2(d: *mut u8, p: u64, n: usize, h: P) {
        let mut s = sim();
        let pin = s.pinned.range(..=d as usize).next_back().is_some_and(|(b, (_, l))| (d as usize) < b + l);
        let r = s.push(h, Op::D2H { dst: d as usize, src: p, n });
        if pin || r != OK { r } else { s.drain(h) }
    }
    cuMemcpyDtoDAsync_v2(d: u64, p: u64, n: usize, h: P) { sim().push(h, Op::D2D { dst: d, src: p, n }) }
    cuMemcpyPeerAsync(d: u64, _dc: P, p: u64, _sc: P, n: usize, h: P) { sim().push(h, Op::D2D { dst: d, src: p, n }) }
    cuMemsetD8Async(d: u64, v: u8, n: usize, h: P) { sim().push(h, Op::Set { dst: d, v, n }) }
    cuDeviceGetDefaultMemPool(p: *mut P, _d: c_int) { *p = 0x10 as P; OK }
    cuMemPoolSetAttribute(_p: P, _a: c_int, _v: P) { OK }
    cuModuleLoadData(m: *mut P, image: *const c_char) {
        let Ok(t) = CStr::from_ptr(image).to_str() else { return 209 }; // a cubin: "no binary for this GPU"
        match Module::parse(t) { Ok(x) => { let mut s = sim(); s.modules.push(Arc::new(x)); *m = s.modules.len() as P; OK } Err(e) => { eprintln!("fakecuda: {e}"); INVALID_PTX } }
    }
    cuModuleUnload(_m: P) { OK }
    cuModuleGetFunction(f: *mut P, m: P, name: *const c_char) {
        let mut s = sim(); let name = CStr::from_ptr(name).to_string_lossy().into_owned(); let mi = m as usize - 1;
        if !s.modules[mi].entries.contains_key(&name) { return NOT_FOUND }
        s.funcs.push(Func { module: mi, name }); *f = s.funcs.len() as P; OK
    }
    cuFuncSetAttribute(_f: P, _a: c_int, _v: c_int) { OK }
    cuFuncGetAttribute(v: *mut c_int, _a: c_int, _f: P) { *v = 0; OK }
    cuLaunchKernel(f: P, gx: c_uint, gy: c_uint, gz: c_uint, bx: c_uint, by: c_uint, bz: c_uint, dynsh: c_uint, h: P, params: *mut P, _e: *mut P) {
        let mut s = sim(); let fi = f as usize - 1;
        let m = s.modules[s.funcs[fi].module].clone();
        let e = &m.entries[&s.funcs[fi].name];
        let p = e.params.iter().enumerate().map(|(i, n)| { let mut b = [0u8; 8]; std::ptr::copy_nonoverlapping(*params.add(i) as *const u8, b.as_mut_ptr(), *n as usize); u64::from_le_bytes(b) }).collect();
        if gx * gy * gz * bx * by * bz == 0 || bx * by * bz > 1024 { return INVALID_VALUE }
        s.push(h, Op::Launch { f: fi, grid: [gx, gy, gz], block: [bx, by, bz], dynsh, params: p, dev: cur_dev() })
    }
    cuGetErrorName(_e: R, s: *mut *const c_char) { *s = c"FAKECUDA".as_ptr(); OK }
    cuGetErrorString(_e: R, s: *mut *const c_char) { *s = c"reported by the emulated driver".as_ptr(); OK }
}
