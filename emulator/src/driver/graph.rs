//! Calls about graphs, whose nodes are launches. When a graph is launched, these are put on the stream in an order that is
//! drawn at random and honours only the edges.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the functions have the names of the CUDA driver, which they stand in for"
)]

use std::ffi::{c_uint, c_ulonglong};
use std::sync::Arc;

use super::c::{In, Out, Params};
use super::codes::{Code, INVALID_CONTEXT, INVALID_HANDLE, INVALID_VALUE, OUT_OF_MEMORY, SUCCESS, UNKNOWN};
use super::launch::kernel;
use super::queue::push;
use super::state::{Injection, current_context, enter, lock};
use super::work::{Kernel, Work};
use super::{count_call, count_launch};

/// Launches, each with its handle and those that come before it.
#[derive(Clone, Default)]
pub(super) struct Graph {
    nodes: Vec<(usize, Kernel, Vec<usize>)>,
}

/// `CUDA_KERNEL_NODE_PARAMS_v2`.
#[derive(Clone, Copy)]
#[repr(C)]
struct KernelNode {
    function: usize,
    grid: [c_uint; 3],
    block: [c_uint; 3],
    dynamic: c_uint,
    params: Params,
    extra: usize,
    kernel: usize,
    context: usize,
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphCreate(graph: Out<usize>, flags: c_uint) -> Code {
    if flags != 0 {
        return INVALID_VALUE;
    }
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let id = state.handle();
    state.graphs.insert(id, Graph::default());
    graph.set(id)
}

/// The parameters are read now.
#[unsafe(no_mangle)]
extern "C" fn cuGraphAddKernelNode_v2(
    node: Out<usize>,
    graph: usize,
    before: In<usize>,
    count: usize,
    launch: In<KernelNode>,
) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let [launch] = launch.read(1)[..] else { return INVALID_VALUE };
    let KernelNode { function, grid, block, dynamic, params, .. } = launch;
    let kernel = match kernel(&state, function, grid, block, dynamic, params) {
        Ok(kernel) => kernel,
        Err(code) => return code,
    };
    let (id, before) = (state.handle(), before.read(count));
    let Some(graph) = state.graphs.get_mut(&graph) else { return INVALID_HANDLE };
    if !before.iter().all(|node| graph.nodes.iter().any(|(id, ..)| id == node)) {
        return INVALID_VALUE;
    }
    graph.nodes.push((id, kernel, before));
    node.set(id)
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphInstantiateWithFlags(ready: Out<usize>, graph: usize, _flags: c_ulonglong) -> Code {
    let mut state = match enter() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let Some(graph) = state.graphs.get(&graph).cloned() else { return INVALID_HANDLE };
    if state.fails(Injection::Allocation) {
        return OUT_OF_MEMORY;
    }
    if state.fails(Injection::Graph) {
        return UNKNOWN;
    }
    let id = state.handle();
    state.ready.insert(id, graph);
    ready.set(id)
}

/// The kernels have to be loaded still.
#[unsafe(no_mangle)]
extern "C" fn cuGraphLaunch(ready: usize, stream: usize) -> Code {
    let mut left = {
        let state = lock();
        let Some(graph) = state.ready.get(&ready) else { return INVALID_HANDLE };
        let loaded = |kernel: &Kernel| state.modules.values().any(|module| Arc::ptr_eq(module, &kernel.module));
        if !graph.nodes.iter().all(|(_, kernel, _)| loaded(kernel)) {
            return INVALID_HANDLE;
        }
        graph.nodes.clone()
    };
    if current_context() == 0 {
        return INVALID_CONTEXT;
    }
    count_call();
    while !left.is_empty() {
        let mut state = match enter() {
            Ok(state) => state,
            Err(code) => return code,
        };
        let is_left = |node: &usize| left.iter().any(|(id, ..)| id == node);
        let free: Vec<usize> = (0..left.len()).filter(|at| !left[*at].2.iter().any(is_left)).collect();
        let (_, mut kernel, _) = left.remove(free[state.draw(free.len())]);
        kernel.doomed = state.fails(Injection::Launch);
        count_launch();
        let code = push(state, stream, Work::Kernel(kernel));
        if code != SUCCESS {
            return code;
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphDestroy(graph: usize) -> Code {
    if lock().graphs.remove(&graph).is_some() { SUCCESS } else { INVALID_HANDLE }
}

/// Launches that are under way keep what they need.
#[unsafe(no_mangle)]
extern "C" fn cuGraphExecDestroy(ready: usize) -> Code {
    if lock().ready.remove(&ready).is_some() { SUCCESS } else { INVALID_HANDLE }
}
