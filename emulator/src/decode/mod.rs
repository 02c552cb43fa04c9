//! Statements to programs: every kernel with the functions it calls becomes one list of instructions.
//!
//! Whatever is not understood is refused here, so that no launch can meet it.

mod arithmetic;
mod flow;
mod memory;
mod names;
mod opcode;

use std::collections::BTreeMap;

use crate::isa::{Address, Guard, Inst, Op, Pred, Program, Reg};
use crate::parse::{Arg, Function, Instruction, Parameter, Problem, Statement, problem};
pub(crate) use names::Global;
use names::{Class, Scopes, Symbol};

/// Parameter variables of calls have addresses from here on; those of the kernel lie below.
pub(crate) const FRAME_BASE: u32 = 0x1_0000;
/// What a block may use, and what a kernel may declare; more must be asked for at run time.
pub(crate) const SHARED_LIMIT: u32 = 227 << 10;
const STATIC_SHARED_LIMIT: u32 = 48 << 10;

/// What the instruction decoders return: the reason if they refuse.
type Result<T> = std::result::Result<T, String>;

/// Where a function's parameters are and where it begins.
#[derive(Clone, Debug)]
struct Signature {
    results: Vec<(u32, u32)>,
    params: Vec<(u32, u32)>,
    start: u32,
}

/// One kernel in the making.
struct Decoder<'a> {
    functions: &'a BTreeMap<&'a str, &'a Function>,
    program: Program,
    scopes: Scopes<'a>,
    signatures: BTreeMap<String, Signature>,
    /// Functions in the order of their code, each with what it calls.
    order: Vec<(String, Vec<String>)>,
    /// Calls whose target is not decoded yet.
    patches: Vec<(usize, String)>,
    in_kernel: bool,
    /// The function being decoded, as a place in `order`.
    current: usize,
    /// External shared arrays begin after all static ones.
    dynamic: Vec<Reg>,
}

/// A kernel and the functions it calls as a program.
pub(crate) fn program(
    kernel: &Function,
    functions: &BTreeMap<&str, &Function>,
    globals: &BTreeMap<String, Global>,
) -> std::result::Result<Program, Problem> {
    let program = Program {
        code: Vec::new(),
        counts: [0, 0, Pred::FALSE.0 + 1],
        constants: Vec::new(),
        specials: Vec::new(),
        param_bytes: 0,
        shared_bytes: 0,
        local_bytes: 0,
        frame_bytes: 0,
        max_threads: kernel.max_threads,
    };
    let mut decoder = Decoder {
        functions,
        program,
        scopes: Scopes::new(globals),
        signatures: BTreeMap::new(),
        order: vec![(kernel.name.clone(), Vec::new())],
        patches: Vec::new(),
        in_kernel: true,
        current: 0,
        dynamic: Vec::new(),
    };
    let mut params = Vec::new();
    for p in &kernel.params {
        let start = decoder.program.param_bytes.next_multiple_of(p.align);
        decoder.program.param_bytes = start + p.bytes;
        params.push((p.name.clone(), start));
    }
    if decoder.program.param_bytes > 4096 {
        return problem(kernel.line, "more than 4096 bytes of parameters");
    }
    decoder.body(kernel, params)?;
    decoder.called(kernel.line)?;
    let Decoder { mut program, dynamic, .. } = decoder;
    if program.shared_bytes > STATIC_SHARED_LIMIT {
        return problem(kernel.line, "more than 48 KiB of static shared memory");
    }
    let end = u64::from(program.shared_bytes.next_multiple_of(16));
    for reg in dynamic {
        program.constants.push((reg, end));
    }
    Ok(program)
}

impl<'a> Decoder<'a> {
    /// Decodes the functions that have been called so far, and those that they call, and links the calls.
    fn called(&mut self, line: usize) -> std::result::Result<(), Problem> {
        self.in_kernel = false;
        let mut done = 1;
        while done < self.order.len() {
            let name = self.order[done].0.clone();
            let function = self.functions[name.as_str()];
            let start = self.program.code.len() as u32;
            let names = |list: &[Parameter], places: &[(u32, u32)]| -> Vec<(String, u32)> {
                list.iter().zip(places).map(|(p, at)| (p.name.clone(), at.0 + FRAME_BASE)).collect()
            };
            let Some(signature) = self.signatures.get_mut(&name) else {
                return problem(line, "a function without a signature");
            };
            signature.start = start;
            let mut variables = names(&function.params, &signature.params);
            variables.extend(names(&function.results, &signature.results));
            self.current = done;
            self.body(function, variables)?;
            done += 1;
        }
        if self.recursive() {
            return problem(line, "recursive functions are not modelled");
        }
        for (at, name) in &self.patches {
            if let Op::Call { target, .. } = &mut self.program.code[*at].op {
                *target = self.signatures[name].start;
            }
        }
        Ok(())
    }

    /// Whether a function can reach itself: registers have one place per function.
    fn recursive(&self) -> bool {
        let mut open: BTreeMap<&str, Vec<&str>> =
            self.order.iter().map(|(f, calls)| (f.as_str(), calls.iter().map(String::as_str).collect())).collect();
        // Take away functions that call nothing that is left, until nothing changes.
        loop {
            let leaves: Vec<&str> = open
                .iter()
                .filter(|(_, calls)| calls.iter().all(|c| !open.contains_key(c)))
                .map(|(name, _)| *name)
                .collect();
            if leaves.is_empty() {
                return !open.is_empty();
            }
            for leaf in leaves {
                open.remove(leaf);
            }
        }
    }

    /// A function's parameters in the frame; on first sight it is queued for decoding.
    fn signature(&mut self, name: &str) -> Result<Signature> {
        if let Some(known) = self.signatures.get(name) {
            return Ok(known.clone());
        }
        let function = *self.functions.get(name).ok_or_else(|| format!("no function {name}"))?;
        if function.body.is_none() {
            return Err(format!("function {name} has no body"));
        }
        let mut places = |list: &[Parameter]| -> Vec<(u32, u32)> {
            list.iter().map(|p| (self.frame_variable(p.bytes, p.align), p.bytes)).collect()
        };
        let (results, params) = (places(&function.results), places(&function.params));
        let signature = Signature { results, params, start: 0 };
        self.signatures.insert(name.to_owned(), signature.clone());
        self.order.push((name.to_owned(), Vec::new()));
        Ok(signature)
    }

    fn frame_variable(&mut self, bytes: u32, align: u32) -> u32 {
        let start = self.program.frame_bytes.next_multiple_of(align.max(8));
        self.program.frame_bytes = start + bytes;
        start
    }

    /// Appends a function's instructions.
    fn body(&mut self, function: &Function, variables: Vec<(String, u32)>) -> std::result::Result<(), Problem> {
        let Some(body) = &function.body else { return problem(function.line, "function without a body") };
        self.scopes.enter_function(self.labels(body));
        for (name, address) in variables {
            self.scopes.define(name, Symbol::Address(u64::from(address)));
        }
        for statement in body {
            match statement {
                Statement::Open => self.scopes.open(),
                Statement::Close => self.scopes.close(),
                Statement::Label(_) => {}
                Statement::Targets(name, labels) => {
                    let targets: Result<Vec<u32>> = labels.iter().map(|l| self.scopes.label(l)).collect();
                    match targets {
                        Ok(targets) => self.scopes.define(name.clone(), Symbol::Targets(targets)),
                        Err(why) => return problem(function.line, &why),
                    }
                }
                Statement::Registers { ty, names } => {
                    for (name, count) in names {
                        let Some(class) = Class::parse(ty) else {
                            return problem(function.line, &format!("registers of type {ty} are not handled"));
                        };
                        self.scopes.registers(name, *count, class);
                    }
                }
                Statement::Variable(v) => {
                    let symbol = self.variable(&v.space, v.bytes, v.align);
                    match symbol {
                        Ok(symbol) if v.content.is_none() => self.scopes.define(v.name.clone(), symbol),
                        Ok(_) => return problem(v.line, "initial values of a function's variables are not handled"),
                        Err(why) => return problem(v.line, &why),
                    }
                }
                Statement::Instruction(i) => match self.instruction(i) {
                    Ok(inst) => self.program.code.push(inst),
                    Err(why) => return problem(i.line, &why),
                },
            }
        }
        let op = if self.in_kernel { Op::Exit } else { Op::Return };
        self.program.code.push(Inst { op, guard: None, line: function.line as u32 });
        Ok(())
    }

    /// Each label's place, by the scope it is in. Every instruction becomes exactly one.
    fn labels(&self, body: &[Statement]) -> BTreeMap<(usize, String), u32> {
        let (mut labels, mut open, mut scopes) = (BTreeMap::new(), vec![0], 0);
        let mut at = self.program.code.len() as u32;
        for statement in body {
            match statement {
                Statement::Open => {
                    scopes += 1;
                    open.push(scopes);
                }
                Statement::Close => {
                    open.pop();
                }
                Statement::Label(name) => {
                    labels.insert((open.last().copied().unwrap_or(0), name.clone()), at);
                }
                Statement::Instruction(_) => at += 1,
                _ => {}
            }
        }
        labels
    }

    fn variable(&mut self, space: &str, bytes: u32, align: u32) -> Result<Symbol> {
        let place = |total: &mut u32| {
            let start = total.next_multiple_of(align);
            *total = start.saturating_add(bytes);
            start
        };
        Ok(match space {
            "shared" if bytes == 0 => Symbol::Dynamic,
            "shared" => Symbol::Address(u64::from(place(&mut self.program.shared_bytes))),
            "local" => Symbol::Address(u64::from(place(&mut self.program.local_bytes))),
            "param" => Symbol::Address(u64::from(self.frame_variable(bytes, align) + FRAME_BASE)),
            _ => return Err(format!(".{space} variables inside functions are not handled")),
        })
    }

    fn instruction(&mut self, i: &Instruction) -> Result<Inst> {
        let guard = match &i.guard {
            Some((name, negated)) => {
                Some(Guard { pred: self.scopes.pred(name, &mut self.program)?, negated: *negated })
            }
            None => None,
        };
        let mut code = opcode::Opcode::new(&i.opcode);
        let op = match self.arithmetic(&mut code, &i.args)? {
            Some(op) => op,
            None => match self.memory(&mut code, &i.args)? {
                Some(op) => op,
                None => match self.flow(&mut code, &i.args)? {
                    Some(op) => op,
                    None => return Err(format!("instruction {} is not handled", i.opcode)),
                },
            },
        };
        code.finish()?;
        Ok(Inst { op, guard, line: i.line as u32 })
    }

    /// A register of just this width, or a constant.
    fn source(&mut self, arg: &Arg, bits: u32) -> Result<Reg> {
        let reg = self.any_source(arg, bits)?;
        if reg.bits == bits { Ok(reg) } else { Err(format!("operand of {} bits, expected {bits}", reg.bits)) }
    }

    /// A register of at least this width, as loads, stores and conversions allow.
    fn wide_source(&mut self, arg: &Arg, bits: u32) -> Result<Reg> {
        let reg = self.any_source(arg, bits.max(16))?;
        if reg.bits >= bits { Ok(reg) } else { Err(format!("operand of {} bits, expected {bits}", reg.bits)) }
    }

    /// A register of any width, or a constant of this one.
    fn any_source(&mut self, arg: &Arg, bits: u32) -> Result<Reg> {
        match arg {
            Arg::Number(value) => Ok(self.scopes.constant(*value, bits, &mut self.program)),
            Arg::Name(name) if name == "WARP_SZ" => Ok(self.scopes.constant(32, bits, &mut self.program)),
            Arg::Name(name) => match self.scopes.find(name).or_else(|| self.scopes.global(name, &mut self.program)) {
                Some(Symbol::Address(address)) => Ok(self.scopes.constant(address, bits, &mut self.program)),
                Some(Symbol::Dynamic) => {
                    let reg = self.program.register(bits);
                    self.dynamic.push(reg);
                    Ok(reg)
                }
                _ => self.scopes.register(name, &mut self.program),
            },
            _ => Err("operand is neither a register nor a number".to_owned()),
        }
    }

    fn target(&mut self, arg: &Arg, bits: u32) -> Result<Reg> {
        let reg = self.wide_target(arg, bits)?;
        if reg.bits == bits { Ok(reg) } else { Err(format!("destination of {} bits, expected {bits}", reg.bits)) }
    }

    fn wide_target(&mut self, arg: &Arg, bits: u32) -> Result<Reg> {
        let Arg::Name(name) = arg else { return Err("destination is no register".to_owned()) };
        let reg = self.scopes.variable_register(name, &mut self.program)?;
        if reg.bits >= bits { Ok(reg) } else { Err(format!("destination of {} bits, expected {bits}", reg.bits)) }
    }

    /// A destination that may be `_`.
    fn wide_target_or_sink(&mut self, arg: &Arg, bits: u32) -> Result<Option<Reg>> {
        if *arg == Arg::Name("_".to_owned()) { Ok(None) } else { self.wide_target(arg, bits).map(Some) }
    }

    fn pred(&mut self, arg: &Arg) -> Result<Pred> {
        match arg {
            Arg::Name(name) if name == "_" => Ok(Pred::SINK),
            Arg::Name(name) => self.scopes.pred(name, &mut self.program),
            _ => Err("destination is no predicate".to_owned()),
        }
    }

    fn pred_source(&mut self, arg: &Arg) -> Result<Guard> {
        let (name, negated) = match arg {
            Arg::Number(value) => return Ok(Guard { pred: Pred::FALSE, negated: *value != 0 }),
            Arg::Name(name) => (name, false),
            Arg::Not(name) => (name, true),
            _ => return Err("operand is no predicate".to_owned()),
        };
        Ok(Guard { pred: self.scopes.pred(name, &mut self.program)?, negated })
    }

    fn address(&mut self, arg: &Arg) -> Result<Address> {
        let Arg::Address(base, offset) = arg else { return Err("operand is no address".to_owned()) };
        let base = self.any_source(base, 64)?;
        if base.bits < 32 {
            return Err(format!("address of {} bits", base.bits));
        }
        Ok(Address { base, offset: *offset })
    }

    fn number(arg: &Arg) -> Result<u64> {
        if let Arg::Number(n) = arg { Ok(*n) } else { Err("operand is no number".to_owned()) }
    }
}

impl Program {
    /// A fresh register.
    fn register(&mut self, bits: u32) -> Reg {
        let count = &mut self.counts[usize::from(bits == 64)];
        *count += 1;
        Reg { index: *count - 1, bits }
    }
}

/// The arguments, if there are just so many.
fn exactly<const N: usize>(args: &[Arg]) -> Result<&[Arg; N]> {
    args.try_into().map_err(|_| format!("{} operands, expected {N}", args.len()))
}
