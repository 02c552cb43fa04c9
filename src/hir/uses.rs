//! `use` lines: which names a file sees besides its own, and what stands for a name that is not there.

use std::collections::BTreeMap;

use super::modules::Origin;
use super::names::{Def, Items, Module};
use crate::diag::{Code, Diagnostic, list, nearest};
use crate::span::Span;
use crate::syntax::ast;

/// Brings the names of a file's `use` lines into its scope.
pub(super) fn resolve_uses(items: &mut Items, index: usize, file: &ast::File, diags: &mut Vec<Diagnostic>) {
    // What has come in already, with its module and place.
    let mut brought: BTreeMap<&str, (&str, Def, Span)> = BTreeMap::new();
    for line in &file.uses {
        let Some(module) = modules(items).find(|m| m.name == line.module.name) else {
            diags.push(no_module(items, &line.module));
            let missing = line.names.iter().map(|n| (n.name.clone(), Def::Missing));
            items.modules[index].scope.extend(missing);
            continue;
        };
        items.notes.module_name(&line.module);
        let mut found = Vec::new();
        for name in &line.names {
            match module.own.get(&name.name) {
                Some((def, place)) => {
                    items.notes.item(name.span, *place, *def);
                    found.push((name, *def));
                }
                None => {
                    found.push((name, Def::Missing));
                    let message = format!("module `{}` has no `{}`", module.name, name.name);
                    let error = Diagnostic::error(Code::UnknownModule, name.span, message);
                    diags.push(remedy(error, items, module, &name.name));
                }
            }
        }
        for (name, def) in found {
            let scope = &mut items.modules[index];
            if let Some((own, place)) = scope.own.get(&name.name) {
                diags.push(own_and_used(&line.module.name, name, *own, *place));
            } else if let Some(first) = brought.get(name.name.as_str()).filter(|first| first.1 != Def::Missing) {
                diags.push(brought_twice(first, &line.module.name, name, def));
            } else {
                brought.insert(&name.name, (&line.module.name, def, name.span));
                scope.scope.insert(name.name.clone(), def);
            }
        }
    }
    // The prelude yields to everything the file defines or uses itself.
    let prelude: Vec<(String, Def)> = items
        .modules
        .iter()
        .filter(|m| m.origin == Origin::Library && m.name == "prelude")
        .flat_map(|m| m.own.iter().map(|(n, (d, _))| (n.clone(), *d)))
        .collect();
    for (name, def) in prelude {
        items.modules[index].scope.entry(name).or_insert(def);
    }
}

/// The modules that a `use` line may name.
fn modules<'i>(items: &'i Items) -> impl Iterator<Item = &'i Module> {
    items.usable().filter(|m| m.name != "prelude")
}

fn no_module(items: &Items, name: &ast::Ident) -> Diagnostic {
    let known = || modules(items).map(|m| m.name.as_str());
    let error = Diagnostic::error(Code::UnknownModule, name.span, format!("there is no module `{}`", name.name));
    match nearest(&name.name, known()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!(
            "the library has {}; a module of your own is a file `{}.sml` beside the program",
            list(known()),
            name.name
        )),
    }
}

/// What to write for a name that a module does not have.
fn remedy(error: Diagnostic, items: &Items, module: &Module, name: &str) -> Diagnostic {
    let own = || module.own.keys().map(String::as_str);
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(foreign, _)| *foreign == name)
        && module.origin == Origin::Library
    {
        return error.help(*instead);
    }
    if let Some(same) = own().find(|known| known.eq_ignore_ascii_case(name)) {
        return error.help(format!("did you mean `{same}`?"));
    }
    if let Some(other) = items.usable().find(|m| m.name != module.name && m.own.contains_key(name)) {
        return error.help(match other.name.as_str() {
            "prelude" => format!("`{name}` is there without a `use`: remove it here"),
            other => format!("it is in `{other}`: `use {other}::{name};`"),
        });
    }
    if let Some(near) = nearest(name, own()) {
        return error.help(format!("did you mean `{near}`?"));
    }
    let error = error.note(format!("it offers {}", list(own())));
    match module.origin {
        Origin::Library => {
            error.help(format!("`{}` is the library's; a module of yours needs another name", module.name))
        }
        Origin::Program | Origin::Module => error,
    }
}

/// Layers of PyTorch, and what stands for them in the library.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    ("AdaptiveAvgPool2d", "write `global_avg_pool`, or `adaptive_avg_pool` for more than one result"),
    ("AdaptiveMaxPool2d", "write `global_max_pool`"),
    ("AvgPool2d", "write `avg_pool`"),
    ("BatchNorm1d", "`BatchNorm` holds the parameters, `batch_norm` applies them"),
    ("BatchNorm2d", "`BatchNorm` holds the parameters, `batch_norm` applies them"),
    ("Conv2d", "`Conv` holds the parameters, `conv2d` applies them"),
    ("ConvTranspose2d", "`ConvTranspose` holds the parameters, `conv2d_transpose` applies them"),
    ("Dropout", "leave it out: inference has none"),
    ("LeakyReLU", "write `leaky_relu`"),
    ("MaxPool2d", "write `max_pool`"),
    ("Module", "a record of parameters is a `struct`, and what it does a `fn`"),
    ("Sequential", "chain the layers: `x |> linear(net.fc1) |> relu`"),
    ("adaptive_avg_pool2d", "write `global_avg_pool`, or `adaptive_avg_pool` for more than one result"),
    ("dropout", "leave it out: inference has none"),
];

/// A name that the file brings in and then defines.
fn own_and_used(module: &str, used: &ast::Ident, own: Def, place: Span) -> Diagnostic {
    let error = Diagnostic::error(Code::DefinedTwice, place, format!("`{}` is defined twice", used.name));
    let error = error.label(used.span, "brought in here");
    match own {
        Def::Fn(_) => {
            error.help(format!("give yours another name, or call the other by its path: {}", call(module, used)))
        }
        Def::Struct(_) | Def::Entry | Def::Missing => error.help("give yours another name"),
    }
}

/// A name that comes in by two lines, or twice in one.
fn brought_twice(first: &(&str, Def, Span), module: &str, name: &ast::Ident, def: Def) -> Diagnostic {
    let error = Diagnostic::error(Code::DefinedTwice, name.span, format!("`{}` is brought in twice", name.name));
    let error = error.label(first.2, "first here");
    match def {
        def if def == first.1 => error.help("remove one of the two"),
        Def::Fn(_) => error.help(format!("call one by its path: {}", call(module, name))),
        Def::Struct(_) | Def::Entry | Def::Missing => error.help("bring in one of the two"),
    }
}

/// A call by path, in backticks.
fn call(module: &str, name: &ast::Ident) -> String {
    format!("`{module}::{}(x)`", name.name)
}
