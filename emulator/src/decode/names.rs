//! What names stand for, scope by scope.

use std::collections::BTreeMap;

use crate::isa::{Compare, Pred, Program, Reg, Special};

/// A variable at the module's level: its address.
#[derive(Clone, Debug)]
pub(crate) enum Global {
    Address(u64),
    /// A static shared array: bytes, alignment.
    Shared(u32, u32),
    /// An external shared array.
    Dynamic,
}

/// A kind of register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Class {
    Pred,
    Bits(u32),
}

impl Class {
    pub fn parse(ty: &str) -> Option<Class> {
        Some(match ty {
            "pred" => Class::Pred,
            "b16" | "u16" | "s16" => Class::Bits(16),
            "b32" | "u32" | "s32" | "f32" => Class::Bits(32),
            "b64" | "u64" | "s64" | "f64" => Class::Bits(64),
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Symbol {
    Register(Reg),
    Pred(Pred),
    /// A variable in its own space.
    Address(u64),
    /// The shared memory that the launch adds.
    Dynamic,
    Targets(Vec<u32>),
}

#[derive(Default)]
struct Scope {
    id: usize,
    names: BTreeMap<String, Symbol>,
    /// Names with numbers: the text before the number, how many.
    ranges: BTreeMap<String, (Class, u32)>,
}

pub(super) struct Scopes<'a> {
    globals: &'a BTreeMap<String, Global>,
    /// Static shared arrays of the module that this kernel uses.
    shared: BTreeMap<String, u32>,
    open: Vec<Scope>,
    opened: usize,
    labels: BTreeMap<(usize, String), u32>,
    constants: BTreeMap<(u32, u64), Reg>,
    specials: BTreeMap<String, Reg>,
}

const AXES: [&str; 3] = ["x", "y", "z"];

fn special(name: &str) -> Option<Special> {
    let (base, axis) = name.split_once('.').map_or((name, None), |(b, a)| (b, AXES.iter().position(|x| *x == a)));
    Some(match (base, axis) {
        ("%tid", Some(i)) => Special::Tid(i),
        ("%ntid", Some(i)) => Special::Ntid(i),
        ("%ctaid", Some(i)) => Special::Ctaid(i),
        ("%nctaid", Some(i)) => Special::Nctaid(i),
        ("%laneid", None) => Special::LaneId,
        ("%warpid", None) => Special::WarpId,
        ("%lanemask_eq", None) => Special::LaneMask(Compare::Eq),
        ("%lanemask_lt", None) => Special::LaneMask(Compare::Lt),
        ("%lanemask_le", None) => Special::LaneMask(Compare::Le),
        ("%lanemask_gt", None) => Special::LaneMask(Compare::Gt),
        ("%lanemask_ge", None) => Special::LaneMask(Compare::Ge),
        ("%dynamic_smem_size", None) => Special::DynamicShared,
        _ => return None,
    })
}

impl<'a> Scopes<'a> {
    pub fn new(globals: &'a BTreeMap<String, Global>) -> Scopes<'a> {
        Scopes {
            globals,
            shared: BTreeMap::new(),
            open: Vec::new(),
            opened: 0,
            labels: BTreeMap::new(),
            constants: BTreeMap::new(),
            specials: BTreeMap::new(),
        }
    }

    pub fn enter_function(&mut self, labels: BTreeMap<(usize, String), u32>) {
        (self.open, self.opened, self.labels) = (vec![Scope::default()], 0, labels);
    }

    pub fn open(&mut self) {
        self.opened += 1;
        self.open.push(Scope { id: self.opened, ..Scope::default() });
    }

    pub fn close(&mut self) {
        self.open.pop();
    }

    pub fn define(&mut self, name: String, symbol: Symbol) {
        if let Some(scope) = self.open.last_mut() {
            scope.names.insert(name, symbol);
        }
    }

    pub fn registers(&mut self, name: &str, count: Option<u32>, class: Class) {
        if let Some(scope) = self.open.last_mut() {
            // A single name is a range of its own, without a number.
            scope.ranges.insert(name.to_owned(), (class, count.unwrap_or(u32::MAX)));
        }
    }

    pub fn find(&self, name: &str) -> Option<Symbol> {
        self.open.iter().rev().find_map(|scope| scope.names.get(name).cloned())
    }

    pub fn label(&self, name: &str) -> Result<u32, String> {
        let found = self.open.iter().rev().find_map(|scope| self.labels.get(&(scope.id, name.to_owned())));
        found.copied().ok_or_else(|| format!("no label {name}"))
    }

    /// A declared register, or a special one.
    pub fn register(&mut self, name: &str, program: &mut Program) -> Result<Reg, String> {
        if let Some(special) = special(name) {
            return Ok(*self.specials.entry(name.to_owned()).or_insert_with(|| {
                let reg = program.register(32);
                program.specials.push((reg, special));
                reg
            }));
        }
        self.variable_register(name, program)
    }

    pub fn variable_register(&mut self, name: &str, program: &mut Program) -> Result<Reg, String> {
        match self.lookup(name, program)? {
            Symbol::Register(reg) => Ok(reg),
            _ => Err(format!("{name} is no register")),
        }
    }

    pub fn pred(&mut self, name: &str, program: &mut Program) -> Result<Pred, String> {
        match self.lookup(name, program)? {
            Symbol::Pred(pred) => Ok(pred),
            _ => Err(format!("{name} is no predicate")),
        }
    }

    fn lookup(&mut self, name: &str, program: &mut Program) -> Result<Symbol, String> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].parse::<u32>().ok();
        for scope in self.open.iter_mut().rev() {
            if let Some(symbol) = scope.names.get(name) {
                return Ok(symbol.clone());
            }
            let single = scope.ranges.get(name).filter(|(_, count)| *count == u32::MAX);
            let ranged =
                scope.ranges.get(stem).filter(|(_, count)| number.is_some_and(|n| n < *count && *count < u32::MAX));
            if let Some((class, _)) = single.or(ranged) {
                let symbol = match class {
                    Class::Pred => {
                        program.counts[2] += 1;
                        Symbol::Pred(Pred(program.counts[2] - 1))
                    }
                    Class::Bits(bits) => Symbol::Register(program.register(*bits)),
                };
                scope.names.insert(name.to_owned(), symbol.clone());
                return Ok(symbol);
            }
        }
        Err(format!("{name} is not declared, or not handled"))
    }

    /// A variable of the module. Its shared arrays get their place in the kernels that use them.
    pub fn global(&mut self, name: &str, program: &mut Program) -> Option<Symbol> {
        match self.globals.get(name)? {
            Global::Address(address) => Some(Symbol::Address(*address)),
            Global::Dynamic => Some(Symbol::Dynamic),
            Global::Shared(bytes, align) => {
                let start = *self.shared.entry(name.to_owned()).or_insert_with(|| {
                    let start = program.shared_bytes.next_multiple_of(*align);
                    program.shared_bytes = start.saturating_add(*bytes);
                    start
                });
                Some(Symbol::Address(u64::from(start)))
            }
        }
    }

    /// A register that always holds this value.
    pub fn constant(&mut self, value: u64, bits: u32, program: &mut Program) -> Reg {
        let value = if bits == 64 { value } else { value & ((1 << bits) - 1) };
        *self.constants.entry((bits, value)).or_insert_with(|| {
            let reg = program.register(bits);
            program.constants.push((reg, value));
            reg
        })
    }
}
