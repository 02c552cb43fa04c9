//! Instructions that touch memory.

use super::opcode::Opcode;
use super::{Decoder, Result, exactly};
use crate::isa::{Op, Pred, Space, Update};
use crate::parse::Arg;

const SPACES: [(&str, Space); 6] = [
    ("global", Space::Global),
    ("const", Space::Const),
    ("shared", Space::Shared),
    ("shared::cta", Space::Shared),
    ("local", Space::Local),
    ("param", Space::Param),
];
const UPDATES: [(&str, Update); 10] = [
    ("add", Update::Add),
    ("and", Update::And),
    ("or", Update::Or),
    ("xor", Update::Xor),
    ("min", Update::Min),
    ("max", Update::Max),
    ("exch", Update::Exchange),
    ("cas", Update::CompareExchange),
    ("inc", Update::Increment),
    ("dec", Update::Decrement),
];
/// Order, scope and caching: accesses here are never reordered nor cached.
const ORDER: [&str; 28] = [
    "weak",
    "volatile",
    "relaxed",
    "acquire",
    "release",
    "acq_rel",
    "cta",
    "gpu",
    "sys",
    "nc",
    "ca",
    "cg",
    "cs",
    "cv",
    "lu",
    "wb",
    "wt",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L1::evict_first",
    "L1::evict_last",
    "L1::no_allocate",
    "L2::64B",
    "L2::128B",
    "L2::256B",
    "L2::evict_first",
    "L2::evict_last",
    "aligned",
];

impl Decoder<'_> {
    /// None if the opcode is none that touches memory.
    pub(super) fn memory(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Option<Op>> {
        let op = match code.name {
            "ld" | "ldu" | "st" => self.load_or_store(code, args)?,
            "atom" | "red" => self.atomic(code, args)?,
            "cvta" => {
                let from_generic = code.take("to");
                let space = code.one_of(&SPACES).ok_or("cvta without a space")?;
                if code.ty()?.bits != 64 {
                    return Err("addresses have 64 bits".to_owned());
                }
                let [d, a] = exactly(args)?;
                let (d, a) = (self.target(d, 64)?, self.source(a, 64)?);
                if from_generic { Op::FromGeneric { space, d, a } } else { Op::ToGeneric { space, d, a } }
            }
            "isspacep" => {
                let space = code.one_of(&SPACES).ok_or("isspacep without a space")?;
                let [d, a] = exactly(args)?;
                Op::IsSpace { space, d: self.pred(d)?, a: self.source(a, 64)? }
            }
            "prefetch" | "prefetchu" => {
                code.ignore(&["global", "local", "L1", "L2", "L2::evict_last", "L2::evict_normal"]);
                Op::Nothing
            }
            "cp" => self.copy(code, args)?,
            "ldmatrix" => {
                let transposed = code.take("trans");
                let count = code.one_of(&[("x1", 1), ("x2", 2), ("x4", 4)]).ok_or("ldmatrix without a count")?;
                let known = ["sync.aligned.m8n8.shared.b16", "sync.aligned.m8n8.shared::cta.b16"];
                if !known.iter().any(|k| code.take_all(k)) {
                    return Err("this ldmatrix is not handled".to_owned());
                }
                let [d, at] = exactly(args)?;
                let parts = if let Arg::Braces(parts) = d { parts.as_slice() } else { std::slice::from_ref(d) };
                if parts.len() != count {
                    return Err("ldmatrix with another number of destinations".to_owned());
                }
                let d = parts.iter().map(|p| self.target(p, 32)).collect::<Result<_>>()?;
                Op::LoadMatrix { transposed, d, at: self.address(at)? }
            }
            _ => return Ok(None),
        };
        Ok(Some(op))
    }

    fn load_or_store(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let space = code.one_of(&SPACES).unwrap_or(Space::Generic);
        code.ignore(&["func", "entry"]);
        let count = code.one_of(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let ty = code.ty()?;
        code.ignore(&ORDER);
        if count * ty.bytes() > 16 {
            return Err("vectors have at most 16 bytes".to_owned());
        }
        let load = code.name != "st";
        let [first, second] = exactly(args)?;
        let (values, at) = if load { (first, second) } else { (second, first) };
        let values = match values {
            Arg::Braces(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if values.len() != count as usize {
            return Err(format!("{} elements, expected {count}", values.len()));
        }
        let at = self.address(at)?;
        if load {
            let d = values.iter().map(|v| self.wide_target_or_sink(v, ty.bits)).collect::<Result<_>>()?;
            return Ok(Op::Load { space, ty, d, at });
        }
        if space == Space::Const {
            return Err("constants are not written".to_owned());
        }
        let values = values.iter().map(|v| self.wide_source(v, ty.bits)).collect::<Result<_>>()?;
        Ok(Op::Store { space, ty, values, at })
    }

    fn atomic(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        let space = code.one_of(&SPACES).unwrap_or(Space::Generic);
        if !matches!(space, Space::Global | Space::Shared | Space::Generic) {
            return Err("atomics in this space are not handled".to_owned());
        }
        let op = code.one_of(&UPDATES).ok_or("this atomic is not handled")?;
        let ty = code.ty()?;
        code.ignore(&ORDER);
        if ty.float() || ty.bits < 32 {
            return Err("atomics on this type are not handled".to_owned());
        }
        let (d, rest) = match (code.name, args) {
            ("atom", [d, rest @ ..]) => (self.wide_target_or_sink(d, ty.bits)?, rest),
            (_, rest) => (None, rest),
        };
        let (at, a, b) = match (op, rest) {
            (Update::CompareExchange, [at, a, b]) => (at, a, Some(self.source(b, ty.bits)?)),
            (Update::CompareExchange, _) => return Err("cas takes two values".to_owned()),
            (_, [at, a]) => (at, a, None),
            _ => return Err("wrong number of operands".to_owned()),
        };
        Ok(Op::Atomic { op, space, ty, d, at: self.address(at)?, a: self.source(a, ty.bits)?, b })
    }

    fn copy(&mut self, code: &mut Opcode<'_>, args: &[Arg]) -> Result<Op> {
        if code.take_all("async.commit_group") {
            let [] = exactly(args)?;
            return Ok(Op::CommitCopies);
        }
        if code.take_all("async.wait_all") {
            let [] = exactly(args)?;
            return Ok(Op::WaitCopies { left: 0, all: true });
        }
        if code.take_all("async.wait_group") {
            let [left] = exactly(args)?;
            let left = u32::try_from(Self::number(left)?).map_err(|_| "number too large")?;
            return Ok(Op::WaitCopies { left, all: false });
        }
        code.ignore(&["L2::64B", "L2::128B", "L2::256B"]);
        let all_levels = code.take("ca");
        if !all_levels && !code.take("cg") {
            return Err("this copy is not handled".to_owned());
        }
        if !code.take_all("async.shared.global") && !code.take_all("async.shared::cta.global") {
            return Err("this copy is not handled".to_owned());
        }
        let ([to, from, bytes] | [to, from, bytes, _]) = args else {
            return Err("wrong number of operands".to_owned());
        };
        let bytes = Self::number(bytes)? as u32;
        if !matches!((all_levels, bytes), (_, 16) | (true, 4 | 8)) {
            return Err("cp.async of so many bytes does not exist".to_owned());
        }
        let valid = args.get(3).map(|n| self.source(n, 32)).transpose()?;
        Ok(Op::CopyAsync { to: self.address(to)?, from: self.address(from)?, bytes, valid })
    }

    /// The destination of an instruction that may also give a predicate: `d|p`.
    pub(super) fn target_and_pred(&mut self, arg: &Arg, bits: u32) -> Result<(crate::isa::Reg, Pred)> {
        match arg {
            Arg::Pair(d, p) => Ok((self.target(&Arg::Name(d.clone()), bits)?, self.pred(&Arg::Name(p.clone()))?)),
            d => Ok((self.target(d, bits)?, Pred::SINK)),
        }
    }
}
