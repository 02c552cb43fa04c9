//! Products of tiles of bytes by Intel's matrix instructions (AMX).
//!
//! A register holds a tile of 16 rows of 64 bytes. One instruction multiplies 16 rows of 64 bytes with 64 rows of 16: 16,384
//! multiply-adds. Rust has no stable functions for it yet, so that the instructions are written out.

#![allow(unsafe_code, reason = "matrix instructions, which are written in assembly")]

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid, __cpuid_count, __m512i, _mm512_loadu_si512, _mm512_permutexvar_epi8, _mm512_storeu_si512,
};
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::limbs::{LIMBS, LINE, Line, ROWS, Sums, Tiles};
use super::simd::{Avx512, GROUP, Simd};

/// A proof that the processor has AMX with bytes and `avx512vbmi`, and that this process may use it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amx {
    simd: Avx512,
}

impl Amx {
    /// The proof, if it can be had: Linux keeps room for the tiles of a process's threads once that has asked for it.
    pub(super) fn detect(simd: Avx512) -> Option<Amx> {
        /// Feature bits of leaf 7, in register D: tiles, and products of bytes.
        const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
        static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
            #[allow(unused_unsafe, reason = "these functions were unsafe in earlier versions of Rust")]
            // SAFETY: every x86_64 has the instruction.
            let (leaves, features) = unsafe { (__cpuid(0).eax, __cpuid_count(7, 0).edx) };
            let has_tiles = leaves >= 7 && features & TILE_AND_INT8 == TILE_AND_INT8;
            has_tiles && is_x86_feature_detected!("avx512vbmi") && allow_tiles()
        });
        ALLOWED.then_some(Amx { simd })
    }

    /// Prepares this thread's tiles.
    pub(super) fn configure(self) -> Configured {
        /// Eight tiles of 16 rows of 64 bytes, as `ldtilecfg` reads it: palette 1, bytes of a row from byte 16 on, rows from
        /// byte 48 on.
        static CONFIGURATION: Line = {
            let mut bytes = [0; LINE];
            bytes[0] = 1;
            let mut tile = 0;
            while tile < 8 {
                bytes[16 + 2 * tile] = LINE as u8;
                bytes[48 + tile] = ROWS as u8;
                tile += 1;
            }
            Line(bytes)
        };
        // SAFETY: `self` proves that the instruction is there; the compiler itself uses no tiles.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(readonly, nostack, preserves_flags))
        };
        Configured { simd: self.simd, this_thread: PhantomData }
    }
}

/// Asks for the permission to use tiles.
#[cfg(target_os = "linux")]
fn allow_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call reads no memory of ours; it enlarges what the kernel saves of a thread.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn allow_tiles() -> bool {
    false
}

/// Prepared tiles of this thread, until it is dropped.
pub(super) struct Configured {
    simd: Avx512,
    this_thread: PhantomData<*const ()>,
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: the proof it was made of says that the instruction is there.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

/// Places of bytes in a vector of 64: byte `rows i + j` comes from byte `64 / rows * j + i`.
const fn transposed(rows: usize) -> [u8; LINE] {
    let mut from = [0; LINE];
    let mut at = 0;
    while at < LINE {
        from[at] = (LINE / rows * (at % rows) + at / rows) as u8;
        at += 1;
    }
    from
}

/// Moves the bytes of a vector.
///
/// # Safety
/// The processor has `avx512vbmi`.
#[inline(always)]
unsafe fn permute(bytes: __m512i, from: &[u8; LINE]) -> __m512i {
    // SAFETY: the caller's promise; 64 bytes are read.
    unsafe { _mm512_permutexvar_epi8(_mm512_loadu_si512(from.as_ptr().cast()), bytes) }
}

/// An instruction, if it is wanted.
macro_rules! when {
    (1, $instruction:literal) => {
        $instruction
    };
    (0, $instruction:literal) => {
        ""
    };
}

/// The loop over so many steps, with a second tile of rows (`$below`), of columns (`$beside`) and both, or without; tiles of sums
/// and those of a step follow one another.
macro_rules! multiply {
    ($left:ident, $right:ident, $steps:ident, $sums:ident, $below:tt, $beside:tt, $both:tt) => {
        asm!(
            "tilezero tmm0",
            when!($beside, "tilezero tmm1"),
            when!($below, "tilezero tmm2"),
            when!($both, "tilezero tmm3"),
            "2:",
            "tileloadd tmm4, [{left} + {line}]",
            "tileloadd tmm6, [{right} + {line}]",
            when!($beside, "tileloadd tmm7, [{right} + {line} + {tile}]"),
            when!($below, "tileloadd tmm5, [{left} + {line} + {tile}]"),
            "tdpbuud tmm0, tmm4, tmm6",
            when!($beside, "tdpbuud tmm1, tmm4, tmm7"),
            when!($below, "tdpbuud tmm2, tmm5, tmm6"),
            when!($both, "tdpbuud tmm3, tmm5, tmm7"),
            "add {left}, {tile} + {tile} * {below}",
            "add {right}, {tile} + {tile} * {beside}",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            when!($beside, "tilestored [{sums} + {line} + {tile}], tmm1"),
            when!($below, "tilestored [{sums} + {line} + {tile} + {tile} * {beside}], tmm2"),
            when!($both, "tilestored [{sums} + {line} + {tile} * 3], tmm3"),
            left = inout(reg) $left.as_ptr() => _,
            right = inout(reg) $right.as_ptr() => _,
            steps = inout(reg) $steps => _,
            sums = in(reg) $sums.as_mut_ptr(),
            line = in(reg) LINE,
            tile = const ROWS * LINE,
            below = const $below,
            beside = const $beside,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack)
        )
    };
}

impl Tiles for &Configured {
    #[inline(always)]
    fn split(self, words: [[u64; GROUP]; GROUP]) -> [Line; LIMBS] {
        const LIMBS_TOGETHER: [u8; LINE] = transposed(GROUP);
        let mut vectors = [self.simd.splat(0); GROUP];
        for (vector, words) in vectors.iter_mut().zip(words) {
            // SAFETY: the proof this was made of says that the instruction is there.
            *vector = unsafe { permute(self.simd.load(words), &LIMBS_TOGETHER) };
        }
        let mut lines = [Line([0; LINE]); LIMBS];
        for (line, vector) in lines.iter_mut().zip(self.simd.transpose(vectors)) {
            // SAFETY: a line is 64 bytes.
            *line = unsafe { std::mem::transmute::<__m512i, Line>(vector) };
        }
        lines
    }

    #[inline(always)]
    fn interleave(self, mut line: Line) -> Line {
        const STEPS_TOGETHER: [u8; LINE] = transposed(4);
        // SAFETY: the proof this was made of says that the instruction is there; a line is 64 bytes.
        unsafe {
            let bytes = permute(_mm512_loadu_si512(line.0.as_ptr().cast()), &STEPS_TOGETHER);
            _mm512_storeu_si512(line.0.as_mut_ptr().cast(), bytes);
        }
        line
    }

    #[inline(always)]
    fn multiply<const M: usize, const N: usize>(self, left: &[Line], right: &[Line], sums: &mut [Sums]) {
        const { assert!(M >= 1 && M <= 2 && N >= 1 && N <= 2) };
        let steps = left.len() / (M * ROWS);
        assert!(steps > 0 && left.len() == steps * M * ROWS && right.len() == steps * N * ROWS);
        assert!(sums.len() >= M * N * ROWS);
        // SAFETY: the instructions are there and this thread's tiles prepared; each step reads `M` tiles of the left factor
        // and `N` of the right one, and there are so many; `M N` tiles of sums are written.
        unsafe {
            match (M, N) {
                (1, 1) => multiply!(left, right, steps, sums, 0, 0, 0),
                (1, _) => multiply!(left, right, steps, sums, 0, 1, 0),
                (_, 1) => multiply!(left, right, steps, sums, 1, 0, 0),
                (_, _) => multiply!(left, right, steps, sums, 1, 1, 1),
            }
        }
    }
}
