//! What can be written at the cursor, with what it is.

use lsp_types::{CompletionItem, CompletionItemKind, Documentation, MarkupContent, MarkupKind};

use super::context::{Call, Context, context, unclosed};
use super::document::Document;
use super::hover::{doc, item, parameter, signature};
use crate::diag::{Code, Diagnostic};
use crate::hir::{Expr, FnCode, Meaning, ModuleNames, ParamKind, Ty};
use crate::span::Span;

/// Stands for the word that is being written while the rest is checked.
const PLACEHOLDER: &str = "smlc_cursor";

/// Words that start a statement, and words that start a value.
const STATEMENT: &[&str] = &["let", "var", "for", "reveal"];
const VALUE: &[&str] = &["if", "true", "false"];
const TYPES: &[&str] = &["fix", "int", "bool", "nat", "public"];

/// What can be written at a place. The order is that of nearness: the editor filters by what is written already.
#[must_use]
pub fn completion(document: &Document, cursor: u32) -> Vec<CompletionItem> {
    let text = document.text();
    let cursor = (cursor as usize).min(text.len());
    let (start, context) = context(text, cursor);
    let read = read_around(document, start, cursor);
    let offers = Offers { document: &read, start: start as u32 };
    let mut items = offers.of(&context);
    for (index, item) in items.iter_mut().enumerate() {
        item.sort_text = Some(format!("{index:04}"));
    }
    items
}

/// Checks the text with a word at the cursor, with which more of what is around it can be read; when that is not
/// enough, with the lists closed that are open there, then without the rest of the line.
fn read_around(document: &Document, start: usize, cursor: usize) -> Document {
    let text = document.text();
    let before = &text[..start];
    let line = text[cursor..].find('\n').map_or(text.len(), |end| cursor + end);
    let rest = text[cursor..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let closers = unclosed(before);
    let check = |after: &str| {
        let whole = format!("{before}{PLACEHOLDER}{after}");
        document.with_text(&whole)
    };
    let unread = |document: &Document| {
        let syntax = |d: &&Diagnostic| matches!(d.code, Code::UnknownCharacter | Code::Syntax | Code::BadNumber);
        document.diags.iter().filter(syntax).count()
    };
    let mut best = check(rest);
    for after in [format!("{closers}{rest}"), format!("{closers};{}", &text[line..])] {
        let least = unread(&best);
        if least == 0 {
            break;
        }
        let read = check(&after);
        if unread(&read) < least {
            best = read;
        }
    }
    best
}

struct Offers<'a> {
    document: &'a Document,
    /// Where the word starts.
    start: u32,
}

impl Offers<'_> {
    fn of(&self, context: &Context) -> Vec<CompletionItem> {
        match context {
            Context::Nothing => Vec::new(),
            Context::Words(list) => words(list),
            Context::Modules => self.modules(""),
            Context::ItemsOf(name) => {
                self.module(name).map(|module| self.items(&module.own, |_| true)).unwrap_or_default()
            }
            Context::Owners(extra) => {
                let owners = self.document.analysis.program.owners.iter();
                let owners = owners.map(|o| plain(o, CompletionItemKind::CONSTANT, "owner"));
                owners.chain(words(extra)).collect()
            }
            Context::Type => {
                let mut found = self.visible(|m| matches!(m, Meaning::Size(_) | Meaning::Rest | Meaning::Record));
                found.extend(self.scope(|m| matches!(m, Meaning::Struct(_))));
                found.extend(words(TYPES));
                found
            }
            Context::FieldOf(end) => self.fields(*end as u32),
            Context::FieldsOf(name, given) => self.fields_to_give(name, given).unwrap_or_else(|| {
                let context = Context::Value { statement: true, call: None };
                self.of(&context)
            }),
            Context::Piped => {
                let mut found = self.scope(|m| matches!(m, Meaning::Fn(_)));
                found.extend(self.modules("::"));
                found
            }
            Context::Value { statement, call } => {
                let mut found: Vec<_> = call.iter().flat_map(|call| self.arguments(call)).collect();
                found.extend(self.visible(|m| !matches!(m, Meaning::Rest | Meaning::Record)));
                found.extend(self.scope(|m| matches!(m, Meaning::Fn(_) | Meaning::Struct(_))));
                found.extend(self.modules("::"));
                if *statement {
                    found.extend(words(STATEMENT));
                }
                found.extend(words(VALUE));
                found
            }
        }
    }

    /// The modules that `use` can name.
    fn usable(&self) -> impl Iterator<Item = &ModuleNames> {
        self.document.analysis.modules.iter().filter(|m| m.file != self.document.file && m.name != "prelude")
    }

    fn module(&self, name: &str) -> Option<&ModuleNames> {
        self.usable().find(|m| m.name == name)
    }

    fn modules(&self, end: &str) -> Vec<CompletionItem> {
        let item = |m: &ModuleNames| CompletionItem {
            insert_text: Some(format!("{}{end}", m.name)),
            ..plain(&m.name, CompletionItemKind::MODULE, "module")
        };
        self.usable().map(item).collect()
    }

    /// Variables and sizes that can be used here.
    fn visible(&self, wanted: impl Fn(&Meaning) -> bool) -> Vec<CompletionItem> {
        let found = self.document.analysis.references.visible(self.document.file, self.start);
        let item = |(name, visible): (&str, &crate::hir::Visible)| {
            let (kind, detail) = match &visible.meaning {
                Meaning::Local { ty, .. } => (CompletionItemKind::VARIABLE, ty.to_string()),
                Meaning::Size(dim) if dim.as_var() == Some(name) => {
                    (CompletionItemKind::TYPE_PARAMETER, "nat".to_string())
                }
                Meaning::Size(dim) => (CompletionItemKind::TYPE_PARAMETER, format!("nat = {dim}")),
                Meaning::Record => (CompletionItemKind::TYPE_PARAMETER, "record".to_string()),
                _ => (CompletionItemKind::TYPE_PARAMETER, "leading axes".to_string()),
            };
            plain(name, kind, &detail)
        };
        found.filter(|(_, visible)| wanted(&visible.meaning)).map(item).collect()
    }

    /// Functions and structs in scope.
    fn scope(&self, wanted: impl Fn(&Meaning) -> bool) -> Vec<CompletionItem> {
        let own = self.document.analysis.modules.iter().find(|m| m.file == self.document.file);
        own.map(|module| self.items(&module.scope, wanted)).unwrap_or_default()
    }

    fn items(&self, names: &[(String, Meaning)], wanted: impl Fn(&Meaning) -> bool) -> Vec<CompletionItem> {
        let program = &self.document.analysis.program;
        let item = |(name, meaning): &(String, Meaning)| {
            let (kind, span) = match meaning {
                Meaning::Fn(id) => (CompletionItemKind::FUNCTION, program.fns[id.index()].span),
                Meaning::Struct(id) => (CompletionItemKind::STRUCT, program.structs[id.index()].span),
                _ => return None,
            };
            let found = item(self.document, span)?;
            let words: Vec<String> = signature(self.document, found).split_whitespace().map(str::to_string).collect();
            let documentation = doc(found)
                .map(|value| Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value }));
            Some(CompletionItem { documentation, ..plain(name, kind, &words.join(" ")) })
        };
        names.iter().filter(|(_, meaning)| wanted(meaning)).filter_map(item).collect()
    }

    /// The parts of the value that ends before a point.
    fn fields(&self, end: u32) -> Vec<CompletionItem> {
        let program = &self.document.analysis.program;
        let bodies = program.fns.iter().filter_map(|f| match &f.code {
            FnCode::Body(body) => Some(body),
            FnCode::Intrinsic(_) => None,
        });
        let exprs = bodies.chain(program.entries.iter().map(|e| &e.body)).flat_map(|body| &body.exprs);
        let ends = |e: &&Expr| e.span.file == self.document.file && e.span.end == end && !e.ty.is_error();
        let item = |(name, ty): (String, Ty)| plain(&name, CompletionItemKind::FIELD, &ty.to_string());
        match exprs.filter(ends).last().map(|e| &e.ty) {
            Some(ty @ Ty::Struct { .. }) => program.fields(ty).into_iter().map(item).collect(),
            Some(Ty::Tuple(parts)) => {
                parts.iter().enumerate().map(|(i, ty)| item((i.to_string(), ty.clone()))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The fields of a struct that a literal still lacks; none when there is no such struct.
    fn fields_to_give(&self, name: &str, given: &[String]) -> Option<Vec<CompletionItem>> {
        let own = self.document.analysis.modules.iter().find(|m| m.file == self.document.file)?;
        let found = own.scope.iter().find(|(n, _)| n == name);
        let Some((_, Meaning::Struct(id))) = found else { return None };
        let record = &self.document.analysis.program.structs[id.index()];
        let item = |(name, ty): &(String, Ty)| CompletionItem {
            insert_text: Some(format!("{name}: ")),
            ..plain(name, CompletionItemKind::FIELD, &ty.to_string())
        };
        Some(record.fields.iter().filter(|(name, _)| !given.contains(name)).map(item).collect())
    }

    /// Names of the arguments that a call may still get.
    fn arguments(&self, call: &Call) -> Vec<CompletionItem> {
        let own = self.document.analysis.modules.iter().find(|m| m.file == self.document.file);
        let names = match &call.module {
            Some(module) => self.module(module).map(|m| &m.own),
            None => own.map(|m| &m.scope),
        };
        let found = names.and_then(|names| names.iter().find(|(name, _)| *name == call.name));
        let Some((_, Meaning::Fn(id))) = found else { return Vec::new() };
        let function = &self.document.analysis.program.fns[id.index()];
        let left = function.params.iter().skip(call.positional).filter(|p| !call.named.contains(&p.name));
        let item = |param: &crate::hir::Param| {
            let detail = self.written(param.span).unwrap_or_else(|| match &param.kind {
                ParamKind::Value(ty) => ty.to_string(),
                ParamKind::Nat | ParamKind::NatList => "nat".to_string(),
            });
            CompletionItem {
                label: format!("{} =", param.name),
                filter_text: Some(param.name.clone()),
                insert_text: Some(format!("{} = ", param.name)),
                ..plain(&param.name, CompletionItemKind::PROPERTY, &detail)
            }
        };
        left.map(item).collect()
    }

    fn written(&self, param: Span) -> Option<String> {
        parameter(self.document, param)
    }
}

fn plain(name: &str, kind: CompletionItemKind, detail: &str) -> CompletionItem {
    CompletionItem {
        label: name.to_string(),
        kind: Some(kind),
        detail: Some(detail.to_string()),
        ..CompletionItem::default()
    }
}

fn words(list: &[&str]) -> Vec<CompletionItem> {
    let item = |word: &&str| CompletionItem {
        label: (*word).to_string(),
        kind: Some(CompletionItemKind::KEYWORD),
        ..CompletionItem::default()
    };
    list.iter().map(item).collect()
}
