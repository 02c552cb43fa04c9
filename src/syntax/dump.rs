//! Tokens and trees as text, for `--emit tokens` and `--emit ast`: what the parser understood, without places.

use super::ast::{
    Arg, Block, Entry, Expr, ExprKind, Field, File, Fn, Header, Ident, IndexArg, Item, Pattern, Size, SizeParam, Stmt,
    Struct, Type, UnaryOp,
};
use super::layout::{self, Layout};
use super::token;
use crate::span::FileId;

const WIDTH: usize = 100;

/// One token a line with its line and column; what is no token is left out.
#[must_use]
pub fn tokens(text: &str) -> String {
    let mut out = String::new();
    let (mut line, mut column, mut seen) = (1, 1, 0);
    for (start, token, _) in token::lex(FileId(0), text, &mut Vec::new()) {
        for c in text[seen..start].chars() {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        seen = start;
        out.push_str(&format!("{line}:{column} {token:?}\n"));
    }
    out
}

/// The tree as S-expressions: everything the author wrote but layout, comments and parentheses.
#[must_use]
pub fn ast(file: &File) -> String {
    let headers = file.headers.iter().map(header);
    let uses = file.uses.iter().map(|line| list("use", [ident(&line.module)].into_iter().chain(idents(&line.names))));
    let items = file.items.iter().map(item);
    headers.chain(uses).chain(items).map(|tree| tree.layout().print(WIDTH) + "\n").collect()
}

/// A tree of words.
enum Tree {
    Word(String),
    List(Vec<Tree>),
}

impl Tree {
    fn layout(&self) -> Layout {
        match self {
            Tree::Word(word) => layout::text(word),
            Tree::List(parts) => {
                let mut inside = Vec::new();
                for (index, part) in parts.iter().enumerate() {
                    match (index, part) {
                        (0, _) => {}
                        // The word behind the head says which one it is and stays with it.
                        (1, Tree::Word(_)) => inside.push(layout::text(" ")),
                        _ => inside.push(Layout::Line),
                    }
                    inside.push(part.layout());
                }
                let inside = layout::nest(2, layout::concat(inside));
                layout::group(layout::concat([layout::text("("), inside, layout::text(")")]))
            }
        }
    }
}

fn word(text: impl Into<String>) -> Tree {
    Tree::Word(text.into())
}

fn list(head: &str, rest: impl IntoIterator<Item = Tree>) -> Tree {
    Tree::List([word(head)].into_iter().chain(rest).collect())
}

fn ident(ident: &Ident) -> Tree {
    word(&ident.name)
}

fn idents(idents: &[Ident]) -> impl Iterator<Item = Tree> {
    idents.iter().map(ident)
}

fn header(header: &Header) -> Tree {
    match header {
        Header::Owners { names, .. } => list("owners", idents(names)),
        Header::Fixed { settings, .. } => {
            list("fixed", settings.iter().map(|(name, value)| word(format!("{}={value}", name.name))))
        }
    }
}

fn item(item: &Item) -> Tree {
    match item {
        Item::Struct(item) => structure(item),
        Item::Fn(item) => function(item),
        Item::Entry(item) => entry(item),
    }
}

/// `name`, or `name[N, ..S]`.
fn signature(name: &Ident, sizes: &[SizeParam]) -> Tree {
    let sizes: Vec<String> = sizes.iter().map(SizeParam::text).collect();
    if sizes.is_empty() { ident(name) } else { word(format!("{}[{}]", name.name, sizes.join(", "))) }
}

fn doc(text: &str) -> Option<Tree> {
    (!text.is_empty()).then(|| list("doc", [word(format!("{text:?}"))]))
}

fn structure(item: &Struct) -> Tree {
    let field =
        |field: &Field| Tree::List([ident(&field.name), ty(&field.ty)].into_iter().chain(doc(&field.doc)).collect());
    let head = [signature(&item.name, &item.sizes)].into_iter().chain(doc(&item.doc));
    list("struct", head.chain(item.fields.iter().map(field)))
}

fn function(item: &Fn) -> Tree {
    let mut parts: Vec<Tree> = [signature(&item.name, &item.sizes)].into_iter().chain(doc(&item.doc)).collect();
    for param in &item.params {
        let mut tree = vec![ident(&param.name), ty(&param.ty)];
        tree.extend(param.public.then(|| word("public")));
        tree.extend(param.default.as_ref().map(|value| list("=", [expr(value)])));
        parts.push(list("param", tree));
    }
    parts.extend(item.result.as_ref().map(|result| list("->", [ty(result)])));
    parts.extend(item.body.as_ref().map(block));
    parts.extend(item.derivative.as_ref().map(|(name, rule)| list("derivative", [ident(name), block(rule)])));
    list(if item.body.is_some() { "fn" } else { "intrinsic" }, parts)
}

fn entry(item: &Entry) -> Tree {
    let mut parts: Vec<Tree> = [signature(&item.name, &item.sizes)].into_iter().chain(doc(&item.doc)).collect();
    for param in &item.params {
        let mut tree = vec![ident(&param.name), ty(&param.ty)];
        tree.extend(param.public.then(|| word("public")));
        tree.extend(param.range.as_ref().map(|(from, to)| list("in", [expr(from), expr(to)])));
        tree.extend(param.from.as_ref().map(|from| list("from", [ident(from)])));
        parts.push(list("param", tree));
    }
    let results = item
        .results
        .iter()
        .flat_map(|result| [ty(&result.ty)].into_iter().chain(result.to.as_ref().map(|to| list("to", [ident(to)]))));
    parts.push(list(if item.tuple { "-> tuple" } else { "->" }, results));
    parts.push(block(&item.body));
    list("entry", parts)
}

fn ty(of: &Type) -> Tree {
    match of {
        Type::Named { name, sizes, .. } if sizes.is_empty() => ident(name),
        Type::Named { name, sizes, .. } => list(
            &name.name,
            sizes.iter().map(|size| match size {
                Size::Expr(size) => expr(size),
                Size::Rest(name) => word(format!("..{}", name.name)),
            }),
        ),
        Type::Tuple(types, _) => list("tuple", types.iter().map(ty)),
        Type::Array(element, length, _) => list("array", [ty(element), expr(length)]),
        Type::Spread(inner, _) => list("..", [ty(inner)]),
    }
}

fn block(of: &Block) -> Tree {
    let result = of.result.as_ref().map(|result| list("result", [expr(result)]));
    list("block", of.stmts.iter().map(stmt).chain(result))
}

fn stmt(of: &Stmt) -> Tree {
    match of {
        Stmt::Let { pattern: bound, mutable, ty: declared, value, .. } => {
            let declared = declared.as_ref().map(|declared| list(":", [ty(declared)]));
            let head = if *mutable { "var" } else { "let" };
            list(head, [pattern(bound)].into_iter().chain(declared).chain([expr(value)]))
        }
        Stmt::Assign { name, value, .. } => list("=", [ident(name), expr(value)]),
        Stmt::For { pattern: bound, range, body, .. } => list("for", [pattern(bound), expr(range), block(body)]),
        Stmt::Expr(value) => list("do", [expr(value)]),
        Stmt::Error(_) => word("error"),
    }
}

fn pattern(of: &Pattern) -> Tree {
    match of {
        Pattern::Name(name) => ident(name),
        Pattern::Ignore(_) => word("_"),
        Pattern::Tuple(parts, _) => list("tuple", parts.iter().map(pattern)),
        Pattern::Spread(inner, _) => list("..", [pattern(inner)]),
    }
}

fn arg(of: &Arg) -> Tree {
    match &of.name {
        Some(name) => list(&format!("{}=", name.name), [expr(&of.value)]),
        None => expr(&of.value),
    }
}

fn expr(of: &Expr) -> Tree {
    match &of.kind {
        ExprKind::Int(value) => word(value.to_string()),
        ExprKind::Float { text, .. } => word(text),
        ExprKind::Bool(value) => word(value.to_string()),
        ExprKind::Name(name) => word(name),
        ExprKind::Path(module, name) => word(format!("{}::{}", module.name, name.name)),
        ExprKind::Unary(UnaryOp::Neg, operand) => list("-", [expr(operand)]),
        ExprKind::Unary(UnaryOp::Not, operand) => list("!", [expr(operand)]),
        ExprKind::Binary(op, left, right) => list(op.symbol(), [expr(left), expr(right)]),
        ExprKind::Call { callee, args, piped } => {
            list(if *piped { "|>" } else { "call" }, [expr(callee)].into_iter().chain(args.iter().map(arg)))
        }
        ExprKind::Field(base, name) => match (&base.kind, expr(base)) {
            (ExprKind::Name(_) | ExprKind::Field(..), Tree::Word(path)) => word(format!("{path}.{}", name.name)),
            (_, base) => list(".", [base, ident(name)]),
        },
        ExprKind::Index(base, indices) => list("index", [expr(base)].into_iter().chain(indices.iter().map(index))),
        ExprKind::Tuple(parts) => list("tuple", parts.iter().map(expr)),
        ExprKind::Array(parts) => list("array", parts.iter().map(expr)),
        ExprKind::Struct(name, fields) => {
            let fields = fields.iter().map(|(name, value)| list(&format!("{}:", name.name), [expr(value)]));
            list("new", [ident(name)].into_iter().chain(fields))
        }
        ExprKind::If { cond, then, otherwise } => {
            list("if", [expr(cond), block(then)].into_iter().chain(otherwise.as_ref().map(block)))
        }
        ExprKind::Block(inner) => block(inner),
        ExprKind::Range(from, to) => list("..", [expr(from), expr(to)]),
        ExprKind::Reveal(value, owner) => list("reveal", [expr(value), ident(owner)]),
        ExprKind::Approx(call, options) => list("approx", [expr(call)].into_iter().chain(options.iter().map(arg))),
        ExprKind::Error => word("error"),
    }
}

fn index(of: &IndexArg) -> Tree {
    let side = |side: &Option<Expr>| side.as_ref().map_or_else(|| word("_"), expr);
    match of {
        IndexArg::At(at) => expr(at),
        IndexArg::Slice(from, to, _) => list("..", [side(from), side(to)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_reads_like_the_program() {
        let text = "owners a;\n/// Twice.\nfn f[..S](x: fix[..S], k: public int = 2) -> fix[..S] {\n    let y = x |> g(k, pad = 1);\n    y[0, 1..] * 2.0\n}\n";
        let tree = ast(&super::super::parse(FileId(0), text, &mut Vec::new()));
        let expected = r#"(owners a)
(fn f[..S]
  (doc "Twice.")
  (param x (fix ..S))
  (param k int public (= 2))
  (-> (fix ..S))
  (block (let y (|> g x k (pad= 1))) (result (* (index y 0 (.. 1 _)) 2.0))))
"#;
        assert_eq!(tree, expected);
    }

    #[test]
    fn tokens_have_places() {
        assert_eq!(
            tokens("let x\n = 0.5;"),
            "1:1 Let\n1:5 Ident(\"x\")\n2:2 Assign\n2:4 Float(\"0.5\")\n2:7 Semicolon\n"
        );
    }
}
