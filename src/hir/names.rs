//! Modules, items and signatures: from files to tables in which every name has a meaning. Bodies are checked last,
//! by [`super::body`].

use std::collections::{BTreeMap, BTreeSet};

use super::body::Checker;
use super::intrinsic::Intrinsic;
use super::size::{Resolver, SizeNames, Structs};
use super::types::{Elem, Ty};
use super::{
    Body, Default, Destination, Entry, EntryParam, EntryResult, Fn, FnCode, FnId, Param, ParamKind, Program, Source,
    Struct, StructId,
};
use crate::diag::{Code, Diagnostic, nearest};
use crate::fixed::Format;
use crate::label::{Label, OwnerId};
use crate::shape::Dim;
use crate::span::{FileId, Sources, Span};
use crate::syntax::{ast, parser};

/// The embedded standard library.
const LIBRARY: &[(&str, &str)] =
    &[("prelude", include_str!("../../stdlib/prelude.sml")), ("nn", include_str!("../../stdlib/nn.sml"))];

/// What a name at the top of a module means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Def {
    Struct(StructId),
    Fn(FnId),
    Entry,
}

/// A file with the names it sees.
pub(super) struct Module {
    pub name: String,
    pub library: bool,
    pub scope: BTreeMap<String, Def>,
    /// Names it defines itself, with their places: what others may `use`.
    pub own: BTreeMap<String, (Def, Span)>,
}

/// Everything but the bodies.
pub(super) struct Items<'a> {
    pub sources: &'a Sources,
    pub modules: Vec<Module>,
    pub structs: Vec<Struct>,
    pub fns: Vec<Fn>,
    pub owners: Vec<String>,
}

/// The structs one module sees.
pub(super) struct StructsOf<'a>(pub &'a Items<'a>, pub usize);

impl Structs for StructsOf<'_> {
    fn find(&self, name: &str) -> Option<(StructId, usize)> {
        match self.0.modules[self.1].scope.get(name)? {
            Def::Struct(id) => Some((*id, self.0.structs[id.index()].sizes.len())),
            Def::Fn(_) | Def::Entry => None,
        }
    }

    fn names(&self) -> Vec<&str> {
        let scope = &self.0.modules[self.1].scope;
        scope.iter().filter(|(_, d)| matches!(d, Def::Struct(_))).map(|(n, _)| n.as_str()).collect()
    }
}

/// Parses the program and the library, resolves all names and checks all bodies.
pub(super) fn load(sources: &mut Sources, file: FileId, diags: &mut Vec<Diagnostic>) -> Program {
    let mut files = vec![("main".to_string(), file, parser::parse(file, &sources.file(file).text.clone(), diags))];
    let mut library = Vec::new();
    for (name, text) in LIBRARY {
        let id = sources.add(format!("<std>/{name}.sml"), *text);
        library.push(id);
        files.push(((*name).to_string(), id, parser::parse(id, text, diags)));
    }
    let (owners, format) = header(&files[0].2, diags);
    let mut items = Items { sources, modules: Vec::new(), structs: Vec::new(), fns: Vec::new(), owners };
    let mut defined: Vec<(usize, FnId, &ast::Fn)> = Vec::new();
    for (index, (name, _, ast)) in files.iter().enumerate() {
        let module = collect(&mut items, &mut defined, index, name, ast, diags);
        items.modules.push(module);
    }
    for (index, (_, _, ast)) in files.iter().enumerate() {
        resolve_uses(&mut items, index, ast, diags);
    }
    for (index, (_, _, ast)) in files.iter().enumerate() {
        fields(&mut items, index, ast, diags);
    }
    refuse_endless_structs(&mut items, &files, diags);
    let mut scopes: Vec<SizeNames> = Vec::new();
    for (module, id, ast) in &defined {
        let (signature, names) = signature(&items, *module, ast, diags);
        items.fns[id.index()] = signature;
        scopes.push(names);
    }
    let mut bodies = Vec::new();
    for ((module, id, ast), names) in defined.iter().zip(scopes) {
        if let Some(block) = &ast.body {
            let function = &items.fns[id.index()];
            let mut checker = Checker::new(&items, *module, names, diags);
            for (param, ast) in function.params.iter().zip(&ast.params) {
                if let ParamKind::Value(ty) = &param.kind {
                    checker.bind_param(&ast.name, ty.clone());
                }
            }
            checker.run(block, function.result.as_ref().unwrap_or(&Ty::Error));
            bodies.push((*id, checker.finish().0));
        }
    }
    let entries = files[0].2.items.iter().filter_map(|item| match item {
        ast::Item::Entry(entry) => Some(check_entry(&items, entry, diags)),
        ast::Item::Struct(_) | ast::Item::Fn(_) => None,
    });
    let entries = entries.collect();
    let Items { structs, mut fns, owners, .. } = items;
    for (id, body) in bodies {
        fns[id.index()].code = FnCode::Body(body);
    }
    refuse_recursion(&mut fns, diags);
    Program { owners, format, structs, fns, entries, library }
}

/// Owners and number format.
fn header(file: &ast::File, diags: &mut Vec<Diagnostic>) -> (Vec<String>, Format) {
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
            diags.push(Diagnostic::error(Code::Header, span, message).label(first, "first here"));
        }
        seen[which] = Some(span);
        match header {
            ast::Header::Owners { names, .. } => {
                for name in names {
                    if owners.contains(&name.name) || matches!(name.name.as_str(), "all" | "shares") {
                        let message = format!("`{}` cannot be declared as an owner again", name.name);
                        diags.push(Diagnostic::error(Code::DefinedTwice, name.span, message));
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
    (owners, format)
}

fn number_format(settings: &[(ast::Ident, u64)], span: Span, diags: &mut Vec<Diagnostic>) -> Format {
    let mut format = Format::default();
    for (name, value) in settings {
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
        diags.push(error.help("lower `frac` or `int`, or use `ring = 64`"));
        Format::default()
    })
}

/// Gives every item of a file an id.
fn collect<'f>(
    items: &mut Items,
    defined: &mut Vec<(usize, FnId, &'f ast::Fn)>,
    index: usize,
    name: &str,
    file: &'f ast::File,
    diags: &mut Vec<Diagnostic>,
) -> Module {
    let mut own: BTreeMap<String, (Def, Span)> = BTreeMap::new();
    for item in &file.items {
        let def = match item {
            ast::Item::Struct(s) => {
                let sizes = s.sizes.iter().map(|p| p.name.name.clone()).collect();
                items.structs.push(Struct { name: s.name.name.clone(), sizes, fields: Vec::new() });
                Def::Struct(StructId(items.structs.len() as u32 - 1))
            }
            ast::Item::Fn(f) => {
                let id = FnId(items.fns.len() as u32);
                items.fns.push(Fn {
                    name: f.name.name.clone(),
                    sizes: Vec::new(),
                    params: Vec::new(),
                    result: None,
                    code: FnCode::Body(Body::default()),
                    span: f.span,
                });
                defined.push((index, id, f));
                Def::Fn(id)
            }
            ast::Item::Entry(_) => Def::Entry,
        };
        let ident = item.name();
        if let Some((_, first)) = own.get(&ident.name) {
            diags.push(twice(&ident.name, ident.span, *first));
        } else {
            own.insert(ident.name.clone(), (def, ident.span));
        }
    }
    let scope = own.iter().map(|(n, (d, _))| (n.clone(), *d)).collect();
    Module { name: name.to_string(), library: index > 0, scope, own }
}

fn twice(name: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error(Code::DefinedTwice, span, format!("`{name}` is defined twice")).label(first, "first here")
}

fn resolve_uses(items: &mut Items, index: usize, file: &ast::File, diags: &mut Vec<Diagnostic>) {
    for line in &file.uses {
        let modules = || items.modules.iter().filter(|m| m.library);
        let Some(module) = modules().find(|m| m.name == line.module.name) else {
            let error = Diagnostic::error(
                Code::UnknownModule,
                line.module.span,
                format!("there is no module `{}`", line.module.name),
            );
            diags.push(match nearest(&line.module.name, modules().map(|m| m.name.as_str())) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("modules are {}", list(modules().map(|m| m.name.as_str())))),
            });
            // What it would have brought in is not reported a second time: nothing is known of it.
            continue;
        };
        let mut found = Vec::new();
        for name in &line.names {
            match module.own.get(&name.name) {
                Some((def, _)) => found.push((name.clone(), *def)),
                None => {
                    let message = format!("module `{}` has no `{}`", module.name, name.name);
                    let error = Diagnostic::error(Code::UnknownModule, name.span, message);
                    diags.push(match nearest(&name.name, module.own.keys().map(String::as_str)) {
                        Some(near) => error.help(format!("did you mean `{near}`?")),
                        None => error.note(format!("it offers {}", list(module.own.keys().map(String::as_str)))),
                    });
                }
            }
        }
        let scope = &mut items.modules[index];
        for (name, def) in found {
            if let Some((_, first)) = scope.own.get(&name.name) {
                diags.push(twice(&name.name, name.span, *first));
            } else {
                scope.scope.insert(name.name, def);
            }
        }
    }
    // The prelude yields to everything the file defines or uses itself.
    let prelude: Vec<(String, Def)> = items.modules.iter().filter(|m| m.library && m.name == "prelude")
        .flat_map(|m| m.own.iter().map(|(n, (d, _))| (n.clone(), *d)))
        .collect();
    for (name, def) in prelude {
        items.modules[index].scope.entry(name).or_insert(def);
    }
}

/// `a`, `b`, `c`.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// The sizes bound in brackets after an item's name.
fn size_params(params: &[ast::SizeParam], diags: &mut Vec<Diagnostic>) -> (Vec<String>, SizeNames) {
    let (mut order, mut names) = (Vec::new(), SizeNames::default());
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for param in params {
        let name = &param.name.name;
        if let Some(first) = places.insert(name, param.name.span) {
            diags.push(twice(name, param.name.span, first));
            continue;
        }
        order.push(name.clone());
        if param.rest {
            names.rests.insert(name.clone());
        } else {
            names.dims.insert(name.clone(), Dim::var(name));
        }
    }
    (order, names)
}

fn fields(items: &mut Items, index: usize, file: &ast::File, diags: &mut Vec<Diagnostic>) {
    for item in &file.items {
        let ast::Item::Struct(ast) = item else { continue };
        let Some((Def::Struct(id), span)) = items.modules[index].own.get(&ast.name.name).copied() else { continue };
        if span != ast.name.span {
            continue; // the second of two structs of one name
        }
        for rest in ast.sizes.iter().filter(|s| s.rest) {
            let message = "a struct binds single sizes";
            diags.push(Diagnostic::error(Code::Unsupported, rest.name.span, message).help("name each axis"));
        }
        let (_, names) = size_params(&ast.sizes, diags);
        let mut fields: Vec<(String, Ty)> = Vec::new();
        let mut places: BTreeMap<&str, Span> = BTreeMap::new();
        for field in &ast.fields {
            if let Some(first) = places.insert(&field.name.name, field.name.span) {
                diags.push(twice(&field.name.name, field.name.span, first));
                continue;
            }
            let ty = Resolver { structs: &StructsOf(items, index), names: &names, diags }.ty(&field.ty);
            let ty = no_nat(ty, field.ty.span(), "a field", diags);
            fields.push((field.name.name.clone(), ty));
        }
        items.structs[id.index()].fields = fields;
    }
}

fn no_nat(ty: Ty, span: Span, place: &str, diags: &mut Vec<Diagnostic>) -> Ty {
    fn has_nat(ty: &Ty) -> bool {
        match ty {
            Ty::Nat => true,
            Ty::Tuple(items) => items.iter().any(has_nat),
            Ty::Array(item, _) => has_nat(item),
            Ty::Error | Ty::Tensor(..) | Ty::Struct { .. } | Ty::Range(..) => false,
        }
    }
    if !has_nat(&ty) {
        return ty;
    }
    let message = format!("`nat` is a compile-time number, which {place} cannot hold");
    diags.push(Diagnostic::error(Code::UnknownType, span, message).help("write `int`, or a size in brackets"));
    Ty::Error
}

/// A struct that contains itself has no end; its fields become errors.
fn refuse_endless_structs(items: &mut Items, files: &[(String, FileId, ast::File)], diags: &mut Vec<Diagnostic>) {
    fn inside(ty: &Ty, structs: &[Struct], seen: &mut BTreeSet<StructId>) {
        match ty {
            Ty::Struct { id, .. } if seen.insert(*id) => {
                structs[id.index()].fields.iter().for_each(|(_, t)| inside(t, structs, seen));
            }
            Ty::Tuple(tys) => tys.iter().for_each(|t| inside(t, structs, seen)),
            Ty::Array(item, _) => inside(item, structs, seen),
            Ty::Error | Ty::Nat | Ty::Tensor(..) | Ty::Struct { .. } | Ty::Range(..) => {}
        }
    }
    let endless: Vec<StructId> = (0..items.structs.len() as u32).map(StructId).filter(|id| {
        let mut seen = BTreeSet::new();
        items.structs[id.index()].fields.iter().for_each(|(_, t)| inside(t, &items.structs, &mut seen));
        seen.contains(id)
    }).collect();
    for id in endless {
        let record = &mut items.structs[id.index()];
        record.fields.iter_mut().for_each(|(_, ty)| *ty = Ty::Error);
        let place = files.iter().flat_map(|f| &f.2.items).map(ast::Item::name).find(|n| n.name == record.name);
        if let Some(name) = place {
            let message = format!("struct `{}` contains itself", record.name);
            diags.push(Diagnostic::error(Code::Unsupported, name.span, message).help("use an array `[T; D]`"));
        }
    }
}

/// Parameters and result of a function, with the names its body may use in sizes.
fn signature(items: &Items, module: usize, ast: &ast::Fn, diags: &mut Vec<Diagnostic>) -> (Fn, SizeNames) {
    let (mut sizes, mut names) = size_params(&ast.sizes, diags);
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for param in &ast.params {
        if let Some(first) = places.insert(&param.name.name, param.name.span) {
            diags.push(twice(&param.name.name, param.name.span, first));
        }
        if matches!(&param.ty, ast::Type::Named { name, .. } if name.name == "nat") {
            sizes.push(param.name.name.clone());
            names.dims.insert(param.name.name.clone(), Dim::var(&param.name.name));
        }
    }
    let structs = StructsOf(items, module);
    let mut params = Vec::new();
    for param in &ast.params {
        let ty = Resolver { structs: &structs, names: &names, diags }.ty(&param.ty);
        let kind = match ty {
            Ty::Nat => ParamKind::Nat,
            Ty::Array(item, _) if *item == Ty::Nat && ast.body.is_none() => ParamKind::NatList,
            ty => ParamKind::Value(no_nat(ty, param.ty.span(), "a value", diags)),
        };
        let default = param.default.as_ref().and_then(|e| default(e, &kind, &structs, &names, diags));
        params.push(Param { name: param.name.name.clone(), public: param.public, kind, default });
    }
    let result = ast.result.as_ref().map(|ty| {
        let resolved = Resolver { structs: &structs, names: &names, diags }.ty(ty);
        no_nat(resolved, ty.span(), "a result", diags)
    });
    let code = match (&ast.body, Intrinsic::find(&ast.name.name)) {
        (None, Some(op)) if items.modules[module].library => FnCode::Intrinsic(op),
        (None, _) => {
            let message = format!("the compiler has no intrinsic `{}`", ast.name.name);
            diags.push(Diagnostic::error(Code::Unsupported, ast.name.span, message).help("give the function a body"));
            FnCode::Body(Body::default())
        }
        (Some(_), _) => FnCode::Body(Body::default()),
    };
    (Fn { name: ast.name.name.clone(), sizes, params, result, code, span: ast.name.span }, names)
}

fn default(
    expr: &ast::Expr,
    kind: &ParamKind,
    structs: &StructsOf,
    names: &SizeNames,
    diags: &mut Vec<Diagnostic>,
) -> Option<Default> {
    use ast::ExprKind as E;
    let ty = match kind {
        ParamKind::Nat => return Resolver { structs, names, diags }.dim(expr).map(Default::Size),
        ParamKind::NatList => None,
        ParamKind::Value(ty) => Some(ty),
    };
    let (sign, literal) = match &expr.kind {
        E::Unary(ast::UnaryOp::Neg, inner) => (-1.0, &inner.kind),
        other => (1.0, other),
    };
    match (literal, ty) {
        (_, Some(Ty::Error)) => None,
        (E::Float { value, .. }, Some(ty)) if *ty == Ty::scalar(Elem::Fix) => Some(Default::Constant(sign * value)),
        (E::Int(value), Some(ty)) if *ty == Ty::scalar(Elem::Int) => Some(Default::Constant(sign * *value as f64)),
        (E::Bool(value), Some(ty)) if *ty == Ty::scalar(Elem::Bool) => Some(Default::Constant(f64::from(*value))),
        _ => {
            let message = "a default is a constant of the parameter's type, or a size";
            diags.push(Diagnostic::error(Code::TypeMismatch, expr.span, message));
            None
        }
    }
}

fn check_entry(items: &Items, ast: &ast::Entry, diags: &mut Vec<Diagnostic>) -> Entry {
    let (_, names) = size_params(&ast.sizes, diags);
    for rest in ast.sizes.iter().filter(|s| s.rest) {
        let message = format!("an entry's shapes have a known number of axes, and `..{}` has not", rest.name.name);
        diags.push(Diagnostic::error(Code::OpenSize, rest.name.span, message).help("name each axis"));
    }
    let structs = StructsOf(items, 0);
    let mut params = Vec::new();
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for param in &ast.params {
        if let Some(first) = places.insert(&param.name.name, param.name.span) {
            diags.push(twice(&param.name.name, param.name.span, first));
        }
        let ty = Resolver { structs: &structs, names: &names, diags }.ty(&param.ty);
        let ty = no_nat(ty, param.ty.span(), "an input", diags);
        let source = source(items, param, diags);
        params.push(EntryParam { name: param.name.name.clone(), ty, source, span: param.span });
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
        results.push(EntryResult { ty, to: to.unwrap_or(Destination::All), label: Label::PUBLIC, span: result.span });
    }
    let want = match (results.as_slice(), ast.tuple) {
        ([one], false) => one.ty.clone(),
        (many, _) => Ty::Tuple(many.iter().map(|r| r.ty.clone()).collect()),
    };
    let mut checker = Checker::new(items, 0, names, diags);
    checker.entry = true;
    for (param, ast) in params.iter().zip(&ast.params) {
        checker.bind_param(&ast.name, param.ty.clone());
    }
    checker.run(&ast.body, &want);
    let (body, reveals) = checker.finish();
    let labels = vec![Label::PUBLIC; body.exprs.len()];
    Entry {
        name: ast.name.name.clone(),
        sizes: ast.sizes.iter().filter(|s| !s.rest).map(|s| s.name.name.clone()).collect(),
        params,
        results,
        tuple: ast.tuple,
        body,
        labels,
        reveals,
        span: ast.name.span,
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
            None if owners.is_empty() => error.help(format!("start the file with `owners {};`", name.name)),
            None => error.help(format!("owners are {}", list(owners.iter().map(String::as_str)))),
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

/// Calls are inlined, so none may lead back to its function. The bodies of those that do are emptied.
fn refuse_recursion(fns: &mut [Fn], diags: &mut Vec<Diagnostic>) {
    let callees: Vec<BTreeSet<FnId>> = fns.iter().map(|f| match &f.code {
        FnCode::Body(body) => body.exprs.iter().filter_map(|e| match e.kind {
            super::ExprKind::Call { callee, .. } => Some(callee),
            _ => None,
        }).collect(),
        FnCode::Intrinsic(_) => BTreeSet::new(),
    }).collect();
    for start in 0..fns.len() {
        let mut reached = BTreeSet::new();
        let mut left: Vec<FnId> = callees[start].iter().copied().collect();
        while let Some(next) = left.pop() {
            if reached.insert(next) {
                left.extend(&callees[next.index()]);
            }
        }
        if reached.contains(&FnId(start as u32)) {
            let message = format!("function `{}` calls itself", fns[start].name);
            diags.push(Diagnostic::error(Code::Unsupported, fns[start].span, message).help("use a `for` loop"));
            fns[start].code = FnCode::Body(Body::default());
        }
    }
}
