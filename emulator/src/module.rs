//! A module: kernels that can be launched, and variables that they share.

use std::collections::BTreeMap;

use crate::decode::{self, Global};
use crate::error::Error;
use crate::isa::Program;
use crate::memory::{Region, Storage};
use crate::parse::{self, Function, Item, Problem, Variable, problem};

/// Constants have addresses of their own space, so that one used as a global address is no valid one.
pub(crate) const CONST_BASE: u64 = 1 << 56;

/// A parsed PTX module.
#[derive(Debug)]
pub struct Module {
    /// Its kernels by name.
    pub entries: BTreeMap<String, Entry>,
    variables: BTreeMap<String, (Storage, bool)>,
    lines: Vec<String>,
}

/// A kernel.
#[derive(Debug)]
pub struct Entry {
    /// Its name in the PTX.
    pub name: String,
    /// Bytes of each parameter.
    pub params: Vec<u32>,
    /// Where each parameter begins.
    pub(crate) offsets: Vec<u32>,
    pub(crate) program: Program,
}

impl Entry {
    /// Bytes of shared memory that every block has, besides what a launch adds.
    #[must_use]
    pub fn shared_bytes(&self) -> u32 {
        self.program.shared_bytes
    }

    /// The most threads that a block may have, if the kernel says so.
    #[must_use]
    pub fn max_threads(&self) -> Option<u32> {
        self.program.max_threads.map(|dims| dims.iter().product())
    }
}

impl Module {
    /// Reads PTX. Whatever the emulator does not model is refused here.
    ///
    /// # Errors
    /// If the text is malformed or has an instruction that is not modelled, with its line.
    pub fn parse(text: &str) -> Result<Module, Error> {
        let text = text.trim_end_matches('\0');
        let lines: Vec<String> = text.lines().map(|l| l.trim().to_owned()).collect();
        let fault = |p: Problem| Error::Text {
            line: p.line + 1,
            text: lines.get(p.line).cloned().unwrap_or_default(),
            why: p.why,
        };
        let items = parse::items(text).map_err(fault)?;
        let (mut variables, mut globals) = (BTreeMap::new(), BTreeMap::new());
        let mut functions: BTreeMap<&str, &Function> = BTreeMap::new();
        for item in &items {
            match item {
                Item::Function(f) if f.body.is_some() || !functions.contains_key(f.name.as_str()) => {
                    functions.insert(&f.name, f);
                }
                Item::Function(_) => {}
                Item::Variable(v) => declare(v, &mut variables, &mut globals).map_err(fault)?,
            }
        }
        let mut entries = BTreeMap::new();
        for kernel in functions.values().filter(|f| f.kernel) {
            let program = decode::program(kernel, &functions, &globals).map_err(fault)?;
            let mut offsets = Vec::new();
            let mut end = 0_u32;
            for p in &kernel.params {
                offsets.push(end.next_multiple_of(p.align));
                end = end.next_multiple_of(p.align) + p.bytes;
            }
            let params = kernel.params.iter().map(|p| p.bytes).collect();
            entries.insert(kernel.name.clone(), Entry { name: kernel.name.clone(), params, offsets, program });
        }
        Ok(Module { entries, variables, lines })
    }

    /// Address and bytes of a variable in global or constant memory.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<(u64, u64)> {
        self.variables.get(name).map(|(storage, constant)| {
            let region = storage.region(*constant);
            (region.base, region.bytes)
        })
    }

    pub(crate) fn regions(&self) -> impl Iterator<Item = Region> + '_ {
        self.variables.values().map(|(storage, constant)| storage.region(*constant))
    }

    pub(crate) fn line(&self, line: usize) -> String {
        self.lines.get(line).cloned().unwrap_or_default()
    }
}

fn declare(
    v: &Variable,
    variables: &mut BTreeMap<String, (Storage, bool)>,
    globals: &mut BTreeMap<String, Global>,
) -> Result<(), Problem> {
    let global = match v.space.as_str() {
        "shared" if v.bytes == 0 => Global::Dynamic,
        "shared" => Global::Shared(v.bytes, v.align),
        _ if v.bytes == 0 => return problem(v.line, "variable of another module"),
        space => {
            let constant = space == "const";
            let storage = Storage::new(v.bytes as usize, v.align as usize, v.content.as_deref());
            let base = storage.region(constant).base;
            variables.insert(v.name.clone(), (storage, constant));
            Global::Address(if constant { base + CONST_BASE } else { base })
        }
    };
    globals.insert(v.name.clone(), global);
    Ok(())
}
