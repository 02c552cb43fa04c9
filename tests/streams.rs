//! What happens to the streams of the commands: a reader that goes away, a full disk, stdin as a program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const DIGITS: &str = "examples/small_digits/small_digits.sml";

/// Commands that write to stdout, each in its own place of the code.
const WRITERS: &[&[&str]] = &[
    &["explain"],
    &["explain", "E0401"],
    &["passes"],
    &["check", DIGITS],
    &["cost", DIGITS],
    &["cost", DIGITS, "--format", "json"],
    &["build", DIGITS, "--emit", "tokens"],
    &["build", DIGITS, "--emit", "ast"],
    &["build", DIGITS, "--emit", "hir"],
    &["build", DIGITS, "--emit", "graph", "--dim", "N=1"],
    &["build", DIGITS, "--emit", "plan", "--dim", "N=1"],
    &["build", DIGITS, "--emit", "cost", "--dim", "N=1"],
    &["run", DIGITS, "--take", "1"],
    &["run", DIGITS, "--take", "1", "--format", "json"],
    &["debug", DIGITS, "--take", "1"],
    &["debug", DIGITS, "--take", "1", "--format", "json"],
];

fn smlc(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smlc"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What was said on stderr, but for notes, which are said before there is anything to write.
fn complaints(out: &Output) -> String {
    text(&out.stderr).lines().filter(|line| !line.starts_with("note: ")).map(|line| format!("{line}\n")).collect()
}

fn piped(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    for arguments in WRITERS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = smlc(arguments).stdout(writer).output().unwrap();
        assert_eq!((out.status.code(), complaints(&out)), (Some(0), String::new()), "{arguments:?}");
    }
}

/// The device that is always full is Linux's.
#[test]
fn a_full_disk_is_told() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    for arguments in WRITERS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let out = smlc(arguments).stdout(full).output().unwrap();
        let err = complaints(&out);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.starts_with("error: cannot write to standard output: "), "{arguments:?}: {err}");
    }
}

#[test]
fn nobody_listens_to_stderr() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let out = smlc(&["check", "no_such_file.sml"]).stderr(writer).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn stdin_is_formatted_or_checked() {
    let wrong = "owners   a;\n";
    let out = piped(smlc(&["fmt", "-"]), wrong);
    assert_eq!((out.status.code(), text(&out.stdout).as_str()), (Some(0), "owners a;\n"));
    let out = piped(smlc(&["fmt", "--check", "-"]), wrong);
    assert_eq!((out.status.code(), text(&out.stdout).as_str()), (Some(1), "<stdin>\n"));
    let out = piped(smlc(&["fmt", "--check", "-"]), "owners a;\n");
    assert_eq!((out.status.code(), text(&out.stdout).as_str()), (Some(0), ""));
}

#[test]
fn a_file_with_errors_does_not_keep_the_others_from_being_formatted() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.sml", "broken.sml", "missing.sml", "b.sml"].map(|name| folder.path().join(name));
    for (path, content) in paths.iter().zip(["owners   a;\n", "owners ;;\n", "", "owners   b;\n"]) {
        std::fs::write(path, content).unwrap();
    }
    std::fs::remove_file(&paths[2]).unwrap();
    let mut command = smlc(&["fmt"]);
    let out = command.args(&paths).output().unwrap();
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{err}");
    assert!(err.contains("broken.sml:1:8") && err.contains("cannot read"), "{err}");
    assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "owners a;\n");
    assert_eq!(std::fs::read_to_string(&paths[3]).unwrap(), "owners b;\n");
}
