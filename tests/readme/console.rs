//! Console blocks of the manual: the commands run and print what the page shows.

use std::path::Path;
use std::process::Command;

use super::blocks::{Block, bless, blocks, documents, rewrite, root};

/// What one command printed, standard output first, and whether it succeeded.
pub fn smlc(line: &str, folder: &Path) -> (String, bool) {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words.first(), Some(&"smlc"), "only `smlc` is run: {line}");
    let output = Command::new(env!("CARGO_BIN_EXE_smlc"))
        .args(&words[1..])
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        // Predictions from the built-in figures, not from a calibration of this machine.
        .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no_cache"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}

/// Whether lines are as shown; a line `...` stands for any number of lines, and numbers of seconds are not compared.
fn as_shown(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        ["...", rest @ ..] => (0..=printed.len()).any(|skip| as_shown(rest, &printed[skip..])),
        [line, rest @ ..] => {
            printed.first().is_some_and(|found| seconds(line) == seconds(found)) && as_shown(rest, &printed[1..])
        }
    }
}

/// A line with `#` for each number of seconds, and without blanks at its end.
fn seconds(line: &str) -> String {
    let mut words: Vec<String> = line.trim_end().split(' ').map(str::to_string).collect();
    for at in 1..words.len() {
        let unit = words[at].trim_end_matches(',') == "s";
        if unit && words[at - 1].parse::<f64>().is_ok() {
            words[at - 1] = "#".to_string();
        }
    }
    words.join(" ")
}

/// What a page shows of an output when it is written anew: as many lines before the first `...` and behind the last as it
/// had, and between two of them the lines that differ from those it had in their numbers alone.
fn shown_anew(shown: &[&str], printed: &[&str], place: &str) -> String {
    let parts: Vec<&[&str]> = shown.split(|line| *line == "...").collect();
    let mut lines: Vec<&str> = Vec::new();
    let mut from = 0;
    for (index, part) in parts.iter().enumerate() {
        let start = match (index, parts.len() - 1 - index) {
            (0, 0) => {
                lines.extend(printed);
                break;
            }
            (0, _) => 0,
            (_, 0) => printed.len().saturating_sub(part.len()),
            _ => (from..printed.len())
                .find(|at| {
                    printed[*at..].len() >= part.len() && part.iter().zip(&printed[*at..]).all(|(a, b)| alike(a, b))
                })
                .unwrap_or_else(|| panic!("{place}: `{}` has to be written by hand", part.join("\n"))),
        };
        assert!(start >= from && start + part.len() <= printed.len(), "{place}: fewer lines are printed than shown");
        if index > 0 {
            lines.push("...");
        }
        lines.extend(&printed[start..start + part.len()]);
        from = start + part.len();
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Whether two lines differ in their numbers alone.
fn alike(a: &str, b: &str) -> bool {
    let words = |line: &str| line.split(|c: char| c.is_ascii_digit()).map(str::to_string).collect::<String>();
    words(a.trim_end()) == words(b.trim_end())
}

/// Runs the commands of one block, and gives back how the block would be written anew. What follows a command has to be
/// what it prints; if nothing does, it has to succeed.
fn run(block: &Block, folder: &Path) -> String {
    let mut anew = String::new();
    let mut rest: Vec<&str> = block.text.lines().collect();
    while let Some(first) = rest.first() {
        let command = first.strip_prefix("$ ").unwrap_or_else(|| panic!("{}: `{first}` is no command", block.place));
        let next = rest[1..].iter().position(|line| line.starts_with("$ ")).map_or(rest.len(), |at| at + 1);
        let shown = &rest[1..next];
        let (printed, success) = smlc(command, folder);
        anew += &format!("{first}\n");
        if shown.is_empty() {
            assert!(success, "{}: `{command}` failed:\n{printed}", block.place);
        } else {
            let lines: Vec<&str> = printed.lines().collect();
            let (shown, lines) = (trim(shown), trim(&lines));
            let right = as_shown(shown, lines);
            assert!(right || bless(), "{}: `{command}` prints\n{printed}", block.place);
            anew += &if right { shown.join("\n") + "\n" } else { shown_anew(shown, lines, &block.place) };
        }
        rest.drain(..next);
    }
    anew
}

/// Without empty lines at the end.
fn trim<'a, 'b>(mut lines: &'a [&'b str]) -> &'a [&'b str] {
    while let [front @ .., last] = lines
        && last.is_empty()
    {
        lines = front;
    }
    lines
}

/// Blocks of `console` in the manual run in a folder that has the page's `sml file` blocks and the project's `examples`;
/// `console fragment` is not run. `SMLC_BLESS=1` writes what has changed into the page.
#[test]
fn the_commands_of_the_manual_print_what_it_shows() {
    let mut count = 0;
    for page in documents(&["docs/src"]) {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples")).unwrap();
        for block in blocks(&page) {
            let file = block.kind.strip_prefix("sml file ").and_then(|rest| rest.split(' ').next());
            if let Some(name) = file {
                std::fs::write(folder.path().join(name), &block.text).unwrap();
            }
            if block.kind == "console" && page != "docs/src/errors.md" {
                let anew = run(&block, folder.path());
                if anew != block.text {
                    rewrite(&page, &block.text, &anew);
                }
                count += 1;
            }
        }
    }
    assert!(count > 5, "only {count} blocks of commands found");
}

#[test]
fn comparison_of_outputs() {
    assert!(as_shown(&["a", "...", "c"], &["a", "b", "b", "c"]));
    assert!(as_shown(&["run 0.1 s, 5 rounds"], &["run 27.5 s, 5 rounds "]));
    assert!(!as_shown(&["run 0.1 s, 5 rounds"], &["run 0.1 s, 6 rounds"]));
    assert!(!as_shown(&["a"], &["a", "b"]) && !as_shown(&["a", "b"], &["a"]));
    assert_eq!(shown_anew(&["a", "...", "z"], &["b", "c", "d ", "e"], ""), "b\n...\ne\n");
    assert_eq!(shown_anew(&["a"], &["b", "c"], ""), "b\nc\n");
    assert_eq!(shown_anew(&["a", "...", "%1 = x", "..."], &["b", "y", "%22 = x", "z"], ""), "b\n...\n%22 = x\n...\n");
}
