//! What to write for a function that is not there: habits of other languages and libraries.

use super::body::Checker;
use super::names::{Def, Module};
use super::uses::ELSEWHERE;
use crate::diag::{Code, Diagnostic, list, nearest};
use crate::span::Span;
use crate::syntax::ast;

impl Checker<'_> {
    pub(super) fn unknown_function(&self, name: &str, span: Span) -> Diagnostic {
        let error = Diagnostic::error(Code::UnknownName, span, format!("there is no function `{name}` in scope"));
        if let Some(module) = self.items.usable().find(|m| matches!(m.own.get(name), Some((Def::Fn(_), _)))) {
            return error.help(format!("bring it in: `use {}::{name};`", module.name));
        }
        let scope = &self.items.modules[self.module].scope;
        if let Some((_, instead)) = FOREIGN.iter().chain(ELSEWHERE).find(|(foreign, _)| *foreign == name) {
            return error.help(*instead);
        }
        let functions = scope.iter().filter(|(_, def)| matches!(def, Def::Fn(_))).map(|(n, _)| n.as_str());
        if let Some(near) = nearest(name, functions) {
            return error.help(format!("did you mean `{near}`?"));
        }
        let same = |m: &Module| m.own.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
        match self.items.usable().find_map(|m| Some((m, same(m)?))) {
            Some((module, known)) => error.help(format!("did you mean `{known}`? `use {}::{known};`", module.name)),
            None => error,
        }
    }

    /// What to write for `module::name(..)` where nothing brings the module in.
    pub(super) fn missing_module(&self, module: &str, name: &str) -> String {
        match nearest(module, self.items.usable().map(|m| m.name.as_str())) {
            _ if LIBRARIES.contains(&module) => self.by_path(module, name).unwrap_or_else(|| self.modules()),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("bring the module in: `use {module}::{name};`"),
        }
    }

    /// How the function `name` is called that was looked for in `written`.
    fn by_path(&self, written: &str, name: &str) -> Option<String> {
        let usable = || self.items.usable();
        let has = |m: &&Module| matches!(m.own.get(name), Some((Def::Fn(_), _)));
        let module = usable().find(|m| m.name == written).or_else(|| usable().find(has))?;
        Some(match module.name.as_str() {
            "prelude" => format!("write `{name}(..)`"),
            module => format!("write `{module}::{name}(..)`, or bring it in: `use {module}::{name};`"),
        })
    }

    /// What there is in place of another library.
    fn modules(&self) -> String {
        let known = self.items.usable().filter(|m| m.name != "prelude").map(|m| m.name.as_str());
        format!("the library has {}", list(known))
    }

    /// What to write for `base.name(..)`.
    pub(super) fn no_methods(&self, base: &ast::Expr, name: &str) -> String {
        let text = self.items.sources.text(base.span);
        if name == "backward" {
            return format!("gradients are values: `grad({text}, net)`, where the loss depends on `net`");
        }
        if let ast::ExprKind::Name(written) = &base.kind
            && self.lookup(written).is_none()
        {
            if let Some(help) = self.by_path(written, name) {
                return help;
            }
            if LIBRARIES.contains(&written.as_str()) {
                return self.modules();
            }
        }
        format!("there are no methods: write `{text} |> {name}` or `{name}({text})`")
    }

    pub(super) fn is_function(&self, callee: &ast::Expr) -> bool {
        match &callee.kind {
            ast::ExprKind::Name(name) => {
                matches!(self.items.modules[self.module].scope.get(name), Some(Def::Fn(_)))
                    && self.lookup(name).is_none()
            }
            _ => false,
        }
    }
}

/// Libraries that authors know, by the names they give them.
const LIBRARIES: &[&str] = &["F", "functional", "jnp", "np", "numpy", "std", "tf", "torch"];

/// Functions of other languages and libraries, and what stands for them.
const FOREIGN: &[(&str, &str)] = &[
    ("argmin", "write `argmax(-x)`"),
    ("bmm", "write `matmul(a, b)`"),
    ("cat", "write `concat(a, b, axis = 0)`"),
    ("flip", "write `reverse(x, axis = 0)`"),
    ("index_select", "write `gather(x, [2, 0], axis = 0)`"),
    ("pad", "write `zero_pad(x, 1, 1, axis = 0)`"),
    ("clip", "write `clamp(x, low, high)`"),
    ("dot", "write `sum(a * b, axis = 0)`, or `matmul(a, b)`"),
    ("fix", "whole and fixed-point numbers stay apart: write `1.0`, or `select(c, 1.0, 0.0)` of a `bool`"),
    ("float", "whole and fixed-point numbers stay apart: write `1.0`, or `select(c, 1.0, 0.0)` of a `bool`"),
    ("int", "whole and fixed-point numbers stay apart: write `1`, or `select(c, 1, 0)` of a `bool`"),
    ("len", "sizes have names: `fn f[N](x: fix[N])` may use `N`"),
    ("max", "write `maximum(a, b)`, or `max_over(x, axis = 0)`"),
    ("min", "write `minimum(a, b)`"),
    ("mm", "write `matmul(a, b)`"),
    ("ones", "give it as a public input, or write `0.0 * x + 1.0` of a tensor of that shape"),
    ("permute", "write `transpose(x, [..])`"),
    ("print", "a run shows results, and what an entry opens by `reveal x to hospital`"),
    ("range", "a range is written `0..n`"),
    ("stack", "write `concat(a, b, axis = 0)` of what `reshape` gave the axis"),
    ("topk", "write `top_k(x, k)`"),
    ("tensor", "give it as a public input, or write a number: `1.0` goes with every shape"),
    ("view", "write `reshape(x, [..])`"),
    ("where", "write `select(c, a, b)`"),
    ("zeros", "give it as a public input, or write `0.0 * x` of a tensor of that shape"),
];
