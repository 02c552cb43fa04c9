//! The instruction set as it is executed: operands are registers of a warp, names and labels are resolved.
//!
//! Immediates and special registers are registers too, filled when a warp starts, so that every operand is read alike.

mod op;

pub(crate) use op::{Inst, Op};

/// What a value is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bits,
    Unsigned,
    Signed,
    Float,
}

/// A type of 8, 16, 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ty {
    pub kind: Kind,
    pub bits: u32,
}

impl Ty {
    pub const B32: Ty = Ty { kind: Kind::Bits, bits: 32 };

    pub fn parse(text: &str) -> Option<Ty> {
        let (kind, bits) = text.split_at_checked(1)?;
        let kind = match kind {
            "b" => Kind::Bits,
            "u" => Kind::Unsigned,
            "s" => Kind::Signed,
            "f" => Kind::Float,
            _ => return None,
        };
        let bits: u32 = bits.parse().ok()?;
        let known = matches!(bits, 16 | 32 | 64) || (bits == 8 && kind != Kind::Float);
        known.then_some(Ty { kind, bits })
    }

    pub fn bytes(self) -> u32 {
        self.bits / 8
    }

    pub fn signed(self) -> bool {
        self.kind == Kind::Signed
    }

    pub fn float(self) -> bool {
        self.kind == Kind::Float
    }
}

/// A register of 16, 32 or 64 bits. Those of 16 and 32 bits share a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reg {
    pub index: u32,
    pub bits: u32,
}

/// A predicate register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pred(pub u32);

impl Pred {
    /// Where results go that nobody wants.
    pub const SINK: Pred = Pred(0);
    /// What nobody writes.
    pub const FALSE: Pred = Pred(1);
}

/// A predicate, read as it is or negated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    pub pred: Pred,
    pub negated: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Special {
    Tid(usize),
    Ntid(usize),
    Ctaid(usize),
    Nctaid(usize),
    LaneId,
    WarpId,
    /// Bits of the lanes that compare so with this lane.
    LaneMask(Compare),
    DynamicShared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Mov,
    Not,
    Cnot,
    Neg,
    Abs,
    Popc,
    Clz,
    Brev,
    Bfind,
    /// The distance that shifts the found bit to the top.
    BfindShift,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    /// Results at the bounds of 32 bits instead of wrapping.
    AddSat,
    SubSat,
    MulLo,
    MulHi,
    /// The whole product, twice as wide.
    MulWide,
    Div,
    Rem,
    Min,
    Max,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    /// A run of ones: start, length.
    BitMask,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ternary {
    MadLo,
    MadHi,
    MadWide,
    Bfe,
    Prmt,
    Lop3(u8),
    /// Funnel shifts; distances above 32 are taken mod 32 or as 32.
    ShiftLeft {
        clamp: bool,
    },
    ShiftRight {
        clamp: bool,
    },
    /// Sum of absolute difference.
    Sad,
    /// `a` if `c` is not negative.
    Slct,
    Dp4a {
        signed: [bool; 2],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Add,
    Sub,
    MadLo,
    MadHi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Fma,
    Neg,
    Abs,
    Sqrt,
}

/// How a float becomes whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    NearestEven,
    Zero,
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convert {
    /// Between integers.
    Int {
        saturate: bool,
    },
    IntToFloat,
    FloatToInt(Round),
    /// Between widths, rounded to a whole number if asked for.
    Float(Option<Round>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Global,
    Const,
    Shared,
    Local,
    /// Parameters of the kernel, and above them those of calls.
    Param,
    Generic,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub base: Reg,
    pub offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    Add,
    And,
    Or,
    Xor,
    Min,
    Max,
    Exchange,
    CompareExchange,
    Increment,
    Decrement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShuffleMode {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    All,
    Any,
    Uniform,
}

/// Bytes that a call copies between a caller's and a callee's parameter variables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub from: u32,
    pub to: u32,
    pub bytes: u32,
}

/// A kernel with the functions that it calls.
#[derive(Debug)]
pub(crate) struct Program {
    pub code: Vec<Inst>,
    /// Registers of 16 and 32 bits, of 64 bits, and predicates.
    pub counts: [u32; 3],
    /// Registers that hold a constant.
    pub constants: Vec<(Reg, u64)>,
    pub specials: Vec<(Reg, Special)>,
    pub param_bytes: u32,
    pub shared_bytes: u32,
    pub local_bytes: u32,
    /// Parameter variables of calls.
    pub frame_bytes: u32,
    pub max_threads: Option<[u32; 3]>,
}
