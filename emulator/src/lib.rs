//! Interpreter for the PTX subset that our kernels use. It runs the very text that NVRTC/nvcc produced (inline
//! assembly included), checks every access against the registered buffers, and reports shared-memory hazards
//! between threads that no barrier separates. Unknown instructions are an error at parse time, never skipped.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, reason = "being taken over")]
use std::collections::HashMap;
mod driver;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ty {
    Pred,
    B(u32),
    U(u32),
    S(u32),
}
impl Ty {
    fn parse(s: &str) -> Option<Ty> {
        Some(match s {
            "pred" => Ty::Pred,
            "b8" => Ty::B(1),
            "b16" => Ty::B(2),
            "b32" => Ty::B(4),
            "b64" => Ty::B(8),
            "u8" => Ty::U(1),
            "u16" => Ty::U(2),
            "u32" => Ty::U(4),
            "u64" => Ty::U(8),
            "s8" => Ty::S(1),
            "s16" => Ty::S(2),
            "s32" => Ty::S(4),
            "s64" => Ty::S(8),
            _ => return None,
        })
    }
    fn size(self) -> u32 {
        match self {
            Ty::Pred => 1,
            Ty::B(n) | Ty::U(n) | Ty::S(n) => n,
        }
    }
    fn mask(self) -> u64 {
        if self.size() == 8 { u64::MAX } else { (1u64 << (8 * self.size())) - 1 }
    }
    fn sext(self, v: u64) -> i64 {
        let sh = 64 - 8 * self.size();
        ((v << sh) as i64) >> sh
    }
    fn signed(self) -> bool {
        matches!(self, Ty::S(_))
    }
    fn get(self, v: u64) -> i128 {
        if self.signed() { self.sext(v) as i128 } else { (v & self.mask()) as i128 }
    }
}
#[derive(Clone, Copy, Debug)]
enum Opd {
    R(u32),
    I(u64),
    Sr(u8),
    None,
}
#[derive(Clone, Copy, Debug, PartialEq)]
enum Space {
    Global,
    Shared,
    Generic,
    Param,
}
#[derive(Clone, Copy, Debug, PartialEq)]
enum Alu {
    Add,
    Sub,
    MulLo,
    MulHi,
    MulWide,
    MadLo,
    MadWide,
    MadHi,
    Div,
    Rem,
    And,
    Or,
    Xor,
    Not,
    Neg,
    Shl,
    Shr,
    Min,
    Max,
    Popc,
    Clz,
    Brev,
    Bfe,
    Bfi,
    Prmt,
    Selp,
    Mov,
    ShfL,
    ShfR,
}
#[derive(Clone, Copy, Debug)]
enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}
#[derive(Clone, Copy, Debug)]
enum ShflMode {
    Bfly,
    Down,
    Up,
    Idx,
}
#[derive(Clone, Debug)]
enum Op {
    Alu(Alu, Ty, u32, [Opd; 4]),
    Lop3(u32, [Opd; 3], u8),
    Cvt(Ty, Ty, u32, Opd),
    Setp(Cmp, Ty, u32, Opd, Opd, Option<(u8, Opd)>),
    Ld(Space, Ty, Vec<u32>, Opd, i64),
    St(Space, Ty, Vec<Opd>, Opd, i64),
    Bra(usize),
    Ret,
    Bar,
    WarpSync,
    Shfl(ShflMode, u32, Option<u32>, Opd, Opd, Opd, Opd),
    Mma { sa: bool, sb: bool, d: [u32; 4], a: [Opd; 4], b: [Opd; 2], c: [Opd; 4] },
    LdMatrix { n: usize, trans: bool, d: [u32; 4], addr: Opd, off: i64 },
    CpAsync { dst: Opd, doff: i64, src: Opd, soff: i64, size: u32, n: Opd },
    CpCommit,
    CpWait(u64),
    MovPack(u32, Opd, Opd),
    MovUnpack(u32, u32, Opd),
    Atom { shared: bool, ty: Ty, d: Option<u32>, addr: Opd, off: i64, v: Opd },
    Nop,
}
#[derive(Clone, Debug)]
struct Inst {
    op: Op,
    pred: Option<(u32, bool)>,
    line: u32,
}
pub struct Entry {
    pub name: String,
    pub params: Vec<u32>,
    nregs: u32,
    shared: u32,
    code: Vec<Inst>,
    max_threads: u32,
}
pub struct Module {
    pub entries: HashMap<String, Entry>,
    lines: Vec<String>,
}

type Res<T> = Result<T, String>;
struct Ctx {
    regs: HashMap<String, u32>,
    shared: HashMap<String, u32>,
    params: HashMap<String, u32>,
}
impl Ctx {
    fn reg(&mut self, s: &str) -> u32 {
        let n = self.regs.len() as u32;
        *self.regs.entry(s.to_string()).or_insert(n)
    }
    fn opd(&mut self, s: &str) -> Res<Opd> {
        let s = s.trim();
        const SR: [&str; 14] = [
            "%tid.x",
            "%tid.y",
            "%tid.z",
            "%ctaid.x",
            "%ctaid.y",
            "%ctaid.z",
            "%ntid.x",
            "%ntid.y",
            "%ntid.z",
            "%nctaid.x",
            "%nctaid.y",
            "%nctaid.z",
            "%laneid",
            "%warpid",
        ];
        if let Some(i) = SR.iter().position(|x| *x == s) {
            return Ok(Opd::Sr(i as u8));
        }
        if s.starts_with('%') {
            return Ok(Opd::R(self.reg(s)));
        }
        if let Some(o) = self.shared.get(s) {
            return Ok(Opd::I(*o as u64));
        }
        if let Some(o) = self.params.get(s) {
            return Ok(Opd::I(*o as u64));
        }
        let (neg, t) = s.strip_prefix('-').map_or((false, s), |t| (true, t));
        let t = t.trim_end_matches('U');
        let v = if let Some(h) = t.strip_prefix("0x") { u64::from_str_radix(h, 16) } else { t.parse::<u64>() }
            .map_err(|_| format!("operand {s}"))?;
        Ok(Opd::I(if neg { v.wrapping_neg() } else { v }))
    }
    fn dst(&mut self, s: &str) -> Res<u32> {
        match self.opd(s)? {
            Opd::R(r) => Ok(r),
            _ => Err(format!("destination {s}")),
        }
    }
    fn addr(&mut self, s: &str) -> Res<(Opd, i64)> {
        let s = s.trim().trim_start_matches('[').trim_end_matches(']');
        match s.split_once('+') {
            Some((b, o)) => Ok((self.opd(b)?, o.trim().parse().map_err(|_| format!("offset {o}"))?)),
            None => Ok((self.opd(s)?, 0)),
        }
    }
}
/// split "a, {b, c}, [d+4]" at top-level commas
fn split(s: &str) -> Vec<String> {
    let (mut v, mut d, mut cur) = (Vec::new(), 0, String::new());
    for ch in s.chars() {
        match ch {
            '{' | '[' => d += 1,
            '}' | ']' => d -= 1,
            _ => {}
        }
        if ch == ',' && d == 0 {
            v.push(cur.trim().to_string());
            cur.clear()
        } else {
            cur.push(ch)
        }
    }
    if !cur.trim().is_empty() {
        v.push(cur.trim().to_string())
    }
    v
}
fn braces(s: &str) -> Vec<String> {
    split(s.trim().trim_start_matches('{').trim_end_matches('}'))
}

impl Module {
    pub fn parse(text: &str) -> Res<Module> {
        let text = text.trim_end_matches('\0');
        let lines: Vec<String> = text.lines().map(|l| l.split("//").next().unwrap().trim().to_string()).collect();
        let mut entries = HashMap::new();
        let mut i = 0;
        while i < lines.len() {
            if let Some(p) = lines[i].find(".entry ") {
                let name = lines[i][p + 7..].split('(').next().unwrap().trim().to_string();
                let e = Self::entry(&name, &lines, &mut i)?;
                entries.insert(name, e);
            } else {
                i += 1
            }
        }
        Ok(Module { entries, lines })
    }
    fn entry(name: &str, lines: &[String], i: &mut usize) -> Res<Entry> {
        let mut c = Ctx { regs: HashMap::new(), shared: HashMap::new(), params: HashMap::new() };
        let (mut params, mut poff, mut max_threads) = (Vec::new(), 0u32, 1024);
        while !lines[*i].starts_with('{') {
            if let Some(r) = lines[*i].strip_prefix(".param ") {
                let t: Vec<&str> = r.split_whitespace().collect();
                let ty = Ty::parse(&t[0][1..]).ok_or(format!("param type {}", t[0]))?;
                poff = poff.next_multiple_of(ty.size());
                c.params.insert(t[t.len() - 1].trim_end_matches(',').to_string(), poff);
                params.push(ty.size());
                poff += ty.size();
            }
            if let Some(r) = lines[*i].strip_prefix(".maxntid ") {
                max_threads = r.split(',').map(|x| x.trim().parse::<u32>().unwrap()).product();
            }
            *i += 1;
        }
        let (mut shared, mut labels, mut body) = (0u32, HashMap::new(), Vec::new());
        let mut depth = 0;
        loop {
            let l = lines[*i].clone();
            let ln = *i as u32;
            *i += 1;
            // braces that open/close a scope stand alone or lead an inline-asm line
            let mut l = l.as_str();
            if l == "{" {
                depth += 1;
                continue;
            }
            if l == "}" {
                depth -= 1;
                if depth == 0 {
                    break;
                }
                continue;
            }
            if let Some(r) = l.strip_prefix('{') {
                if !l.ends_with("};") {
                    depth += 1;
                    l = r.trim()
                }
            }
            if l.is_empty() || l.starts_with(".reg") || l.starts_with(".loc") || l.starts_with(".pragma") {
                continue;
            }
            if l.starts_with(".shared") || l.starts_with(".extern .shared") {
                let t: Vec<&str> = l.trim_end_matches(';').split_whitespace().collect();
                let al: u32 = t.iter().position(|x| *x == ".align").map_or(4, |p| t[p + 1].parse().unwrap());
                let (nm, sz) = t[t.len() - 1].split_once('[').ok_or("shared declaration")?;
                shared = shared.next_multiple_of(al.max(16));
                c.shared.insert(nm.to_string(), shared);
                shared += sz.trim_end_matches(']').parse::<u32>().unwrap_or(0);
                continue;
            }
            if let Some(lab) = l.strip_suffix(':') {
                labels.insert(lab.to_string(), body.len());
                continue;
            }
            let mut text = l.to_string();
            while !text.contains(';') {
                text.push(' ');
                text.push_str(&lines[*i]);
                *i += 1;
            }
            for stmt in text.split(';') {
                let s = stmt.trim();
                if s == "}" {
                    depth -= 1
                } else if !s.is_empty() {
                    body.push((s.to_string(), ln))
                }
            }
        }
        let mut code = Vec::new();
        for (s, ln) in body {
            code.push(Self::inst(&mut c, &labels, &s, ln).map_err(|e| format!("PTX line {}: {e}: {s}", ln + 1))?)
        }
        Ok(Entry { name: name.into(), params, nregs: c.regs.len() as u32, shared, code, max_threads })
    }
    fn inst(c: &mut Ctx, labels: &HashMap<String, usize>, s: &str, line: u32) -> Res<Inst> {
        let (mut pred, mut s) = (None, s);
        if let Some(r) = s.strip_prefix('@') {
            let (p, rest) = r.split_once(char::is_whitespace).ok_or("predicate")?;
            let neg = p.starts_with('!');
            pred = Some((c.reg(p.trim_start_matches('!')), neg));
            s = rest.trim();
        }
        let (name, args) = s.split_once(char::is_whitespace).unwrap_or((s, ""));
        let a = split(args);
        let p: Vec<&str> = name.split('.').collect();
        let ty = p.iter().rev().find_map(|x| Ty::parse(x)).unwrap_or(Ty::B(4));
        let has = |x: &str| p.contains(&x);
        let op = match p[0] {
            "mov" if a[0].starts_with('{') => {
                let d = braces(&a[0]);
                Op::MovUnpack(c.dst(&d[0])?, c.dst(&d[1])?, c.opd(&a[1])?)
            }
            "mov" if a[1].starts_with('{') => {
                let d = braces(&a[1]);
                Op::MovPack(c.dst(&a[0])?, c.opd(&d[0])?, c.opd(&d[1])?)
            }
            "cvta" if has("local") || has("const") || has("param") => return Err("cvta".into()),
            "cvta" => {
                let (k, base) = if !has("shared") {
                    (Alu::Add, 0)
                } else if has("to") {
                    (Alu::Sub, SH_BASE)
                } else {
                    (Alu::Add, SH_BASE)
                };
                Op::Alu(k, Ty::B(8), c.dst(&a[0])?, [c.opd(&a[1])?, Opd::I(base), Opd::None, Opd::None])
            }
            "add" | "sub" | "mul" | "mad" | "div" | "rem" | "and" | "or" | "xor" | "not" | "neg" | "shl" | "shr"
            | "min" | "max" | "popc" | "clz" | "brev" | "bfe" | "bfi" | "prmt" | "selp" | "mov" | "shf" => {
                if has("cc") || has("f32") || has("f64") || has("sat") {
                    return Err("modifier not handled".into());
                }
                let k = match p[0] {
                    "add" => Alu::Add,
                    "sub" => Alu::Sub,
                    "div" => Alu::Div,
                    "rem" => Alu::Rem,
                    "and" => Alu::And,
                    "or" => Alu::Or,
                    "xor" => Alu::Xor,
                    "not" => Alu::Not,
                    "neg" => Alu::Neg,
                    "shl" => Alu::Shl,
                    "shr" => Alu::Shr,
                    "min" => Alu::Min,
                    "max" => Alu::Max,
                    "popc" => Alu::Popc,
                    "clz" => Alu::Clz,
                    "brev" => Alu::Brev,
                    "bfe" => Alu::Bfe,
                    "bfi" => Alu::Bfi,
                    "prmt" => Alu::Prmt,
                    "selp" => Alu::Selp,
                    "mov" => Alu::Mov,
                    "shf" => {
                        if has("wrap") {
                            if has("l") { Alu::ShfL } else { Alu::ShfR }
                        } else {
                            return Err("shf".into());
                        }
                    }
                    "mul" => {
                        if has("wide") {
                            Alu::MulWide
                        } else if has("hi") {
                            Alu::MulHi
                        } else {
                            Alu::MulLo
                        }
                    }
                    _ => {
                        if has("wide") {
                            Alu::MadWide
                        } else if has("hi") {
                            Alu::MadHi
                        } else {
                            Alu::MadLo
                        }
                    }
                };
                let d = c.dst(&a[0])?;
                let mut o = [Opd::None; 4];
                for (j, x) in a[1..].iter().enumerate() {
                    o[j] = c.opd(x)?;
                }
                Op::Alu(k, ty, d, o)
            }
            "lop3" => Op::Lop3(
                c.dst(&a[0])?,
                [c.opd(&a[1])?, c.opd(&a[2])?, c.opd(&a[3])?],
                match c.opd(&a[4])? {
                    Opd::I(v) => v as u8,
                    _ => return Err("lop3".into()),
                },
            ),
            "cvt" if has("sat") => return Err("cvt.sat".into()),
            "cvt" => {
                let t: Vec<Ty> = p.iter().filter_map(|x| Ty::parse(x)).collect();
                if t.len() != 2 {
                    return Err("cvt".into());
                }
                Op::Cvt(t[0], t[1], c.dst(&a[0])?, c.opd(&a[1])?)
            }
            "setp" => {
                let k = match p[1] {
                    "eq" => Cmp::Eq,
                    "ne" => Cmp::Ne,
                    "lt" | "lo" => Cmp::Lt,
                    "le" | "ls" => Cmp::Le,
                    "gt" | "hi" => Cmp::Gt,
                    "ge" | "hs" => Cmp::Ge,
                    _ => return Err("setp".into()),
                };
                let comb = p.iter().find_map(|x| match *x {
                    "and" => Some(0u8),
                    "or" => Some(1),
                    "xor" => Some(2),
                    _ => None,
                });
                let e = match comb {
                    Some(b) => Some((b, c.opd(&a[3])?)),
                    None => None,
                };
                Op::Setp(k, ty, c.dst(&a[0])?, c.opd(&a[1])?, c.opd(&a[2])?, e)
            }
            "ld" | "st" => {
                let sp = if has("param") {
                    Space::Param
                } else if has("shared") {
                    Space::Shared
                } else if has("global") {
                    Space::Global
                } else if has("local") {
                    return Err("local memory".into());
                } else {
                    Space::Generic
                };
                let (val, ad) = if p[0] == "ld" { (&a[0], &a[1]) } else { (&a[1], &a[0]) };
                let vs = if val.starts_with('{') { braces(val) } else { vec![val.clone()] };
                let (base, off) = c.addr(ad)?;
                if p[0] == "ld" {
                    let r: Res<Vec<u32>> = vs.iter().map(|v| c.dst(v)).collect();
                    Op::Ld(sp, ty, r?, base, off)
                } else {
                    let r: Res<Vec<Opd>> = vs.iter().map(|v| c.opd(v)).collect();
                    Op::St(sp, ty, r?, base, off)
                }
            }
            "bra" => Op::Bra(*labels.get(a[0].as_str()).ok_or("label")?),
            "ret" | "exit" => Op::Ret,
            "bar" | "barrier" if has("warp") => Op::WarpSync,
            "bar" | "barrier" => {
                if a.len() > 1 || a[0] != "0" {
                    return Err("named barrier".into());
                }
                Op::Bar
            }
            "membar" | "fence" => Op::Nop,
            "shfl" => {
                let m = match p[2] {
                    "bfly" => ShflMode::Bfly,
                    "down" => ShflMode::Down,
                    "up" => ShflMode::Up,
                    "idx" => ShflMode::Idx,
                    _ => return Err("shfl".into()),
                };
                let (d, pr) = match a[0].split_once('|') {
                    Some((d, q)) => (c.dst(d)?, Some(c.dst(q)?)),
                    None => (c.dst(&a[0])?, None),
                };
                Op::Shfl(m, d, pr, c.opd(&a[1])?, c.opd(&a[2])?, c.opd(&a[3])?, c.opd(&a[4])?)
            }
            "mma" => {
                // the whole name must be one we implement
                let (sa, sb) = match name {
                    "mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32" => (false, false),
                    "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32" => (true, true),
                    "mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32" => (true, false),
                    "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32" => (false, true),
                    _ => return Err("mma shape".into()),
                };
                let g: Vec<Vec<String>> = a.iter().map(|x| braces(x)).collect();
                if g.iter().map(|x| x.len()).collect::<Vec<_>>() != [4, 4, 2, 4] {
                    return Err("mma operands".into());
                }
                let mut d = [0; 4];
                let (mut ra, mut rb, mut rc) = ([Opd::None; 4], [Opd::None; 2], [Opd::None; 4]);
                for j in 0..4 {
                    d[j] = c.dst(&g[0][j])?;
                    ra[j] = c.opd(&g[1][j])?;
                    rc[j] = c.opd(&g[3][j])?;
                }
                for j in 0..2 {
                    rb[j] = c.opd(&g[2][j])?;
                }
                Op::Mma { sa, sb, d, a: ra, b: rb, c: rc }
            }
            "ldmatrix" => {
                let g = braces(&a[0]);
                let mut d = [0; 4];
                for (j, x) in g.iter().enumerate() {
                    d[j] = c.dst(x)?;
                }
                let (addr, off) = c.addr(&a[1])?;
                Op::LdMatrix { n: g.len(), trans: has("trans"), d, addr, off }
            }
            "cp" if has("commit_group") => Op::CpCommit,
            "cp" if has("wait_group") => match c.opd(&a[0])? {
                Opd::I(v) => Op::CpWait(v),
                _ => return Err("wait_group".into()),
            },
            "cp" if has("wait_all") => Op::CpWait(0),
            "cp" if name.starts_with("cp.async.c") => {
                let ((dst, doff), (src, soff)) = (c.addr(&a[0])?, c.addr(&a[1])?);
                let size = match c.opd(&a[2])? {
                    Opd::I(v) => v as u32,
                    _ => return Err("cp.async".into()),
                };
                let n = if a.len() > 3 { c.opd(&a[3])? } else { Opd::I(size as u64) };
                Op::CpAsync { dst, doff, src, soff, size, n }
            }
            "atom" | "red" if has("add") => {
                let r = p[0] == "red";
                let (addr, off) = c.addr(&a[if r { 0 } else { 1 }])?;
                Op::Atom {
                    shared: has("shared"),
                    ty,
                    d: if r { None } else { Some(c.dst(&a[0])?) },
                    addr,
                    off,
                    v: c.opd(&a[if r { 1 } else { 2 }])?,
                }
            }
            _ => return Err("instruction not handled".into()),
        };
        Ok(Inst { op, pred, line })
    }
}

/// Generic address of shared offset 0. Its low 32 bits are not zero, so a truncated generic pointer is not a shared offset by accident.
pub(crate) const SH_BASE: u64 = 0x7000_0001_0040_0000;
fn shared_off(sp: Space, a: u64) -> Option<u64> {
    match sp {
        Space::Shared => Some(a & 0xffff_ffff),
        Space::Generic if (SH_BASE..SH_BASE + (1 << 20)).contains(&a) => Some(a - SH_BASE),
        _ => None,
    }
}

/// Buffers the kernel may touch: (base, length in bytes). Addresses are real host addresses.
#[derive(Default)]
pub struct Memory {
    bufs: Vec<(u64, u64)>,
}
impl Memory {
    pub fn add<T>(&mut self, s: &mut [T]) -> u64 {
        let b = s.as_mut_ptr() as u64;
        self.bufs.push((b, std::mem::size_of_val(s) as u64));
        b
    }
    pub fn add_raw(&mut self, base: u64, len: u64) {
        self.bufs.push((base, len))
    }
    fn ok(&self, a: u64, n: u64) -> bool {
        self.bufs.iter().any(|(b, l)| a >= *b && a + n <= b + l)
    }
}
#[derive(Clone, Copy, PartialEq)]
enum St {
    Run,
    Bar,
    Warp,
    Done,
}
struct Thread {
    pc: usize,
    st: St,
    base: usize,
    tid: [u32; 3],
    open: Vec<(u64, u64, u32, u32)>,
    groups: Vec<Vec<(u64, u64, u32, u32)>>,
}
#[derive(Clone, Copy, Default)]
struct Shadow {
    wt: u32,
    we: u32,
    rt: u32,
    re: u32,
} // last writer/reader thread (+1) and the epoch of that access
#[derive(Default, Clone)]
pub struct Stats {
    pub instructions: u64,
    pub mma: u64,
}

pub struct Launch<'a> {
    pub module: &'a Module,
    pub mem: &'a Memory,
    pub reverse: bool,
    pub stats: Stats,
}
impl<'a> Launch<'a> {
    pub fn run(&mut self, name: &str, grid: [u32; 3], block: [u32; 3], dyn_shared: u32, params: &[u64]) -> Res<()> {
        let e = self.module.entries.get(name).ok_or(format!("no entry {name}"))?;
        if params.len() != e.params.len() {
            return Err(format!("{name}: {} parameters given, {} declared", params.len(), e.params.len()));
        }
        let nt = block.iter().product::<u32>();
        if nt > e.max_threads {
            return Err(format!("{nt} threads, .maxntid {}", e.max_threads));
        }
        let mut pbuf = Vec::new();
        for (v, s) in params.iter().zip(&e.params) {
            while pbuf.len() % *s as usize != 0 {
                pbuf.push(0)
            }
            pbuf.extend_from_slice(&v.to_le_bytes()[..*s as usize])
        }
        pbuf.resize(pbuf.len() + 8, 0);
        for z in 0..grid[2] {
            for y in 0..grid[1] {
                for x in 0..grid[0] {
                    let mut b = Block {
                        l: self.mem,
                        m: self.module,
                        e,
                        cta: [x, y, z],
                        ntid: block,
                        grid,
                        nt,
                        params: &pbuf,
                        sh: vec![0xCD; (e.shared + dyn_shared) as usize],
                        shadow: vec![Shadow::default(); (e.shared + dyn_shared) as usize],
                        regs: vec![0xDEAD_BEEF_DEAD_BEEF; e.nregs as usize * nt as usize],
                        epoch: 1,
                        stats: Stats::default(),
                    };
                    b.run(self.reverse).map_err(|m| format!("{name} block ({x},{y},{z}): {m}"))?;
                    self.stats.instructions += b.stats.instructions;
                    self.stats.mma += b.stats.mma;
                }
            }
        }
        Ok(())
    }
}
struct Block<'a> {
    l: &'a Memory,
    m: &'a Module,
    e: &'a Entry,
    cta: [u32; 3],
    ntid: [u32; 3],
    grid: [u32; 3],
    nt: u32,
    params: &'a [u8],
    sh: Vec<u8>,
    shadow: Vec<Shadow>,
    regs: Vec<u64>,
    epoch: u32,
    stats: Stats,
}
impl Block<'_> {
    fn v(&self, t: &Thread, o: Opd) -> u64 {
        match o {
            Opd::R(r) => self.regs[t.base + r as usize],
            Opd::I(v) => v,
            Opd::Sr(i) => match i {
                0..=2 => t.tid[i as usize] as u64,
                3..=5 => self.cta[i as usize - 3] as u64,
                6..=8 => self.ntid[i as usize - 6] as u64,
                9..=11 => self.grid[i as usize - 9] as u64,
                12 => (t.base / self.e.nregs as usize & 31) as u64,
                _ => (t.base / self.e.nregs as usize >> 5) as u64,
            },
            Opd::None => 0,
        }
    }
    fn hazard(&mut self, lin: u32, a: u64, n: u32, write: bool) -> Res<()> {
        if a + n as u64 > self.sh.len() as u64 {
            return Err(format!("shared access at {a}+{n}, only {} bytes", self.sh.len()));
        }
        let (me, ep) = (lin + 1, self.epoch);
        for s in &mut self.shadow[a as usize..a as usize + n as usize] {
            if s.we == ep && s.wt != me {
                return Err(format!(
                    "shared-memory race at byte {a}: thread {} wrote, thread {lin} {} with no barrier between",
                    s.wt - 1,
                    if write { "writes" } else { "reads" }
                ));
            }
            if write {
                if s.re == ep && s.rt != me {
                    return Err(format!(
                        "shared-memory race at byte {a}: thread {} read, thread {lin} writes with no barrier between",
                        s.rt as i64 - 1
                    ));
                }
                s.wt = me;
                s.we = ep
            } else {
                if s.re == ep && s.rt != me {
                    s.rt = u32::MAX
                } else {
                    s.rt = me
                }
                s.re = ep
            }
        }
        Ok(())
    }
    fn load(&mut self, lin: u32, sp: Space, a: u64, n: u32) -> Res<u64> {
        if a % n as u64 != 0 {
            return Err(format!("misaligned {n}-byte load at {a:#x}"));
        }
        let mut b = [0u8; 8];
        if let Some(o) = shared_off(sp, a) {
            self.hazard(lin, o, n, false)?;
            b[..n as usize].copy_from_slice(&self.sh[o as usize..o as usize + n as usize])
        } else {
            if !self.l.ok(a, n as u64) {
                return Err(format!("out-of-bounds {n}-byte load at {a:#x} by thread {lin}"));
            }
            unsafe { std::ptr::copy_nonoverlapping(a as *const u8, b.as_mut_ptr(), n as usize) }
        }
        Ok(u64::from_le_bytes(b))
    }
    fn store(&mut self, lin: u32, sp: Space, a: u64, n: u32, v: u64) -> Res<()> {
        if a % n as u64 != 0 {
            return Err(format!("misaligned {n}-byte store at {a:#x}"));
        }
        let b = v.to_le_bytes();
        if let Some(o) = shared_off(sp, a) {
            self.hazard(lin, o, n, true)?;
            self.sh[o as usize..o as usize + n as usize].copy_from_slice(&b[..n as usize])
        } else {
            if !self.l.ok(a, n as u64) {
                return Err(format!("out-of-bounds {n}-byte store at {a:#x} by thread {lin}"));
            }
            unsafe { std::ptr::copy_nonoverlapping(b.as_ptr(), a as *mut u8, n as usize) }
        }
        Ok(())
    }
    fn run(&mut self, reverse: bool) -> Res<()> {
        let nr = self.e.nregs as usize;
        let mut th: Vec<Thread> = (0..self.nt)
            .map(|i| Thread {
                pc: 0,
                st: St::Run,
                base: i as usize * nr,
                tid: [i % self.ntid[0], i / self.ntid[0] % self.ntid[1], i / self.ntid[0] / self.ntid[1]],
                open: vec![],
                groups: vec![],
            })
            .collect();
        loop {
            let mut progress = false;
            for j in 0..th.len() {
                let i = if reverse { th.len() - 1 - j } else { j };
                if th[i].st == St::Run {
                    progress = true;
                    self.thread(&mut th[i], i as u32).map_err(|e| {
                        let l = self.e.code[th[i].pc.min(self.e.code.len() - 1)].line;
                        format!("{e}\n  PTX line {}: {}", l + 1, self.m.lines[l as usize])
                    })?
                }
            }
            // warp collectives: every live lane must wait at the same instruction
            for w in 0..th.len().div_ceil(32) {
                let (lo, hi) = (w * 32, th.len().min(w * 32 + 32));
                if th[lo..hi].iter().any(|t| t.st == St::Warp) && th[lo..hi].iter().all(|t| t.st != St::Run) {
                    if !th[lo..hi].iter().all(|t| t.st == St::Warp && t.pc == th[lo].pc) || hi - lo != 32 {
                        return Err(format!("warp {w} diverged at a warp-wide instruction"));
                    }
                    self.warp(&mut th[lo..hi], lo)?;
                    progress = true;
                }
            }
            let done = th.iter().filter(|t| t.st == St::Done).count();
            if done == th.len() {
                return if th.iter().any(|t| !t.open.is_empty() || t.groups.iter().any(|g| !g.is_empty())) {
                    Err("exits with cp.async in flight".into())
                } else {
                    Ok(())
                };
            }
            if th.iter().all(|t| t.st == St::Bar || t.st == St::Done) {
                let pc = th.iter().find(|t| t.st == St::Bar).unwrap().pc;
                if th.iter().any(|t| t.st == St::Bar && t.pc != pc) {
                    return Err("threads wait at different barriers".into());
                }
                for t in &mut th {
                    if t.st == St::Bar {
                        t.st = St::Run;
                        t.pc += 1
                    }
                }
                self.epoch += 1;
                progress = true;
            }
            if !progress {
                return Err("deadlock".into());
            }
        }
    }
    fn thread(&mut self, t: &mut Thread, lin: u32) -> Res<()> {
        let code = &self.e.code;
        while t.pc < code.len() {
            let ins = &code[t.pc];
            self.stats.instructions += 1;
            if let Some((p, neg)) = ins.pred {
                if (self.regs[t.base + p as usize] != 0) == neg {
                    t.pc += 1;
                    continue;
                }
            }
            match &ins.op {
                Op::Alu(k, ty, d, o) => {
                    let (a, b) = (self.v(t, o[0]), self.v(t, o[1]));
                    let bits = 8 * ty.size();
                    let r = match k {
                        Alu::Mov => a,
                        Alu::Add => a.wrapping_add(b),
                        Alu::Sub => a.wrapping_sub(b),
                        Alu::MulLo => a.wrapping_mul(b),
                        Alu::MulWide => (ty.get(a) * ty.get(b)) as u64,
                        Alu::MulHi => ((ty.get(a) * ty.get(b)) >> bits) as u64,
                        Alu::MadLo => a.wrapping_mul(b).wrapping_add(self.v(t, o[2])),
                        Alu::MadWide => ((ty.get(a) * ty.get(b)) as u64).wrapping_add(self.v(t, o[2])),
                        Alu::MadHi => (((ty.get(a) * ty.get(b)) >> bits) as u64).wrapping_add(self.v(t, o[2])),
                        Alu::Div => {
                            let y = ty.get(b);
                            if y == 0 {
                                return Err("division by zero".into());
                            }
                            (ty.get(a) / y) as u64
                        }
                        Alu::Rem => {
                            let y = ty.get(b);
                            if y == 0 {
                                return Err("division by zero".into());
                            }
                            (ty.get(a) % y) as u64
                        }
                        Alu::And => a & b,
                        Alu::Or => a | b,
                        Alu::Xor => a ^ b,
                        Alu::Not => {
                            if *ty == Ty::Pred {
                                (a == 0) as u64
                            } else {
                                !a
                            }
                        }
                        Alu::Neg => a.wrapping_neg(),
                        Alu::Shl => {
                            let s = b as u32;
                            if s >= bits { 0 } else { a << s }
                        }
                        Alu::Shr => {
                            let s = (b as u32).min(bits);
                            if ty.signed() {
                                (ty.sext(a) >> s.min(63)) as u64
                            } else if s >= bits {
                                0
                            } else {
                                (a & ty.mask()) >> s
                            }
                        }
                        Alu::Min => {
                            if ty.get(a) < ty.get(b) {
                                a
                            } else {
                                b
                            }
                        }
                        Alu::Max => {
                            if ty.get(a) > ty.get(b) {
                                a
                            } else {
                                b
                            }
                        }
                        Alu::Popc => (a & ty.mask()).count_ones() as u64,
                        Alu::Clz => ((a & ty.mask()).leading_zeros() - (64 - bits)) as u64,
                        Alu::Brev => (a & ty.mask()).reverse_bits() >> (64 - bits),
                        Alu::Bfe => {
                            let (p, l) = (b & 255, self.v(t, o[2]) & 255);
                            if ty.signed() {
                                return Err("bfe.s".into());
                            }
                            if p >= bits as u64 || l == 0 {
                                0
                            } else {
                                ((a & ty.mask()) >> p) & (u64::MAX >> (64 - l.min(64)))
                            }
                        }
                        Alu::Bfi => {
                            let (p, l) = (self.v(t, o[2]) & 255, self.v(t, o[3]) & 255);
                            let m = if l == 0 || p >= bits as u64 { 0 } else { (u64::MAX >> (64 - l.min(64))) << p };
                            (b & !m) | (a.wrapping_shl(p as u32) & m)
                        }
                        Alu::Prmt => {
                            let x = (b & 0xffff_ffff) << 32 | (a & 0xffff_ffff);
                            let s = self.v(t, o[2]);
                            let mut r = 0;
                            for i in 0..4 {
                                let q = s >> (4 * i);
                                let mut by = x >> (8 * (q & 7)) & 255;
                                if q & 8 != 0 {
                                    by = if by & 128 != 0 { 255 } else { 0 }
                                }
                                r |= by << (8 * i)
                            }
                            r
                        }
                        Alu::Selp => {
                            if self.v(t, o[2]) != 0 {
                                a
                            } else {
                                b
                            }
                        }
                        Alu::ShfL => {
                            let x = (b & 0xffff_ffff) << 32 | (a & 0xffff_ffff);
                            (x << (self.v(t, o[2]) & 31)) >> 32
                        }
                        Alu::ShfR => {
                            let x = (b & 0xffff_ffff) << 32 | (a & 0xffff_ffff);
                            x >> (self.v(t, o[2]) & 31)
                        }
                    };
                    self.regs[t.base + *d as usize] = if matches!(k, Alu::MulWide | Alu::MadWide) {
                        r & (u64::MAX >> (64 - 2 * bits))
                    } else {
                        r & ty.mask()
                    };
                }
                Op::Lop3(d, o, lut) => {
                    let (a, b, c) = (self.v(t, o[0]), self.v(t, o[1]), self.v(t, o[2]));
                    let mut r = 0u64;
                    for i in 0..32 {
                        let x = (a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1);
                        r |= ((*lut >> x & 1) as u64) << i
                    }
                    self.regs[t.base + *d as usize] = r
                }
                Op::Cvt(dt, st, d, o) => {
                    let x = st.get(self.v(t, *o));
                    self.regs[t.base + *d as usize] = x as u64 & dt.mask()
                }
                Op::Setp(k, ty, d, a, b, e) => {
                    let (x, y) = (ty.get(self.v(t, *a)), ty.get(self.v(t, *b)));
                    let mut r = match k {
                        Cmp::Eq => x == y,
                        Cmp::Ne => x != y,
                        Cmp::Lt => x < y,
                        Cmp::Le => x <= y,
                        Cmp::Gt => x > y,
                        Cmp::Ge => x >= y,
                    };
                    if let Some((m, q)) = e {
                        let q = self.v(t, *q) != 0;
                        r = match m {
                            0 => r && q,
                            1 => r || q,
                            _ => r != q,
                        }
                    }
                    self.regs[t.base + *d as usize] = r as u64;
                }
                Op::Ld(Space::Param, ty, d, a, off) => {
                    let o = (self.v(t, *a) as i64 + off) as usize;
                    let mut b = [0u8; 8];
                    let n = ty.size() as usize;
                    b[..n].copy_from_slice(&self.params[o..o + n]);
                    self.regs[t.base + d[0] as usize] = u64::from_le_bytes(b)
                }
                Op::Ld(sp, ty, d, a, off) => {
                    let p = self.v(t, *a).wrapping_add(*off as u64);
                    if p % (ty.size() as u64 * d.len() as u64) != 0 {
                        return Err(format!("misaligned vector load {p:#x}"));
                    }
                    for (i, r) in d.iter().enumerate() {
                        let x = self.load(lin, *sp, p + i as u64 * ty.size() as u64, ty.size())?;
                        self.regs[t.base + *r as usize] = if ty.signed() {
                            ty.sext(x) as u64 & if ty.size() < 8 { 0xffff_ffff } else { u64::MAX }
                        } else {
                            x
                        }
                    }
                }
                Op::St(sp, ty, s, a, off) => {
                    let p = self.v(t, *a).wrapping_add(*off as u64);
                    if p % (ty.size() as u64 * s.len() as u64) != 0 {
                        return Err(format!("misaligned vector store {p:#x}"));
                    }
                    for (i, o) in s.iter().enumerate() {
                        let x = self.v(t, *o);
                        self.store(lin, *sp, p + i as u64 * ty.size() as u64, ty.size(), x)?
                    }
                }
                Op::Bra(l) => {
                    t.pc = *l;
                    continue;
                }
                Op::Ret => {
                    t.st = St::Done;
                    return Ok(());
                }
                Op::Bar => {
                    t.st = St::Bar;
                    return Ok(());
                }
                Op::WarpSync | Op::Shfl(..) | Op::Mma { .. } | Op::LdMatrix { .. } => {
                    t.st = St::Warp;
                    return Ok(());
                }
                Op::CpAsync { dst, doff, src, soff, size, n } => {
                    let (d, s, n) = (
                        self.v(t, *dst).wrapping_add(*doff as u64) & 0xffff_ffff,
                        self.v(t, *src).wrapping_add(*soff as u64),
                        self.v(t, *n) as u32,
                    );
                    if (d | s) % *size as u64 != 0 {
                        return Err("cp.async misaligned".into());
                    }
                    if !self.l.ok(s, n as u64) {
                        return Err(format!("cp.async reads out of bounds at {s:#x}"));
                    }
                    self.hazard(lin, d, *size, true)?;
                    self.sh[d as usize..(d + *size as u64) as usize].fill(0xEE); // lands only at the wait
                    t.open.push((d, s, *size, n));
                }
                Op::CpCommit => {
                    let g = std::mem::take(&mut t.open);
                    t.groups.push(g)
                }
                Op::CpWait(k) => {
                    while t.groups.len() as u64 > *k {
                        for (d, s, size, n) in t.groups.remove(0) {
                            self.hazard(lin, d, size, true)?; // the write takes effect now
                            let o = &mut self.sh[d as usize..(d + size as u64) as usize];
                            o.fill(0);
                            unsafe { std::ptr::copy_nonoverlapping(s as *const u8, o.as_mut_ptr(), n as usize) }
                        }
                    }
                }
                Op::MovPack(d, lo, hi) => {
                    self.regs[t.base + *d as usize] =
                        (self.v(t, *hi) & 0xffff_ffff) << 32 | (self.v(t, *lo) & 0xffff_ffff)
                }
                Op::MovUnpack(lo, hi, s) => {
                    let x = self.v(t, *s);
                    self.regs[t.base + *lo as usize] = x & 0xffff_ffff;
                    self.regs[t.base + *hi as usize] = x >> 32
                }
                Op::Atom { shared, ty, d, addr, off, v } => {
                    let (a, x) = (self.v(t, *addr).wrapping_add(*off as u64), self.v(t, *v));
                    if *shared {
                        return Err("shared atomics: not modelled".into());
                    }
                    let old = self.load(lin, Space::Global, a, ty.size())?;
                    self.store(lin, Space::Global, a, ty.size(), old.wrapping_add(x))?;
                    if let Some(d) = d {
                        self.regs[t.base + *d as usize] = old
                    }
                }
                Op::Nop => {}
            }
            t.pc += 1;
        }
        t.st = St::Done;
        Ok(())
    }
    fn warp(&mut self, th: &mut [Thread], lo: usize) -> Res<()> {
        match self.e.code[th[0].pc].op.clone() {
            Op::WarpSync => {}
            Op::Shfl(mode, d, pr, a, b, c, m) => {
                let mut out = [(0u64, false); 32];
                for l in 0..32u32 {
                    if self.v(&th[l as usize], m) as u32 != u32::MAX {
                        return Err("shfl: partial masks are not modelled".into());
                    }
                    let (cv, bv) = (self.v(&th[l as usize], c) as u32, self.v(&th[l as usize], b) as u32 & 31);
                    let (seg, cl) = (cv >> 8 & 31, cv & 31);
                    let (maxl, minl) = ((l & seg) | (cl & !seg), l & seg);
                    let (j, ok) = match mode {
                        ShflMode::Up => (l.wrapping_sub(bv), l as i32 - bv as i32 >= maxl as i32),
                        ShflMode::Down => (l + bv, l + bv <= maxl),
                        ShflMode::Bfly => (l ^ bv, (l ^ bv) <= maxl),
                        ShflMode::Idx => (minl | (bv & !seg), (minl | (bv & !seg)) <= maxl),
                    };
                    out[l as usize] = (self.v(&th[if ok { j } else { l } as usize], a) & 0xffff_ffff, ok);
                }
                for l in 0..32 {
                    let base = th[l].base;
                    self.regs[base + d as usize] = out[l].0;
                    if let Some(p) = pr {
                        self.regs[base + p as usize] = out[l].1 as u64
                    }
                }
            }
            Op::Mma { sa, sb, d, a, b, c } => {
                self.stats.mma += 1;
                let (mut ma, mut mb) = ([[0i32; 32]; 16], [[0i32; 32]; 8]);
                let cv = |x: u8, s: bool| if s { x as i8 as i32 } else { x as i32 };
                for (l, t) in th.iter().enumerate() {
                    let (g, q) = (l >> 2, l & 3);
                    for r in 0..4 {
                        for (i, x) in (self.v(t, a[r]) as u32).to_le_bytes().iter().enumerate() {
                            ma[g + 8 * (r & 1)][q * 4 + i + 16 * (r >> 1)] = cv(*x, sa)
                        }
                    }
                    for r in 0..2 {
                        for (i, x) in (self.v(t, b[r]) as u32).to_le_bytes().iter().enumerate() {
                            mb[g][q * 4 + i + 16 * r] = cv(*x, sb)
                        }
                    }
                }
                for (l, t) in th.iter().enumerate() {
                    let (g, q) = (l >> 2, l & 3);
                    let mut out = [0u64; 4];
                    for r in 0..4 {
                        let s: i32 = (0..32).map(|k| ma[g + 8 * (r >> 1)][k] * mb[q * 2 + (r & 1)][k]).sum();
                        out[r] = (self.v(t, c[r]) as u32).wrapping_add(s as u32) as u64
                    }
                    for r in 0..4 {
                        self.regs[t.base + d[r] as usize] = out[r]
                    }
                }
            }
            Op::LdMatrix { n, trans, d, addr, off } => {
                if trans {
                    return Err("ldmatrix.trans: not modelled".into());
                }
                let rows: Vec<u64> = th.iter().map(|t| self.v(t, addr).wrapping_add(off as u64)).collect();
                for l in 0..32 {
                    for (m, r) in d.iter().enumerate().take(n) {
                        let x = self.load(
                            (lo + m * 8 + l / 4) as u32,
                            Space::Shared,
                            rows[m * 8 + l / 4] + (l as u64 % 4) * 4,
                            4,
                        )?;
                        let b = th[l].base;
                        self.regs[b + *r as usize] = x
                    }
                }
            }
            _ => unreachable!(),
        }
        for t in th.iter_mut() {
            t.st = St::Run;
            t.pc += 1
        }
        Ok(())
    }
}
