//! Instructions that compute on registers: one definition for each, on 64 bits, of which a register keeps its width.

use super::block::Block;
use super::memory::window;
use super::warp::Warp;
use super::{LANES, Lanes, Outcome, lane_fault, lanes_of, warp_fault};
use crate::error::Fault;
use crate::isa::{Binary, Carried, Compare, Convert, Float, Inst, Kind, Logic, Op, Reg, Round, Ternary, Ty, Unary};

const U32: Ty = Ty { kind: Kind::Unsigned, bits: 32 };

#[inline(always)]
fn map(a: &Lanes, f: impl Fn(u64) -> u64) -> Lanes {
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane]);
    }
    out
}

#[inline(always)]
fn zip(a: &Lanes, b: &Lanes, f: impl Fn(u64, u64) -> u64) -> Lanes {
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane], b[lane]);
    }
    out
}

#[inline(always)]
fn zip3(a: &Lanes, b: &Lanes, c: &Lanes, f: impl Fn(u64, u64, u64) -> u64) -> Lanes {
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane], b[lane], c[lane]);
    }
    out
}

/// A bit for each lane of which `f` holds.
#[inline(always)]
fn which(a: &Lanes, b: &Lanes, f: impl Fn(u64, u64) -> bool) -> u32 {
    let mut bits = 0;
    for lane in 0..LANES {
        bits |= u32::from(f(a[lane], b[lane])) << lane;
    }
    bits
}

/// The lowest bits.
fn ones(bits: u64) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

fn signed(v: u64) -> i64 {
    v.cast_signed()
}

impl Block<'_> {
    /// Executes an instruction for the lanes of a mask that stay together after it.
    pub(super) fn execute(&mut self, warp: &mut Warp, inst: &Inst, mask: u32) -> Outcome<()> {
        let regs = &mut warp.regs;
        match &inst.op {
            Op::Unary { op, ty, d, a } => {
                let out = unary(*op, *ty, &regs.read(*a, *ty));
                regs.write(*d, mask, &out);
            }
            Op::Binary { op, ty, d, a, b } => {
                let b_ty = if matches!(op, Binary::Shl | Binary::Shr) { U32 } else { *ty };
                let (a, b) = (regs.read(*a, *ty), regs.read(*b, b_ty));
                if matches!(op, Binary::Div | Binary::Rem)
                    && let Some(lane) = lanes_of(mask).find(|lane| b[*lane] == 0)
                {
                    return lane_fault(lane, Fault::DivisionByZero);
                }
                let out = binary(*op, *ty, &a, &b);
                regs.write(*d, mask, &out);
            }
            Op::Ternary { op, ty, d, a, b, c } => {
                let out = ternary(*op, *ty, &regs.read(*a, *ty), &regs.raw(*b), &regs.raw(*c));
                regs.write(*d, mask, &out);
            }
            Op::Insert { d, a, b, start, length } => {
                let (a, b) = (regs.raw(*a), regs.raw(*b));
                let fields = zip(&regs.raw(*start), &regs.raw(*length), |s, l| (s & 255) | (l & 255) << 8);
                let out = zip3(&a, &b, &fields, |a, b, field| {
                    let (start, length) = (field & 255, field >> 8);
                    let kept = if start < 64 { ones(length) << start } else { 0 };
                    (b & !kept) | if start < 64 { a << start & kept } else { 0 }
                });
                regs.write(*d, mask, &out);
            }
            Op::Carried { op, d, a, b, c, carry_in, carry_out } => {
                let carries = if *carry_in { warp.carry } else { 0 };
                let (a, b) = (regs.raw(*a), regs.raw(*b));
                let c = c.map_or([0; LANES], |c| regs.raw(c));
                let (mut out, mut carried) = ([0; LANES], 0);
                for lane in 0..LANES {
                    let (value, carry) = carry(*op, d.bits, a[lane], b[lane], c[lane], carries >> lane & 1 != 0);
                    out[lane] = value;
                    carried |= u32::from(carry) << lane;
                }
                regs.write(*d, mask, &out);
                if *carry_out {
                    warp.carry = (warp.carry & !mask) | (carried & mask);
                }
            }
            Op::Float { op, d, a, b, c } => {
                let out = float(*op, d.bits, &regs.raw(*a), &regs.raw(*b), &regs.raw(*c));
                regs.write(*d, mask, &out);
            }
            Op::Convert { how, to, from, d, a } => {
                let out = convert(*how, *to, *from, &regs.read(*a, *from));
                regs.write(*d, mask, &out);
            }
            Op::Compare { op, ty, d, not_d, a, b, with } => {
                let holds = compare(*op, *ty, &regs.read(*a, *ty), &regs.read(*b, *ty));
                let (bits, inverse) = match with {
                    None => (holds, !holds),
                    Some((logic, p)) => {
                        let p = regs.pred(*p);
                        (combine(*logic, holds, p), combine(*logic, !holds, p))
                    }
                };
                regs.write_pred(*d, mask, bits);
                regs.write_pred(*not_d, mask, inverse);
            }
            Op::Set { op, ty, float, d, a, b, with } => {
                let mut bits = compare(*op, *ty, &regs.read(*a, *ty), &regs.read(*b, *ty));
                if let Some((logic, p)) = with {
                    bits = combine(*logic, bits, regs.pred(*p));
                }
                let yes = match (float, d.bits) {
                    (false, _) => u64::MAX,
                    (true, 32) => u64::from(1_f32.to_bits()),
                    (true, _) => 1_f64.to_bits(),
                };
                regs.write(*d, mask, &std::array::from_fn(|lane| if bits >> lane & 1 != 0 { yes } else { 0 }));
            }
            Op::Select { d, a, b, p } => {
                let (a, b, p) = (regs.raw(*a), regs.raw(*b), regs.pred(*p));
                let out = std::array::from_fn(|lane| if p >> lane & 1 != 0 { a[lane] } else { b[lane] });
                regs.write(*d, mask, &out);
            }
            Op::PredLogic { op, d, a, b } => {
                let bits = combine(*op, regs.pred(*a), regs.pred(*b));
                regs.write_pred(*d, mask, bits);
            }
            Op::PredMov { d, a } => {
                let bits = regs.pred(*a);
                regs.write_pred(*d, mask, bits);
            }
            Op::Pack { d, parts } => {
                let mut out = [0; LANES];
                for (i, part) in parts.iter().enumerate() {
                    let shift = i as u32 * part.bits;
                    out = zip(&out, &regs.raw(*part), |out, v| out | v << shift);
                }
                regs.write(*d, mask, &out);
            }
            Op::Unpack { parts, a } => {
                let whole = regs.raw(*a);
                let bits = a.bits / parts.len() as u32;
                for (i, part) in parts.iter().enumerate() {
                    if let Some(part) = part {
                        regs.write(*part, mask, &map(&whole, |v| v >> (i as u32 * bits)));
                    }
                }
            }
            Op::Load { space, ty, d, at } => self.load(warp, mask, (*space, *ty), d, *at)?,
            Op::Store { space, ty, values, at } => self.store(warp, mask, (*space, *ty), values, *at)?,
            Op::Atomic { op, space, ty, d, at, a, b } => {
                self.atomic(warp, mask, (*op, *space, *ty), *d, (*at, *a, *b))?;
            }
            Op::ToGeneric { space, d, a } => self.shift_window(warp, mask, *d, *a, window(*space)),
            Op::FromGeneric { space, d, a } => {
                self.shift_window(warp, mask, *d, *a, 0_u64.wrapping_sub(window(*space)));
            }
            Op::IsSpace { space, d, a } => {
                let bits = self.is_space(warp, *space, *a);
                warp.regs.write_pred(*d, mask, bits);
            }
            Op::ActiveMask { d } => Self::active_mask(warp, mask, *d),
            Op::CopyAsync { to, from, bytes, valid } => self.copy_async(warp, mask, *to, *from, (*bytes, *valid))?,
            Op::CommitCopies => self.commit_copies(warp, mask),
            Op::WaitCopies { left, all } => self.wait_copies(warp, mask, *left, *all)?,
            Op::Nothing => {}
            Op::Trap => return lane_fault(mask.trailing_zeros() as usize, Fault::Trap("trap".to_owned())),
            Op::Branch(_)
            | Op::BranchIndex { .. }
            | Op::Call { .. }
            | Op::Return
            | Op::Exit
            | Op::Barrier { .. }
            | Op::WarpBarrier { .. }
            | Op::Shuffle { .. }
            | Op::Vote { .. }
            | Op::Ballot { .. }
            | Op::Match { .. }
            | Op::Reduce { .. }
            | Op::Mma { .. }
            | Op::LoadMatrix { .. } => return warp_fault(Fault::Trap("lanes may part here".to_owned())),
        }
        Ok(())
    }

    fn shift_window(&self, warp: &mut Warp, mask: u32, d: Reg, a: Reg, by: u64) {
        let out = map(&warp.regs.raw(a), |v| v.wrapping_add(by));
        warp.regs.write(d, mask, &out);
    }
}

fn combine(op: Logic, a: u32, b: u32) -> u32 {
    match op {
        Logic::And => a & b,
        Logic::Or => a | b,
        Logic::Xor => a ^ b,
    }
}

fn unary(op: Unary, ty: Ty, a: &Lanes) -> Lanes {
    let bits = u64::from(ty.bits);
    let found = |v: u64| -> u64 {
        let v = if ty.signed() && signed(v) < 0 { !v } else { v };
        63 - u64::from(v.leading_zeros())
    };
    match op {
        Unary::Mov => *a,
        Unary::Not => map(a, |v| !v),
        Unary::Cnot => map(a, |v| u64::from(v == 0)),
        Unary::Neg => map(a, u64::wrapping_neg),
        Unary::Abs => map(a, |v| signed(v).wrapping_abs().cast_unsigned()),
        Unary::Popc => map(a, |v| u64::from(v.count_ones())),
        Unary::Clz => map(a, |v| u64::from(v.leading_zeros()) - (64 - bits)),
        Unary::Brev => map(a, |v| v.reverse_bits() >> (64 - bits)),
        // Without a bit to find, all ones.
        Unary::Bfind => map(a, |v| if v == 0 || (ty.signed() && signed(v) == -1) { u64::MAX } else { found(v) }),
        Unary::BfindShift => {
            map(a, |v| if v == 0 || (ty.signed() && signed(v) == -1) { u64::MAX } else { bits - 1 - found(v) })
        }
    }
}

fn binary(op: Binary, ty: Ty, a: &Lanes, b: &Lanes) -> Lanes {
    let bits = ty.bits;
    let clamp = |v: i64| v.clamp(i64::from(i32::MIN), i64::from(i32::MAX)).cast_unsigned();
    match op {
        Binary::Add => zip(a, b, u64::wrapping_add),
        Binary::Sub => zip(a, b, u64::wrapping_sub),
        Binary::AddSat => zip(a, b, |a, b| clamp(signed(a) + signed(b))),
        Binary::SubSat => zip(a, b, |a, b| clamp(signed(a) - signed(b))),
        Binary::MulLo | Binary::MulWide => zip(a, b, u64::wrapping_mul),
        Binary::MulHi => zip(a, b, |a, b| high(ty, a, b)),
        // Lanes that are not active may divide by zero.
        Binary::Div if ty.signed() => {
            zip(a, b, |a, b| signed(a).checked_div(signed(b)).unwrap_or(i64::MIN).cast_unsigned())
        }
        Binary::Rem if ty.signed() => zip(a, b, |a, b| signed(a).checked_rem(signed(b)).unwrap_or(0).cast_unsigned()),
        Binary::Div => zip(a, b, |a, b| a.checked_div(b).unwrap_or(0)),
        Binary::Rem => zip(a, b, |a, b| a.checked_rem(b).unwrap_or(0)),
        Binary::Min if ty.signed() => zip(a, b, |a, b| signed(a).min(signed(b)).cast_unsigned()),
        Binary::Max if ty.signed() => zip(a, b, |a, b| signed(a).max(signed(b)).cast_unsigned()),
        Binary::Min => zip(a, b, u64::min),
        Binary::Max => zip(a, b, u64::max),
        Binary::And => zip(a, b, |a, b| a & b),
        Binary::Or => zip(a, b, |a, b| a | b),
        Binary::Xor => zip(a, b, |a, b| a ^ b),
        Binary::Shl => zip(a, b, |a, b| if b < u64::from(bits) { a << b } else { 0 }),
        Binary::Shr if ty.signed() => zip(a, b, |a, b| (signed(a) >> b.min(63)).cast_unsigned()),
        Binary::Shr => zip(a, b, |a, b| if b < 64 { a >> b } else { 0 }),
        Binary::BitMask => zip(a, b, |a, b| {
            let (start, length) = (a.min(32), b.min(32));
            ones(length) << start
        }),
    }
}

/// The upper half of a product.
fn high(ty: Ty, a: u64, b: u64) -> u64 {
    if ty.signed() {
        ((i128::from(signed(a)) * i128::from(signed(b))) >> ty.bits) as u64
    } else {
        ((u128::from(a) * u128::from(b)) >> ty.bits) as u64
    }
}

/// `a` is read as the type says, `b` and `c` as they are.
fn ternary(op: Ternary, ty: Ty, a: &Lanes, b: &Lanes, c: &Lanes) -> Lanes {
    let bits = u64::from(ty.bits);
    let shift = 64 - ty.bits;
    let as_ty = |v: u64| if ty.signed() { (signed(v << shift) >> shift).cast_unsigned() } else { v };
    match op {
        Ternary::MadLo | Ternary::MadWide => zip3(a, b, c, |a, b, c| a.wrapping_mul(as_ty(b)).wrapping_add(c)),
        Ternary::MadHi => zip3(a, b, c, |a, b, c| high(ty, a, as_ty(b)).wrapping_add(c)),
        Ternary::Bfe => zip3(a, b, c, |a, b, c| {
            let (start, length) = (b & 255, c & 255);
            if length == 0 {
                return 0;
            }
            let field = if ty.signed() {
                (signed(a) >> start.min(63)).cast_unsigned()
            } else if start < 64 {
                a >> start
            } else {
                0
            };
            if start + length >= bits {
                field
            } else if ty.signed() {
                (signed(field << (64 - length)) >> (64 - length)).cast_unsigned()
            } else {
                field & ones(length)
            }
        }),
        Ternary::Prmt => zip3(a, b, c, |a, b, c| {
            let bytes = a | b << 32;
            let byte = |i: u64| {
                let select = c >> (4 * i);
                let byte = bytes >> (8 * (select & 7)) & 255;
                // The select's top bit spreads the byte's sign.
                if select & 8 == 0 { byte } else { 255 * (byte >> 7) }
            };
            byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
        }),
        Ternary::Lop3(table) => zip3(a, b, c, |a, b, c| {
            let mut out = 0;
            for row in 0..8 {
                let pick = |v: u64, bit: u8| if row & bit != 0 { v } else { !v };
                let wanted = 0_u64.wrapping_sub(u64::from(table >> row & 1));
                out |= wanted & pick(a, 4) & pick(b, 2) & pick(c, 1);
            }
            out
        }),
        Ternary::ShiftLeft { clamp } => zip3(a, b, c, |a, b, c| {
            let by = if clamp { c.min(32) } else { c & 31 };
            (b << 32 | a) << by >> 32
        }),
        Ternary::ShiftRight { clamp } => zip3(a, b, c, |a, b, c| {
            let by = if clamp { c.min(32) } else { c & 31 };
            (b << 32 | a) >> by
        }),
        Ternary::Sad if ty.signed() => zip3(a, b, c, |a, b, c| signed(a).abs_diff(signed(as_ty(b))).wrapping_add(c)),
        Ternary::Sad => zip3(a, b, c, |a, b, c| a.abs_diff(b).wrapping_add(c)),
        Ternary::Slct => zip3(a, b, c, |a, b, c| if (c as u32).cast_signed() >= 0 { a } else { b }),
        Ternary::Dp4a { signed: [sa, sb] } => zip3(a, b, c, |a, b, c| {
            let byte = |v: u64, i: u32, signed: bool| {
                let byte = (v >> (8 * i)) as u8;
                if signed { i64::from(byte.cast_signed()) } else { i64::from(byte) }
            };
            let sum: i64 = (0..4).map(|i| byte(a, i, sa) * byte(b, i, sb)).sum();
            c.wrapping_add(sum.cast_unsigned())
        }),
    }
}

/// A sum or difference with the carry or borrow out of its width.
fn carry(op: Carried, bits: u32, a: u64, b: u64, c: u64, carry: bool) -> (u64, bool) {
    let product = u128::from(a) * u128::from(b);
    let (x, y) = match op {
        Carried::Add | Carried::Sub => (a, b),
        Carried::MadLo => (product as u64 & ones(u64::from(bits)), c),
        Carried::MadHi => ((product >> bits) as u64, c),
    };
    if op == Carried::Sub {
        let difference = i128::from(x) - i128::from(y) - i128::from(carry);
        return (difference as u64, difference < 0);
    }
    let sum = u128::from(x) + u128::from(y) + u128::from(carry);
    (sum as u64, sum >> bits != 0)
}

fn compare(op: Compare, ty: Ty, a: &Lanes, b: &Lanes) -> u32 {
    match (ty.kind, op) {
        (Kind::Float, _) => {
            let value = |v: u64| if ty.bits == 32 { f64::from(f32::from_bits(v as u32)) } else { f64::from_bits(v) };
            // Nothing holds of what is not a number.
            which(a, b, |a, b| {
                let order = value(a).partial_cmp(&value(b));
                order.is_some_and(|order| match op {
                    Compare::Eq => order.is_eq(),
                    Compare::Ne => order.is_ne(),
                    Compare::Lt => order.is_lt(),
                    Compare::Le => order.is_le(),
                    Compare::Gt => order.is_gt(),
                    Compare::Ge => order.is_ge(),
                })
            })
        }
        (_, Compare::Eq) => which(a, b, |a, b| a == b),
        (_, Compare::Ne) => which(a, b, |a, b| a != b),
        (Kind::Signed, Compare::Lt) => which(a, b, |a, b| signed(a) < signed(b)),
        (Kind::Signed, Compare::Le) => which(a, b, |a, b| signed(a) <= signed(b)),
        (Kind::Signed, Compare::Gt) => which(a, b, |a, b| signed(a) > signed(b)),
        (Kind::Signed, Compare::Ge) => which(a, b, |a, b| signed(a) >= signed(b)),
        (_, Compare::Lt) => which(a, b, |a, b| a < b),
        (_, Compare::Le) => which(a, b, |a, b| a <= b),
        (_, Compare::Gt) => which(a, b, |a, b| a > b),
        (_, Compare::Ge) => which(a, b, |a, b| a >= b),
    }
}

fn float(op: Float, bits: u32, a: &Lanes, b: &Lanes, c: &Lanes) -> Lanes {
    if bits == 32 {
        let f = |v: u64| f32::from_bits(v as u32);
        return zip3(a, b, c, |a, b, c| {
            let (a, b, c) = (f(a), f(b), f(c));
            let value = match op {
                Float::Add => a + b,
                Float::Sub => a - b,
                Float::Mul => a * b,
                Float::Div => a / b,
                Float::Min => a.min(b),
                Float::Max => a.max(b),
                Float::Fma => a.mul_add(b, c),
                Float::Neg => -a,
                Float::Abs => a.abs(),
                Float::Sqrt => a.sqrt(),
            };
            u64::from(value.to_bits())
        });
    }
    let f = f64::from_bits;
    zip3(a, b, c, |a, b, c| {
        let (a, b, c) = (f(a), f(b), f(c));
        let value = match op {
            Float::Add => a + b,
            Float::Sub => a - b,
            Float::Mul => a * b,
            Float::Div => a / b,
            Float::Min => a.min(b),
            Float::Max => a.max(b),
            Float::Fma => a.mul_add(b, c),
            Float::Neg => -a,
            Float::Abs => a.abs(),
            Float::Sqrt => a.sqrt(),
        };
        value.to_bits()
    })
}

fn whole(v: f64, round: Round) -> f64 {
    match round {
        Round::NearestEven => v.round_ties_even(),
        Round::Zero => v.trunc(),
        Round::Down => v.floor(),
        Round::Up => v.ceil(),
    }
}

fn convert(how: Convert, to: Ty, from: Ty, a: &Lanes) -> Lanes {
    let value = |v: u64| if from.bits == 32 { f64::from(f32::from_bits(v as u32)) } else { f64::from_bits(v) };
    let shift = 64 - to.bits;
    let kept = |v: u64| if to.signed() { (signed(v << shift) >> shift).cast_unsigned() } else { v << shift >> shift };
    let (lowest, highest) = if to.signed() {
        (i128::from(i64::MIN >> shift), i128::from(i64::MAX >> shift))
    } else {
        (0, i128::from(u64::MAX >> shift))
    };
    match how {
        Convert::Int { saturate: false } => map(a, kept),
        Convert::Int { saturate: true } => map(a, |v| {
            let v = if from.signed() { i128::from(signed(v)) } else { i128::from(v) };
            v.clamp(lowest, highest) as u64
        }),
        Convert::IntToFloat if to.bits == 32 => map(a, |v| {
            let v = if from.signed() { signed(v) as f32 } else { v as f32 };
            u64::from(v.to_bits())
        }),
        Convert::IntToFloat => map(a, |v| (if from.signed() { signed(v) as f64 } else { v as f64 }).to_bits()),
        // What is out of range becomes the nearest value, what is no number becomes zero.
        Convert::FloatToInt(round) => map(a, |v| (whole(value(v), round) as i128).clamp(lowest, highest) as u64),
        Convert::Float(round) => map(a, |v| {
            let v = round.map_or(value(v), |round| whole(value(v), round));
            if to.bits == 32 { u64::from((v as f32).to_bits()) } else { v.to_bits() }
        }),
    }
}
