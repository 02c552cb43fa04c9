//! Planes that a program takes from words.
//!
//! A warp takes those of its 32 words of planes, 2048 elements. It reads 32 elements at a time, a lane each; the 32 low bits of
//! these are a bit matrix with a row in each lane, which the lanes transpose by exchanging quarters, and so are the 32 high
//! bits. Lane j has half a word of plane j then, and puts whole ones into the warp's part of shared memory, where every lane finds
//! its own.

use super::{LANES, ROOM, Writer};

/// Bytes of a plane in a warp's part of shared memory: a word for each lane, and one more, so that lanes that write a column
/// use different banks.
const ROW: u32 = 8 * (LANES + 1);

/// Bytes of shared memory that a block may have without asking.
pub(super) const ROOM_BYTES: u32 = 48 << 10;

/// Registers of 32 bits: 8 for all purposes, and those named here.
pub(super) const REGISTERS: u32 = 26;

/// The lane; its word of plane 0 in shared memory; where plane `lane` begins there.
const LANE: &str = "%t8";
const OWN: &str = "%t9";
const COLUMN: &str = "%t10";

/// A register, and what it holds in lanes whose bit of a level is 0 or 1.
type Choice = (&'static str, [u32; 2]);

/// Which bytes a lane keeps and takes when halves and quarters of words change places.
const BYTES: [(u32, Choice); 2] = [(16, ("%t11", [0x5410, 0x3276])), (8, ("%t12", [0x6240, 0x3715]))];

/// At the other levels: the bits that a lane keeps, and how far it turns what it takes.
const LEVELS: [(u32, [Choice; 2]); 3] = [
    (4, [("%t13", [0x0f0f_0f0f, 0xf0f0_f0f0]), ("%t14", [4, 28])]),
    (2, [("%t15", [0x3333_3333, 0xcccc_cccc]), ("%t16", [2, 30])]),
    (1, [("%t17", [0x5555_5555, 0xaaaa_aaaa]), ("%t18", [1, 31])]),
];

/// Where the next words go, how many words are done, what comes from another lane.
const NEXT: &str = "%t19";
const DONE: &str = "%t20";
const OTHER: &str = "%t21";

/// Rows of the two halves of a word, of the low and of the high bits.
const ROWS: [[&str; 2]; 2] = [["%t22", "%t23"], ["%t24", "%t25"]];

/// Words of planes that are read at once.
const UNROLLED: u32 = 4;

/// Bytes of shared memory of a warp that takes so many planes.
pub(super) fn bytes(planes: usize) -> u32 {
    planes as u32 * ROW
}

impl Writer<'_> {
    /// What is the same for all operands; `first` is the launch's first word.
    pub(super) fn prepare_to_take(&mut self, first: &str) {
        let (threads, warp) = (self.shape.threads(), "%t4");
        self.line(format_args!("and.b32 {LANE}, %t1, {}", LANES - 1));
        self.line(format_args!("shr.u32 {warp}, %t1, 5"));
        self.line(format_args!("mov.u32 %t5, {ROOM}"));
        self.line(format_args!("mad.lo.u32 %t5, {warp}, {}, %t5", bytes(self.shape.taken())));
        self.line(format_args!("mad.lo.u32 {OWN}, {LANE}, 8, %t5"));
        self.line(format_args!("mad.lo.u32 {COLUMN}, {LANE}, {ROW}, %t5"));
        // The element of the warp's first 32 that is this lane's.
        let (element, part) = (self.scratch(), self.scratch());
        self.line(format_args!("mul.wide.u32 {element}, %t0, {threads}"));
        self.line(format_args!("mul.wide.u32 {part}, {warp}, {LANES}"));
        self.line(format_args!("add.u64 {element}, {element}, {part}"));
        self.line(format_args!("add.u64 {element}, {element}, {first}"));
        self.line(format_args!("shl.b64 {element}, {element}, 6"));
        self.line(format_args!("cvt.u64.u32 {part}, {LANE}"));
        self.line(format_args!("add.u64 {element}, {element}, {part}"));
        self.element = element;
        let levels = LEVELS.map(|(width, choices)| choices.map(|choice| (width, choice)));
        for (width, (to, [zero, one])) in BYTES.iter().chain(levels.as_flattened()) {
            self.line(format_args!("and.b32 %t4, {LANE}, {width}"));
            self.line(format_args!("setp.ne.u32 %p1, %t4, 0"));
            self.line(format_args!("selp.b32 {to}, {one:#x}, {zero:#x}, %p1"));
        }
    }

    /// Takes planes from the words at `base`, `len` of them, after adding `add`: from bit `from` on, to shared memory behind those
    /// that are there.
    pub(super) fn take(&mut self, base: &str, len: &str, (add, from): (u64, u32), planes: usize) {
        let (number, begin) = (self.taken, bytes(self.taken));
        self.taken += planes;
        let (element, past, word, high) = (self.scratch(), self.scratch(), self.scratch(), self.scratch());
        let own = self.element.clone();
        self.line(format_args!("mov.u64 {element}, {own}"));
        self.line(format_args!("mov.u32 {NEXT}, {COLUMN}"));
        self.line(format_args!("mov.u32 {DONE}, 0"));
        self.text.push_str(&format!("$take{number}:\n"));
        let place = self.address(base, &element);
        let halves: Vec<[String; 2]> = (0..UNROLLED).map(|_| [self.scratch(), self.scratch()]).collect();
        for (at, bits) in (0..).zip(halves.as_flattened()) {
            // Past the end there are zeros once `add` is added.
            self.line(format_args!("mov.u64 {bits}, {:#x}", add.wrapping_neg()));
            self.line(format_args!("add.u64 {past}, {element}, {}", at * LANES));
            self.line(format_args!("setp.lt.u64 %p1, {past}, {len}"));
            self.line(format_args!("@%p1 ld.global.u64 {bits}, [{place}+{}]", 8 * at * LANES));
        }
        for (at, halves) in (0..).zip(&halves) {
            for (half, bits) in halves.iter().enumerate() {
                self.line(format_args!("add.u64 {bits}, {bits}, {add:#x}"));
                self.line(format_args!("shr.u64 {bits}, {bits}, {from}"));
                self.line(format_args!("cvt.u32.u64 {}, {bits}", ROWS[0][half]));
                self.transpose(ROWS[0][half]);
                if planes > LANES as usize {
                    self.line(format_args!("shr.u64 {high}, {bits}, 32"));
                    self.line(format_args!("cvt.u32.u64 {}, {high}", ROWS[1][half]));
                    self.transpose(ROWS[1][half]);
                }
            }
            for (part, [first, second]) in (0..(planes as u32).div_ceil(LANES)).zip(ROWS) {
                self.line(format_args!("setp.lt.u32 %p1, {LANE}, {}", planes as u32 - part * LANES));
                self.line(format_args!("mov.b64 {word}, {{{first}, {second}}}"));
                let place = begin + part * LANES * ROW + 8 * at;
                self.line(format_args!("@%p1 st.shared.u64 [{NEXT}+{place}], {word}"));
            }
        }
        self.line(format_args!("add.u64 {element}, {element}, {}", 64 * UNROLLED));
        self.line(format_args!("add.u32 {NEXT}, {NEXT}, {}", 8 * UNROLLED));
        self.line(format_args!("add.u32 {DONE}, {DONE}, {UNROLLED}"));
        self.line(format_args!("setp.lt.u32 %p1, {DONE}, {LANES}"));
        self.line(format_args!("@%p1 bra $take{number}"));
    }

    /// Transposes the bit matrix of which each lane has a row.
    fn transpose(&mut self, row: &str) {
        for (width, (bytes, _)) in BYTES {
            self.exchange(row, width);
            self.line(format_args!("prmt.b32 {row}, {row}, {OTHER}, {bytes}"));
        }
        for (width, [(keep, _), (turn, _)]) in LEVELS {
            self.exchange(row, width);
            self.line(format_args!("shf.l.wrap.b32 {OTHER}, {OTHER}, {OTHER}, {turn}"));
            // (row & keep) | (other & !keep)
            self.line(format_args!("lop3.b32 {row}, {row}, {OTHER}, {keep}, 0xe4"));
        }
    }

    /// Gets the row of the lane whose number differs in one bit.
    fn exchange(&mut self, row: &str, width: u32) {
        self.line(format_args!("shfl.sync.bfly.b32 {OTHER}, {row}, {width}, {}, 0xffffffff", LANES - 1));
    }

    /// Reads the lane's word of a plane into a register: planes are numbered in the order in which they were taken.
    pub(super) fn read_taken(&mut self, to: &str, plane: usize) {
        self.line(format_args!("ld.shared.u64 {to}, [{OWN}+{}]", bytes(plane)));
    }
}
