//! The typed program: every name resolved, every expression with a type and a symbolic shape, every flow of secrets
//! checked. Knows nothing of protocols, scales or concrete sizes.
//!
//! # How it is made
//! [`names`] loads modules, [`signature`] and [`entry`] resolve what items declare; [`body`], [`infer`], [`ops`] and [`call`] check each body once,
//! for all sizes; [`labels`] then follows the owners' data from each entry through the calls it makes. All stages
//! append to one list of diagnostics; what an error touches gets [`Ty::Error`], which is silent afterwards.

mod approx;
mod body;
mod call;
mod coerce;
mod derivative;
mod entry;
mod index;
mod infer;
mod intrinsic;
mod labels;
mod modules;
mod names;
mod ops;
mod references;
mod report;
mod signature;
mod size;
mod stages;
pub mod text;
mod types;
mod unknown;
mod uses;

#[cfg(test)]
mod tests;

pub use approx::unread_bits;
pub use intrinsic::Intrinsic;
pub use modules::{Modules, NoModules};
pub use references::{Analysis, Meaning, ModuleNames, Reference, References, Visible};
pub use report::{Kind, Leaf};
pub use stages::{analyse, check, check_with};
pub use types::{Bindings, Elem, Ty};

use std::collections::BTreeMap;

use itertools::Itertools as _;

use crate::diag::{Code, Diagnostic};
use crate::fixed::Format;
use crate::label::{Label, OwnerId};
use crate::shape::Dim;
use crate::span::{FileId, Span};
use crate::syntax::ast;

crate::id! {
    /// A struct of the program.
    StructId, "struct"
}
crate::id! {
    /// A function of the program or of the standard library.
    FnId, "fn"
}
crate::id! {
    /// An expression of one body.
    ExprId, "%"
}
crate::id! {
    /// A parameter or variable of one body.
    LocalId, "local"
}

/// A checked program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Data owners, indexed by [`OwnerId`].
    pub owners: Vec<String>,
    /// The number format.
    pub format: Format,
    /// All structs, indexed by [`StructId`].
    pub structs: Vec<Struct>,
    /// All functions, indexed by [`FnId`].
    pub fns: Vec<Fn>,
    /// Entries in order.
    pub entries: Vec<Entry>,
    /// Whose data is in the expressions and variables at these places, over all calls from entries; places that no
    /// entry leads to are missing.
    pub labels: BTreeMap<Span, Label>,
    /// Files of the embedded standard library; profiles name the lines that call into them instead.
    pub library: Vec<FileId>,
}

/// A record type.
#[derive(Clone, Debug)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// Names of its sizes.
    pub sizes: Vec<String>,
    /// Fields in order; their types use the struct's sizes.
    pub fields: Vec<(String, Ty)>,
    /// Where its name stands in the definition.
    pub span: Span,
    /// Where the names of its fields stand, in order.
    pub places: Vec<Span>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Fn {
    /// Its name.
    pub name: String,
    /// The sizes and rests that a call determines, `nat` parameters included.
    pub sizes: Vec<SizeParam>,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Result type; `None` for intrinsics with a rule of their own.
    pub result: Option<Ty>,
    /// What it does.
    pub code: FnCode,
    /// Its own rule for differentiation.
    pub derivative: Option<Derivative>,
    /// Where it is defined.
    pub span: Span,
}

/// A function's own rule for differentiation.
#[derive(Clone, Debug)]
pub struct Derivative {
    /// The value parameter, by its position among the value parameters.
    pub param: usize,
    /// The derivative of the function's result by that parameter; its first locals are the function's.
    pub body: Body,
}

/// A name that a function binds in brackets, or a `nat` parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeParam {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub kind: ast::SizeKind,
}

/// What a function does.
#[derive(Clone, Debug)]
pub enum FnCode {
    /// One operation of the compiler.
    Intrinsic(Intrinsic),
    /// A body.
    Body(Body),
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Marked `public`.
    pub public: bool,
    /// What it takes.
    pub kind: ParamKind,
    /// What it is when no argument is given.
    pub default: Option<Default>,
    /// Where its name stands.
    pub span: Span,
}

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A value.
    Value(Ty),
    /// A compile-time integer, a size named like the parameter.
    Nat,
    /// A list of compile-time integers (intrinsics only).
    NatList,
}

/// A default argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Default {
    /// A size over the function's own names.
    Size(Dim),
    /// A constant.
    Constant(f64),
}

/// What a run computes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Open sizes, bound by the inputs' shapes or by `--dim`.
    pub sizes: Vec<String>,
    /// Where the entry's brackets name them, in order.
    pub size_places: Vec<Span>,
    /// Inputs in order.
    pub params: Vec<EntryParam>,
    /// Results in order.
    pub results: Vec<EntryResult>,
    /// True when the body's value is a tuple of the results.
    pub tuple: bool,
    /// What it computes.
    pub body: Body,
    /// Label of each expression of the body, by [`ExprId`]; public where none is known.
    pub labels: Vec<Label>,
    /// Values opened by `reveal e to owner` in the body, in order.
    pub reveals: Vec<Opening>,
    /// The whole entry.
    pub span: Span,
}

/// An input of an entry.
#[derive(Clone, Debug)]
pub struct EntryParam {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Smallest and largest element that its owner may give, when declared.
    pub range: Option<(f64, f64)>,
    /// Who gives it.
    pub source: Source,
    /// Where it is declared.
    pub span: Span,
}

/// Who gives an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A data owner.
    Owner(OwnerId),
    /// Everybody knows it.
    Public,
    /// Kept shared since an earlier run.
    Shares,
}

/// Who learns a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One owner.
    Owner(OwnerId),
    /// Every owner.
    All,
    /// Nobody: it stays shared for a later run.
    Shares,
}

/// A result of an entry.
#[derive(Clone, Debug)]
pub struct EntryResult {
    /// Its type.
    pub ty: Ty,
    /// Who learns it.
    pub to: Destination,
    /// Whose data it depends on; filled by the label check.
    pub label: Label,
    /// `T to owner`.
    pub span: Span,
}

/// A value opened in the middle of an entry.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The opened expression.
    pub value: ExprId,
    /// Who learns it.
    pub to: Destination,
    /// Whose data it depends on; filled by the label check.
    pub label: Label,
    /// True in a loop, whose turns open a value each.
    pub repeated: bool,
}

/// A checked body. Its first locals are the value parameters, in order.
#[derive(Clone, Debug, std::default::Default)]
pub struct Body {
    /// Expressions, operands before users.
    pub exprs: Vec<Expr>,
    /// Parameters and variables.
    pub locals: Vec<Local>,
    /// What runs.
    pub block: Block,
}

impl Body {
    /// The expression behind an id.
    #[must_use]
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.index()]
    }

    /// The variable behind an id.
    #[must_use]
    pub fn local(&self, id: LocalId) -> &Local {
        &self.locals[id.index()]
    }
}

/// A parameter or variable.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Declared with `var`.
    pub mutable: bool,
    /// Where it is bound.
    pub span: Span,
}

/// Statements and a value.
#[derive(Clone, Debug, std::default::Default)]
pub struct Block {
    /// Statements in order.
    pub stmts: Vec<Stmt>,
    /// The value; none for the empty tuple.
    pub result: Option<ExprId>,
}

/// A statement.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// Binds the parts of a value.
    Let(Pattern, ExprId),
    /// Gives a variable another value of the same type.
    Assign(LocalId, ExprId),
    /// Runs a body for each item of an array or a tuple.
    ForEach(Pattern, ExprId, Block),
    /// Runs a body for each value of a size variable, from the first to below the second.
    ForRange {
        /// The size variable, unique in the body.
        name: String,
        /// First value.
        from: Dim,
        /// One past the last.
        to: Dim,
        /// What runs.
        body: Block,
    },
    /// For its effect: an opening, or nothing.
    Expr(ExprId),
}

/// What `let` and `for` bind.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// A variable.
    Local(LocalId),
    /// Nothing.
    Ignore,
    /// The parts of a tuple.
    Tuple(Vec<Pattern>),
}

/// An expression with its type and place.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Ty,
    /// Where it stands; for `x |> f(y)` the part after the pipe.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// Something wrong that has been reported, with the operands that are still worth following.
    Error(Vec<ExprId>),
    /// A compile-time integer.
    Size(Dim),
    /// A number or a bit (0 or 1).
    Constant(f64),
    /// A parameter or variable.
    Local(LocalId),
    /// `-e`, `!e`; also on whole structs.
    Unary(ast::UnaryOp, ExprId),
    /// Elementwise with broadcasting; `+`, `-` and scaling also on whole structs.
    Binary(ast::BinaryOp, ExprId, ExprId),
    /// A function with a body.
    Call {
        /// Which.
        callee: FnId,
        /// Its value parameters' arguments, in order.
        args: Vec<ExprId>,
        /// What the names it binds stand for here.
        bindings: Bindings,
    },
    /// An operation of the compiler.
    Intrinsic {
        /// Which.
        op: Intrinsic,
        /// Its value arguments, in order.
        args: Vec<ExprId>,
        /// Its compile-time arguments, in order.
        sizes: Vec<Vec<Dim>>,
    },
    /// A field of a struct or an element of a tuple or array.
    Field(ExprId, usize),
    /// `e[i, a..b]` on a tensor: for each axis where it starts, and whether it is dropped.
    Index(ExprId, Vec<AxisIndex>),
    /// An element of an array at a compile-time position.
    Element(ExprId, Dim),
    /// Elements of an array from a compile-time position; how many is in the type.
    Elements(ExprId, Dim),
    /// A struct, a tuple or an array.
    Record(Vec<ExprId>),
    /// A choice by a public condition.
    If {
        /// Must be public.
        cond: ExprId,
        /// When it holds.
        then: Block,
        /// When it does not.
        otherwise: Block,
        /// The remedy for a secret condition, in the author's words.
        select: String,
    },
    /// `{ ... }`.
    Block(Block),
    /// A call whose comparisons may err for numbers of up to this magnitude (`approx(f(x), error = 0.01)`).
    Approx(ExprId, f64),
    /// The derivative of a single number by every tensor in a value.
    Gradient {
        /// What is differentiated.
        loss: ExprId,
        /// By what.
        by: ExprId,
    },
    /// Opens a value to somebody (entries only).
    Reveal(ExprId, Destination),
    /// A run-time value where a compile-time one is needed, and what it is used as. The label check reports it.
    NotStatic(ExprId, &'static str),
}

/// An index on one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisIndex {
    /// First element.
    pub start: Dim,
    /// True for `i`, false for `a..b` (whose length is in the type).
    pub dropped: bool,
}

impl Program {
    /// The entry of a name; without a name the only one.
    ///
    /// # Errors
    /// Says which entries there are.
    pub fn entry(&self, name: Option<&str>) -> Result<&Entry, Diagnostic> {
        let all = self.entries.iter().map(|e| format!("`{}`", e.name)).join(", ");
        match (name, self.entries.as_slice()) {
            (_, []) => Err(Diagnostic::global(Code::NoEntry, "the file has no `entry`, so there is nothing to run")),
            (None, [entry]) => Ok(entry),
            (None, _) => Err(Diagnostic::global(Code::NoEntry, format!("the file has several entries: {all}"))
                .help("choose one with `--entry NAME`")),
            (Some(name), entries) => entries.iter().find(|e| e.name == name).ok_or_else(|| {
                Diagnostic::global(Code::NoEntry, format!("there is no entry `{name}`; the file has {all}"))
            }),
        }
    }

    /// True for places in the standard library.
    #[must_use]
    pub fn is_library(&self, span: Span) -> bool {
        self.library.contains(&span.file)
    }
}
