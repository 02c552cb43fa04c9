//! What is noted about names and labels, with and without errors.

use crate::hir;
use crate::span::{Sources, Span};

/// What each name of the text means, as `2:5 name -> 1:3 meaning`, with the label of the place; library files by name.
fn names(text: &str) -> Vec<String> {
    let mut sources = Sources::default();
    let file = sources.add("m.sml", text);
    let analysis = hir::analyse(&mut sources, file, &mut Parts, &mut Vec::new());
    let mut found: Vec<&hir::Reference> =
        analysis.references.all().iter().filter(|r| r.span.file == file && r.span != r.definition).collect();
    found.sort_by_key(|r| r.span);
    let line = |r: &&hir::Reference| {
        let meaning = match &r.meaning {
            hir::Meaning::Local { ty, .. } => ty.to_string(),
            hir::Meaning::Size(dim) => format!("= {dim}"),
            other => format!("{other:?}").split('(').next().unwrap_or_default().to_lowercase(),
        };
        let label = analysis.program.labels.get(&r.span).map(|l| format!(" {}", l.describe(&analysis.program.owners)));
        let place = |span: Span| {
            if span.file == file {
                sources.place(span).replace("m.sml:", "")
            } else {
                sources.file(span.file).name.clone()
            }
        };
        format!(
            "{} {} -> {} {meaning}{}",
            place(r.span),
            sources.text(r.span),
            place(r.definition),
            label.unwrap_or_default()
        )
    };
    found.iter().map(line).collect()
}

/// One module, `parts`.
struct Parts;

impl hir::Modules for Parts {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let text = "fn twice[..S](x: fix[..S]) -> fix[..S] { x + x }";
        Ok((name == "parts").then(|| ("parts.sml".to_string(), text.to_string())))
    }
}

#[test]
fn every_name_is_noted() {
    let text = "owners h, v;
use nn::{Linear, linear};
struct P[C] { w: Linear[C, 2], s: fix[C] }
fn f[..S](x: fix[..S], k: nat, r: nat = k) -> fix[..S] { let k = k + r; for i in 0..k { let x = 0.5; } x * k }
entry e[N](x: fix[N, 3] from h, p: P[3] from v) -> fix[N, 2] to h {
    var y = x; y = nn::relu(y) + x |> f(k = 2); reveal y to v;
    let p = P { w: p.w, s: p.s }; linear(y, p.w)
}";
    assert_eq!(
        names(text),
        [
            "2:5 nn -> <std>/nn.sml module",
            "2:10 Linear -> <std>/nn.sml struct",
            "2:18 linear -> <std>/nn.sml fn",
            "3:18 Linear -> <std>/nn.sml struct",
            "3:25 C -> 3:10 = C",
            "3:39 C -> 3:10 = C",
            "4:20 S -> 4:8 rest",
            "4:41 k -> 4:24 = k",
            "4:53 S -> 4:8 rest",
            "4:66 k -> 4:24 = k",
            "4:70 r -> 4:32 = r",
            "4:85 k -> 4:62 = k + r",
            "4:104 x -> 4:11 fix[..S] h",
            "4:108 k -> 4:62 = k + r public",
            "5:19 N -> 5:9 = N",
            "5:30 h -> 1:8 owner",
            "5:36 P -> 3:8 struct",
            "5:46 v -> 1:11 owner",
            "5:56 N -> 5:9 = N",
            "5:65 h -> 1:8 owner",
            "6:13 x -> 5:12 fix[N, 3] h",
            "6:16 y -> 6:9 fix[N, 3]",
            "6:20 nn -> <std>/nn.sml module",
            "6:24 relu -> <std>/nn.sml fn",
            "6:29 y -> 6:9 fix[N, 3] h",
            "6:34 x -> 5:12 fix[N, 3] h",
            "6:39 f -> 4:4 fn",
            "6:41 k -> 4:24 param",
            "6:56 y -> 6:9 fix[N, 3] h",
            "6:61 v -> 1:11 owner",
            "7:13 P -> 3:8 struct",
            "7:17 w -> 3:15 field",
            "7:20 p -> 5:33 P[3] v",
            "7:22 w -> 3:15 field",
            "7:25 s -> 3:32 field",
            "7:28 p -> 5:33 P[3] v",
            "7:30 s -> 3:32 field",
            "7:35 linear -> <std>/nn.sml fn",
            "7:42 y -> 6:9 fix[N, 3] h",
            "7:45 p -> 7:9 P[3] v",
            "7:47 w -> 3:15 field",
        ]
    );
}

#[test]
fn programs_with_errors_are_analysed_too() {
    // Behind an error no label is claimed; what cannot be read is left out, and the rest is there.
    let text = "owners h, v;
entry e(x: fix from h, w: fix from v) -> fix to h { let a = nothing(x); let b = a + w; let c = x * w; a + b + c }
fn broken(x: fix) -> fix { let y = x; let = 3; y + x }";
    assert_eq!(
        names(text),
        [
            "2:21 h -> 1:8 owner",
            "2:36 v -> 1:11 owner",
            "2:49 h -> 1:8 owner",
            "2:69 x -> 2:9 fix h",
            "2:81 a -> 2:57 ?",
            "2:85 w -> 2:24 fix v",
            "2:96 x -> 2:9 fix h",
            "2:100 w -> 2:24 fix v",
            "2:103 a -> 2:57 ?",
            "2:107 b -> 2:77 ?",
            "2:111 c -> 2:92 fix h and v",
            "3:36 x -> 3:11 fix",
            "3:48 y -> 3:32 fix",
            "3:52 x -> 3:11 fix",
        ]
    );
    let mut sources = Sources::default();
    let file = sources.add("m.sml", text);
    let mut diags = Vec::new();
    hir::analyse(&mut sources, file, &mut hir::NoModules, &mut diags);
    assert_eq!(diags.iter().map(|d| d.code.to_string()).collect::<Vec<_>>(), ["E0102"]);
}

#[test]
fn records_modules_and_rules_are_noted() {
    let text = "owners h, v;
use parts::twice;
fn move_by[P: record](p: P, by: P, rate: fix) -> P { p - rate * by }
fn loss(x: fix) -> fix { x * x } derivative { x => 2.0 * x }
entry e(x: fix in 0.0..1.0 from h, p: (fix, ..[fix; 2]) from v) -> fix to h {
    let (first, ..rest) = p; twice(x) + first + rest[0] + loss(x) + grad(loss(x), x)
}";
    assert_eq!(
        names(text),
        [
            "2:5 parts -> parts.sml module",
            "2:12 twice -> parts.sml fn",
            "3:26 P -> 3:12 record",
            "3:33 P -> 3:12 record",
            "3:50 P -> 3:12 record",
            "3:54 p -> 3:23 P",
            "3:58 rate -> 3:36 fix",
            "3:65 by -> 3:29 P",
            "4:26 x -> 4:9 fix h",
            "4:30 x -> 4:9 fix h",
            "4:47 x -> 4:9 fix",
            "4:58 x -> 4:9 fix",
            "5:33 h -> 1:8 owner",
            "5:62 v -> 1:11 owner",
            "5:75 h -> 1:8 owner",
            "6:27 p -> 5:36 (fix, ..[fix; 2]) v",
            "6:30 twice -> parts.sml fn",
            "6:36 x -> 5:9 fix h",
            "6:41 first -> 6:10 fix v",
            "6:49 rest -> 6:19 [fix; 2] v",
            "6:59 loss -> 4:4 fn",
            "6:64 x -> 5:9 fix h",
            "6:74 loss -> 4:4 fn",
            "6:79 x -> 5:9 fix h",
            "6:83 x -> 5:9 fix h",
        ]
    );
}
