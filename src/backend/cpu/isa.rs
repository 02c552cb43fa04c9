//! Which vector instructions this processor has, and how a loop is compiled for each of them.
//!
//! Kernels are ordinary safe loops over slices, written as a [`Task`] whose body is `#[inline(always)]`. [`Isa::run`]
//! compiles that body three times (AVX-512, AVX2, the target's baseline) and calls the version the processor can
//! execute. Results never depend on the choice. A function that a task calls has to be `#[inline(always)]` too, or it is
//! compiled for the baseline.
//!
//! Register tiles are too large for the compiler to vectorise by itself: those are [`TileTask`]s, written over [`Simd`]. What
//! matrix instructions for bytes do, where there are any, are [`LimbTask`]s.

#![allow(unsafe_code, reason = "calling a function compiled for detected instructions")]

#[cfg(target_arch = "x86_64")]
use super::amx::Amx;
use super::limbs::{self, Tiles};
#[cfg(target_arch = "x86_64")]
use super::products::Halves;
use super::products::{Direct, Whole};
#[cfg(target_arch = "x86_64")]
use super::simd::Avx512;
use super::simd::{Plain, Simd};

/// A loop to compile for each instruction set.
pub(super) trait Task {
    /// What it returns.
    type Output;

    /// The loop; implementations are `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

/// A loop over groups of words, with a register tile of `ROWS` rows by `GROUPS` groups.
pub(super) trait TileTask {
    /// The loop; implementations are `#[inline(always)]`.
    fn run<S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize>(self, simd: S, products: P);
}

/// A tile task with its vectors and tile chosen.
struct Tiled<T, S, P, const ROWS: usize, const GROUPS: usize>(T, S, P);

impl<T: TileTask, S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize> Task for Tiled<T, S, P, ROWS, GROUPS> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.run::<S, P, ROWS, GROUPS>(self.1, self.2);
    }
}

/// A loop over tiles of limbs.
pub(super) trait LimbTask {
    /// The loop; implementations are `#[inline(always)]`.
    fn run<S: Simd, T: Tiles>(self, simd: S, tiles: T);
}

/// A task of limbs with its vectors and tiles chosen.
struct Limbed<L, S, T>(L, S, T);

impl<L: LimbTask, S: Simd, T: Tiles> Task for Limbed<L, S, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.run(self.1, self.2);
    }
}

/// Instruction sets that have their own version of each loop.
#[derive(Clone, Copy, Debug)]
enum Level {
    /// What AVX-512 has, and matrix instructions for tiles of bytes.
    #[cfg(target_arch = "x86_64")]
    Amx(Avx512, Amx),
    /// 32 registers of eight words, and 64-bit vector multiplication.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// 16 registers of four words.
    #[cfg(target_arch = "x86_64")]
    Avx2(Halves),
    /// What every processor of the target has.
    Portable,
    /// The same with the tile of AVX-512, so that tests run its loops on processors without.
    #[cfg(test)]
    Wide,
}

/// An instruction set that this processor is known to have.
#[derive(Clone, Copy, Debug)]
pub struct Isa(Level);

impl Isa {
    /// The best one.
    pub(super) fn detect() -> Isa {
        Isa::available()[0]
    }

    /// All that can run here, best first; never empty.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if avx512 {
                // SAFETY: the features were just detected.
                let simd = unsafe { Avx512::assume() };
                found.extend(Amx::detect(simd).map(|amx| Isa(Level::Amx(simd, amx))));
                found.push(Isa(Level::Avx512(simd)));
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was just detected.
                found.push(Isa(Level::Avx2(unsafe { Halves::assume() })));
            }
        }
        found.push(Isa(Level::Portable));
        #[cfg(test)]
        found.push(Isa(Level::Wide));
        found
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Amx(..) => "AMX",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "AVX2",
            Level::Portable => "portable",
            #[cfg(test)]
            Level::Wide => "portable, wide tiles",
        }
    }

    /// Whether register tiles are several groups wide.
    pub(super) fn has_wide_tiles(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Amx(..) | Level::Avx512(_) => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => false,
            Level::Portable => false,
            #[cfg(test)]
            Level::Wide => true,
        }
    }

    /// Runs the task's version for this instruction set.
    pub(super) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx512` exists only where its features do.
            Level::Amx(..) | Level::Avx512(_) => unsafe { run_avx512(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Halves` exists only where its feature does.
            Level::Avx2(_) => unsafe { run_avx2(task) },
            Level::Portable => task.run(),
            #[cfg(test)]
            Level::Wide => task.run(),
        }
    }

    /// Whether there are instructions for tiles of limbs.
    pub(super) fn has_limbs(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return matches!(self.0, Level::Amx(..));
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Runs the task by the instructions there are for tiles of limbs, or without.
    pub(super) fn run_limbs<L: LimbTask>(self, task: L) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Amx` exists only where its features do, and those of AVX-512.
            Level::Amx(simd, amx) => unsafe { run_amx(Limbed(task, simd, &amx.configure())) },
            _ => Limbed(task, Plain, limbs::Portable).run(),
        }
    }

    /// Runs the task's version for this instruction set, with the tile that its registers hold.
    pub(super) fn run_tiles<T: TileTask>(self, task: T) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Amx(simd, _) | Level::Avx512(simd) => self.run(Tiled::<_, _, _, 8, 3>(task, simd, Whole(simd))),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(halves) => self.run(Tiled::<_, _, _, 3, 1>(task, Plain, halves)),
            Level::Portable => self.run(Tiled::<_, _, _, 4, 1>(task, Plain, Whole(Plain))),
            #[cfg(test)]
            Level::Wide => self.run(Tiled::<_, _, _, 8, 3>(task, Plain, Whole(Plain))),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx512vbmi,avx2")]
fn run_amx<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run()
}
