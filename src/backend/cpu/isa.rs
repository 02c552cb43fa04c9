//! Which vector instructions this processor has, and how a loop is compiled for each of them.
//!
//! Kernels are ordinary safe loops over slices, written as a [`Task`] whose body is `#[inline(always)]`. [`Isa::run`]
//! compiles that body three times (AVX-512, AVX2, the target's baseline) and calls the version the processor can
//! execute. Results never depend on the choice. A function that a task calls has to be `#[inline(always)]` too, or it is
//! compiled for the baseline.

#![allow(unsafe_code, reason = "calling a function compiled for detected instructions")]

/// A loop to compile for each instruction set.
pub(super) trait Task {
    /// What it returns.
    type Output;

    /// The loop; implementations are `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

/// Instruction sets that have their own version of each loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// 64-bit vector multiplication on 32 registers of eight words.
    Avx512,
    /// 16 registers of four words.
    Avx2,
    /// What every processor of the target has.
    Portable,
}

/// An instruction set that this processor is known to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Isa(Level);

impl Isa {
    /// The best one.
    pub(super) fn detect() -> Isa {
        Isa::available()[0]
    }

    /// All that can run here, best first; never empty.
    pub(super) fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if avx512 {
                found.push(Isa(Level::Avx512));
            }
            if is_x86_feature_detected!("avx2") {
                found.push(Isa(Level::Avx2));
            }
        }
        found.push(Isa(Level::Portable));
        found
    }

    /// Which it is.
    pub(super) fn level(self) -> Level {
        self.0
    }

    /// Runs the task's version for this instruction set.
    pub(super) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Isa(Avx512)` is made in `available` alone, after all four features were detected.
            Level::Avx512 => unsafe { run_avx512(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Isa(Avx2)` is made in `available` alone, after the feature was detected.
            Level::Avx2 => unsafe { run_avx2(task) },
            _ => task.run(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run()
}
