//! An opcode taken apart: a name and its dotted suffixes, each of which must be understood.

use crate::isa::Ty;

pub(super) struct Opcode<'a> {
    pub name: &'a str,
    rest: Vec<&'a str>,
}

impl<'a> Opcode<'a> {
    pub fn new(text: &'a str) -> Opcode<'a> {
        let mut parts = text.split('.');
        Opcode { name: parts.next().unwrap_or_default(), rest: parts.collect() }
    }

    /// Whether there is such a suffix; it counts as understood then.
    pub fn take(&mut self, suffix: &str) -> bool {
        let found = self.rest.iter().position(|s| *s == suffix);
        if let Some(at) = found {
            self.rest.remove(at);
        }
        found.is_some()
    }

    /// Drops suffixes that change nothing here: caching, order and scope of accesses that run one after another.
    pub fn ignore(&mut self, suffixes: &[&str]) {
        self.rest.retain(|s| !suffixes.contains(s));
    }

    /// The first suffix of a table that is there.
    pub fn one_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        table.iter().find(|(name, _)| self.take(name)).map(|(_, value)| *value)
    }

    /// The first type.
    pub fn ty(&mut self) -> Result<Ty, String> {
        let found = self.rest.iter().enumerate().find_map(|(at, s)| Some((at, Ty::parse(s)?)));
        let Some((at, ty)) = found else { return Err("no type".to_owned()) };
        self.rest.remove(at);
        Ok(ty)
    }

    /// All suffixes at once, if they are these.
    pub fn take_all(&mut self, suffixes: &str) -> bool {
        let same = self.rest.iter().copied().eq(suffixes.split('.'));
        if same {
            self.rest.clear();
        }
        same
    }

    /// Every suffix was understood.
    pub fn finish(&self) -> Result<(), String> {
        match self.rest.first() {
            None => Ok(()),
            Some(s) => Err(format!("suffix .{s} of {} is not handled", self.name)),
        }
    }
}
