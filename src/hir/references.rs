//! What an editor asks of a program: which name means what where, and whose data is in which expression.
//!
//! The checker notes it while it resolves names; nothing that is compiled depends on it. All of it is there for
//! programs with errors too, as far as names have a meaning.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::modules::{File, Origin};
use super::names::Def;
use super::types::Ty;
use super::{FnId, Program, StructId};
use crate::shape::Dim;
use crate::span::{FileId, Span};
use crate::syntax::ast::{self, SizeKind};

/// A program with what is known about its names and places.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// As far as it could be checked.
    pub program: Program,
    /// What the names in the text mean.
    pub references: References,
    /// The program's own module first, then the library, then modules of its own.
    pub modules: Vec<ModuleNames>,
}

/// A module with the names that it sees and offers.
#[derive(Clone, Debug)]
pub struct ModuleNames {
    /// What `use` calls it.
    pub name: String,
    /// True for modules of the standard library.
    pub library: bool,
    /// Its text.
    pub file: FileId,
    /// What was read of it.
    pub tree: ast::File,
    /// Functions and structs in scope, by name.
    pub scope: Vec<(String, Meaning)>,
    /// Functions and structs that it defines, by name.
    pub own: Vec<(String, Meaning)>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// A run-time value.
    Local {
        /// Its type.
        ty: Ty,
        /// Declared with `var`.
        mutable: bool,
    },
    /// A compile-time number.
    Size(Dim),
    /// `..S`.
    Rest,
    /// `P: record`, a type.
    Record,
    /// A function.
    Fn(FnId),
    /// A struct.
    Struct(StructId),
    /// A field of a struct, by its index.
    Field(StructId, usize),
    /// A parameter of a function that an argument names, by its index.
    Param(FnId, usize),
    /// An entry.
    Entry,
    /// A module.
    Module(FileId),
    /// A data owner.
    Owner,
}

/// A name in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Where it stands.
    pub span: Span,
    /// The name in its definition; the same place for the definition itself.
    pub definition: Span,
    /// What it stands for.
    pub meaning: Meaning,
}

/// A variable or size, and where it can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Visible {
    /// The name in its definition.
    pub definition: Span,
    /// Where a use of the name means it, unless a later definition hides it.
    pub scope: Span,
    /// What it stands for.
    pub meaning: Meaning,
}

/// All names of a program that have a meaning.
#[derive(Clone, Debug, Default)]
pub struct References {
    all: Vec<Reference>,
    visible: BTreeMap<String, Vec<Visible>>,
    owners: BTreeMap<String, Span>,
    modules: BTreeMap<String, FileId>,
}

impl References {
    /// The name at a place; a place just behind a name belongs to it.
    #[must_use]
    pub fn at(&self, file: FileId, offset: u32) -> Option<&Reference> {
        let touches = |r: &&Reference| r.span.file == file && r.span.start <= offset && offset <= r.span.end;
        // Of two names that touch, the one that starts here is meant. Of two notes on one, the later knows more.
        self.all.iter().filter(touches).max_by_key(|r| r.span.start)
    }

    /// All names in the text, in the order in which they were resolved.
    #[must_use]
    pub fn all(&self) -> &[Reference] {
        &self.all
    }

    /// The variables and sizes that can be used at a place, by name.
    pub fn visible(&self, file: FileId, offset: u32) -> impl Iterator<Item = (&str, &Visible)> {
        self.visible.keys().filter_map(move |name| Some((name.as_str(), self.find(name, file, offset)?)))
    }

    fn find(&self, name: &str, file: FileId, offset: u32) -> Option<&Visible> {
        let sees = |v: &&Visible| v.scope.file == file && v.scope.start <= offset && offset <= v.scope.end;
        self.visible.get(name)?.iter().rev().find(sees)
    }
}

/// Takes notes while names resolve. The checker holds it behind shared references, hence the cell.
#[derive(Debug, Default)]
pub(super) struct Notes(RefCell<References>);

impl Notes {
    /// Knows the owners and the modules of a program.
    pub fn new(files: &[File]) -> Notes {
        let notes = Notes::default();
        for file in files {
            match file.origin {
                Origin::Program => notes.header(&file.ast),
                Origin::Library | Origin::Module => {
                    notes.0.borrow_mut().modules.insert(file.name.clone(), file.id);
                }
            }
        }
        notes
    }

    pub fn finish(self) -> References {
        self.0.into_inner()
    }

    /// A name that stands for something defined elsewhere.
    pub fn refer(&self, span: Span, definition: Span, meaning: Meaning) {
        self.0.borrow_mut().all.push(Reference { span, definition, meaning });
    }

    /// A name that defines something.
    pub fn define(&self, name: &ast::Ident, meaning: Meaning) {
        self.refer(name.span, name.span, meaning);
    }

    /// A name that defines a variable or a size for a part of the text.
    pub fn bind(&self, name: &ast::Ident, scope: Span, meaning: Meaning) {
        self.define(name, meaning.clone());
        let visible = Visible { definition: name.span, scope, meaning };
        self.0.borrow_mut().visible.entry(name.name.clone()).or_default().push(visible);
    }

    /// Sizes bound in brackets, for the whole item.
    pub fn bind_sizes(&self, params: &[ast::SizeParam], item: Span) {
        for param in params {
            let meaning = match param.kind {
                SizeKind::Size => Meaning::Size(Dim::var(&param.name.name)),
                SizeKind::Rest => Meaning::Rest,
                SizeKind::Record => Meaning::Record,
            };
            self.bind(&param.name, item, meaning);
        }
    }

    /// A use of a variable or a size.
    pub fn value(&self, name: &str, span: Span) {
        let found = self.0.borrow().find(name, span.file, span.start).cloned();
        if let Some(Visible { definition, meaning, .. }) = found {
            self.refer(span, definition, meaning);
        }
    }

    /// The owners of the header.
    fn header(&self, file: &ast::File) {
        for header in &file.headers {
            let ast::Header::Owners { names, .. } = header else { continue };
            for name in names {
                self.0.borrow_mut().owners.entry(name.name.clone()).or_insert(name.span);
                self.define(name, Meaning::Owner);
            }
        }
    }

    /// A use of an owner.
    pub fn owner(&self, name: &ast::Ident) {
        let found = self.0.borrow().owners.get(&name.name).copied();
        if let Some(definition) = found {
            self.refer(name.span, definition, Meaning::Owner);
        }
    }

    /// A use of a module's name.
    pub fn module_name(&self, name: &ast::Ident) {
        let found = self.0.borrow().modules.get(&name.name).copied();
        if let Some(file) = found {
            self.refer(name.span, Span::new(file, 0, 0), Meaning::Module(file));
        }
    }

    /// A use of what stands at the top of a module.
    pub fn item(&self, span: Span, definition: Span, def: Def) {
        if let Some(meaning) = meaning(def) {
            self.refer(span, definition, meaning);
        }
    }
}

/// What a name at the top of a module means to an editor.
pub(super) fn meaning(def: Def) -> Option<Meaning> {
    match def {
        Def::Struct(id) => Some(Meaning::Struct(id)),
        Def::Fn(id) => Some(Meaning::Fn(id)),
        Def::Entry => Some(Meaning::Entry),
        Def::Missing => None,
    }
}
