//! Modules, items and signatures: from files to tables in which every name has a meaning. Bodies are checked last,
//! by [`super::body`].

use std::collections::{BTreeMap, BTreeSet};

use super::body::Checker;
use super::derivative;
use super::entry::{check_entry, header};
use super::modules::{File, Origin};
use super::references::{Analysis, ModuleNames, Notes, meaning};
use super::signature::{fields, refuse_endless_structs, signature};
use super::size::{SizeNames, Structs};
use super::types::{Elem, Ty};
use super::uses::resolve_uses;
use super::{Body, Fn, FnCode, FnId, Program, Struct, StructId};
use crate::diag::{Code, Diagnostic};
use crate::fixed::Format;
use crate::span::{Sources, Span};
use crate::syntax::ast;

/// What a name at the top of a module means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Def {
    Struct(StructId),
    Fn(FnId),
    Entry,
    /// Brought in from a module or under a name that does not exist, which has been reported.
    Missing,
}

/// A file with the names it sees.
pub(super) struct Module {
    pub name: String,
    pub origin: Origin,
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
    pub format: Format,
    pub notes: Notes,
}

impl Items<'_> {
    /// The modules whose items others may use.
    pub fn usable(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter().filter(|m| m.origin != Origin::Program)
    }

    /// Whether the elements of every tensor in a type satisfy a condition, and there is one at all.
    pub fn all_elems(&self, ty: &Ty, holds: &impl std::ops::Fn(Elem) -> bool) -> bool {
        match ty {
            Ty::Tensor(elem, _) => holds(*elem),
            Ty::Struct { id, .. } => {
                let fields = &self.structs[id.index()].fields;
                !fields.is_empty() && fields.iter().all(|(_, ty)| *ty == Ty::unit() || self.all_elems(ty, holds))
            }
            Ty::Tuple(items) => {
                !items.is_empty() && items.iter().all(|ty| *ty == Ty::unit() || self.all_elems(ty, holds))
            }
            Ty::Array(item, _) | Ty::Spread(item, _) => self.all_elems(item, holds),
            Ty::Param(_) | Ty::Error => true,
            Ty::Nat | Ty::Range(..) => false,
        }
    }
}

/// A value consists of at most so many tensors.
pub(super) const MAX_TENSORS: usize = 65_536;

/// The error for a value of more than [`MAX_TENSORS`] tensors.
pub(super) fn too_many_parts(span: Span) -> Diagnostic {
    let message = format!("a value of more than {MAX_TENSORS} tensors is not compiled");
    Diagnostic::error(Code::Unsupported, span, message)
}

impl Items<'_> {
    /// How many tensors a type has, where arrays of open length count once; `None`: more than [`MAX_TENSORS`].
    pub fn tensors(&self, ty: &Ty) -> Option<usize> {
        let add = |sum: usize, ty: &Ty| Some(sum + self.tensors(ty)?).filter(|n| *n <= MAX_TENSORS);
        match ty {
            Ty::Tuple(items) => items.iter().try_fold(1, add),
            Ty::Struct { id, .. } => self.structs[id.index()].fields.iter().map(|(_, ty)| ty).try_fold(1, add),
            Ty::Array(item, n) | Ty::Spread(item, n) => {
                let n = n.as_constant().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                self.tensors(item)?.checked_mul(n.max(1)).filter(|n| *n <= MAX_TENSORS)
            }
            Ty::Error | Ty::Nat | Ty::Tensor(..) | Ty::Range(..) | Ty::Param(_) => Some(1),
        }
    }
}

/// The structs one module sees.
pub(super) struct StructsOf<'a>(pub &'a Items<'a>, pub usize);

impl Structs for StructsOf<'_> {
    fn find(&self, name: &str) -> Option<(StructId, usize)> {
        match self.0.modules[self.1].scope.get(name)? {
            Def::Struct(id) => Some((*id, self.0.structs[id.index()].sizes.len())),
            Def::Fn(_) | Def::Entry | Def::Missing => None,
        }
    }

    fn usage(&self, id: StructId) -> String {
        let record = &self.0.structs[id.index()];
        if record.sizes.is_empty() {
            return record.name.clone();
        }
        format!("{}[{}]", record.name, record.sizes.join(", "))
    }

    fn elsewhere(&self, name: &str) -> Option<&str> {
        let module = self.0.usable().find(|m| matches!(m.own.get(name), Some((Def::Struct(_), _))))?;
        Some(&module.name)
    }

    fn is_missing(&self, name: &str) -> bool {
        self.0.modules[self.1].scope.get(name) == Some(&Def::Missing)
    }

    fn place(&self, id: StructId) -> Span {
        self.0.structs[id.index()].span
    }

    fn notes(&self) -> &Notes {
        &self.0.notes
    }

    fn names(&self) -> Vec<&str> {
        let scope = &self.0.modules[self.1].scope;
        scope.iter().filter(|(_, d)| matches!(d, Def::Struct(_))).map(|(n, _)| n.as_str()).collect()
    }
}

/// Resolves all names of the program's files and checks all bodies.
pub(super) fn resolve(sources: &Sources, files: Vec<File>, diags: &mut Vec<Diagnostic>) -> Analysis {
    let library = files.iter().filter(|f| f.origin == Origin::Library).map(|f| f.id).collect();
    let (owners, format) = header(&files[0].ast, diags);
    let notes = Notes::new(&files);
    let mut items = Items { sources, modules: Vec::new(), structs: Vec::new(), fns: Vec::new(), owners, notes, format };
    let mut defined: Vec<(usize, FnId, &ast::Fn)> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let module = collect(&mut items, &mut defined, index, file, diags);
        items.modules.push(module);
    }
    for (index, file) in files.iter().enumerate() {
        resolve_uses(&mut items, index, &file.ast, diags);
    }
    for (index, file) in files.iter().enumerate() {
        fields(&mut items, index, &file.ast, diags);
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
            let mut checker = Checker::new(&items, *module, names.clone(), diags);
            checker.scope = block.span;
            checker.bind_params(function, ast);
            let declared = ast.result.as_ref().map(ast::Type::span);
            checker.run(block, function.result.as_ref().unwrap_or(&Ty::Error), declared, "the result");
            let body = checker.finish().0;
            let rule = ast.derivative.as_ref();
            let rule = rule.and_then(|rule| derivative::rule(&items, *module, (function, ast), rule, names, diags));
            bodies.push((*id, body, rule));
        }
    }
    let entries = files[0].ast.items.iter().filter_map(|item| match item {
        ast::Item::Entry(entry) => Some(check_entry(&items, entry, diags)),
        ast::Item::Struct(_) | ast::Item::Fn(_) => None,
    });
    let entries = entries.collect();
    let Items { structs, mut fns, owners, modules, notes, .. } = items;
    for (id, body, rule) in bodies {
        fns[id.index()].code = FnCode::Body(body);
        fns[id.index()].derivative = rule;
    }
    refuse_recursion(&mut fns, diags);
    let program = Program { owners, format, structs, fns, entries, labels: BTreeMap::new(), library };
    let modules = modules.into_iter().zip(files).map(|(module, file)| {
        let scope = module.scope.into_iter().filter_map(|(n, def)| Some((n, meaning(def)?))).collect();
        let own = module.own.into_iter().filter_map(|(n, (def, _))| Some((n, meaning(def)?))).collect();
        let library = file.origin == Origin::Library;
        ModuleNames { name: file.name, library, file: file.id, tree: file.ast, scope, own }
    });
    Analysis { program, references: notes.finish(), modules: modules.collect() }
}

/// Gives every item of a file an id.
fn collect<'f>(
    items: &mut Items,
    defined: &mut Vec<(usize, FnId, &'f ast::Fn)>,
    index: usize,
    file: &'f File,
    diags: &mut Vec<Diagnostic>,
) -> Module {
    let mut own: BTreeMap<String, (Def, Span)> = BTreeMap::new();
    for item in &file.ast.items {
        let def = match item {
            ast::Item::Struct(s) => {
                let sizes = s.sizes.iter().map(|p| p.name.name.clone()).collect();
                let (name, span) = (s.name.name.clone(), s.name.span);
                items.structs.push(Struct { name, sizes, fields: Vec::new(), span, places: Vec::new() });
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
                    derivative: None,
                    span: f.span,
                });
                defined.push((index, id, f));
                Def::Fn(id)
            }
            ast::Item::Entry(_) => Def::Entry,
        };
        let ident = item.name();
        items.notes.item(ident.span, ident.span, def);
        if let Some((_, first)) = own.get(&ident.name) {
            diags.push(twice(&ident.name, ident.span, *first));
        } else {
            own.insert(ident.name.clone(), (def, ident.span));
        }
    }
    let scope = own.iter().map(|(n, (d, _))| (n.clone(), *d)).collect();
    Module { name: file.name.clone(), origin: file.origin, scope, own }
}

pub(super) fn twice(name: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error(Code::DefinedTwice, span, format!("`{name}` is defined twice")).label(first, "first here")
}

/// `Linear { weight: .., bias: .. }`; of many fields the first.
pub(super) fn literal(record: &Struct) -> String {
    let shown = record.fields.iter().take(8).map(|(name, _)| format!("{name}: .."));
    let more = (record.fields.len() > 8).then(|| "..".to_string());
    let fields: Vec<String> = shown.chain(more).collect();
    format!("{} {{ {} }}", record.name, fields.join(", "))
}

/// How things use one another: what leads back to itself, and how deep the rest goes.
pub(super) struct Nesting {
    /// What uses itself, directly or not, in order.
    pub endless: Vec<usize>,
    /// The first that stands above [`MAX_NESTING`] others.
    pub too_deep: Option<usize>,
}

/// Functions call, and structs contain, one another in chains of at most this length: later stages follow them
/// recursively.
pub(super) const MAX_NESTING: usize = 100;

/// Finds circles and long chains; `used[i]` is what `i` uses.
pub(super) fn nesting(used: &[BTreeSet<usize>]) -> Nesting {
    let mut graph: petgraph::graph::DiGraph<(), ()> = petgraph::graph::DiGraph::new();
    let nodes: Vec<_> = used.iter().map(|_| graph.add_node(())).collect();
    for (from, to) in used.iter().enumerate().flat_map(|(from, to)| to.iter().map(move |to| (from, *to))) {
        graph.add_edge(nodes[from], nodes[to], ());
    }
    let mut nesting = Nesting { endless: Vec::new(), too_deep: None };
    let mut depth = vec![0; used.len()];
    // What is used comes first.
    for component in petgraph::algo::kosaraju_scc(&graph) {
        let first = component[0].index();
        if component.len() > 1 || used[first].contains(&first) {
            nesting.endless.extend(component.iter().map(|node| node.index()));
            continue;
        }
        depth[first] = 1 + used[first].iter().map(|next| depth[*next]).max().unwrap_or(0);
        if depth[first] > MAX_NESTING {
            nesting.too_deep.get_or_insert(first);
        }
    }
    nesting.endless.sort_unstable();
    nesting
}

/// Calls are inlined, so none may lead back to its function. The bodies of those that do are emptied.
fn refuse_recursion(fns: &mut [Fn], diags: &mut Vec<Diagnostic>) {
    let callees: Vec<BTreeSet<usize>> = fns
        .iter()
        .map(|f| match &f.code {
            FnCode::Body(body) => body
                .exprs
                .iter()
                .filter_map(|e| match e.kind {
                    super::ExprKind::Call { callee, .. } => Some(callee.index()),
                    _ => None,
                })
                .collect(),
            FnCode::Intrinsic(_) => BTreeSet::new(),
        })
        .collect();
    let Nesting { endless, too_deep } = nesting(&callees);
    for index in endless {
        let message = format!("function `{}` calls itself", fns[index].name);
        diags.push(Diagnostic::error(Code::Unsupported, fns[index].span, message).help("use a `for` loop"));
        fns[index].code = FnCode::Body(Body::default());
    }
    if let Some(index) = too_deep {
        let message = format!("the calls of `{}` go more than {MAX_NESTING} functions deep", fns[index].name);
        diags.push(Diagnostic::error(Code::Unsupported, fns[index].span, message));
        fns.iter_mut().for_each(|f| f.code = FnCode::Body(Body::default()));
    }
}
