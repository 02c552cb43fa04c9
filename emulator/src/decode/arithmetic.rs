//! Instructions that compute on registers and predicates.

use super::opcode::Opcode;
use super::{Decoder, Result, exactly};
use crate::isa::{Binary, Carried, Compare, Convert, Float, Guard, Logic, Op, Pred, Round, Ternary, Ty, Unary};
use crate::parse::Arg;

const COMPARE: [(&str, Compare); 10] = [
    ("eq", Compare::Eq),
    ("ne", Compare::Ne),
    ("lt", Compare::Lt),
    ("le", Compare::Le),
    ("gt", Compare::Gt),
    ("ge", Compare::Ge),
    ("lo", Compare::Lt),
    ("ls", Compare::Le),
    ("hi", Compare::Gt),
    ("hs", Compare::Ge),
];
const LOGIC: [(&str, Logic); 3] = [("and", Logic::And), ("or", Logic::Or), ("xor", Logic::Xor)];

/// What is compared how, and what the result is combined with.
type Comparison = (Compare, Ty, Option<(Logic, Guard)>);

impl Decoder<'_> {
    /// None if the opcode is none of arithmetic.
    pub(super) fn arithmetic(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Option<Op>> {
        let op = match code.name {
            "add" | "sub" | "mul" | "mad" | "div" | "rem" | "min" | "max" | "addc" | "subc" | "madc" | "fma"
            | "neg" | "abs" | "sqrt" => self.sum_or_product(code, args)?,
            "and" | "or" | "xor" | "not" => self.logic(code, args)?,
            "mov" => self.mov(code, args)?,
            "shl" | "shr" => self.shift(code, args)?,
            "cnot" | "popc" | "clz" | "brev" | "bfind" => self.bits(code, args)?,
            "bmsk" => {
                if !code.take("clamp") {
                    return Err("bmsk other than .clamp is not handled".to_owned());
                }
                self.binary(Binary::BitMask, code.ty()?, args)?
            }
            "bfe" => {
                let ty = code.ty()?;
                let [d, a, b, c] = exactly(args)?;
                let (d, a) = (self.target(d, ty.bits)?, self.source(a, ty.bits)?);
                Op::Ternary { op: Ternary::Bfe, ty, d, a, b: self.source(b, 32)?, c: self.source(c, 32)? }
            }
            "bfi" => {
                let bits = code.ty()?.bits;
                let [d, a, b, start, length] = exactly(args)?;
                let (d, a, b) = (self.target(d, bits)?, self.source(a, bits)?, self.source(b, bits)?);
                Op::Insert { d, a, b, start: self.source(start, 32)?, length: self.source(length, 32)? }
            }
            "prmt" => self.ternary(Ternary::Prmt, code.ty()?, args)?,
            "sad" => self.ternary(Ternary::Sad, code.ty()?, args)?,
            "shf" => {
                let left = code.one_of(&[("l", true), ("r", false)]).ok_or("shf without a direction")?;
                let clamp = code.one_of(&[("clamp", true), ("wrap", false)]).ok_or("shf without a mode")?;
                let op = if left { Ternary::ShiftLeft { clamp } } else { Ternary::ShiftRight { clamp } };
                self.ternary(op, code.ty()?, args)?
            }
            "lop3" => {
                let [rest @ .., table] = args else { return Err("lop3 without operands".to_owned()) };
                let table = u8::try_from(Self::number(table)?).map_err(|_| "lop3 table above 255")?;
                self.ternary(Ternary::Lop3(table), code.ty()?, rest)?
            }
            "dp4a" => {
                let (a, b) = (code.ty()?, code.ty()?);
                if a.bits != 32 || b.bits != 32 {
                    return Err("dp4a takes 32 bits".to_owned());
                }
                let op = Ternary::Dp4a { signed: [a.signed(), b.signed()] };
                self.ternary(op, Ty::B32, args)?
            }
            "slct" => {
                let (ty, by) = (code.ty()?, code.ty()?);
                if by.bits != 32 || !by.signed() {
                    return Err("slct by this type is not handled".to_owned());
                }
                let [d, a, b, c] = exactly(args)?;
                let (d, a, b) = (self.target(d, ty.bits)?, self.source(a, ty.bits)?, self.source(b, ty.bits)?);
                Op::Ternary { op: Ternary::Slct, ty, d, a, b, c: self.source(c, 32)? }
            }
            "selp" => {
                let bits = code.ty()?.bits;
                let [d, a, b, p] = exactly(args)?;
                let (d, a, b) = (self.target(d, bits)?, self.source(a, bits)?, self.source(b, bits)?);
                Op::Select { d, a, b, p: self.pred_source(p)? }
            }
            "setp" => {
                let (op, ty, with) = self.comparison(code, args)?;
                let (d, not_d) = match &args[0] {
                    Arg::Pair(d, not_d) => (self.pred(&Arg::Name(d.clone()))?, self.pred(&Arg::Name(not_d.clone()))?),
                    d => (self.pred(d)?, Pred::SINK),
                };
                Op::Compare {
                    op,
                    ty,
                    d,
                    not_d,
                    a: self.source(&args[1], ty.bits)?,
                    b: self.source(&args[2], ty.bits)?,
                    with,
                }
            }
            "set" => {
                let (cmp, logic) = (code.one_of(&COMPARE), code.one_of(&LOGIC));
                let (to, from) = (code.ty()?, code.ty()?);
                let (op, ty, with) = self.comparison_of(cmp, logic, from, args)?;
                let d = self.target(&args[0], to.bits)?;
                let (a, b) = (self.source(&args[1], ty.bits)?, self.source(&args[2], ty.bits)?);
                Op::Set { op, ty, float: to.float(), d, a, b, with }
            }
            "cvt" => self.convert(code, args)?,
            _ => return Ok(None),
        };
        Ok(Some(op))
    }

    fn unary(&mut self, op: Unary, ty: Ty, args: &[Arg]) -> Result<Op> {
        let [d, a] = exactly(args)?;
        let d_bits =
            if matches!(op, Unary::Popc | Unary::Clz | Unary::Bfind | Unary::BfindShift) { 32 } else { ty.bits };
        Ok(Op::Unary { op, ty, d: self.target(d, d_bits)?, a: self.source(a, ty.bits)? })
    }

    fn binary(&mut self, op: Binary, ty: Ty, args: &[Arg]) -> Result<Op> {
        let [d, a, b] = exactly(args)?;
        let d_bits = if op == Binary::MulWide { 2 * ty.bits } else { ty.bits };
        Ok(Op::Binary { op, ty, d: self.target(d, d_bits)?, a: self.source(a, ty.bits)?, b: self.source(b, ty.bits)? })
    }

    fn ternary(&mut self, op: Ternary, ty: Ty, args: &[Arg]) -> Result<Op> {
        let [d, a, b, c] = exactly(args)?;
        let wide = if op == Ternary::MadWide { 2 * ty.bits } else { ty.bits };
        let (d, a, b) = (self.target(d, wide)?, self.source(a, ty.bits)?, self.source(b, ty.bits)?);
        Ok(Op::Ternary { op, ty, d, a, b, c: self.source(c, wide)? })
    }

    fn sum_or_product(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let name = code.name;
        let part = code.one_of(&[("lo", 0), ("hi", 1), ("wide", 2)]);
        let carry_out = code.take("cc");
        let carry_in = name.ends_with('c');
        let saturate = code.take("sat");
        let ty = code.ty()?;
        if ty.float() {
            if part.is_some() || carry_out || saturate {
                return Err("this form for floats is not handled".to_owned());
            }
            return self.float(code, ty, args);
        }
        if ty.bits < 16 {
            return Err("arithmetic on 8 bits".to_owned());
        }
        if carry_in || carry_out {
            let (op, terms) = match (name.trim_end_matches('c'), part) {
                ("add", None) => (Carried::Add, 2),
                ("sub", None) => (Carried::Sub, 2),
                ("mad", Some(0)) => (Carried::MadLo, 3),
                ("mad", Some(1)) => (Carried::MadHi, 3),
                _ => return Err("carry is not handled here".to_owned()),
            };
            if ty.bits < 32 || saturate || args.len() != terms + 1 {
                return Err("this form with carry is not handled".to_owned());
            }
            let (d, a) = (self.target(&args[0], ty.bits)?, self.source(&args[1], ty.bits)?);
            let b = self.source(&args[2], ty.bits)?;
            let c = args.get(3).map(|c| self.source(c, ty.bits)).transpose()?;
            return if op == Carried::MadHi && ty.signed() {
                Err("signed mad.hi with carry is not handled".to_owned())
            } else {
                Ok(Op::Carried { op, d, a, b, c, carry_in, carry_out })
            };
        }
        if saturate && !(ty.signed() && ty.bits == 32 && matches!(name, "add" | "sub")) {
            return Err("saturation is not handled here".to_owned());
        }
        match (name, part) {
            ("add", None) => self.binary(if saturate { Binary::AddSat } else { Binary::Add }, ty, args),
            ("sub", None) => self.binary(if saturate { Binary::SubSat } else { Binary::Sub }, ty, args),
            ("div", None) => self.binary(Binary::Div, ty, args),
            ("rem", None) => self.binary(Binary::Rem, ty, args),
            ("min", None) => self.binary(Binary::Min, ty, args),
            ("max", None) => self.binary(Binary::Max, ty, args),
            ("mul", Some(0)) => self.binary(Binary::MulLo, ty, args),
            ("mul", Some(1)) => self.binary(Binary::MulHi, ty, args),
            ("mul", Some(2)) if ty.bits < 64 => self.binary(Binary::MulWide, ty, args),
            ("mad", Some(0)) => self.ternary(Ternary::MadLo, ty, args),
            ("mad", Some(1)) => self.ternary(Ternary::MadHi, ty, args),
            ("mad", Some(2)) if ty.bits < 64 => self.ternary(Ternary::MadWide, ty, args),
            ("neg", None) => self.unary(Unary::Neg, ty, args),
            ("abs", None) => self.unary(Unary::Abs, ty, args),
            _ => Err("this form is not handled".to_owned()),
        }
    }

    /// Rounding is to the nearest even number, the only one modelled.
    fn float(&mut self, code: &mut Opcode<'_>, ty: Ty, args: &[Arg]) -> Result<Op> {
        if ty.bits == 16 {
            return Err("half precision is not handled".to_owned());
        }
        let rounded = code.take("rn");
        let op = match code.name {
            "add" => Float::Add,
            "sub" => Float::Sub,
            "mul" => Float::Mul,
            "div" if rounded => Float::Div,
            "min" => Float::Min,
            "max" => Float::Max,
            "fma" | "mad" if rounded => Float::Fma,
            "sqrt" if rounded => Float::Sqrt,
            "neg" => Float::Neg,
            "abs" => Float::Abs,
            _ => return Err("this form for floats is not handled".to_owned()),
        };
        let terms = match op {
            Float::Neg | Float::Abs | Float::Sqrt => 1,
            Float::Fma => 3,
            _ => 2,
        };
        if args.len() != terms + 1 {
            return Err(format!("{} operands, expected {}", args.len(), terms + 1));
        }
        let d = self.target(&args[0], ty.bits)?;
        let mut sources = [d; 3];
        for (source, arg) in sources.iter_mut().zip(&args[1..]) {
            *source = self.source(arg, ty.bits)?;
        }
        let [a, b, c] = sources;
        Ok(Op::Float { op, d, a, b: if terms > 1 { b } else { a }, c: if terms > 2 { c } else { a } })
    }

    fn logic(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        if code.take("pred") {
            let d = self.pred(args.first().ok_or("no operands")?)?;
            if code.name == "not" {
                let [_, a] = exactly(args)?;
                let a = self.pred_source(a)?;
                return Ok(Op::PredMov { d, a: Guard { negated: !a.negated, ..a } });
            }
            let [_, a, b] = exactly(args)?;
            let (a, b) = (self.pred_source(a)?, self.pred_source(b)?);
            let op = match code.name {
                "and" => Logic::And,
                "or" => Logic::Or,
                _ => Logic::Xor,
            };
            return Ok(Op::PredLogic { op, d, a, b });
        }
        let ty = code.ty()?;
        match code.name {
            "not" => self.unary(Unary::Not, ty, args),
            "and" => self.binary(Binary::And, ty, args),
            "or" => self.binary(Binary::Or, ty, args),
            _ => self.binary(Binary::Xor, ty, args),
        }
    }

    fn mov(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let [d, a] = exactly(args)?;
        if code.take("pred") {
            return Ok(Op::PredMov { d: self.pred(d)?, a: self.pred_source(a)? });
        }
        let ty = code.ty()?;
        match (d, a) {
            (_, Arg::Braces(parts)) => {
                let bits = part_bits(ty, parts)?;
                let parts = parts.iter().map(|p| self.source(p, bits)).collect::<Result<_>>()?;
                Ok(Op::Pack { d: self.target(d, ty.bits)?, parts })
            }
            (Arg::Braces(parts), _) => {
                let bits = part_bits(ty, parts)?;
                let a = self.source(a, ty.bits)?;
                let mut targets = Vec::new();
                for part in parts {
                    let target = self.wide_target_or_sink(part, bits)?;
                    if target.is_some_and(|t| t.bits != bits) {
                        return Err("part of another width".to_owned());
                    }
                    targets.push(target);
                }
                Ok(Op::Unpack { parts: targets, a })
            }
            _ => self.unary(Unary::Mov, ty, args),
        }
    }

    fn shift(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let ty = code.ty()?;
        let [d, a, b] = exactly(args)?;
        let op = if code.name == "shl" { Binary::Shl } else { Binary::Shr };
        Ok(Op::Binary { op, ty, d: self.target(d, ty.bits)?, a: self.source(a, ty.bits)?, b: self.source(b, 32)? })
    }

    fn bits(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let op = match code.name {
            "cnot" => Unary::Cnot,
            "popc" => Unary::Popc,
            "clz" => Unary::Clz,
            "brev" => Unary::Brev,
            _ => Unary::Bfind,
        };
        let op = if op == Unary::Bfind && code.take("shiftamt") { Unary::BfindShift } else { op };
        let ty = code.ty()?;
        self.unary(op, ty, args)
    }

    fn comparison(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Comparison> {
        let (op, logic) = (code.one_of(&COMPARE), code.one_of(&LOGIC));
        let ty = code.ty()?;
        self.comparison_of(op, logic, ty, args)
    }

    fn comparison_of(&mut self, op: Option<Compare>, logic: Option<Logic>, ty: Ty, args: &[Arg]) -> Result<Comparison> {
        let op = op.ok_or("this comparison is not handled")?;
        let with = match (logic, args) {
            (None, [_, _, _]) => None,
            (Some(logic), [_, _, _, p]) => Some((logic, self.pred_source(p)?)),
            _ => return Err("wrong number of operands".to_owned()),
        };
        Ok((op, ty, with))
    }

    fn convert(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let round =
            code.one_of(&[("rni", Round::NearestEven), ("rzi", Round::Zero), ("rmi", Round::Down), ("rpi", Round::Up)]);
        let (nearest, saturate) = (code.take("rn"), code.take("sat"));
        let (to, from) = (code.ty()?, code.ty()?);
        let how = match (to.float(), from.float()) {
            (false, false) if !nearest && round.is_none() => Convert::Int { saturate },
            (true, false) if nearest && round.is_none() && !saturate => Convert::IntToFloat,
            (false, true) if !nearest && !saturate => Convert::FloatToInt(round.ok_or("no rounding")?),
            (true, true)
                if !saturate && (to.bits > from.bits || (to.bits < from.bits && nearest) || round.is_some()) =>
            {
                Convert::Float(round)
            }
            _ => return Err("this conversion is not handled".to_owned()),
        };
        if [to, from].iter().any(|t| t.float() && t.bits == 16) {
            return Err("half precision is not handled".to_owned());
        }
        let [d, a] = exactly(args)?;
        Ok(Op::Convert { how, to, from, d: self.wide_target(d, to.bits)?, a: self.wide_source(a, from.bits)? })
    }
}

/// The width of each part of a value.
fn part_bits(ty: Ty, parts: &[Arg]) -> Result<u32> {
    match (ty.bits, parts.len()) {
        (64, 2) => Ok(32),
        (32, 2) | (64, 4) => Ok(16),
        _ => Err("a value in so many parts is not handled".to_owned()),
    }
}
