//! Branches, calls, barriers, and instructions that a warp executes together.

use super::names::Symbol;
use super::opcode::Opcode;
use super::{Decoder, FRAME_BASE, Result, exactly};
use crate::isa::{Move, Op, Reg, ShuffleMode, Update, Vote};
use crate::parse::Arg;

impl Decoder<'_> {
    /// None if the opcode is none of these.
    pub(super) fn flow(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Option<Op>> {
        let op = match code.name {
            "bra" => {
                code.take("uni");
                let [Arg::Name(label)] = args else { return Err("bra without a label".to_owned()) };
                Op::Branch(self.scopes.label(label)?)
            }
            "brx" => {
                if !code.take("idx") {
                    return Err("this branch is not handled".to_owned());
                }
                code.take("uni");
                let [index, Arg::Name(list)] = args else { return Err("brx without targets".to_owned()) };
                let Some(Symbol::Targets(targets)) = self.scopes.find(list) else {
                    return Err(format!("no targets {list}"));
                };
                Op::BranchIndex { index: self.source(index, 32)?, targets }
            }
            "call" => {
                code.take("uni");
                self.call(args)?
            }
            "ret" => {
                code.take("uni");
                if self.in_kernel { Op::Exit } else { Op::Return }
            }
            "exit" => Op::Exit,
            "trap" => Op::Trap,
            "bar" | "barrier" => self.barrier(code, args)?,
            "membar" | "fence" => {
                code.ignore(&["cta", "gl", "gpu", "sys", "sc", "acq_rel"]);
                Op::Nothing
            }
            "nanosleep" => {
                code.take("u32");
                Op::Nothing
            }
            "shfl" => self.shuffle(code, args)?,
            "vote" => self.vote(code, args)?,
            "match" => {
                let all = code.one_of(&[("all", true), ("any", false)]).ok_or("match without a mode")?;
                let bits = code.take("sync").then(|| code.ty()).ok_or("match without .sync")??.bits;
                let [d, a, members] = exactly(args)?;
                let (d, p) = self.target_and_pred(d, 32)?;
                Op::Match { all, bits, d, p, a: self.source(a, bits)?, members: self.source(members, 32)? }
            }
            "redux" => {
                let op = code
                    .one_of(&[
                        ("add", Update::Add),
                        ("min", Update::Min),
                        ("max", Update::Max),
                        ("and", Update::And),
                        ("or", Update::Or),
                        ("xor", Update::Xor),
                    ])
                    .ok_or("this reduction is not handled")?;
                let ty = code.take("sync").then(|| code.ty()).ok_or("redux without .sync")??;
                let [d, a, members] = exactly(args)?;
                Op::Reduce {
                    op,
                    ty,
                    d: self.target(d, 32)?,
                    a: self.source(a, 32)?,
                    members: self.source(members, 32)?,
                }
            }
            "activemask" => {
                code.take("b32");
                let [d] = exactly(args)?;
                Op::ActiveMask { d: self.target(d, 32)? }
            }
            "mma" => self.mma(code, args)?,
            _ => return Ok(None),
        };
        Ok(Some(op))
    }

    fn call(&mut self, args: &[Arg]) -> Result<Op> {
        let empty = Vec::new();
        let (results, name, params) = match args {
            [Arg::Name(name)] => (&empty, name, &empty),
            [Arg::Name(name), Arg::Parens(params)] => (&empty, name, params),
            [Arg::Parens(results), Arg::Name(name)] => (results, name, &empty),
            [Arg::Parens(results), Arg::Name(name), Arg::Parens(params)] => (results, name, params),
            _ => return Err("indirect calls are not modelled".to_owned()),
        };
        let signature = self.signature(name)?;
        if results.len() != signature.results.len() || params.len() != signature.params.len() {
            return Err(format!("{name} takes another number of parameters"));
        }
        let here = |decoder: &Self, arg: &Arg| match arg {
            Arg::Name(n) => match decoder.scopes.find(n) {
                Some(Symbol::Address(a)) if a >= u64::from(FRAME_BASE) => Ok(a as u32 - FRAME_BASE),
                _ => Err(format!("{n} is no parameter variable")),
            },
            _ => Err("only parameter variables are passed".to_owned()),
        };
        let mut moves = [Vec::new(), Vec::new()];
        for (arg, (to, bytes)) in params.iter().zip(&signature.params) {
            moves[0].push(Move { from: here(self, arg)?, to: *to, bytes: *bytes });
        }
        for (arg, (from, bytes)) in results.iter().zip(&signature.results) {
            moves[1].push(Move { from: *from, to: here(self, arg)?, bytes: *bytes });
        }
        self.order[self.current].1.push(name.clone());
        self.patches.push((self.program.code.len(), name.clone()));
        let [args, results] = moves;
        Ok(Op::Call { target: 0, args, results })
    }

    fn barrier(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        if code.take("warp") {
            code.take("sync");
            let [members] = exactly(args)?;
            return Ok(Op::WarpBarrier { members: self.source(members, 32)? });
        }
        code.ignore(&["cta", "aligned"]);
        if !code.take("sync") {
            return Err("this barrier is not modelled".to_owned());
        }
        let [id] = args else { return Err("barriers of a part of the block are not modelled".to_owned()) };
        Ok(Op::Barrier { id: self.source(id, 32)? })
    }

    fn shuffle(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let mode = code.one_of(&[
            ("up", ShuffleMode::Up),
            ("down", ShuffleMode::Down),
            ("bfly", ShuffleMode::Butterfly),
            ("idx", ShuffleMode::Index),
        ]);
        let mode = mode.ok_or("shfl without a mode")?;
        if !code.take("sync") {
            return Err("shfl without .sync".to_owned());
        }
        if code.ty()?.bits != 32 {
            return Err("shfl moves 32 bits".to_owned());
        }
        let [d, a, b, c, members] = exactly(args)?;
        let (d, p) = self.target_and_pred(d, 32)?;
        let (a, b, c) = (self.source(a, 32)?, self.source(b, 32)?, self.source(c, 32)?);
        Ok(Op::Shuffle { mode, d, p, a, b, c, members: self.source(members, 32)? })
    }

    fn vote(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        if !code.take("sync") {
            return Err("vote without .sync".to_owned());
        }
        let [d, p, members] = exactly(args)?;
        let members = self.source(members, 32)?;
        let p = self.pred_source(p)?;
        if code.take("ballot") {
            code.take("b32");
            return Ok(Op::Ballot { d: self.target(d, 32)?, p, members });
        }
        let op = code.one_of(&[("all", Vote::All), ("any", Vote::Any), ("uni", Vote::Uniform)]);
        code.take("pred");
        Ok(Op::Vote { op: op.ok_or("vote without a mode")?, d: self.pred(d)?, p, members })
    }

    fn mma(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let kinds =
            [("u8.u8", [false, false]), ("u8.s8", [false, true]), ("s8.u8", [true, false]), ("s8.s8", [true; 2])];
        let signed =
            kinds.iter().find(|(name, _)| code.take_all(&format!("sync.aligned.m16n8k32.row.col.s32.{name}.s32")));
        let Some((_, signed)) = signed else { return Err("this mma is not modelled".to_owned()) };
        let [d, a, b, c] = exactly(args)?;
        let (a, b, c) = (self.fragment(a, false)?, self.fragment(b, false)?, self.fragment(c, false)?);
        Ok(Op::Mma { signed: *signed, d: self.fragment(d, true)?, a, b, c })
    }

    fn fragment<const N: usize>(&mut self, arg: &Arg, target: bool) -> Result<[Reg; N]> {
        let Arg::Braces(parts) = arg else { return Err("operand is no fragment".to_owned()) };
        let regs: Vec<Reg> = parts
            .iter()
            .map(|p| if target { self.target(p, 32) } else { self.source(p, 32) })
            .collect::<Result<_>>()?;
        regs.try_into().map_err(|_| format!("fragment is not of {N} registers"))
    }
}
