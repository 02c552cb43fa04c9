//! Layout of headers, imports, items and types.

use super::trivia::Gap;
use super::{Formatter, INDENT};
use crate::span::Span;
use crate::syntax::ast::{
    Entry, EntryParam, EntryResult, Field, Fn, Header, Ident, Item, Param, Size, SizeParam, Struct, Type, Use,
};
use crate::syntax::layout::{Layout, broken, concat, group, join, nest, text};

/// Whether an item needs empty lines around it.
pub(super) fn has_body(item: &Item) -> bool {
    match item {
        Item::Struct(_) => false,
        Item::Fn(function) => function.body.is_some(),
        Item::Entry(_) => true,
    }
}

impl Formatter<'_> {
    pub(super) fn header(&mut self, header: &Header, gap: Gap) -> Layout {
        match header {
            Header::Owners { names, span } => {
                let names = join(names.iter().map(|name| text(&name.name)), &text(", "));
                self.beside(*span, gap, |_| concat([text("owners "), names, text(";")]))
            }
            Header::Fixed { settings, span } => {
                let settings = settings.iter().map(|(name, value)| text(format!("{} = {value}", name.name)));
                let settings = join(settings, &text(", "));
                self.beside(*span, gap, |_| concat([text("fixed("), settings, text(");")]))
            }
        }
    }

    pub(super) fn import(&mut self, import: &Use, gap: Gap) -> Layout {
        self.beside(import.span, gap, |_| {
            let names = match import.names.as_slice() {
                [name] => text(&name.name),
                names => delimited("{", names.iter().map(|name| text(&name.name)).collect(), "}"),
            };
            concat([text(format!("use {}::", import.module.name)), names, text(";")])
        })
    }

    pub(super) fn item(&mut self, item: &Item, gap: Gap) -> Layout {
        match item {
            Item::Struct(item) => self.beside(item.span, gap, |f| f.structure(item)),
            Item::Fn(item) => self.beside(item.span, gap, |f| f.function(item)),
            Item::Entry(item) => self.beside(item.span, gap, |f| f.entry(item)),
        }
    }

    /// A piece with the comments above it, inside of it and behind it.
    pub(super) fn beside(&mut self, span: Span, gap: Gap, piece: impl FnOnce(&mut Self) -> Layout) -> Layout {
        let leading = self.trivia.leading(span.start as usize, gap);
        let outer = std::mem::take(&mut self.trivia.astray);
        let piece = piece(self);
        let behind = self.trivia.behind(span.end as usize);
        let inside = std::mem::replace(&mut self.trivia.astray, outer);
        let inside = inside.into_iter().map(|comment| concat([text(comment), Layout::HardLine]));
        concat([leading, concat(inside), piece, behind])
    }

    fn structure(&mut self, item: &Struct) -> Layout {
        let mut gap = Gap::First;
        let mut fields = Vec::new();
        for field in &item.fields {
            fields.push(self.field(field, gap));
            gap = Gap::Kept;
        }
        let dangling = self.trivia.dangling(item.span.end as usize, gap);
        let head = concat([text("struct "), self.signature(&item.name, &item.sizes), text(" ")]);
        if fields.is_empty() && dangling.is_empty() {
            return concat([head, text("{}")]);
        }
        let fields = (!fields.is_empty())
            .then(|| concat([join(fields, &concat([text(","), Layout::Line])), Layout::IfBroken(",")]));
        let lines = fields.into_iter().chain(dangling);
        let body = braces("{", text(""), join(lines, &Layout::HardLine));
        let one_line = self.trivia.one_line(item.span.start as usize, item.span.end as usize);
        concat([head, if one_line { group(body) } else { broken(body) }])
    }

    fn field(&mut self, field: &Field, gap: Gap) -> Layout {
        self.beside(field.name.span.to(field.ty.span()), gap, |f| {
            concat([text(format!("{}: ", field.name.name)), f.ty(&field.ty)])
        })
    }

    fn function(&mut self, item: &Fn) -> Layout {
        let word = if item.body.is_some() { "fn " } else { "intrinsic fn " };
        let mut parts = vec![text(word), self.signature(&item.name, &item.sizes)];
        let params = item.params.iter().map(|param| self.param(param)).collect();
        parts.push(delimited("(", params, ")"));
        if let Some(result) = &item.result {
            parts.extend([text(" -> "), self.ty(result)]);
        }
        match &item.body {
            Some(body) => parts.extend([text(" "), self.body(body)]),
            None => parts.push(text(";")),
        }
        if let Some((name, rule)) = &item.derivative {
            parts.extend([text(" derivative "), self.rule(name, rule)]);
        }
        concat(parts)
    }

    fn param(&mut self, param: &Param) -> Layout {
        let end = param.default.as_ref().map_or(param.ty.span(), |value| value.span);
        self.beside(param.name.span.to(end), Gap::Never, |f| {
            let mut parts = vec![f.typed(&param.name, param.public, &param.ty)];
            if let Some(value) = &param.default {
                parts.extend([text(" = "), f.expr(value)]);
            }
            concat(parts)
        })
    }

    fn typed(&mut self, name: &Ident, public: bool, ty: &Type) -> Layout {
        concat([text(format!("{}: {}", name.name, if public { "public " } else { "" })), self.ty(ty)])
    }

    fn entry(&mut self, item: &Entry) -> Layout {
        let mut parts = vec![text("entry "), self.signature(&item.name, &item.sizes)];
        let params = item.params.iter().map(|param| self.entry_param(param)).collect();
        parts.extend([delimited("(", params, ")"), text(" -> ")]);
        let results: Vec<Layout> = item.results.iter().map(|result| self.entry_result(result)).collect();
        parts.push(if item.tuple { tuple(results) } else { concat(results) });
        parts.extend([text(" "), self.body(&item.body)]);
        concat(parts)
    }

    fn entry_param(&mut self, param: &EntryParam) -> Layout {
        self.beside(param.span, Gap::Never, |f| {
            let mut parts = vec![f.typed(&param.name, param.public, &param.ty)];
            if let Some((low, high)) = &param.range {
                parts.extend([text(" in "), f.expr(low).flat(), text(".."), f.expr(high).flat()]);
            }
            parts.extend(param.from.as_ref().map(|from| text(format!(" from {}", from.name))));
            concat(parts)
        })
    }

    fn entry_result(&mut self, result: &EntryResult) -> Layout {
        let to = result.to.as_ref().map(|to| text(format!(" to {}", to.name)));
        concat([self.ty(&result.ty)].into_iter().chain(to))
    }

    fn signature(&self, name: &Ident, sizes: &[SizeParam]) -> Layout {
        let sizes: Vec<String> = sizes.iter().map(SizeParam::text).collect();
        let brackets = if sizes.is_empty() { String::new() } else { format!("[{}]", sizes.join(", ")) };
        text(name.name.clone() + &brackets)
    }

    /// A shape is never broken: it is read at one glance. Tuples keep the line breaks between their parts.
    pub(super) fn ty(&mut self, ty: &Type) -> Layout {
        match ty {
            Type::Named { name, sizes, .. } => {
                let mut parts = vec![text(&name.name)];
                if !sizes.is_empty() {
                    let sizes: Vec<Layout> = sizes.iter().map(|size| self.size(size)).collect();
                    parts.extend([text("["), join(sizes, &text(", ")), text("]")]);
                }
                concat(parts)
            }
            Type::Tuple(types, span) => self.tuple_type(types, *span),
            Type::Array(element, length, _) => {
                concat([text("["), self.ty(element), text("; "), self.expr(length).flat(), text("]")])
            }
            Type::Spread(inner, _) => concat([text(".."), self.ty(inner)]),
        }
    }

    fn tuple_type(&mut self, types: &[Type], span: Span) -> Layout {
        let one_line = self.trivia.one_line(span.start as usize, span.end as usize);
        if types.len() < 2 {
            return tuple(types.iter().map(|ty| self.ty(ty)).collect());
        }
        let mut parts = vec![Layout::SoftLine];
        for (index, ty) in types.iter().enumerate() {
            let layout = self.ty(ty);
            let Some(before) = index.checked_sub(1).map(|before| types[before].span().end) else {
                parts.push(layout);
                continue;
            };
            parts.push(text(","));
            // As many on a line as fit, but no more than the author put there.
            parts.push(match self.trivia.one_line(before as usize, ty.span().start as usize) {
                true => group(concat([Layout::Line, layout])),
                false => concat([Layout::HardLine, layout]),
            });
        }
        parts.push(Layout::IfBroken(","));
        let content = concat([text("("), nest(INDENT, concat(parts)), Layout::SoftLine, text(")")]);
        if one_line { group(content) } else { broken(content) }
    }

    fn size(&mut self, size: &Size) -> Layout {
        match size {
            Size::Expr(size) => self.expr(size).flat(),
            Size::Rest(name) => text(format!("..{}", name.name)),
        }
    }
}

/// `(a, b)` or `(a,)` on one line.
pub(super) fn tuple(parts: Vec<Layout>) -> Layout {
    let end = if parts.len() == 1 { ",)" } else { ")" };
    concat([text("("), join(parts, &text(", ")), text(end)])
}

/// `{ inside }`; `behind` is a comment behind the opening brace.
pub(super) fn braces(open: &str, behind: Layout, inside: Layout) -> Layout {
    concat([text(open), behind, nest(INDENT, concat([Layout::Line, inside])), Layout::Line, text("}")])
}

/// `(a, b)`, or one part a line with a last comma.
pub(super) fn delimited(open: &str, parts: Vec<Layout>, close: &str) -> Layout {
    if parts.is_empty() {
        return concat([text(open), text(close)]);
    }
    let inside = join(parts, &concat([text(","), Layout::Line]));
    let inside = nest(INDENT, concat([Layout::SoftLine, inside, Layout::IfBroken(",")]));
    group(concat([text(open), inside, Layout::SoftLine, text(close)]))
}
