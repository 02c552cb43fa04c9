//! The instructions.

use super::{
    Address, Binary, Carried, Compare, Convert, Float, Guard, Logic, Move, Pred, Reg, ShuffleMode, Space, Ternary, Ty,
    Unary, Update, Vote,
};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Unary {
        op: Unary,
        ty: Ty,
        d: Reg,
        a: Reg,
    },
    Binary {
        op: Binary,
        ty: Ty,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Ternary {
        op: Ternary,
        ty: Ty,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// Bits of `a` into `b` at `start`.
    Insert {
        d: Reg,
        a: Reg,
        b: Reg,
        start: Reg,
        length: Reg,
    },
    Carried {
        op: Carried,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Option<Reg>,
        carry_in: bool,
        carry_out: bool,
    },
    Float {
        op: Float,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Convert {
        how: Convert,
        to: Ty,
        from: Ty,
        d: Reg,
        a: Reg,
    },
    Compare {
        op: Compare,
        ty: Ty,
        d: Pred,
        not_d: Pred,
        a: Reg,
        b: Reg,
        with: Option<(Logic, Guard)>,
    },
    /// All ones, or 1.0, where the comparison holds.
    Set {
        op: Compare,
        ty: Ty,
        float: bool,
        d: Reg,
        a: Reg,
        b: Reg,
        with: Option<(Logic, Guard)>,
    },
    Select {
        d: Reg,
        a: Reg,
        b: Reg,
        p: Guard,
    },
    PredLogic {
        op: Logic,
        d: Pred,
        a: Guard,
        b: Guard,
    },
    PredMov {
        d: Pred,
        a: Guard,
    },
    /// Parts to a whole, lowest first.
    Pack {
        d: Reg,
        parts: Vec<Reg>,
    },
    Unpack {
        parts: Vec<Option<Reg>>,
        a: Reg,
    },
    Load {
        space: Space,
        ty: Ty,
        d: Vec<Option<Reg>>,
        at: Address,
    },
    Store {
        space: Space,
        ty: Ty,
        values: Vec<Reg>,
        at: Address,
    },
    Atomic {
        op: Update,
        space: Space,
        ty: Ty,
        d: Option<Reg>,
        at: Address,
        a: Reg,
        b: Option<Reg>,
    },
    ToGeneric {
        space: Space,
        d: Reg,
        a: Reg,
    },
    FromGeneric {
        space: Space,
        d: Reg,
        a: Reg,
    },
    IsSpace {
        space: Space,
        d: Pred,
        a: Reg,
    },
    Branch(u32),
    /// To one of the targets, by index.
    BranchIndex {
        index: Reg,
        targets: Vec<u32>,
    },
    Call {
        target: u32,
        args: Vec<Move>,
        results: Vec<Move>,
    },
    Return,
    Exit,
    Trap,
    Barrier {
        id: Reg,
    },
    WarpBarrier {
        members: Reg,
    },
    Shuffle {
        mode: ShuffleMode,
        d: Reg,
        p: Pred,
        a: Reg,
        b: Reg,
        c: Reg,
        members: Reg,
    },
    Vote {
        op: Vote,
        d: Pred,
        p: Guard,
        members: Reg,
    },
    Ballot {
        d: Reg,
        p: Guard,
        members: Reg,
    },
    Match {
        all: bool,
        bits: u32,
        d: Reg,
        p: Pred,
        a: Reg,
        members: Reg,
    },
    Reduce {
        op: Update,
        ty: Ty,
        d: Reg,
        a: Reg,
        members: Reg,
    },
    ActiveMask {
        d: Reg,
    },
    /// m16n8k32 of 8-bit integers.
    Mma {
        signed: [bool; 2],
        d: [Reg; 4],
        a: [Reg; 4],
        b: [Reg; 2],
        c: [Reg; 4],
    },
    LoadMatrix {
        transposed: bool,
        d: Vec<Reg>,
        at: Address,
    },
    CopyAsync {
        to: Address,
        from: Address,
        bytes: u32,
        valid: Option<Reg>,
    },
    CommitCopies,
    /// Until only so many groups are in flight; with `all`, also what has not been committed.
    WaitCopies {
        left: u32,
        all: bool,
    },
    Nothing,
}

#[derive(Clone, Debug)]
pub(crate) struct Inst {
    pub op: Op,
    pub guard: Option<Guard>,
    /// Line of the text, from 0.
    pub line: u32,
}
