//! The abstract syntax tree: what the author wrote, with places, before any name has a meaning.

use std::collections::BTreeSet;

use crate::span::Span;

mod operator;

pub use operator::{BinaryOp, UnaryOp};

/// A name with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// The spelling.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// `owners ...;` and `fixed(...);`, in order.
    pub headers: Vec<Header>,
    /// `use` lines in order.
    pub uses: Vec<Use>,
    /// Everything else in order.
    pub items: Vec<Item>,
}

/// A header line.
#[derive(Clone, Debug, PartialEq)]
pub enum Header {
    /// `owners hospital, vendor;`
    Owners {
        /// Declared owners.
        names: Vec<Ident>,
        /// The whole line.
        span: Span,
    },
    /// `fixed(int = 16, frac = 16, ring = 64);`
    Fixed {
        /// Settings in order.
        settings: Vec<(Ident, u64)>,
        /// The whole line.
        span: Span,
    },
}

/// `use nn::{Conv, relu};` or `use nn::relu;`
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// The module.
    pub module: Ident,
    /// What is taken from it.
    pub names: Vec<Ident>,
    /// The whole line.
    pub span: Span,
}

/// A definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `struct Name[Sizes] { field: Type, ... }`
    Struct(Struct),
    /// `fn name[Sizes](params) -> Type { ... }`
    Fn(Fn),
    /// `entry name[Sizes](params) -> Type to owner { ... }`
    Entry(Entry),
}

/// A record of parameters; its field paths are tensor names.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// `///` lines, joined by newlines, without the marker.
    pub doc: String,
    /// Its name.
    pub name: Ident,
    /// `[Cin, Cout, K]`.
    pub sizes: Vec<SizeParam>,
    /// Fields in order.
    pub fields: Vec<Field>,
    /// The whole item.
    pub span: Span,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// `///` lines.
    pub doc: String,
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Type,
}

/// A name bound in brackets by an item: `N`, `..S`, `P: record`.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeParam {
    /// Its name.
    pub name: Ident,
    /// What it stands for.
    pub kind: SizeKind,
}

/// What a name bound in brackets stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeKind {
    /// `N`: one size.
    Size,
    /// `..S`: any number of leading axes.
    Rest,
    /// `P: record`: any type that is added and scaled as a whole.
    Record,
}

impl SizeParam {
    /// As written: `N`, `..S`, `P: record`.
    #[must_use]
    pub fn text(&self) -> String {
        self.kind.text(&self.name.name)
    }
}

impl SizeKind {
    /// A binder of this kind as written.
    #[must_use]
    pub fn text(self, name: &str) -> String {
        match self {
            SizeKind::Size => name.to_string(),
            SizeKind::Rest => format!("..{name}"),
            SizeKind::Record => format!("{name}: record"),
        }
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct Fn {
    /// `///` lines.
    pub doc: String,
    /// Its name.
    pub name: Ident,
    /// Sizes it binds.
    pub sizes: Vec<SizeParam>,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Result type; `None` only for intrinsics whose result shape the compiler computes.
    pub result: Option<Type>,
    /// The body; `None` for `intrinsic fn ...;` (embedded standard library only).
    pub body: Option<Block>,
    /// `derivative { g => ... }` rules, kept as blocks with their argument name.
    pub derivative: Option<(Ident, Block)>,
    /// The whole item.
    pub span: Span,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Ident,
    /// `public T`.
    pub public: bool,
    /// Its type.
    pub ty: Type,
    /// `= 1`.
    pub default: Option<Expr>,
}

/// An entry: what a run computes, who gives and who learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `///` lines.
    pub doc: String,
    /// Its name.
    pub name: Ident,
    /// Open sizes.
    pub sizes: Vec<SizeParam>,
    /// Inputs in order.
    pub params: Vec<EntryParam>,
    /// Results in order: one, or several for a tuple `(T to a, U to b)`.
    pub results: Vec<EntryResult>,
    /// True when the results were written as a tuple.
    pub tuple: bool,
    /// The body.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// An input of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryParam {
    /// Its name.
    pub name: Ident,
    /// `x: public T`.
    pub public: bool,
    /// Its type.
    pub ty: Type,
    /// `in 0.0..255.0`: the smallest and the largest element.
    pub range: Option<(Expr, Expr)>,
    /// `from hospital` or `from shares`.
    pub from: Option<Ident>,
    /// `name: ... from ...`.
    pub span: Span,
}

/// A result of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryResult {
    /// Its type.
    pub ty: Type,
    /// `to hospital`, `to all`, `to shares`.
    pub to: Option<Ident>,
    /// `T to owner`.
    pub span: Span,
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// `fix[N, 10]`, `Conv[1, 6, 5]`, `nat`: a name with sizes.
    Named {
        /// `fix`, `int`, `bool`, `nat` or a struct.
        name: Ident,
        /// Sizes in brackets; empty without brackets.
        sizes: Vec<Size>,
        /// The whole type.
        span: Span,
    },
    /// `(T, U)`.
    Tuple(Vec<Type>, Span),
    /// `[T; D]`.
    Array(Box<Type>, Box<Expr>, Span),
    /// `..[T; D]`, last in a tuple: the tuple's further elements.
    Spread(Box<Type>, Span),
}

/// One entry of a shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Size {
    /// Size arithmetic: an expression over sizes, `nat` parameters and integers.
    Expr(Expr),
    /// `..S`.
    Rest(Ident),
}

/// `{ statements; result }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Statements in order.
    pub stmts: Vec<Stmt>,
    /// The value; `None` when the block ends in a statement.
    pub result: Option<Box<Expr>>,
    /// With the braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// `let p: T = e;` or `var p = e;`
    Let {
        /// What is bound.
        pattern: Pattern,
        /// True for `var`.
        mutable: bool,
        /// The declared type.
        ty: Option<Type>,
        /// The value.
        value: Expr,
        /// The whole statement.
        span: Span,
    },
    /// `name = e;`
    Assign {
        /// A `var` in scope.
        name: Ident,
        /// The new value.
        value: Expr,
        /// The whole statement.
        span: Span,
    },
    /// `for p in e { ... }`
    For {
        /// Bound in turn.
        pattern: Pattern,
        /// An array, a tuple of alike things, or a range.
        range: Expr,
        /// Ends in a statement.
        body: Block,
        /// The whole statement.
        span: Span,
    },
    /// `reveal e to vendor;` or another expression for its effect.
    Expr(Expr),
    /// What error recovery skipped.
    Error(Span),
}

/// What `let` and `for` bind.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// A name.
    Name(Ident),
    /// `_`.
    Ignore(Span),
    /// `(a, b)`.
    Tuple(Vec<Pattern>, Span),
    /// `..rest`, last in a tuple: all further elements as an array.
    Spread(Box<Pattern>, Span),
}

/// An expression with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `3`.
    Int(u64),
    /// `0.5`, as written in `text`.
    Float {
        /// The nearest f64.
        value: f64,
        /// The spelling.
        text: String,
    },
    /// `true`, `false`.
    Bool(bool),
    /// A name.
    Name(String),
    /// `module::name`.
    Path(Ident, Ident),
    /// `-e`, `!e`.
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `f(a, b, name = c)`; `piped` when the first argument came by `|>`.
    Call {
        /// What is called: a name or a path.
        callee: Box<Expr>,
        /// Arguments in order.
        args: Vec<Arg>,
        /// True for `a |> f(b)` and `a |> f`.
        piped: bool,
    },
    /// `e.field` and `e.0`.
    Field(Box<Expr>, Ident),
    /// `e[i, a..b]`.
    Index(Box<Expr>, Vec<IndexArg>),
    /// `(a, b)`.
    Tuple(Vec<Expr>),
    /// `[a, b]`.
    Array(Vec<Expr>),
    /// `Name { field: e, ... }`.
    Struct(Ident, Vec<(Ident, Expr)>),
    /// `if c { a } else { b }`; the last block may be an `if` again.
    If {
        /// Must be public.
        cond: Box<Expr>,
        /// Value when true.
        then: Block,
        /// Value when false.
        otherwise: Option<Block>,
    },
    /// `{ ... }`.
    Block(Block),
    /// `a..b`.
    Range(Box<Expr>, Box<Expr>),
    /// `reveal e to owner`.
    Reveal(Box<Expr>, Ident),
    /// `approx(call, ...)`.
    Approx(Box<Expr>, Vec<Arg>),
    /// What error recovery skipped.
    Error,
}

/// An argument: `e` or `name = e`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// The parameter's name, when given.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// An index or a slice.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexArg {
    /// `i`.
    At(Expr),
    /// `a..b`, either side open.
    Slice(Option<Expr>, Option<Expr>, Span),
}

impl Type {
    /// The whole type as written.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Type::Named { span, .. } | Type::Tuple(_, span) | Type::Array(_, _, span) | Type::Spread(_, span) => *span,
        }
    }

    /// The names in its size arithmetic, but for those in `..S`.
    pub fn collect_names<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Type::Named { sizes, .. } => sizes.iter().for_each(|size| match size {
                Size::Expr(size) => size.collect_size_names(names),
                Size::Rest(_) => {}
            }),
            Type::Tuple(items, _) => items.iter().for_each(|item| item.collect_names(names)),
            Type::Array(item, length, _) => {
                item.collect_names(names);
                length.collect_size_names(names);
            }
            Type::Spread(inner, _) => inner.collect_names(names),
        }
    }
}

impl Expr {
    /// The names in an expression, when it is size arithmetic.
    fn collect_size_names<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match &self.kind {
            ExprKind::Name(name) => drop(names.insert(name)),
            ExprKind::Unary(_, operand) => operand.collect_size_names(names),
            ExprKind::Binary(_, left, right) => {
                left.collect_size_names(names);
                right.collect_size_names(names);
            }
            _ => {}
        }
    }
}

impl Pattern {
    /// The pattern as written.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Pattern::Name(ident) => ident.span,
            Pattern::Ignore(span) | Pattern::Tuple(_, span) | Pattern::Spread(_, span) => *span,
        }
    }
}

impl Item {
    /// The item's name.
    #[must_use]
    pub fn name(&self) -> &Ident {
        match self {
            Item::Struct(s) => &s.name,
            Item::Fn(f) => &f.name,
            Item::Entry(e) => &e.name,
        }
    }
}
