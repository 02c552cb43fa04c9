//! Products of tiles of bytes by Intel's matrix instructions (AMX).
//!
//! A register holds a tile of 16 rows of 64 bytes. One instruction multiplies 16 rows of 64 bytes with 64 rows of 16: 16,384
//! multiply-adds. Rust has no stable functions for it yet, so that the instructions are written out.

#![allow(unsafe_code, reason = "matrix instructions, which are written in assembly")]

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid, __cpuid_count, __m512i, _mm512_add_epi32, _mm512_add_epi64, _mm512_castsi512_si256, _mm512_cvtepu32_epi64,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_permutexvar_epi8, _mm512_slli_epi32, _mm512_slli_epi64,
    _mm512_storeu_si512,
};
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::limb_panels::GROUPS;
use super::limbs::{AHEAD, LIMBS, LINE, LeftTiles, Line, ROWS, Sums, Tiles};
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

/// Loads a tile of columns, of those of a step the one at this place.
macro_rules! columns {
    ($tile:literal, $at:literal) => {
        concat!("tileloadd tmm", $tile, ", [{right} + {line} + {tile} * ", $at, "]")
    };
}

/// Multiplies the tile of rows with one of columns, and fetches a line meanwhile.
macro_rules! times {
    ($tile:literal, $sum:literal, $ahead:literal) => {
        concat!("prefetcht1 [{ahead} + {width} * ", $ahead, "]\ntdpbuud tmm", $sum, ", tmm4, tmm", $tile)
    };
}

/// The loop over steps that adds up four diagonals, in tiles 0 to 3; a step is what is given. Tile 4 is one of rows, of which the
/// step begins with the first limb's.
macro_rules! diagonals {
    ($left:ident, $right:ident, $ahead:expr, $sums:expr, $fetched:literal, $($step:expr),+) => {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {rows}, [{step}]",
            "shl {rows}, 6",
            "add {rows}, {left}",
            "tileloadd tmm4, [{rows} + {line}]",
            $($step,)+
            "add {right}, {tile} * 8",
            "add {ahead}, {pace}",
            "add {step}, 8",
            "cmp {step}, {end}",
            "jne 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + {tile}], tmm1",
            "tilestored [{sums} + {line} + {tile} * 2], tmm2",
            "tilestored [{sums} + {line} + {tile} * 3], tmm3",
            left = in(reg) $left.lines.as_ptr(),
            limb = in(reg) $left.limb.wrapping_mul(LINE),
            step = inout(reg) $left.steps.lines().as_ptr() => _,
            end = in(reg) $left.steps.lines().as_ptr_range().end,
            right = inout(reg) $right.as_ptr() => _,
            ahead = inout(reg) if $ahead.is_empty() { $sums.as_ptr().cast() } else { $ahead.as_ptr() } => _,
            pace = in(reg) if $ahead.is_empty() { 0 } else { $fetched * LINE },
            rows = out(reg) _,
            sums = in(reg) $sums.as_mut_ptr(),
            line = in(reg) LINE,
            tile = const ROWS * LINE,
            width = const LINE,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack)
        )
    };
}

/// The next limb's tile of rows.
macro_rules! next_rows {
    () => {
        "add {rows}, {limb}\ntileloadd tmm4, [{rows} + {line}]"
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
    fn multiply(self, left: LeftTiles<'_>, right: &[Line], ahead: &[Line], sums: &mut [Sums; LIMBS * ROWS]) {
        const { assert!(LIMBS == 8 && AHEAD == 26 + 10) };
        let steps = left.steps.lines().len();
        assert!(steps > 0 && right.len() == steps * LIMBS * ROWS);
        let last = left.limb.saturating_mul(LIMBS - 1).saturating_add(left.steps.end());
        assert!(last.saturating_add(ROWS - 1) <= left.lines.len());
        let (low, high) = sums.split_at_mut(LIMBS / 2 * ROWS);
        let (first, then) = ahead.split_at((26 * steps).min(ahead.len()));
        // SAFETY: the instructions are there and this thread's tiles prepared. All lines of the last limb's tile are there at the
        // last beginning of any step, and so are those of the limbs before; of the right factor there are eight tiles a step, and
        // four tiles of sums are written. What is fetched ahead need not be there.
        unsafe {
            // Each limb of the right factor is loaded once, and stays while it counts: 16 tiles are loaded for 26 products.
            diagonals!(
                left,
                right,
                first,
                high,
                26,
                columns!(5, 0),
                times!(5, 3, 0),
                columns!(6, 1),
                times!(6, 2, 1),
                columns!(7, 2),
                times!(7, 1, 2),
                columns!(5, 3),
                times!(5, 0, 3),
                next_rows!(),
                times!(6, 3, 4),
                times!(7, 2, 5),
                times!(5, 1, 6),
                columns!(6, 4),
                times!(6, 0, 7),
                next_rows!(),
                times!(7, 3, 8),
                times!(5, 2, 9),
                times!(6, 1, 10),
                columns!(7, 5),
                times!(7, 0, 11),
                next_rows!(),
                times!(5, 3, 12),
                times!(6, 2, 13),
                times!(7, 1, 14),
                columns!(5, 6),
                times!(5, 0, 15),
                next_rows!(),
                times!(6, 3, 16),
                times!(7, 2, 17),
                times!(5, 1, 18),
                columns!(6, 7),
                times!(6, 0, 19),
                next_rows!(),
                times!(7, 3, 20),
                times!(5, 2, 21),
                times!(6, 1, 22),
                next_rows!(),
                times!(5, 3, 23),
                times!(6, 2, 24),
                next_rows!(),
                times!(6, 3, 25)
            );
            diagonals!(
                left,
                right,
                then,
                low,
                10,
                columns!(5, 4),
                times!(5, 3, 0),
                columns!(6, 5),
                times!(6, 2, 1),
                columns!(7, 6),
                times!(7, 1, 2),
                columns!(5, 7),
                times!(5, 0, 3),
                next_rows!(),
                times!(6, 3, 4),
                times!(7, 2, 5),
                times!(5, 1, 6),
                next_rows!(),
                times!(7, 3, 7),
                times!(5, 2, 8),
                next_rows!(),
                times!(5, 3, 9)
            );
        }
    }

    #[inline(always)]
    fn words(self, sums: &[Sums; LIMBS * ROWS], row: usize) -> [[u64; GROUP]; GROUPS] {
        const { assert!(LIMBS == 8 && GROUPS == 2) };
        // SAFETY: the proof this was made of says that the instructions are there; a row of sums is 64 bytes, and so are the words
        // of a group.
        unsafe {
            let load = |d: usize| _mm512_loadu_si512(sums[d * ROWS + row].0.as_ptr().cast());
            let (low, high) = ([load(0), load(1), load(2), load(3)], [load(4), load(5), load(6), load(7)]);
            // Of the high diagonals the low halves of what they add count.
            let [h0, h1, h2, h3] = high;
            let lower = _mm512_add_epi32(h0, _mm512_slli_epi32::<8>(h1));
            let upper = _mm512_add_epi32(_mm512_slli_epi32::<16>(h2), _mm512_slli_epi32::<24>(h3));
            let high = _mm512_add_epi32(lower, upper);
            let mut words = [[0; GROUP]; GROUPS];
            for (g, words) in words.iter_mut().enumerate() {
                let half = |sums: __m512i| {
                    let half = if g == 0 { _mm512_castsi512_si256(sums) } else { _mm512_extracti64x4_epi64::<1>(sums) };
                    _mm512_cvtepu32_epi64(half)
                };
                let [l0, l1, l2, l3] = [half(low[0]), half(low[1]), half(low[2]), half(low[3])];
                let lower = _mm512_add_epi64(l0, _mm512_slli_epi64::<8>(l1));
                let upper = _mm512_add_epi64(_mm512_slli_epi64::<16>(l2), _mm512_slli_epi64::<24>(l3));
                let low = _mm512_add_epi64(lower, upper);
                let all = _mm512_add_epi64(low, _mm512_slli_epi64::<32>(half(high)));
                *words = std::mem::transmute::<__m512i, [u64; GROUP]>(all);
            }
            words
        }
    }
}
