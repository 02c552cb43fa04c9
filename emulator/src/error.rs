//! What can go wrong: text that is not understood, launches that do not fit, faults of running kernels.

use std::fmt;

/// Why a module was refused or a launch failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The PTX is malformed, or uses what the emulator does not model.
    #[error("PTX line {line}: {why}: `{text}`")]
    Text {
        /// Line of the module, from 1.
        line: usize,
        /// That line.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The module has no such kernel.
    #[error("no kernel `{0}` in the module")]
    NoKernel(String),
    /// The launch does not fit the kernel.
    #[error("kernel `{kernel}`: {why}")]
    Launch {
        /// The kernel's name.
        kernel: String,
        /// What does not fit.
        why: String,
    },
    /// A thread did what it may not do.
    #[error("{0}")]
    Fault(Box<Report>),
}

/// A fault and where it happened.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kernel's name.
    pub kernel: String,
    /// Index of the block in the grid.
    pub block: [u32; 3],
    /// Index of the thread in the block, unless the fault is a whole warp's or block's.
    pub thread: Option<[u32; 3]>,
    /// Line of the module, from 1.
    pub line: usize,
    /// That line.
    pub text: String,
    /// What happened.
    pub fault: Fault,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.block;
        write!(f, "kernel `{}`, block ({x}, {y}, {z})", self.kernel)?;
        if let Some([x, y, z]) = self.thread {
            write!(f, ", thread ({x}, {y}, {z})")?;
        }
        write!(f, ": {}\n  PTX line {}: `{}`", self.fault, self.line, self.text)
    }
}

/// What a thread did that it may not do. Addresses are in the space that the message names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Outside every live buffer, or outside the block's shared or the thread's local memory.
    #[error("out-of-bounds {access} of {size} bytes at {space} address {address:#x}")]
    OutOfBounds {
        /// "load", "store", ...
        access: &'static str,
        /// "global", "shared", ...
        space: &'static str,
        /// Bytes.
        size: u64,
        /// First byte.
        address: u64,
    },
    /// The address is no multiple of the access's size.
    #[error("misaligned {access} of {size} bytes at {space} address {address:#x}")]
    Misaligned {
        /// "load", "store", ...
        access: &'static str,
        /// "global", "shared", ...
        space: &'static str,
        /// Bytes.
        size: u64,
        /// First byte.
        address: u64,
    },
    /// The bytes read were never written.
    #[error("reads {space} address {address:#x}, which nothing has written")]
    Uninitialised {
        /// "global", "shared", ...
        space: &'static str,
        /// First byte.
        address: u64,
    },
    /// Two threads touch a shared byte with no barrier between, and one of them writes.
    #[error("shared-memory race at byte {byte}: {earlier}, this thread {now}, with no barrier between")]
    Race {
        /// Offset in shared memory.
        byte: u32,
        /// What the other thread did.
        earlier: String,
        /// What this thread does: "reads", "writes" or "updates".
        now: &'static str,
    },
    /// A `cp.async` into these bytes has not been waited for.
    #[error("shared byte {0} is touched while a cp.async into it is in flight")]
    InFlight(u32),
    /// A thread ends before its copies have.
    #[error("exits with {0} cp.async copies in flight")]
    CopiesLeft(usize),
    /// A barrier that not all threads of the block reach together.
    #[error("barrier: {0}")]
    Barrier(String),
    /// A warp-wide instruction that not all named lanes reach together, or that reads a lane that is not there.
    #[error("warp-wide instruction: {0}")]
    Warp(String),
    /// An integer division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// `trap`, or what must not be reached.
    #[error("{0}")]
    Trap(String),
}
