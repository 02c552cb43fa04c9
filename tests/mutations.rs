//! A thousand slips of the pen: tokens of the project's programs are dropped, swapped, doubled and mistaken for others, one
//! slip a program.
//! The compiler does not panic, says something about each program that it refuses, and says it where the slip is.

#![allow(clippy::print_stdout, reason = "says how much was tried")]

use std::collections::BTreeMap;

use smlc::diag::{Code, Diagnostic, Severity};
use smlc::hir;
use smlc::span::{FileId, Sources};
use smlc::syntax::token::{self, Token};

#[allow(unused, reason = "only the seeds and the random numbers are used")]
mod fuzzing;

use fuzzing::are_told_well;
use fuzzing::mutate::Random;
use fuzzing::seeds::{Seed, programs};

const PROGRAMS: usize = 1000;
/// The first syntax error of a program starts at most so many lines away from the slip ...
const NEAR: usize = 2;
/// ... in so many of a hundred programs.
const MOSTLY: usize = 95;

/// A program with one slip.
struct Slip {
    what: String,
    text: String,
    /// The byte where the texts start to differ.
    at: usize,
}

/// The tokens of a text but for comments.
fn tokens(text: &str) -> Vec<(usize, Token<'_>, usize)> {
    let mut tokens = token::lex(FileId(0), text, &mut Vec::new());
    tokens.retain(|(_, token, _)| !matches!(token, Token::Comment(_) | Token::Doc(_)));
    tokens
}

fn slip(seed: &Seed, random: &mut Random) -> Slip {
    let text = seed.text.as_str();
    let tokens = tokens(text);
    let index = random.below(tokens.len());
    let (start, _, end) = tokens[index];
    let word = &text[start..end];
    let names: Vec<(usize, usize)> =
        tokens.iter().filter(|t| matches!(t.1, Token::Ident(_))).map(|(start, _, end)| (*start, *end)).collect();
    let (kind, changed, at) = match random.below(4) {
        0 => ("without", format!("{}{}", &text[..start], &text[end..]), start),
        1 if names.len() > 1 => {
            let ((start, end), (from, to)) = (*random.choose(&names), *random.choose(&names));
            ("with another name than", [&text[..start], &text[from..to], &text[end..]].concat(), start)
        }
        2 => ("twice", format!("{} {}", &text[..end], &text[start..]), end),
        _ => {
            let (first, _, last) = tokens[(index + 1).min(tokens.len() - 1)];
            let between = text.get(end..first).unwrap_or_default();
            ("swapped", [&text[..start], &text[first..last], between, word, &text[last..]].concat(), start)
        }
    };
    Slip { what: format!("{}, {kind} `{word}` at {start}", seed.name), text: changed, at }
}

fn line(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count()
}

/// Where the item that holds a byte starts: the last `struct`, `fn`, `entry`, `intrinsic`, `use`, `owners` or `fixed`
/// before it that stands at the start of a line.
fn item(text: &str, at: usize) -> usize {
    let words = ["struct", "fn", "entry", "intrinsic", "use", "owners", "fixed"];
    let mut start = 0;
    let mut found = 0;
    for line in text.split_inclusive('\n') {
        if start > at {
            break;
        }
        if words.iter().any(|word| line.starts_with(word)) {
            found = start;
        }
        start += line.len();
    }
    found
}

fn is_syntax(diag: &Diagnostic) -> bool {
    matches!(diag.code, Code::Syntax | Code::UnknownCharacter | Code::BadNumber)
}

#[derive(Default)]
struct Count {
    /// Programs that check in spite of the slip.
    fine: usize,
    /// Programs with syntax errors.
    syntax: usize,
    /// Those whose first syntax error is near the slip.
    near: usize,
    /// How many errors a program with errors has.
    errors: BTreeMap<usize, usize>,
}

fn check(slip: &Slip, count: &mut Count) {
    let mut sources = Sources::default();
    let file = sources.add("slip.sml", slip.text.as_str());
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    are_told_well(&diags, &sources);
    let errors: Vec<&Diagnostic> = diags.iter().filter(|d| d.severity == Severity::Error).collect();
    assert_eq!(program.is_some(), errors.is_empty(), "accepted with errors, or refused without a word: {diags:?}");
    if errors.is_empty() {
        count.fine += 1;
        return;
    }
    *count.errors.entry(errors.len()).or_default() += 1;
    let primary = |diag: &&&Diagnostic| diag.labels[0].span;
    if let Some(span) = errors.iter().filter(|d| is_syntax(d)).map(|d| primary(&d)).min_by_key(|span| span.start) {
        count.syntax += 1;
        let (told, made) = (line(&slip.text, span.start as usize), line(&slip.text, slip.at));
        let start = item(&slip.text, slip.at);
        assert!(span.start as usize >= start, "an error before the item with the slip, in line {}", told + 1);
        if told.abs_diff(made) <= NEAR {
            count.near += 1;
        } else if std::env::var_os("SHOW_FAR").is_some() {
            println!("{}: line {} for {}: {}", slip.what, told + 1, made + 1, errors[0].message);
        }
    }
}

#[test]
fn slips_are_found_where_they_are() {
    // Programs with errors of their own would be blamed for those.
    let checks = |seed: &Seed| {
        let mut sources = Sources::default();
        let file = sources.add(seed.name.as_str(), seed.text.as_str());
        tokens(&seed.text).len() > 1 && hir::check(&mut sources, file, &mut Vec::new()).is_some()
    };
    let seeds: Vec<Seed> = programs().into_iter().filter(checks).collect();
    assert!(seeds.len() >= 50, "only {} programs check", seeds.len());
    let mut random = Random::new(7);
    let mut count = Count::default();
    for _ in 0..PROGRAMS {
        let slip = slip(random.choose(&seeds), &mut random);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&slip, &mut count)));
        assert!(outcome.is_ok(), "{}:\n{}", slip.what, slip.text);
    }
    println!(
        "{PROGRAMS} programs of {}: {} check, {} have syntax errors, {} of them at most {NEAR} lines away; errors: {:?}",
        seeds.len(),
        count.fine,
        count.syntax,
        count.near,
        count.errors
    );
    assert!(count.syntax >= PROGRAMS / 3, "only {} slips are syntax errors", count.syntax);
    assert!(count.near * 100 >= count.syntax * MOSTLY, "only {} of {} are near", count.near, count.syntax);
    let many: usize = count.errors.iter().filter(|(errors, _)| **errors > 10).map(|(_, programs)| programs).sum();
    assert!(many * 100 <= PROGRAMS, "{many} programs have more than 10 errors for one slip: {:?}", count.errors);
}

/// Numbered pieces in a row.
fn row(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

#[test]
fn messages_stay_short_whatever_they_are_about() {
    let owners = row(30, |i| format!(", o{i}"));
    let inputs = row(30, |i| format!("x{i}: fix from o{i}, "));
    let sum = row(30, |i| format!(" + x{i}"));
    let calls = row(20, |i| format!("fn f{}(x: fix) -> fix {{ f{i}(x) }}\n", i + 1));
    let fields = row(200, |i| format!("field_{i}: fix, "));
    let header = format!("owners a{owners};\nfixed(int = 16, frac = 16);\n");
    let entry = |body: &str| format!("entry e(x: fix from a, {inputs}) -> fix to a {{ {body} }}\n");
    let branch = "fn f0(x: fix) -> fix { if x > 0.0 { x } else { 0.0 } }\n";
    let lines = "\n+ 12345.678".repeat(60);
    for (program, code, more) in [
        (format!("{header}{branch}{calls}{}", entry(&format!("f20(x{sum})"))), Code::SecretBranch, " more places"),
        (format!("{header}struct S {{ {fields} }}\n{}", entry("S { field_1: x }.field_0")), Code::Arguments, " more"),
        (format!("{header}struct S {{ {fields} }}\nfn f(s: S) -> fix {{ s.zzz }}\n"), Code::UnknownField, " more"),
        (
            format!("{header}{}", entry(&format!("let t = (x,{} x); t", "\n1.0, ".repeat(300)))),
            Code::TypeMismatch,
            "..",
        ),
        (
            format!("{header}{}", entry(&format!("if x{lines} > 0.0 {{ x{lines} }} else {{ x }}"))),
            Code::SecretBranch,
            "..",
        ),
        (format!("{header}{}", entry("let y = x1;").replace(" to a", " to nobody")), Code::UnknownOwner, " more"),
    ] {
        let mut sources = Sources::default();
        let file = sources.add("long.sml", program.as_str());
        let mut diags = Vec::new();
        assert!(hir::check(&mut sources, file, &mut diags).is_none(), "{program}");
        are_told_well(&diags, &sources);
        let found = diags.iter().find(|d| d.code == code).unwrap_or_else(|| panic!("no {code}: {diags:?}"));
        let told = smlc::diag::render(std::slice::from_ref(found), &sources, false);
        assert!(told.contains(more), "nothing is left out:\n{told}");
    }
}
