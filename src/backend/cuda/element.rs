//! Element programs as PTX: one thread a word, every register of the program a register of the thread.
//!
//! A program is compiled by the driver when it is first launched, for its code and the way it reads its operands; sizes and
//! addresses are parameters, so that layers of other sizes share it. Streams are drawn before, by `kernels/streams.cu`.

use std::fmt::Write as _;

use crate::backend::BackendError;
use crate::backend::check::misfit;
use crate::plan::{Access, Instr, Program, Reg};

/// The entry's name.
pub(super) const ENTRY: &str = "element";

/// Threads of a block.
pub(super) const THREADS: u32 = 256;

/// A program to compile: its code, and which operands are repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    code: Vec<Instr>,
    repeated: Vec<bool>,
}

impl Shape {
    /// Whether this is the shape of a program on operands that are read so.
    pub(super) fn is(&self, program: &Program, accesses: impl Iterator<Item = Access>) -> bool {
        self.code == program.code && accesses.map(|access| access != Access::Dense).eq(self.repeated.iter().copied())
    }

    /// The shape of a program on operands that are read so.
    pub(super) fn of(program: &Program, accesses: impl Iterator<Item = Access>) -> Shape {
        let repeated = accesses.map(|access| access != Access::Dense).collect();
        Shape { code: program.code.clone(), repeated }
    }
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

/// PTX under construction. Parameters, in order: how many words, the first of them; for each operand its address, the bytes of
/// a plane and, if it is repeated, a divisor by `inner` (multiplier, shift), one by `len`, and `len`; the address of the
/// keystream, which has as many words for each plane that is drawn, one plane after the other; for each result its address and the
/// bytes of a plane. All are of 64 bits.
struct Writer<'p> {
    program: &'p Program,
    text: String,
    parameters: usize,
    /// Registers beside those of the program.
    scratch: usize,
}

/// The PTX of a program.
///
/// # Errors
/// If a register is read that has no value, or a shift is 64 or more. Operands, streams and results are checked before.
pub(super) fn ptx(program: &Program, shape: &Shape, outputs: usize) -> Result<String, BackendError> {
    let mut writer = Writer { program, text: String::new(), parameters: 0, scratch: 0 };
    let body = writer.body(shape, outputs)?;
    let parameters: Vec<String> = (0..writer.parameters).map(|p| format!("\t.param .u64 {ENTRY}_param_{p}")).collect();
    Ok(format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n\n.visible .entry {ENTRY}(\n{}\n)\n.maxntid {THREADS}, 1, 1\n{{\n\
         \t.reg .pred %p<2>;\n\t.reg .b32 %t<6>;\n\t.reg .b64 %v<{}>;\n\t.reg .b64 %s<{}>;\n{body}}}\n",
        parameters.join(",\n"),
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
        self.line(format_args!("ld.param.u64 {to}, [{ENTRY}_param_{number}]"));
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

    /// The address of a plane's word from that of plane 0.
    fn plane(&mut self, base: &str, bytes: &str, plane: usize) -> String {
        if plane == 0 {
            return base.to_string();
        }
        let to = self.scratch();
        self.line(format_args!("mad.lo.u64 {to}, {bytes}, {plane}, {base}"));
        to
    }

    fn body(&mut self, shape: &Shape, outputs: usize) -> Result<String, BackendError> {
        let (count, first, mine, index) = (self.parameter(), self.parameter(), self.scratch(), self.scratch());
        self.line(format_args!("mov.u32 %t0, %ctaid.x"));
        self.line(format_args!("mov.u32 %t1, %tid.x"));
        self.line(format_args!("mul.wide.u32 {mine}, %t0, {THREADS}"));
        self.line(format_args!("cvt.u64.u32 {index}, %t1"));
        self.line(format_args!("add.u64 {mine}, {mine}, {index}"));
        self.line(format_args!("setp.ge.u64 %p0, {mine}, {count}"));
        self.line(format_args!("@%p0 bra $end"));
        self.line(format_args!("add.u64 {index}, {mine}, {first}"));
        // Of each operand: its address, the bytes of a plane, the element of it that belongs to this word.
        let operands: Vec<[String; 3]> = shape
            .repeated
            .iter()
            .map(|repeated| {
                let (base, bytes) = (self.parameter(), self.parameter());
                if !repeated {
                    return [base, bytes, index.clone()];
                }
                let outer = self.quotient(&index);
                let (times, len, at) = (self.quotient(&outer), self.parameter(), self.scratch());
                self.line(format_args!("mul.lo.u64 {at}, {times}, {len}"));
                self.line(format_args!("sub.u64 {at}, {outer}, {at}"));
                [base, bytes, at]
            })
            .collect();
        let drawn = drawn(self.program);
        let (keystream, bytes) = (self.parameter(), self.scratch());
        let keystream = self.address(&keystream, &mine);
        self.line(format_args!("shl.b64 {bytes}, {count}, 3"));
        let results: Vec<[String; 2]> = (0..outputs)
            .map(|_| {
                let (base, bytes) = (self.parameter(), self.parameter());
                [self.address(&base, &index), bytes]
            })
            .collect();
        for (number, instr) in self.program.code.iter().enumerate() {
            self.instruction(number, instr, &operands, (&drawn, [&keystream, &bytes]), &results)?;
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
        results: &[[String; 2]],
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
            Instr::In { input, plane } => {
                let [base, bytes, at] = &operands[usize::from(input)];
                let place = self.address(base, at);
                let place = self.plane(&place, bytes, usize::from(plane));
                self.line(format_args!("ld.global.u64 {to}, [{place}]"));
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
                self.line(format_args!("ld.global.u64 {to}, [{place}]"));
                Ok(())
            }
            Instr::Out { output, plane, value } => {
                let value = self.value(number, value)?;
                let [base, bytes] = &results[usize::from(output)];
                let place = self.plane(base, bytes, usize::from(plane));
                self.line(format_args!("st.global.u64 [{place}], {value}"));
                Ok(())
            }
        }
    }
}
