//! Element programs as PTX: one thread a word, every register of the program a register of the thread. Planes that are taken
//! from words lie in shared memory ([`taken`]).
//!
//! A program is compiled by the driver when it is first launched, for its code and the way it reads its operands; sizes and
//! addresses are parameters, so that layers of other sizes share it. Streams are drawn before, by `kernels/streams.cu`.

mod taken;

use std::fmt::Write as _;

use crate::backend::BackendError;
use crate::backend::check::misfit;
use crate::backend::held::Form;
use crate::fixed::low_mask;
use crate::plan::{Buf, Instr, Program, Reg};

/// The name of an element program's kernel, under which profilers show it.
pub(super) fn entry(program: &Program) -> String {
    let letters = program.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    "element_".chars().chain(letters).collect()
}

/// Threads of a block, at most.
pub(super) const THREADS: u32 = 256;

/// Threads of a block of a program that takes so many planes from words: as many warps as there is shared memory for.
pub(super) fn threads(taken: usize) -> u32 {
    let fits = |threads: &u32| threads / LANES * taken::bytes(taken) <= taken::ROOM_BYTES;
    [THREADS, THREADS / 2, THREADS / 4].into_iter().find(fits).unwrap_or(LANES)
}

/// Threads of a warp.
const LANES: u32 = 32;

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Read {
    /// Word by word.
    Dense,
    /// A broadcast one.
    Repeated,
    /// By bits of its words, to which `add` is added first: planes from bit `from` on, so many.
    Bits { add: u64, from: u32, planes: usize },
    /// From a message whose elements have so many bits, 2 to 63. Words of 64 bits, and whole words of planes, are in messages as
    /// they are in memory.
    Packed(u32),
}

impl Read {
    /// Planes that are taken from words.
    fn taken(&self) -> usize {
        if let Read::Bits { planes, .. } = self { *planes } else { 0 }
    }
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Write {
    /// As words, in so many places.
    pub words: u8,
    /// Into a message whose elements have so many bits, 2 to 63, of which as many as there are fill whole words.
    pub packed: Option<u32>,
}

/// A program to compile: its code, how it reads its operands and how it writes its results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    code: Vec<Instr>,
    reads: Vec<Read>,
    writes: Vec<Write>,
}

impl Shape {
    /// The shape of a program.
    pub(super) fn of(program: &Program, reads: Vec<Read>, writes: Vec<Write>) -> Shape {
        Shape { code: program.code.clone(), reads, writes }
    }

    /// Whether threads of a block pack results together.
    fn packs(&self) -> bool {
        self.writes.iter().any(|write| write.packed.is_some())
    }

    /// Planes that are taken from words.
    fn taken(&self) -> usize {
        self.reads.iter().map(Read::taken).sum()
    }

    /// Whether threads of a block work together.
    fn is_shared(&self) -> bool {
        self.packs() || self.taken() > 0
    }

    fn threads(&self) -> u32 {
        threads(self.taken())
    }

    /// Bytes of shared memory. Only words are packed, and only programs of planes take them.
    fn room(&self) -> u32 {
        if self.packs() { 8 * THREADS } else { self.threads() / LANES * taken::bytes(self.taken()) }
    }
}

/// How a result is written in such a form.
pub(super) fn written(buf: &Buf, form: Form) -> Write {
    let packed = form.is_packed() && (2..=63).contains(&buf.width);
    let words = u8::from(form.has_words()) + u8::from(form.is_packed() && !packed);
    Write { words, packed: packed.then_some(buf.width) }
}

/// The keystream planes that a program draws, each once, in order of their parameters.
pub(super) fn drawn(program: &Program) -> Vec<(u16, u16)> {
    let mut drawn = Vec::new();
    for instr in &program.code {
        if let Instr::Prf { stream, plane } = *instr
            && !drawn.contains(&(stream, plane))
        {
            drawn.push((stream, plane));
        }
    }
    drawn
}

/// PTX under construction. Parameters, in order: how many words, the first of them, a multiple of a block's; for each operand its
/// address, the bytes of a plane and, if it is repeated, a divisor by `inner` (multiplier, shift), one by `len`, and `len`, or if
/// its bits are taken how many words it has; the
/// address of the keystream, which has as many words for each plane that is drawn, one plane after the other; for each result the
/// address and the bytes of a plane of each place where its words go, and the address where it is packed. All are of 64 bits.
struct Writer<'p> {
    program: &'p Program,
    shape: &'p Shape,
    text: String,
    parameters: usize,
    /// Registers beside those of the program.
    scratch: usize,
    /// Results that are packed so far, and planes that are taken.
    packed: usize,
    taken: usize,
    /// A lane's first element of those whose bits its warp takes.
    element: String,
}

/// A block's words while they are packed, or the planes that its warps have taken.
const ROOM: &str = "room";

/// Where a result goes.
struct Places {
    /// Addresses of this thread's word, and the bytes of a plane.
    words: Vec<[String; 2]>,
    /// The address of a message, and the bits of an element.
    packed: Option<(String, u32)>,
}

/// The PTX of a program.
///
/// # Errors
/// If a register is read that has no value, or a shift is 64 or more. Operands, streams and results are checked before.
pub(super) fn ptx(program: &Program, shape: &Shape) -> Result<String, BackendError> {
    let (text, element) = (String::new(), String::new());
    let mut writer = Writer { program, shape, text, parameters: 0, scratch: 0, packed: 0, taken: 0, element };
    let body = writer.body()?;
    let room = match shape.is_shared() {
        true => format!(".shared .align 8 .b8 {ROOM}[{}];\n\n", shape.room()),
        false => String::new(),
    };
    let parameters: Vec<String> = (0..writer.parameters).map(|p| format!("\t.param .u64 param_{p}")).collect();
    let (entry, threads) = (entry(program), shape.threads());
    Ok(format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n\n{room}.visible .entry {entry}(\n{}\n)\n.maxntid {threads}, 1, 1\n{{\n\
         \t.reg .pred %p<3>;\n\t.reg .b32 %t<{}>;\n\t.reg .b64 %v<{}>;\n\t.reg .b64 %s<{}>;\n{body}}}\n",
        parameters.join(",\n"),
        taken::REGISTERS,
        program.code.len() + 1,
        writer.scratch + 1,
    ))
}

impl Writer<'_> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.push('\t');
        let _ = self.text.write_fmt(line);
        self.text.push_str(";\n");
    }

    /// A new register.
    fn scratch(&mut self) -> String {
        self.scratch += 1;
        format!("%s{}", self.scratch - 1)
    }

    /// The next parameter, in a register.
    fn parameter(&mut self) -> String {
        let (to, number) = (self.scratch(), self.parameters);
        self.line(format_args!("ld.param.u64 {to}, [param_{number}]"));
        self.parameters += 1;
        to
    }

    /// `n / d` for a divisor that is the next two parameters.
    fn quotient(&mut self, n: &str) -> String {
        let (mul, shift, high) = (self.parameter(), self.parameter(), self.scratch());
        self.line(format_args!("mul.hi.u64 {high}, {n}, {mul}"));
        self.line(format_args!("add.u64 {high}, {high}, {n}"));
        self.line(format_args!("cvt.u32.u64 %t5, {shift}"));
        self.line(format_args!("shr.u64 {high}, {high}, %t5"));
        high
    }

    /// `base + 8 * index`.
    fn address(&mut self, base: &str, index: &str) -> String {
        let to = self.scratch();
        self.line(format_args!("shl.b64 {to}, {index}, 3"));
        self.line(format_args!("add.u64 {to}, {to}, {base}"));
        to
    }

    /// Loads a word that nobody writes meanwhile: so it may be on its way before results are written that come first.
    fn load(&mut self, to: &str, place: &str) {
        self.line(format_args!("ld.global.nc.u64 {to}, [{place}]"));
    }

    /// The address of a plane's word from that of plane 0.
    fn plane(&mut self, base: &str, bytes: &str, plane: usize) -> String {
        if plane == 0 {
            return base.to_string();
        }
        let to = self.scratch();
        self.line(format_args!("mad.lo.u64 {to}, {bytes}, {plane}, {base}"));
        to
    }

    fn body(&mut self) -> Result<String, BackendError> {
        let shape = self.shape;
        let (count, first, mine, index) = (self.parameter(), self.parameter(), self.scratch(), self.scratch());
        self.line(format_args!("mov.u32 %t0, %ctaid.x"));
        self.line(format_args!("mov.u32 %t1, %tid.x"));
        self.line(format_args!("mul.wide.u32 {mine}, %t0, {}", shape.threads()));
        self.line(format_args!("cvt.u64.u32 {index}, %t1"));
        self.line(format_args!("add.u64 {mine}, {mine}, {index}"));
        self.line(format_args!("setp.ge.u64 %p0, {mine}, {count}"));
        if shape.is_shared() {
            // All threads of a block go on together; those that have no word do as the last that has, and write none.
            let last = self.scratch();
            self.line(format_args!("sub.u64 {last}, {count}, 1"));
            self.line(format_args!("min.u64 {mine}, {mine}, {last}"));
        } else {
            self.line(format_args!("@%p0 bra $end"));
        }
        self.line(format_args!("add.u64 {index}, {mine}, {first}"));
        if shape.taken() > 0 {
            self.prepare_to_take(&first);
        }
        // Of each operand: its address, the bytes of a plane, the element of it that belongs to this word.
        let operands: Vec<[String; 3]> = shape
            .reads
            .iter()
            .map(|read| {
                let (base, bytes) = (self.parameter(), self.parameter());
                match *read {
                    Read::Dense | Read::Packed(_) => return [base, bytes, index.clone()],
                    Read::Bits { add, from, planes } => {
                        let len = self.parameter();
                        self.take(&base, &len, (add, from), planes);
                        return [base, bytes, index.clone()];
                    }
                    Read::Repeated => {}
                }
                let (start, from) = (self.parameter(), self.scratch());
                self.line(format_args!("add.u64 {from}, {index}, {start}"));
                let outer = self.quotient(&from);
                let (times, len, at) = (self.quotient(&outer), self.parameter(), self.scratch());
                self.line(format_args!("mul.lo.u64 {at}, {times}, {len}"));
                self.line(format_args!("sub.u64 {at}, {outer}, {at}"));
                [base, bytes, at]
            })
            .collect();
        if shape.taken() > 0 {
            self.line(format_args!("bar.warp.sync 0xffffffff"));
        }
        let drawn = drawn(self.program);
        let (keystream, bytes) = (self.parameter(), self.scratch());
        let keystream = self.address(&keystream, &mine);
        self.line(format_args!("shl.b64 {bytes}, {count}, 3"));
        let results: Vec<Places> = shape
            .writes
            .iter()
            .map(|write| {
                let mut place = |_| {
                    let (base, bytes) = (self.parameter(), self.parameter());
                    [self.address(&base, &index), bytes]
                };
                let words = (0..write.words).map(&mut place).collect();
                Places { words, packed: write.packed.map(|width| (self.parameter(), width)) }
            })
            .collect();
        for (number, instr) in self.program.code.iter().enumerate() {
            self.instruction(number, instr, &operands, (&drawn, [&keystream, &bytes]), (&results, [&count, &first]))?;
            self.write(number, &results);
        }
        self.text.push_str("$end:\n\tret;\n");
        Ok(std::mem::take(&mut self.text))
    }

    /// A register of the program that has a value before instruction `number`.
    fn value(&self, number: usize, reg: Reg) -> Result<String, BackendError> {
        let name = &self.program.name;
        match self.program.code[..number].get(usize::from(reg.0)) {
            None => misfit(format!("map `{name}`: register {} is read before its definition", reg.0)),
            Some(Instr::Out { .. }) => misfit(format!("map `{name}`: register {} has no value", reg.0)),
            Some(_) => Ok(format!("%v{}", reg.0)),
        }
    }

    fn instruction(
        &mut self,
        number: usize,
        instr: &Instr,
        operands: &[[String; 3]],
        (drawn, [keystream, bytes]): (&[(u16, u16)], [&str; 2]),
        (results, [count, first]): (&[Places], [&str; 2]),
    ) -> Result<(), BackendError> {
        let to = format!("%v{number}");
        let mut two = |what: &str, a: Reg, b: Reg| {
            let (a, b) = (self.value(number, a)?, self.value(number, b)?);
            self.line(format_args!("{what} {to}, {a}, {b}"));
            Ok(())
        };
        match *instr {
            Instr::Add(a, b) => two("add.u64", a, b),
            Instr::Sub(a, b) => two("sub.u64", a, b),
            Instr::Mul(a, b) => two("mul.lo.u64", a, b),
            Instr::And(a, b) => two("and.b64", a, b),
            Instr::Xor(a, b) => two("xor.b64", a, b),
            Instr::Not(a) => {
                let a = self.value(number, a)?;
                self.line(format_args!("not.b64 {to}, {a}"));
                Ok(())
            }
            Instr::Shl(_, n) | Instr::Shr(_, n) if n >= 64 => {
                misfit(format!("map `{}`: a shift by {n} bits", self.program.name))
            }
            Instr::Shl(a, n) | Instr::Shr(a, n) => {
                let a = self.value(number, a)?;
                let what = if let Instr::Shl(..) = instr { "shl.b64" } else { "shr.u64" };
                self.line(format_args!("{what} {to}, {a}, {n}"));
                Ok(())
            }
            Instr::Imm(word) => {
                self.line(format_args!("mov.u64 {to}, {word:#x}"));
                Ok(())
            }
            Instr::In { input, .. } if let Read::Packed(width) = self.shape.reads[usize::from(input)] => {
                let [base, _, at] = &operands[usize::from(input)];
                self.unpack(&to, base, at, width);
                Ok(())
            }
            Instr::In { input, plane } if let Read::Bits { .. } = self.shape.reads[usize::from(input)] => {
                let before: usize = self.shape.reads[..usize::from(input)].iter().map(Read::taken).sum();
                self.read_taken(&to, before + usize::from(plane));
                Ok(())
            }
            Instr::In { input, plane } => {
                let [base, bytes, at] = &operands[usize::from(input)];
                let place = self.address(base, at);
                let place = self.plane(&place, bytes, usize::from(plane));
                self.load(&to, &place);
                Ok(())
            }
            Instr::BitOf { input, plane } => {
                let [base, bytes, at] = &operands[usize::from(input)];
                let word = self.scratch();
                self.line(format_args!("shr.u64 {word}, {at}, 6"));
                let place = self.address(base, &word);
                let place = self.plane(&place, bytes, usize::from(plane));
                self.line(format_args!("ld.global.u64 {to}, [{place}]"));
                self.line(format_args!("cvt.u32.u64 %t4, {at}"));
                self.line(format_args!("and.b32 %t4, %t4, 63"));
                self.line(format_args!("shr.u64 {to}, {to}, %t4"));
                self.line(format_args!("and.b64 {to}, {to}, 1"));
                Ok(())
            }
            Instr::Prf { stream, plane } => {
                let at = drawn.iter().position(|use_| *use_ == (stream, plane)).unwrap_or_default();
                let place = self.plane(keystream, bytes, at);
                self.load(&to, &place);
                Ok(())
            }
            // Words were written when the value was there.
            Instr::Out { output, value, .. } => {
                let value = self.value(number, value)?;
                if let Some((base, width)) = &results[usize::from(output)].packed {
                    self.pack(&value, base, *width, [count, first]);
                }
                Ok(())
            }
        }
    }

    /// Writes a value where it goes as words, as soon as it is there: programs end with all of their results, which would take two
    /// registers each until then. No result lies where an operand does.
    fn write(&mut self, number: usize, results: &[Places]) {
        let program = self.program;
        for instr in &program.code[number..] {
            let Instr::Out { output, plane, value } = *instr else { continue };
            if usize::from(value.0) != number {
                continue;
            }
            let guard = if self.shape.is_shared() { "@!%p0 " } else { "" };
            for [base, bytes] in &results[usize::from(output)].words {
                let place = self.plane(base, bytes, usize::from(plane));
                self.line(format_args!("{guard}st.global.u64 [{place}], %v{number}"));
            }
        }
    }

    /// Element `at` of those of `width` bits, 2 to 63, that begin at `base`: what it has in one word, and in the next if it goes
    /// on there.
    fn unpack(&mut self, to: &str, base: &str, at: &str, width: u32) {
        let (bit, word, next) = (self.scratch(), self.scratch(), self.scratch());
        self.line(format_args!("mul.lo.u64 {bit}, {at}, {width}"));
        self.line(format_args!("shr.u64 {word}, {bit}, 6"));
        let place = self.address(base, &word);
        self.line(format_args!("ld.global.u64 {to}, [{place}]"));
        self.line(format_args!("cvt.u32.u64 %t4, {bit}"));
        self.line(format_args!("and.b32 %t4, %t4, 63"));
        self.line(format_args!("shr.u64 {to}, {to}, %t4"));
        self.line(format_args!("setp.gt.u32 %p1, %t4, {}", 64 - width));
        self.line(format_args!("mov.u64 {next}, 0"));
        self.line(format_args!("@%p1 ld.global.u64 {next}, [{place}+8]"));
        self.line(format_args!("sub.u32 %t4, 64, %t4"));
        self.line(format_args!("shl.b64 {next}, {next}, %t4"));
        self.line(format_args!("or.b64 {to}, {to}, {next}"));
        self.line(format_args!("and.b64 {to}, {to}, {:#x}", low_mask(width)));
    }

    /// Packs the low `width` bits, 2 to 63, of each thread's value into the message that begins at `base`. The block's values
    /// go to shared memory, and each of its first threads makes a word of the message of them.
    fn pack(&mut self, value: &str, base: &str, width: u32, [count, first]: [&str; 2]) {
        let (masked, begin, size, word) = (self.scratch(), self.scratch(), self.scratch(), self.scratch());
        let next = self.scratch();
        let number = self.packed;
        self.packed += 1;
        self.line(format_args!("and.b64 {masked}, {value}, {:#x}", low_mask(width)));
        self.line(format_args!("selp.b64 {masked}, 0, {masked}, %p0"));
        self.line(format_args!("mov.u32 %t4, {ROOM}"));
        self.line(format_args!("mad.lo.u32 %t5, %t1, 8, %t4"));
        self.line(format_args!("st.shared.u64 [%t5], {masked}"));
        self.line(format_args!("bar.sync 0"));
        // As many words as the block's elements fill.
        self.line(format_args!("mul.wide.u32 {begin}, %t0, {THREADS}"));
        self.line(format_args!("sub.u64 {size}, {count}, {begin}"));
        self.line(format_args!("min.u64 {size}, {size}, {THREADS}"));
        self.line(format_args!("cvt.u32.u64 %t5, {size}"));
        self.line(format_args!("mul.lo.u32 %t5, %t5, {width}"));
        self.line(format_args!("shr.u32 %t5, %t5, 6"));
        self.line(format_args!("setp.ge.u32 %p1, %t1, %t5"));
        self.line(format_args!("@%p1 bra $packed{number}"));
        // The element that the word's first bit is of, which of its bits that is, and how many of the word it fills.
        self.line(format_args!("shl.b32 %t5, %t1, 6"));
        self.line(format_args!("div.u32 %t6, %t5, {width}"));
        self.line(format_args!("mul.lo.u32 %t7, %t6, {width}"));
        self.line(format_args!("sub.u32 %t5, %t5, %t7"));
        self.line(format_args!("mad.lo.u32 %t4, %t6, 8, %t4"));
        self.line(format_args!("ld.shared.u64 {word}, [%t4]"));
        self.line(format_args!("shr.u64 {word}, {word}, %t5"));
        self.line(format_args!("sub.u32 %t5, {width}, %t5"));
        for further in 1..=63u32.div_ceil(width) {
            self.line(format_args!("setp.lt.u32 %p2, %t5, 64"));
            self.line(format_args!("mov.u64 {next}, 0"));
            self.line(format_args!("@%p2 ld.shared.u64 {next}, [%t4+{}]", 8 * further));
            self.line(format_args!("shl.b64 {next}, {next}, %t5"));
            self.line(format_args!("or.b64 {word}, {word}, {next}"));
            self.line(format_args!("add.u32 %t5, %t5, {width}"));
        }
        self.line(format_args!("add.u64 {begin}, {begin}, {first}"));
        self.line(format_args!("mul.lo.u64 {begin}, {begin}, {width}"));
        self.line(format_args!("shr.u64 {begin}, {begin}, 6"));
        self.line(format_args!("cvt.u64.u32 {size}, %t1"));
        self.line(format_args!("add.u64 {begin}, {begin}, {size}"));
        let place = self.address(base, &begin);
        self.line(format_args!("st.global.u64 [{place}], {word}"));
        self.text.push_str(&format!("$packed{number}:\n"));
        self.line(format_args!("bar.sync 0"));
    }
}
