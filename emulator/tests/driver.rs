//! The driver look-alike through unmodified cudarc: what a program with a GPU would do, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "launches and the library's own functions are unsafe to call")]

use std::sync::{Arc, OnceLock};

use cudarc::driver::sys::{CUevent_flags, CUfunction_attribute, CUresult};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg, result,
};
use cudarc::nvrtc::Ptx;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// `add`: out[i] += a[i] for i < n. `spread`: shared[i] = i; out[i] = shared[n - 1 - i]. `wait`: a barrier not all reach.
const KERNELS: &str = "
.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 room[];
.visible .entry add(.param .u64 out, .param .u64 a, .param .u32 n)
{
	.reg .pred %p; .reg .b32 %r<5>; .reg .b64 %rd<8>;
	ld.param.u64 %rd1, [out];
	ld.param.u64 %rd2, [a];
	ld.param.u32 %r1, [n];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mov.u32 %r4, %tid.x;
	mad.lo.u32 %r4, %r2, %r3, %r4;
	setp.ge.u32 %p, %r4, %r1;
	@%p ret;
	mul.wide.u32 %rd3, %r4, 8;
	add.s64 %rd1, %rd1, %rd3;
	add.s64 %rd2, %rd2, %rd3;
	ld.global.u64 %rd4, [%rd1];
	ld.global.u64 %rd5, [%rd2];
	add.s64 %rd4, %rd4, %rd5;
	st.global.u64 [%rd1], %rd4;
	ret;
}
.visible .entry spread(.param .u64 out)
{
	.reg .b32 %r<8>; .reg .b64 %rd<4>;
	ld.param.u64 %rd1, [out];
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, %ntid.x;
	mov.u32 %r3, room;
	mad.lo.u32 %r4, %r1, 4, %r3;
	st.shared.u32 [%r4], %r1;
	bar.sync 0;
	sub.u32 %r5, %r2, %r1;
	sub.u32 %r5, %r5, 1;
	mad.lo.u32 %r6, %r5, 4, %r3;
	ld.shared.u32 %r7, [%r6];
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd1, %rd1, %rd2;
	st.global.u32 [%rd1], %r7;
	ret;
}
";

/// Loads the library that lies beside this test. cudarc finds it by its name.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // SAFETY: no other thread of this process reads the environment now: all begin here.
        unsafe {
            std::env::set_var("SMLC_SIM_DEVICES", "16");
            std::env::set_var("SMLC_SIM_MEM", (64 << 20).to_string());
        }
        let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let path = folder.join("libptx_emulator.so");
        // SAFETY: loading the library runs no code of its own.
        unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }.unwrap()
    })
}

/// A counter of the library.
fn counter(name: &str) -> u64 {
    // SAFETY: the counters take nothing and return 64 bits.
    unsafe { library().get::<extern "C" fn() -> u64>(name.as_bytes()).unwrap()() }
}

fn last_fault() -> String {
    // SAFETY: the function returns a text that stays, or null.
    unsafe {
        let text = library().get::<extern "C" fn() -> *const std::ffi::c_char>(b"smlc_sim_last_fault").unwrap()();
        std::ffi::CStr::from_ptr(text).to_str().unwrap().to_owned()
    }
}

struct Setup {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    add: CudaFunction,
    spread: CudaFunction,
}

/// Every test has a device of its own, so that a fault is its own, too.
fn setup(device: usize) -> Setup {
    library();
    let context = CudaContext::new(device).unwrap();
    let module = context.load_module(Ptx::from_src(KERNELS)).unwrap();
    let (add, spread) = (module.load_function("add").unwrap(), module.load_function("spread").unwrap());
    let stream = context.new_stream().unwrap();
    Setup { context, stream, add, spread }
}

/// One thread for each number.
fn threads(n: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (n.div_ceil(64), 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 }
}

impl Setup {
    fn add(&self, stream: &Arc<CudaStream>, out: &mut CudaSlice<u64>, a: &CudaSlice<u64>, n: u32) {
        // SAFETY: the arguments are those of the kernel.
        unsafe { stream.launch_builder(&self.add).arg(out).arg(a).arg(&n).launch(threads(n)) }.unwrap();
    }

    /// Adds `n` numbers that lie at an address, and waits. A launch that fails may say so itself: it returns before
    /// the kernel has failed or after.
    fn add_from(&self, address: u64, out: &mut CudaSlice<u64>, n: u32) -> Result<(), DriverError> {
        // SAFETY: the arguments are those of the kernel, but for an address that is wrong where a test is about that.
        let launched =
            unsafe { self.stream.launch_builder(&self.add).arg(out).arg(&address).arg(&n).launch(threads(n)) };
        launched.and_then(|_| self.stream.synchronize())
    }
}

fn address(slice: &CudaSlice<u64>) -> u64 {
    slice.device_ptr(slice.stream()).0
}

#[test]
fn kernels_copies_and_counters() {
    let s = setup(0);
    assert_eq!(s.context.name().unwrap(), "PTX emulator 0");
    assert_eq!(s.context.compute_capability().unwrap(), (9, 0));
    let a: Vec<u64> = (0..1000).map(|i| i * i).collect();
    let mut out = s.stream.clone_htod(&a).unwrap();
    let more = s.stream.clone_htod(&vec![7_u64; 1000]).unwrap();
    let (launches, waits) = (counter("smlc_sim_launches"), counter("smlc_sim_thread_synchronisations"));
    for _ in 0..3 {
        s.add(&s.stream, &mut out, &more, 1000);
    }
    assert!(counter("smlc_sim_launches") >= launches + 3);
    assert_eq!(counter("smlc_sim_thread_synchronisations"), waits, "launches do not wait");
    let expected: Vec<u64> = a.iter().map(|v| v + 21).collect();
    assert_eq!(s.stream.clone_dtoh(&out).unwrap(), expected);
    assert!(counter("smlc_sim_thread_synchronisations") > waits);
    assert!(counter("smlc_sim_bytes_to_device") >= 16_000 && counter("smlc_sim_bytes_to_host") >= 8000);
    assert!(counter("smlc_sim_instructions") > 3 * 1000 * 10 && counter("smlc_sim_synchronisations") > 0);
}

#[test]
fn streams_are_ordered_by_events() {
    let s = setup(1);
    let other = s.context.new_stream().unwrap();
    let one = s.stream.clone_htod(&vec![1_u64; 64]).unwrap();
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    for round in 1..20 {
        s.add(&s.stream, &mut out, &one, 64);
        other.join(&s.stream).unwrap();
        let copy = other.clone_dtod(&out).unwrap();
        s.stream.join(&other).unwrap();
        assert_eq!(other.clone_dtoh(&copy).unwrap(), vec![round; 64]);
    }
}

#[test]
fn a_missing_wait_between_streams_is_seen() {
    let s = setup(2);
    // SAFETY: what the test is about: nobody orders the streams.
    unsafe { s.context.disable_event_tracking() };
    let other = s.context.new_stream().unwrap();
    let one = s.stream.clone_htod(&vec![1_u64; 64]).unwrap();
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    let mut copy = other.alloc_zeros::<u64>(64).unwrap();
    s.context.synchronize().unwrap();
    let mut early = 0;
    for round in 1..=30 {
        s.add(&s.stream, &mut out, &one, 64);
        other.memcpy_dtod(&out, &mut copy).unwrap();
        early += u32::from(other.clone_dtoh(&copy).unwrap() != vec![round; 64]);
        s.context.synchronize().unwrap();
    }
    assert!(early > 5, "{early} of 30 copies came before the kernel");
}

/// A stream writes a value behind what was in line, to pinned memory as to a device's.
#[test]
fn streams_write_values_in_their_order() {
    use cudarc::driver::sys;
    let s = setup(3);
    // SAFETY: filled below.
    let mut pinned = unsafe { s.context.alloc_pinned_with_flags::<u32>(64, 0) }.unwrap();
    pinned.as_mut_slice().unwrap().fill(7);
    let place = pinned.as_ptr().unwrap();
    let one = s.stream.clone_htod(&vec![1_u64; 64]).unwrap();
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    let write = |to: u64, value: u32, flags: u32| {
        // SAFETY: there are four bytes, or the call is refused.
        unsafe { sys::cuStreamWriteValue32_v2(s.stream.cu_stream(), to, value, flags) }
    };
    // SAFETY: the memory lives.
    let read = || unsafe { place.read_volatile() };
    let mut late = 0;
    for value in 8..30 {
        s.add(&s.stream, &mut out, &one, 64);
        assert_eq!(write(place as u64, value, 0), CUresult::CUDA_SUCCESS);
        let early = read();
        assert!((7..=value).contains(&early));
        late += u32::from(early != value);
        s.stream.synchronize().unwrap();
        assert_eq!(read(), value);
    }
    assert!(late > 5, "{late} of 22 values came late");
    assert_eq!(write(address(&out) + 8, 3, 0), CUresult::CUDA_SUCCESS);
    let words = s.stream.clone_dtoh(&out).unwrap();
    assert_eq!(words[..3], [22, 3, 22]);
    assert_eq!(write(place as u64 + 2, 1, 0), CUresult::CUDA_ERROR_INVALID_VALUE);
    assert_eq!(write(place as u64, 1, 1), CUresult::CUDA_ERROR_INVALID_VALUE);
}

#[test]
fn pinned_memory_is_read_late() {
    let s = setup(3);
    // SAFETY: filled below.
    let mut pinned = unsafe { s.context.alloc_pinned_with_flags::<u64>(64, 0) }.unwrap();
    let mut late = 0;
    for _ in 0..30 {
        pinned.as_mut_slice().unwrap().fill(1);
        let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
        // SAFETY: the memory lives; that it changes too early is what the test is about.
        let source = unsafe { std::slice::from_raw_parts(pinned.as_ptr().unwrap(), 64) };
        s.stream.memcpy_htod(source, &mut out).unwrap();
        pinned.as_mut_slice().unwrap().fill(2);
        late += u32::from(s.stream.clone_dtoh(&out).unwrap() == vec![2; 64]);
    }
    assert!(late >= 5, "{late} of 30 copies saw what was written after them");
}

#[test]
fn a_fault_stays() {
    let s = setup(4);
    let a = s.stream.clone_htod(&vec![1_u64; 64]).unwrap();
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    let error = s.add_from(address(&a), &mut out, 65).unwrap_err();
    assert_eq!(error.0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    assert!(error.to_string().contains("illegal memory access"), "{error}");
    assert_eq!(s.stream.synchronize().unwrap_err().0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_eq!(s.stream.alloc_zeros::<u64>(1).unwrap_err().0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    // Other devices go on.
    setup(5).stream.synchronize().unwrap();
    assert!(last_fault().contains("out-of-bounds load of 8 bytes at global address"), "{}", last_fault());
}

#[test]
fn freed_memory_is_not_used_again() {
    let s = setup(6);
    let first = s.stream.alloc_zeros::<u64>(64).unwrap();
    let address = address(&first);
    drop(first);
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    assert_ne!(self::address(&out), address);
    assert_eq!(s.add_from(address, &mut out, 64).unwrap_err().0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn memory_that_nothing_has_written_is_not_read() {
    let s = setup(7);
    // SAFETY: that it is not written is what the test is about.
    let a = unsafe { s.stream.alloc::<u64>(64) }.unwrap();
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    assert_eq!(s.add_from(address(&a), &mut out, 64).unwrap_err().0, CUresult::CUDA_ERROR_LAUNCH_FAILED);
}

/// Bytes between devices are counted for the whole process.
static BETWEEN_DEVICES: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn memory_of_other_devices_needs_leave() {
    let _alone = BETWEEN_DEVICES.lock();
    let (s, peer) = (setup(8), setup(9));
    let theirs = peer.stream.clone_htod(&vec![5_u64; 64]).unwrap();
    peer.stream.synchronize().unwrap();
    // Bytes that a copy moves between the devices, and those of them that go through the host.
    let copied = || {
        let counts = || ["between_devices", "staged"].map(|what| counter(&format!("smlc_sim_bytes_{what}")));
        let before = counts();
        let copy = s.stream.clone_dtod(&theirs).unwrap();
        assert_eq!(s.stream.clone_dtoh(&copy).unwrap(), vec![5; 64]);
        let after = counts();
        [0, 1].map(|at| after[at] - before[at])
    };
    assert_eq!(copied(), [512, 512]);
    // That to a context's memory does not count for the pool's.
    s.context.bind_to_thread().unwrap();
    // SAFETY: both contexts live.
    let enable = || unsafe { cudarc::driver::sys::cuCtxEnablePeerAccess(peer.context.cu_ctx(), 0) };
    assert_eq!(enable(), CUresult::CUDA_SUCCESS);
    assert_eq!(enable(), CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
    assert_eq!(copied(), [512, 512]);
    let pool = unsafe { result::device::get_default_mem_pool(peer.context.cu_device()) }.unwrap();
    let access = cudarc::driver::sys::CUmemAccessDesc {
        location: cudarc::driver::sys::CUmemLocation {
            type_: cudarc::driver::sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: s.context.cu_device(),
        },
        flags: cudarc::driver::sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
    };
    let address = address(&theirs);
    let mut out = s.stream.alloc_zeros::<u64>(64).unwrap();
    // SAFETY: the description is one.
    unsafe { cudarc::driver::sys::cuMemPoolSetAccess(pool, &access, 1) }.result().unwrap();
    s.add_from(address, &mut out, 64).unwrap();
    assert_eq!(s.stream.clone_dtoh(&out).unwrap(), vec![5; 64]);
    assert_eq!(copied(), [512, 0]);
    let denied = cudarc::driver::sys::CUmemAccessDesc {
        flags: cudarc::driver::sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_NONE,
        ..access
    };
    // SAFETY: as above.
    unsafe { cudarc::driver::sys::cuMemPoolSetAccess(pool, &denied, 1) }.result().unwrap();
    assert_eq!(s.add_from(address, &mut out, 64).unwrap_err().0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn shared_memory_is_asked_for() {
    let s = setup(10);
    let mut out = s.stream.alloc_zeros::<u32>(1024).unwrap();
    let config = |bytes| LaunchConfig { grid_dim: (1, 1, 1), block_dim: (1024, 1, 1), shared_mem_bytes: bytes };
    // SAFETY: the arguments are those of the kernel.
    let mut launch = |bytes| unsafe { s.stream.launch_builder(&s.spread).arg(&mut out).launch(config(bytes)) };
    assert_eq!(launch(64 << 10).unwrap_err().0, CUresult::CUDA_ERROR_INVALID_VALUE);
    let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    s.spread.set_attribute(attribute, 64 << 10).unwrap();
    launch(64 << 10).unwrap();
    assert!(s.spread.set_attribute(attribute, 300 << 10).is_err());
    assert_eq!(s.stream.clone_dtoh(&out).unwrap(), (0..1024).rev().collect::<Vec<u32>>());
}

#[test]
fn memory_ends() {
    let s = setup(11);
    let half = s.stream.alloc_zeros::<u8>(40 << 20).unwrap();
    assert_eq!(s.stream.alloc_zeros::<u8>(40 << 20).unwrap_err().0, CUresult::CUDA_ERROR_OUT_OF_MEMORY);
    drop(half);
    s.stream.synchronize().unwrap();
    s.stream.alloc_zeros::<u8>(40 << 20).unwrap();
}

#[test]
fn text_that_is_no_module() {
    let s = setup(12);
    let refused =
        s.context.load_module(Ptx::from_src(".version 8.0 .target sm_80\n.visible .entry k() { wgmma.fence; }"));
    assert_eq!(refused.unwrap_err().0, CUresult::CUDA_ERROR_INVALID_PTX);
    let module = s.context.load_module(Ptx::from_src(KERNELS)).unwrap();
    assert_eq!(module.load_function("nothing").unwrap_err().0, CUresult::CUDA_ERROR_NOT_FOUND);
}

#[test]
fn three_parties_share_a_device() {
    let s = setup(13);
    std::thread::scope(|scope| {
        for party in 0..3_u64 {
            let s = &s;
            scope.spawn(move || {
                s.context.bind_to_thread().unwrap();
                let stream = s.context.new_stream().unwrap();
                let mine = stream.clone_htod(&vec![party; 256]).unwrap();
                let mut out = stream.alloc_zeros::<u64>(256).unwrap();
                for _ in 0..20 {
                    s.add(&stream, &mut out, &mine, 256);
                }
                assert_eq!(stream.clone_dtoh(&out).unwrap(), vec![20 * party; 256]);
            });
        }
    });
}

#[test]
fn events_say_when() {
    let s = setup(14);
    let (start, end) = [(); 2].map(|()| s.context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).unwrap()).into();
    start.record(&s.stream).unwrap();
    s.stream.alloc_zeros::<u64>(1000).unwrap();
    end.record(&s.stream).unwrap();
    end.synchronize().unwrap();
    assert!(start.elapsed_ms(&end).unwrap() >= 0.0);
    let untimed = s.context.new_event(None).unwrap();
    untimed.record(&s.stream).unwrap();
    s.stream.synchronize().unwrap();
    assert!(start.elapsed_ms(&untimed).is_err());
}

#[test]
fn devices_without_a_way_between_them_copy_through_the_host() {
    use cudarc::driver::sys;
    let _alone = BETWEEN_DEVICES.lock();
    let (s, peer) = (setup(14), setup(15));
    let can = || {
        let mut can = 0;
        // SAFETY: writes a number that lives until the call is over.
        unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, 14, 15) }.result().unwrap();
        can
    };
    assert_eq!(can(), 1);
    // SAFETY: the function takes the numbers of two devices.
    unsafe { library().get::<extern "C" fn(std::ffi::c_int, std::ffi::c_int)>(b"smlc_sim_part").unwrap()(15, 14) };
    assert_eq!(can(), 0);
    s.context.bind_to_thread().unwrap();
    // SAFETY: the context lives.
    let refused = unsafe { sys::cuCtxEnablePeerAccess(peer.context.cu_ctx(), 0) };
    assert_eq!(refused, CUresult::CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
    let access = sys::CUmemAccessDesc {
        location: sys::CUmemLocation { type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE, id: 14 },
        flags: sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
    };
    // SAFETY: the pool is the device's, the description is one.
    let refused = unsafe {
        let pool = result::device::get_default_mem_pool(peer.context.cu_device()).unwrap();
        sys::cuMemPoolSetAccess(pool, &raw const access, 1)
    };
    assert_eq!(refused, CUresult::CUDA_ERROR_INVALID_DEVICE);
    let theirs = peer.stream.clone_htod(&vec![5_u64; 64]).unwrap();
    let copy = s.stream.clone_dtod(&theirs).unwrap();
    assert_eq!(s.stream.clone_dtoh(&copy).unwrap(), vec![5; 64]);
}
