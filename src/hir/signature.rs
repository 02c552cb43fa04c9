//! Signatures: sizes, fields, parameters and results, resolved before any body is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::intrinsic::Intrinsic;
use super::modules::{File, Origin};
use super::names::{Def, Items, MAX_NESTING, Nesting, StructsOf, nesting, twice};
use super::references::Meaning;
use super::size::{Resolver, SizeNames};
use super::types::{Elem, Ty};
use super::{Body, Default, Fn, FnCode, Param, ParamKind, SizeParam, Struct};
use crate::diag::{Code, Diagnostic};
use crate::shape::Dim;
use crate::span::Span;
use crate::syntax::ast::{self, SizeKind};

/// The sizes bound in brackets after an item's name.
pub(super) fn size_params(params: &[ast::SizeParam], diags: &mut Vec<Diagnostic>) -> (Vec<SizeParam>, SizeNames) {
    let (mut order, mut names) = (Vec::new(), SizeNames::default());
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for param in params {
        let name = &param.name.name;
        if let Some(first) = places.insert(name, param.name.span) {
            diags.push(twice(name, param.name.span, first));
            continue;
        }
        order.push(SizeParam { name: name.clone(), kind: param.kind });
        match param.kind {
            SizeKind::Rest => drop(names.rests.insert(name.clone())),
            SizeKind::Record => drop(names.records.insert(name.clone())),
            SizeKind::Size => drop(names.dims.insert(name.clone(), Dim::var(name))),
        }
    }
    (order, names)
}

/// The fields of every struct of a file.
pub(super) fn fields(items: &mut Items, index: usize, file: &ast::File, diags: &mut Vec<Diagnostic>) {
    for item in &file.items {
        let ast::Item::Struct(ast) = item else { continue };
        let Some((Def::Struct(id), span)) = items.modules[index].own.get(&ast.name.name).copied() else { continue };
        if span != ast.name.span {
            continue; // the second of two structs of one name
        }
        for param in ast.sizes.iter().filter(|s| s.kind != SizeKind::Size) {
            let message = format!("a struct binds single sizes, and `{}` is none", param.text());
            diags.push(Diagnostic::error(Code::NotAllowedHere, param.name.span, message).help("name each axis"));
        }
        let (_, names) = size_params(&ast.sizes, diags);
        items.notes.bind_sizes(&ast.sizes, ast.span);
        let mut field_places = Vec::new();
        let mut fields: Vec<(String, Ty)> = Vec::new();
        let mut places: BTreeMap<&str, Span> = BTreeMap::new();
        for field in &ast.fields {
            if let Some(first) = places.insert(&field.name.name, field.name.span) {
                diags.push(twice(&field.name.name, field.name.span, first));
                continue;
            }
            let ty = Resolver { structs: &StructsOf(items, index), names: &names, diags }.ty(&field.ty);
            let ty = no_nat(ty, field.ty.span(), "a field", diags);
            items.notes.define(&field.name, Meaning::Field(id, fields.len()));
            field_places.push(field.name.span);
            fields.push((field.name.name.clone(), ty));
        }
        items.structs[id.index()].fields = fields;
        items.structs[id.index()].places = field_places;
    }
}

/// Refuses `nat` where a run-time value stands.
pub(super) fn no_nat(ty: Ty, span: Span, place: &str, diags: &mut Vec<Diagnostic>) -> Ty {
    fn has_nat(ty: &Ty) -> bool {
        match ty {
            Ty::Nat => true,
            Ty::Tuple(items) => items.iter().any(has_nat),
            Ty::Array(item, _) | Ty::Spread(item, _) => has_nat(item),
            Ty::Error | Ty::Tensor(..) | Ty::Struct { .. } | Ty::Range(..) | Ty::Param(_) => false,
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
pub(super) fn refuse_endless_structs(items: &mut Items, files: &[File], diags: &mut Vec<Diagnostic>) {
    fn parts(ty: &Ty, found: &mut BTreeSet<usize>) {
        match ty {
            Ty::Struct { id, .. } => drop(found.insert(id.index())),
            Ty::Tuple(tys) => tys.iter().for_each(|t| parts(t, found)),
            Ty::Array(item, _) | Ty::Spread(item, _) => parts(item, found),
            Ty::Error | Ty::Nat | Ty::Tensor(..) | Ty::Range(..) | Ty::Param(_) => {}
        }
    }
    let of = |record: &Struct| {
        let mut found = BTreeSet::new();
        record.fields.iter().for_each(|(_, ty)| parts(ty, &mut found));
        found
    };
    let Nesting { endless, too_deep } = nesting(&items.structs.iter().map(of).collect::<Vec<_>>());
    let place = |name: &str| files.iter().flat_map(|f| &f.ast.items).map(ast::Item::name).find(|n| n.name == name);
    for index in endless {
        let record = &mut items.structs[index];
        record.fields.iter_mut().for_each(|(_, ty)| *ty = Ty::Error);
        if let Some(name) = place(&record.name) {
            let message = format!("struct `{}` contains itself", record.name);
            diags.push(Diagnostic::error(Code::Unsupported, name.span, message).help("use an array `[T; D]`"));
        }
    }
    if let Some(name) = too_deep.and_then(|index| place(&items.structs[index].name)) {
        let message = format!("the fields of `{}` go more than {MAX_NESTING} structs deep", name.name);
        diags.push(Diagnostic::error(Code::Unsupported, name.span, message));
        items.structs.iter_mut().flat_map(|s| &mut s.fields).for_each(|(_, ty)| *ty = Ty::Error);
    }
}

/// Parameters and result of a function, with the names its body may use in sizes.
pub(super) fn signature(items: &Items, module: usize, ast: &ast::Fn, diags: &mut Vec<Diagnostic>) -> (Fn, SizeNames) {
    let (mut sizes, mut names) = size_params(&ast.sizes, diags);
    items.notes.bind_sizes(&ast.sizes, ast.span);
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for param in &ast.params {
        if let Some(first) = places.insert(&param.name.name, param.name.span) {
            diags.push(twice(&param.name.name, param.name.span, first));
        }
        if matches!(&param.ty, ast::Type::Named { name, .. } if name.name == "nat") {
            sizes.push(SizeParam { name: param.name.name.clone(), kind: SizeKind::Size });
            names.dims.insert(param.name.name.clone(), Dim::var(&param.name.name));
            items.notes.bind(&param.name, ast.span, Meaning::Size(Dim::var(&param.name.name)));
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
        let default = param.default.as_ref().and_then(|e| default(e, &param.name, &kind, &structs, &names, diags));
        let span = param.name.span;
        params.push(Param { name: param.name.name.clone(), public: param.public, kind, default, span });
    }
    let result = ast.result.as_ref().map(|ty| {
        let resolved = Resolver { structs: &structs, names: &names, diags }.ty(ty);
        no_nat(resolved, ty.span(), "a result", diags)
    });
    let code = match (&ast.body, Intrinsic::find(&ast.name.name)) {
        (None, Some(op)) if items.modules[module].origin == Origin::Library => FnCode::Intrinsic(op),
        (None, _) => {
            let message = format!("the compiler has no intrinsic `{}`", ast.name.name);
            diags.push(Diagnostic::error(Code::Unsupported, ast.name.span, message).help("give the function a body"));
            FnCode::Body(Body::default())
        }
        (Some(_), _) => FnCode::Body(Body::default()),
    };
    (Fn { name: ast.name.name.clone(), sizes, params, result, code, derivative: None, span: ast.name.span }, names)
}

/// A default argument.
fn default(
    expr: &ast::Expr,
    name: &ast::Ident,
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
            let wanted = ty.map_or("a list of sizes".to_string(), |ty| format!("`{ty}`"));
            let message = format!("the default of `{}` is no constant of its type, {wanted}", name.name);
            let error = Diagnostic::error(Code::TypeMismatch, expr.span, message);
            diags.push(match (literal, ty) {
                (E::Int(value), Some(Ty::Tensor(Elem::Fix, shape))) if shape.is_scalar() => {
                    error.help(format!("write `{value}.0` for a fixed-point constant"))
                }
                (E::Float { value, .. }, Some(Ty::Tensor(Elem::Int, shape))) if shape.is_scalar() => {
                    error.help(format!("write `{value:.0}` for an integer"))
                }
                _ => error.help("a default is a single number, `true` or `false`, written out"),
            });
            None
        }
    }
}
