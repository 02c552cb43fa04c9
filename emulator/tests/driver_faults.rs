//! Failures that are ordered: the N-th allocation, the N-th launch, and devices that are lost. One test, because the
//! orders are the whole process's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "launches and the library's own functions are unsafe to call")]

use std::ffi::c_int;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

const KERNEL: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry one(.param .u64 out)
{
	.reg .b64 %rd<2>;
	ld.param.u64 %rd1, [out];
	st.global.u64 [%rd1], 1;
	ret;
}
";

#[test]
fn ordered_failures() {
    let path = std::env::current_exe().unwrap().with_file_name("libptx_emulator.so");
    // SAFETY: the process has one thread that reads the environment, and loading runs no code.
    let library = unsafe {
        std::env::set_var("SMLC_SIM_FAIL", "alloc:3");
        Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL).unwrap()
    };
    // SAFETY: the function's type is this.
    let fail = unsafe { library.get::<extern "C" fn(c_int, u64) -> c_int>(b"smlc_sim_fail") }.unwrap();
    let launch = |context: &std::sync::Arc<CudaContext>| {
        let stream = context.new_stream().unwrap();
        let one = context.load_module(Ptx::from_src(KERNEL)).unwrap().load_function("one").unwrap();
        let mut out = stream.alloc_zeros::<u64>(1).unwrap();
        let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (1, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the argument is the kernel's.
        unsafe { stream.launch_builder(&one).arg(&mut out).launch(config) }?;
        stream.synchronize().map(|()| stream.clone_dtoh(&out).unwrap())
    };
    {
        let context = CudaContext::new(0).unwrap();
        let stream = context.new_stream().unwrap();
        let kept: Vec<_> = (0..2).map(|_| stream.alloc_zeros::<u64>(1).unwrap()).collect();
        assert_eq!(stream.alloc_zeros::<u64>(1).unwrap_err().0, CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        stream.alloc_zeros::<u64>(1).unwrap();
        drop(kept);
        assert_eq!(launch(&context).unwrap(), [1]);
        assert_eq!(fail(1, 2), 0);
        assert_eq!(launch(&context).unwrap(), [1]);
        assert_eq!(launch(&context).unwrap_err().0, CUresult::CUDA_ERROR_LAUNCH_FAILED);
        assert_eq!(stream.synchronize().unwrap_err().0, CUresult::CUDA_ERROR_LAUNCH_FAILED);
        assert_eq!(fail(6, 1), 1);
    }
    // A context that all have left takes its error along.
    let context = CudaContext::new(0).unwrap();
    assert_eq!(launch(&context).unwrap(), [1]);
    let stream = context.new_stream().unwrap();
    fail(2, 3);
    stream.synchronize().unwrap();
    stream.synchronize().unwrap();
    assert_eq!(stream.synchronize().unwrap_err().0, CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE);
    assert_eq!(stream.synchronize().unwrap_err().0, CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE);
    // That is for the thread that ordered it.
    std::thread::scope(|scope| scope.spawn(|| stream.synchronize().unwrap()).join().unwrap());
    fail(2, 0);
    stream.synchronize().unwrap();
    // A copy to the host that is refused leaves the device as it was.
    let word = stream.clone_htod(&[7_u64]).unwrap();
    assert_eq!(fail(5, 2), 0);
    assert_eq!(stream.clone_dtoh(&word).unwrap(), [7]);
    assert_eq!(stream.clone_dtoh(&word).unwrap_err().0, CUresult::CUDA_ERROR_UNKNOWN);
    assert_eq!(stream.clone_dtoh(&word).unwrap(), [7]);
    // What fails where no error can be returned comes out at the next call.
    assert_eq!(fail(4, 2), 0);
    (0..2).for_each(|_| drop(context.new_event(None).unwrap()));
    assert_eq!(stream.synchronize().unwrap_err().0, CUresult::CUDA_ERROR_UNKNOWN);
    stream.synchronize().unwrap();
}
