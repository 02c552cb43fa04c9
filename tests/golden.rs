//! Golden tests: command lines of `smlc` with their expected output, one trial a file.
//!
//! A case is `tests/golden/GROUP/NAME.sml` (or `.txt` for a command line without a program); `module_NAME.sml` is a
//! module that cases use. A case's first lines configure it:
//!
//! ```text
//! //! args: check {file}        the command line; `{file}` is the case's file name
//! //! exit: 1                   the expected exit code, 0 by default
//! //! mask: seconds             numbers before these units are replaced: seconds
//! ```
//!
//! The program runs in the case's folder. `NAME.out` holds what it must print. `SMLC_BLESS=1` rewrites it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

const GROUPS: &[&str] = &["parse", "errors", "hir", "graph", "pass", "plan", "cli"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bless = std::env::var_os("SMLC_BLESS").is_some_and(|value| value == "1");
    let mut trials = vec![Trial::test("harness", the_harness_reads_its_settings)];
    for group in GROUPS {
        for path in files(&root.join(group)) {
            let name = format!("{group}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            match path.extension().and_then(|extension| extension.to_str()) {
                // Modules of other cases.
                Some("sml") if is_module(&path) => {}
                Some("sml" | "txt") => trials.push(Trial::test(name, move || run(&path, bless))),
                Some("out") => trials.push(Trial::test(name, move || is_no_orphan(&path))),
                _ => {}
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The files of a folder in the order of their names; a folder that is not there has none.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn is_module(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("module_"))
}

fn is_no_orphan(path: &Path) -> Result<(), Failed> {
    let has_input = ["sml", "txt"].iter().any(|extension| path.with_extension(extension).exists());
    if has_input { Ok(()) } else { Err("an expected output without a case; remove it".into()) }
}

/// How a case is run, from its first lines.
#[derive(Debug, Default, PartialEq)]
struct Config {
    args: Vec<String>,
    exit: i32,
    mask_seconds: bool,
}

impl Config {
    fn read(text: &str, file: &str) -> Result<Config, String> {
        let mut config = Config::default();
        for line in text.lines().map_while(|line| line.strip_prefix("//! ")) {
            match line.split_once(": ").ok_or_else(|| format!("`{line}` is not `key: value`"))? {
                ("args", value) => {
                    config.args = value.split_whitespace().map(|arg| arg.replace("{file}", file)).collect();
                }
                ("exit", value) => config.exit = value.parse().map_err(|_| format!("`{value}` is no exit code"))?,
                ("mask", "seconds") => config.mask_seconds = true,
                (key, value) => return Err(format!("unknown setting `{key}: {value}`")),
            }
        }
        if config.args.is_empty() { Err("a case starts with `//! args: ...`".to_owned()) } else { Ok(config) }
    }
}

fn run(path: &Path, bless: bool) -> Result<(), Failed> {
    let dir = path.parent().ok_or("a case lies in a folder")?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let config = Config::read(&std::fs::read_to_string(path)?, &file)?;
    let output = Command::new(env!("CARGO_BIN_EXE_smlc"))
        .args(&config.args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        // Predictions from the built-in figures, not from a calibration of this machine.
        .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no_cache"))
        .output()?;

    let exit = output.status.code().ok_or("ended by a signal")?;
    let mut actual = format!("exit {exit}\n");
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(bytes);
            let text = if config.mask_seconds { mask_seconds(&text) } else { text.into_owned() };
            write!(actual, "--- {name}\n{text}{}", if text.ends_with('\n') { "" } else { "\n--- no newline\n" })?;
        }
    }
    if exit != config.exit {
        return Err(format!("exit code {exit} instead of {}\n{actual}", config.exit).into());
    }

    let out = path.with_extension("out");
    if bless {
        return Ok(std::fs::write(&out, actual)?);
    }
    let expected = std::fs::read_to_string(&out)
        .map_err(|_| format!("no expected output; `SMLC_BLESS=1` would write\n{actual}"))?;
    if expected == actual { Ok(()) } else { Err(diff(&expected, &actual).into()) }
}

fn diff(expected: &str, actual: &str) -> String {
    let diff = similar::TextDiff::from_lines(expected, actual);
    format!("\n{}", diff.unified_diff().context_radius(3).header("expected", "actual"))
}

/// Replaces the number in `12.5 ms` by `#`, for the units s, ms and us.
fn mask_seconds(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let length = rest[start..].find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len() - start);
        let (number, behind) = rest[start..].split_at(length);
        let unit = behind.strip_prefix(' ').unwrap_or(behind);
        let word: String = unit.chars().take_while(|c| c.is_alphanumeric()).collect();
        out.push_str(&rest[..start]);
        out.push_str(if ["s", "ms", "us"].contains(&word.as_str()) { "#" } else { number });
        rest = behind;
    }
    out + rest
}

/// The harness has no `#[test]`, so it tests itself as the first trial.
fn the_harness_reads_its_settings() -> Result<(), Failed> {
    let read = |text: &str| Config::read(text, "a.sml");
    let args = vec!["check".to_owned(), "a.sml".to_owned()];
    let good = read("//! args: check {file}\n//! exit: 1\n//! mask: seconds\n// exit: 2\n");
    assert_eq!(good, Ok(Config { args, exit: 1, mask_seconds: true }));
    assert_eq!(read("//! args: check\n//! exits: 1"), Err("unknown setting `exits: 1`".to_owned()));
    assert_eq!(read("//! exit: 1"), Err("a case starts with `//! args: ...`".to_owned()));
    assert_eq!(mask_seconds("3 rounds, 1.25 s, 7ms; layer2 4 sums"), "3 rounds, # s, #ms; layer2 4 sums");
    Ok(())
}
