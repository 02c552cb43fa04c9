//! Headers and entries: owners, the number format, who gives and who learns.

use std::collections::BTreeMap;

use super::body::Checker;
use super::names::{Items, StructsOf, too_many_parts, twice};
use super::signature::{no_nat, size_params};
use super::size::Resolver;
use super::types::{Elem, Ty};
use super::{Destination, Entry, EntryParam, EntryResult, Source};
use crate::diag::{Code, Diagnostic, list, nearest};
use crate::fixed::{Format, FormatError};
use crate::label::{Label, OwnerId};
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast::{self, SizeKind};

/// Owners and number format.
pub(super) fn header(file: &ast::File, diags: &mut Vec<Diagnostic>) -> (Vec<String>, Format) {
    let mut owners: Vec<String> = Vec::new();
    let mut format = Format::default();
    let mut seen: [Option<Span>; 2] = [None, None];
    for header in &file.headers {
        let (which, span) = match header {
            ast::Header::Owners { span, .. } => (0, *span),
            ast::Header::Fixed { span, .. } => (1, *span),
        };
        if let Some(first) = seen[which] {
            let message = "the header says this twice";
            let error = Diagnostic::error(Code::Header, span, message).label(first, "first here");
            diags.push(error.help(match header {
                ast::Header::Owners { .. } => format!("one line names all: `{}`", owners_line(&all_owners(file))),
                ast::Header::Fixed { .. } => "keep one of the two".to_string(),
            }));
        }
        seen[which] = Some(span);
        match header {
            ast::Header::Owners { names, .. } => {
                for name in names {
                    if matches!(name.name.as_str(), "all" | "shares") {
                        let message = format!("`{}` cannot be an owner's name", name.name);
                        let error = Diagnostic::error(Code::DefinedTwice, name.span, message);
                        diags.push(error.help("`to all` and `to shares` have meanings of their own"));
                    } else if owners.contains(&name.name) {
                        let message = format!("the owner `{}` is named twice", name.name);
                        let error = Diagnostic::error(Code::DefinedTwice, name.span, message);
                        diags.push(error.help(format!("name each once: `{}`", owners_line(&all_owners(file)))));
                    } else if owners.len() == Label::MAX_OWNERS {
                        let message = format!("more than {} owners", Label::MAX_OWNERS);
                        diags.push(Diagnostic::error(Code::Unsupported, name.span, message));
                    } else {
                        owners.push(name.name.clone());
                    }
                }
            }
            ast::Header::Fixed { settings, span } => format = number_format(settings, *span, diags),
        }
    }
    if seen[0].is_none() {
        owners = owners_without_header(file, diags);
    }
    (owners, format)
}

/// The owners that a file without an `owners` line means: those its entries name. Said once for all of them.
fn owners_without_header(file: &ast::File, diags: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut used: Vec<&ast::Ident> = Vec::new();
    for item in &file.items {
        let ast::Item::Entry(entry) = item else { continue };
        let sources = entry.params.iter().filter_map(|p| p.from.as_ref());
        let learners = entry.results.iter().filter_map(|r| r.to.as_ref()).filter(|to| to.name != "all");
        for name in sources.chain(learners).filter(|name| name.name != "shares") {
            if used.len() < Label::MAX_OWNERS && used.iter().all(|known| known.name != name.name) {
                used.push(name);
            }
        }
    }
    let names: Vec<String> = used.iter().map(|name| name.name.clone()).collect();
    if let Some(first) = used.first() {
        let message = format!("the header names no owner `{}`", first.name);
        let error = Diagnostic::error(Code::UnknownOwner, first.span, message);
        diags.push(error.help(format!("start the file with `{}`", owners_line(&names))));
    }
    names
}

/// The owners that all `owners` lines of a file name, each once.
fn all_owners(file: &ast::File) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for header in &file.headers {
        let ast::Header::Owners { names, .. } = header else { continue };
        for name in names {
            if !all.contains(&name.name) && !matches!(name.name.as_str(), "all" | "shares") {
                all.push(name.name.clone());
            }
        }
    }
    all
}

fn owners_line(names: &[String]) -> String {
    format!("owners {};", names.join(", "))
}

fn number_format(settings: &[(ast::Ident, u64)], span: Span, diags: &mut Vec<Diagnostic>) -> Format {
    let mut format = Format::default();
    for (index, (name, value)) in settings.iter().enumerate() {
        if let Some((first, _)) = settings[..index].iter().find(|(n, _)| n.name == name.name) {
            let error = Diagnostic::error(Code::Header, name.span, format!("`{}` is set twice", name.name));
            diags.push(error.label(first.span, "first here"));
        }
        let bits = u32::try_from(*value).unwrap_or(u32::MAX);
        match name.name.as_str() {
            "int" => format.int = bits,
            "frac" => format.frac = bits,
            "ring" => format.ring = bits,
            other => {
                let error = Diagnostic::error(Code::Header, name.span, format!("`fixed` has no setting `{other}`"));
                diags.push(error.help("settings are `int`, `frac` and `ring`"));
            }
        }
    }
    format.validate().unwrap_or_else(|problem| {
        let error = Diagnostic::error(Code::Format, span, format!("this number format does not fit: {problem}"));
        diags.push(error.help(match problem {
            FormatError::Ring(_) => "use `ring = 64`",
            FormatError::Empty => "give each at least 1",
            FormatError::Products { ring: 64, .. } => "lower `frac` or `int`",
            FormatError::Products { .. } => "lower `frac` or `int`, or use `ring = 64`",
        }));
        Format::default()
    })
}

/// An entry: its inputs, its results, its body.
pub(super) fn check_entry(items: &Items, ast: &ast::Entry, diags: &mut Vec<Diagnostic>) -> Entry {
    let (_, names) = size_params(&ast.sizes, diags);
    items.notes.bind_sizes(&ast.sizes, ast.span);
    for param in ast.sizes.iter().filter(|s| s.kind != SizeKind::Size) {
        let message = format!("an entry's inputs have known axes and types, and `{}` has not", param.text());
        diags.push(Diagnostic::error(Code::OpenSize, param.name.span, message).help("name each axis and type"));
    }
    let structs = StructsOf(items, 0);
    ast.params.iter().filter_map(|p| p.from.as_ref()).for_each(|name| items.notes.owner(name));
    ast.results.iter().filter_map(|r| r.to.as_ref()).for_each(|name| items.notes.owner(name));
    let mut params = Vec::new();
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for param in &ast.params {
        if let Some(first) = places.insert(&param.name.name, param.name.span) {
            diags.push(twice(&param.name.name, param.name.span, first));
        }
        let ty = Resolver { structs: &structs, names: &names, diags }.ty(&param.ty);
        let ty = no_nat(ty, param.ty.span(), "an input", diags);
        if let Some(length) = open_length(&ty) {
            let message =
                format!("the length `{length}` of an array in an input must be a number from 1 to {MAX_ARRAY}");
            let error = Diagnostic::error(Code::OpenSize, param.ty.span(), message);
            diags.push(error.help("write it out: it decides which tensors are read"));
        } else if items.tensors(&ty).is_none() {
            diags.push(too_many_parts(param.ty.span()));
        }
        let source = source(items, param, diags);
        let ty = if source == Source::Shares { kept(items, ty, param.ty.span(), diags) } else { ty };
        let range = param.range.as_ref().and_then(|range| declared_range(items, range, &ty, diags));
        params.push(EntryParam { name: param.name.name.clone(), ty, range, source, span: param.span });
    }
    let mut results = Vec::new();
    for result in &ast.results {
        let ty = Resolver { structs: &structs, names: &names, diags }.ty(&result.ty);
        let ty = no_nat(ty, result.ty.span(), "a result", diags);
        let to = match &result.to {
            Some(to) => destination(&items.owners, to, diags),
            None => {
                let error = Diagnostic::error(Code::EntryResult, result.span, "nobody learns this result");
                diags.push(error.help(format!("say who does: {}", list(endings(&items.owners, "to")))));
                None
            }
        };
        let ty = if to == Some(Destination::Shares) { kept(items, ty, result.ty.span(), diags) } else { ty };
        results.push(EntryResult { ty, to: to.unwrap_or(Destination::All), label: Label::PUBLIC, span: result.span });
    }
    let want = match (results.as_slice(), ast.tuple) {
        ([one], false) => one.ty.clone(),
        (many, _) => Ty::Tuple(many.iter().map(|r| r.ty.clone()).collect()),
    };
    let mut checker = Checker::new(items, 0, names, diags);
    checker.entry = true;
    checker.scope = ast.body.span;
    for (param, ast) in params.iter().zip(&ast.params) {
        checker.bind_param(&ast.name, param.ty.clone());
    }
    let declared = ast.results.iter().map(|r| r.ty.span()).reduce(Span::to);
    checker.run(&ast.body, &want, declared, "the result");
    let (body, reveals) = checker.finish();
    let labels = vec![Label::PUBLIC; body.exprs.len()];
    let sizes = ast.sizes.iter().filter(|s| s.kind == SizeKind::Size).map(|s| &s.name);
    Entry {
        name: ast.name.name.clone(),
        sizes: sizes.clone().map(|name| name.name.clone()).collect(),
        size_places: sizes.map(|name| name.span).collect(),
        params,
        results,
        tuple: ast.tuple,
        body,
        labels,
        reveals,
        span: ast.name.span,
    }
}

/// State between runs is made of numbers.
fn kept(items: &Items, ty: Ty, span: Span, diags: &mut Vec<Diagnostic>) -> Ty {
    if items.all_elems(&ty, &|elem| elem != Elem::Bool) {
        return ty;
    }
    let message = format!("`{ty}` cannot be kept in shares, which are of numbers");
    let error = Diagnostic::error(Code::TypeMismatch, span, message);
    diags.push(error.help("keep `select(c, 1, 0)` in place of a `bool`"));
    Ty::Error
}

/// `in low..high`: numbers of the format, of a parameter that holds numbers.
fn declared_range(
    items: &Items,
    range: &(ast::Expr, ast::Expr),
    ty: &Ty,
    diags: &mut Vec<Diagnostic>,
) -> Option<(f64, f64)> {
    let (low, high) = (constant(&range.0)?, constant(&range.1)?);
    let span = range.0.span.to(range.1.span);
    let limit = items.format.limit();
    let error = if ty.is_error() {
        return None;
    } else if !items.all_elems(ty, &|elem| elem != Elem::Bool) {
        Diagnostic::error(Code::TypeMismatch, span, format!("a range is for numbers, and this is `{ty}`"))
    } else if low >= high {
        Diagnostic::error(Code::TooLarge, span, format!("the range {low}..{high} is empty"))
            .help("write the smaller number first")
    } else if low <= -limit || high >= limit {
        Diagnostic::error(Code::TooLarge, span, format!("the range {low}..{high} leaves the number format"))
            .note(format!("`int = {}` holds magnitudes below {limit}", items.format.int))
            .help("raise `int`, or scale the data before it is given")
    } else {
        return Some((low, high));
    };
    diags.push(error);
    None
}

/// The number that a bound of a range is written as.
fn constant(bound: &ast::Expr) -> Option<f64> {
    match &bound.kind {
        ast::ExprKind::Int(value) => Some(*value as f64),
        ast::ExprKind::Float { value, .. } => Some(*value),
        ast::ExprKind::Unary(ast::UnaryOp::Neg, inner) => Some(-constant(inner)?),
        _ => None,
    }
}

/// More elements than this are no array of layers.
const MAX_ARRAY: i64 = 65_536;

/// The length of an array in a type, when it is open or absurd.
fn open_length(ty: &Ty) -> Option<&Dim> {
    match ty {
        Ty::Array(_, length) | Ty::Spread(_, length)
            if length.as_constant().is_none_or(|n| !(1..=MAX_ARRAY).contains(&n)) =>
        {
            Some(length)
        }
        Ty::Array(item, _) | Ty::Spread(item, _) => open_length(item),
        Ty::Tuple(items) => items.iter().find_map(open_length),
        Ty::Error | Ty::Nat | Ty::Tensor(..) | Ty::Struct { .. } | Ty::Range(..) | Ty::Param(_) => None,
    }
}

/// `to hospital`, `to all`, `to shares` as suggestions.
fn endings<'a>(owners: &'a [String], word: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let extra: &[&str] = if word == "to" { &["all", "shares"] } else { &["shares"] };
    owners.iter().map(String::as_str).chain(extra.iter().copied())
}

fn source(items: &Items, param: &ast::EntryParam, diags: &mut Vec<Diagnostic>) -> Source {
    let error = match (&param.from, param.public) {
        (Some(from), true) => {
            let message = format!("`{}` is marked both `public` and `from {}`", param.name.name, from.name);
            Diagnostic::error(Code::EntryParameter, param.span, message).help("keep one of the two")
        }
        (None, true) => return Source::Public,
        (Some(from), false) if from.name == "shares" => return Source::Shares,
        (Some(from), false) => match owner(&items.owners, from, "from", diags) {
            Some(owner) => return Source::Owner(owner),
            None => return Source::Public,
        },
        (None, false) => {
            let name = &param.name.name;
            let owner = items.owners.first().map_or("owner", String::as_str);
            Diagnostic::error(Code::EntryParameter, param.span, format!("nobody gives the input `{name}`"))
                .help(format!("write `{name}: T from {owner}`, `{name}: public T` or `{name}: T from shares`"))
        }
    };
    diags.push(error);
    Source::Public
}

fn owner(owners: &[String], name: &ast::Ident, word: &str, diags: &mut Vec<Diagnostic>) -> Option<OwnerId> {
    let found = owners.iter().position(|o| *o == name.name).map(|i| OwnerId(i as u32));
    if found.is_none() {
        let message = format!("the header names no owner `{}`", name.name);
        let error = Diagnostic::error(Code::UnknownOwner, name.span, message);
        diags.push(match nearest(&name.name, endings(owners, word)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if word == "from" && name.name == "all" => {
                error.help("one owner gives an input; what everybody knows is marked before its type: `x: public fix`")
            }
            None if owners.is_empty() => error.help(format!("start the file with `owners {};`", name.name)),
            None => {
                let known = format!("owners are {}", list(owners.iter().map(String::as_str)));
                error.help(if word == "to" { format!("{known}; `to all` means every owner") } else { known })
            }
        });
    }
    found
}

/// Who learns a value.
pub(super) fn destination(owners: &[String], to: &ast::Ident, diags: &mut Vec<Diagnostic>) -> Option<Destination> {
    match to.name.as_str() {
        "all" => Some(Destination::All),
        "shares" => Some(Destination::Shares),
        _ => owner(owners, to, "to", diags).map(Destination::Owner),
    }
}
