//! Size arithmetic and types as written, resolved to [`Dim`] and [`Ty`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::StructId;
use super::references::{Meaning, Notes};
use super::types::{Elem, Ty};
use crate::diag::{Code, Diagnostic, nearest};
use crate::shape::{Dim, Shape};
use crate::span::Span;
use crate::syntax::ast;

/// The names that size arithmetic may use.
#[derive(Clone, Debug, Default)]
pub(super) struct SizeNames {
    /// Sizes, `nat` parameters and compile-time variables.
    pub dims: BTreeMap<String, Dim>,
    /// `..S`.
    pub rests: BTreeSet<String>,
    /// `P: record`.
    pub records: BTreeSet<String>,
    /// Run-time values, to say that they are none.
    pub values: BTreeSet<String>,
    /// Names that are missing and have been reported: a signature names a size more than once.
    pub missing: RefCell<BTreeSet<String>>,
}

impl SizeNames {
    /// True when this is the first time that a name is missing.
    fn once(&self, name: &str) -> bool {
        self.missing.borrow_mut().insert(name.to_string())
    }
}

/// What a type's name may stand for besides the built-in ones.
pub(super) trait Structs {
    /// A struct in scope with the number of its sizes.
    fn find(&self, name: &str) -> Option<(StructId, usize)>;
    /// How it is written with its sizes: `Linear[I, O]`.
    fn usage(&self, id: StructId) -> String;
    /// The library module that has such a struct.
    fn elsewhere(&self, name: &str) -> Option<&str>;
    /// True when a failed `use` should have brought it in.
    fn is_missing(&self, name: &str) -> bool;
    /// All of them, for suggestions.
    fn names(&self) -> Vec<&str>;
    /// Where they are defined.
    fn place(&self, id: StructId) -> Span;
    /// Where resolved names are noted.
    fn notes(&self) -> &Notes;
}

/// The error for a size beyond what sizes can be.
pub(super) fn too_large(span: Span) -> Diagnostic {
    Diagnostic::error(Code::BadSize, span, "a size is too large here, or too long a formula")
}

/// Resolves sizes and types in one scope.
pub(super) struct Resolver<'a> {
    pub structs: &'a dyn Structs,
    pub names: &'a SizeNames,
    pub diags: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    /// Size arithmetic; `None` after an error.
    pub fn dim(&mut self, expr: &ast::Expr) -> Option<Dim> {
        match &expr.kind {
            ast::ExprKind::Int(value) => Some(Dim::constant(i64::try_from(*value).unwrap_or(i64::MAX))),
            ast::ExprKind::Name(name) => self.named(name, expr.span),
            ast::ExprKind::Unary(ast::UnaryOp::Neg, e) => Some(Dim::default().minus(&self.dim(e)?)),
            ast::ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.dim(a), self.dim(b));
                self.arithmetic(*op, &a?, &b?, expr.span)
            }
            ast::ExprKind::Error => None,
            _ => {
                let message = "a size is made of numbers, names of sizes and `+ - * / %`";
                self.diags.push(Diagnostic::error(Code::NotAllowedHere, expr.span, message));
                None
            }
        }
    }

    fn named(&mut self, name: &str, span: Span) -> Option<Dim> {
        if let Some(dim) = self.names.dims.get(name) {
            self.structs.notes().value(name, span);
            return Some(dim.clone());
        }
        let error = if self.names.rests.contains(name) {
            Diagnostic::error(Code::NotAllowedHere, span, format!("`{name}` stands for any number of sizes"))
                .help(format!("write `..{name}` in front of a shape"))
        } else if self.names.records.contains(name) {
            Diagnostic::error(Code::NotAllowedHere, span, format!("`{name}` stands for a type, not for a size"))
        } else if self.names.values.contains(name) {
            Diagnostic::error(Code::SecretPosition, span, format!("`{name}` is a run-time value, and sizes are public"))
                .here("must be known at compile time")
                .help(format!(
                    "take it from a shape, `[{name}]` after the item's name, or in a function as `{name}: nat`"
                ))
        } else {
            let error = Diagnostic::error(Code::UnknownName, span, format!("there is no size `{name}` in scope"));
            match nearest(name, self.names.dims.keys().map(String::as_str)) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None if !self.names.once(name) => return None,
                None => error.help(format!("bind it in brackets after the item's name: `[{name}]`")),
            }
        };
        self.diags.push(error);
        None
    }

    /// One step of size arithmetic.
    pub fn arithmetic(&mut self, op: ast::BinaryOp, a: &Dim, b: &Dim, span: Span) -> Option<Dim> {
        use ast::BinaryOp as B;
        let result = match op {
            B::Add => Some(a.plus(b)),
            B::Sub => Some(a.minus(b)),
            B::Mul => Some(a.times(b)),
            B::Div => a.over(b),
            B::Rem => a.rest(b),
            B::Less | B::LessEqual | B::Greater | B::GreaterEqual | B::Equal | B::NotEqual | B::And | B::Or => {
                let message = format!("`{}` makes no size", op.symbol());
                self.diags.push(Diagnostic::error(Code::NotAllowedHere, span, message));
                return None;
            }
        };
        if result.is_none() {
            let message = format!("a size divided by `{b}`, which is not positive");
            self.diags.push(Diagnostic::error(Code::BadSize, span, message));
        }
        if result.as_ref().is_some_and(Dim::is_too_large) {
            self.diags.push(too_large(span));
            return None;
        }
        result
    }

    /// A type as written; `nat` only where the caller allows it.
    pub fn ty(&mut self, ty: &ast::Type) -> Ty {
        match ty {
            ast::Type::Named { name, sizes, span } => self.named_type(name, sizes, *span),
            ast::Type::Tuple(items, _) => {
                let count = items.len();
                Ty::Tuple(items.iter().enumerate().map(|(i, t)| self.tuple_item(t, i + 1 == count)).collect())
            }
            ast::Type::Spread(..) => self.tuple_item(ty, false),
            ast::Type::Array(item, length, _) => {
                let item = self.ty(item);
                match self.dim(length) {
                    Some(length) => Ty::Array(Box::new(item), length),
                    None => Ty::Error,
                }
            }
        }
    }

    /// An element of a tuple; the last may be `..[T; D]`.
    fn tuple_item(&mut self, ty: &ast::Type, last: bool) -> Ty {
        let ast::Type::Spread(inner, span) = ty else { return self.ty(ty) };
        match self.ty(inner) {
            Ty::Error => Ty::Error,
            Ty::Array(item, n) if last => Ty::Spread(item, n),
            other => {
                let message = format!("`..{other}` is no further elements of a tuple");
                let error = Diagnostic::error(Code::NotAllowedHere, *span, message);
                self.diags.push(error.help("the last element of a tuple may be `..[T; D]`: `(First, ..[Rest; 3])`"));
                Ty::Error
            }
        }
    }

    fn named_type(&mut self, name: &ast::Ident, sizes: &[ast::Size], span: Span) -> Ty {
        let elem = match name.name.as_str() {
            "fix" => Elem::Fix,
            "int" => Elem::Int,
            "bool" => Elem::Bool,
            "nat" if sizes.is_empty() => return Ty::Nat,
            other if sizes.is_empty() && self.names.records.contains(other) => {
                self.structs.notes().value(other, name.span);
                return Ty::Param(other.to_string());
            }
            _ => return self.struct_type(name, sizes, span),
        };
        let mut shape = Shape::scalar();
        let mut complete = true;
        for size in sizes {
            match size {
                ast::Size::Expr(expr) => match self.dim(expr) {
                    Some(dim) => shape.dims.push(dim),
                    None => complete = false,
                },
                ast::Size::Rest(rest) => complete &= self.rest(rest, &mut shape),
            }
        }
        if let Some(bad) = shape.dims.iter().filter_map(Dim::as_constant).find(|c| *c < 1) {
            self.diags.push(Diagnostic::error(Code::BadSize, span, format!("a size of {bad} in `{elem}{shape}`")));
            complete = false;
        }
        if complete { Ty::Tensor(elem, shape) } else { Ty::Error }
    }

    fn rest(&mut self, rest: &ast::Ident, shape: &mut Shape) -> bool {
        let error = if !self.names.rests.contains(&rest.name) {
            if !self.names.once(&rest.name) {
                return false;
            }
            Diagnostic::error(Code::UnknownName, rest.span, format!("no `..{}` is bound here", rest.name))
                .help(format!("bind it in brackets after the item's name: `[..{}]`", rest.name))
        } else if shape.rest.is_some() || !shape.dims.is_empty() {
            Diagnostic::error(Code::Unsupported, rest.span, format!("`..{}` stands for leading axes", rest.name))
                .help("write it once, in front of the other sizes")
        } else {
            shape.rest = Some(rest.name.clone());
            self.structs.notes().value(&rest.name, rest.span);
            return true;
        };
        self.diags.push(error);
        false
    }

    fn struct_type(&mut self, name: &ast::Ident, sizes: &[ast::Size], span: Span) -> Ty {
        let Some((id, count)) = self.structs.find(&name.name) else {
            if self.structs.is_missing(&name.name) {
                return Ty::Error;
            }
            let known: Vec<&str> = self.structs.names().into_iter().chain(["fix", "int", "bool", "nat"]).collect();
            let error = Diagnostic::error(Code::UnknownType, name.span, format!("there is no type `{}`", name.name));
            self.diags.push(match (self.structs.elsewhere(&name.name), nearest(&name.name, known)) {
                (Some(module), _) => error.help(format!("bring it in: `use {module}::{};`", name.name)),
                (None, Some(near)) => error.help(format!("did you mean `{near}`?")),
                (None, None) => error.help(match name.name.as_str() {
                    "float" | "double" | "f16" | "f32" | "f64" | "Tensor" | "tensor" => {
                        "fixed-point numbers are `fix`, a tensor of them `fix[N, 4]`"
                    }
                    "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "integer" | "long" => {
                        "whole numbers are `int`, those known while compiling `nat`"
                    }
                    _ => "types are `fix`, `int`, `bool`, `nat` and the structs in scope",
                }),
            });
            return Ty::Error;
        };
        self.structs.notes().refer(name.span, self.structs.place(id), Meaning::Struct(id));
        let mut dims = Vec::new();
        for size in sizes {
            match size {
                ast::Size::Expr(expr) => dims.extend(self.dim(expr)),
                ast::Size::Rest(rest) => {
                    let message = format!("`{}` takes single sizes, not `..{}`", name.name, rest.name);
                    self.diags.push(Diagnostic::error(Code::NotAllowedHere, rest.span, message));
                }
            }
        }
        if sizes.len() != count {
            let plural = if count == 1 { "" } else { "s" };
            let verb = if sizes.len() == 1 { "is" } else { "are" };
            let message = format!("`{}` takes {count} size{plural}, and {} {verb} given", name.name, sizes.len());
            let help = format!("write `{}`", self.structs.usage(id));
            self.diags.push(Diagnostic::error(Code::Arguments, span, message).help(help));
        }
        if dims.len() != count {
            return Ty::Error;
        }
        Ty::Struct { id, name: name.name.clone(), sizes: dims }
    }
}
