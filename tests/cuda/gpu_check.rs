//! `scripts/gpu-check`: what it runs, and what it makes of what comes out. Programs of NVIDIA's, and figures, are made up.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::device::{is_emulated, library};

/// A program of the shell in a folder.
fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What came of a check: the exit code, what it printed, its results and its tables.
struct Checked {
    code: Option<i32>,
    out: String,
    results: serde_json::Value,
    table: String,
}

/// Runs the check with programs of `folder` before all others, and the results there.
fn check(folder: &Path, arguments: &[&str]) -> Checked {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/gpu-check");
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("python3")
        .arg(script)
        .args(["--tests", std::env::current_exe().unwrap().to_str().unwrap()])
        .args(["--out", folder.join("out").to_str().unwrap()])
        .args(arguments)
        .env("PATH", format!("{}:{path}", folder.display()))
        .output()
        .expect("python3 runs the script");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let read = |name: &str| std::fs::read_to_string(folder.join("out").join(name)).unwrap_or_default();
    assert_eq!(text(&output.stderr), "");
    let results = serde_json::from_str(&read("results.json")).unwrap();
    Checked { code: output.status.code(), out: text(&output.stdout), results, table: read("results.md") }
}

/// The copied tests read the examples that were copied with them, not those of the machine that built them.
#[test]
fn networks_are_those_that_were_copied() {
    if !is_emulated() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let examples = folder.path().join("copied");
    std::fs::create_dir_all(examples.join("small_digits")).unwrap();
    let driver = library();
    let arguments = ["--dry-run", "--parts", "conformance", "--smlc", env!("CARGO_BIN_EXE_smlc"), "--driver"];
    let arguments = [&arguments[..], &[driver.to_str().unwrap()]].concat();
    let run = || check(folder.path(), &[&arguments[..], &["--examples", examples.to_str().unwrap()]].concat());
    let checked = run();
    let missing = examples.join("small_digits/small_digits.sml");
    assert!(checked.code == Some(1) && checked.out.contains(missing.to_str().unwrap()), "{}", checked.out);
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/small_digits/small_digits.sml"), missing)
        .unwrap();
    let checked = run();
    assert_eq!(checked.code, Some(0), "{}", checked.out);
    assert!(checked.out.contains("1 steps, 0 failed, 0 left out"), "{}", checked.out);
}

/// Tests of the emulated driver under a compute-sanitizer that ends like this after the wrapped command.
fn sanitized(end: &str) -> (Checked, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let text = format!(
        "echo \"$@\" >> {}\necho ========= COMPUTE-SANITIZER\nkind=$2\nshift 4\n\"$@\" || exit 1\n{end}\n",
        log.display()
    );
    script(folder.path(), "compute-sanitizer", &text);
    let arguments = ["--dry-run", "--parts", "sanitizer", "--smlc", env!("CARGO_BIN_EXE_smlc"), "--driver"];
    let checked = check(folder.path(), &[&arguments[..], &[library().to_str().unwrap()]].concat());
    (checked, std::fs::read_to_string(log).unwrap())
}

#[test]
fn cases_run_under_the_sanitizer() {
    if !is_emulated() {
        return;
    }
    let (checked, log) = sanitized(
        "case $kind in racecheck) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)';;\n\
         *) echo '========= ERROR SUMMARY: 0 errors';; esac",
    );
    assert_eq!(checked.code, Some(0), "{}", checked.out);
    let tests = std::env::current_exe().unwrap();
    for (kind, (line, summary)) in ["memcheck", "racecheck", "initcheck"].into_iter().zip(log.lines().zip([
        "ERROR SUMMARY: 0 errors",
        "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)",
        "ERROR SUMMARY: 0 errors",
    ])) {
        let wanted =
            format!("--tool {kind} --error-exitcode 9 {} a_launch_that_is_known --test-threads=1", tests.display());
        assert_eq!(line, wanted);
        assert!(checked.table.contains(&format!("| sanitizer: {kind} | {summary} |")), "{}", checked.table);
        assert!(checked.out.contains(&format!("ok     sanitizer: {kind} (")), "{}", checked.out);
    }
    assert_eq!((log.lines().count(), checked.results["steps"].as_array().unwrap().len()), (3, 3));
    assert!(checked.out.contains("3 steps, 0 failed, 0 left out"), "{}", checked.out);
}

#[test]
fn what_the_sanitizer_reports_fails_the_check() {
    if !is_emulated() {
        return;
    }
    let ends = [
        // As it is; a report without the exit code; hazards; nothing said.
        (
            "echo '========= Invalid __global__ read of size 8 bytes'; echo '========= ERROR SUMMARY: 2 errors'; exit 9",
            "ERROR SUMMARY: 2 errors",
        ),
        ("echo '========= ERROR SUMMARY: 12 errors'", "ERROR SUMMARY: 12 errors"),
        (
            "echo '========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)'",
            "RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)",
        ),
        ("true", "no summary"),
    ];
    for (end, said) in ends {
        let (checked, _) = sanitized(end);
        assert_eq!(checked.code, Some(1), "{end}: {}", checked.out);
        assert!(checked.out.contains("FAILED sanitizer: memcheck (") && checked.out.contains(said), "{}", checked.out);
        assert!(checked.table.contains(&format!("| sanitizer: memcheck | failed: {said} |")), "{}", checked.table);
        assert!(checked.out.contains("3 steps, 3 failed, 0 left out"), "{}", checked.out);
    }
    // Tests that are not there find nothing.
    let (checked, _) = sanitized("echo '========= ERROR SUMMARY: 0 errors'; exit 0");
    assert_eq!(checked.code, Some(0));
    let folder = tempfile::tempdir().unwrap();
    script(
        folder.path(),
        "compute-sanitizer",
        "echo 'test result: ok. 0 passed; 0 failed'\necho '========= ERROR SUMMARY: 0 errors'\n",
    );
    let arguments = ["--dry-run", "--parts", "sanitizer", "--smlc", env!("CARGO_BIN_EXE_smlc"), "--driver"];
    let checked = check(folder.path(), &[&arguments[..], &[library().to_str().unwrap()]].concat());
    assert_eq!(checked.code, Some(1));
    assert!(checked.table.contains("| sanitizer: racecheck | failed: no test ran |"), "{}", checked.table);
}

/// A program that says its arguments and gives figures: networks take as many milliseconds as `case` says for their name.
fn figures(folder: &Path, milliseconds: &str, kernels: &str) -> String {
    let text = format!(
        r#"echo "$@" >> {log}
case "$*" in *--kernels*) echo '{{"machine": "a GPU", "kernels": [{kernels}]}}'; exit;; esac
ms=1
case "$*" in {milliseconds} esac
error=0.001
case "$*" in *--no-check*) error=null;; esac
echo "{{\"seconds_median\": $(echo "$ms" | sed 's/$/e-3/'), \"bytes_total\": 5, \"rounds\": 2, \"error\": $error, \"largest\": 1.0}}"
"#,
        log = folder.join("log").display()
    );
    script(folder, "made-up", &text);
    folder.join("made-up").to_str().unwrap().to_string()
}

/// Rows of the targets' table: the figure, what was measured, and what is said of it.
fn targets(checked: &Checked) -> Vec<[String; 3]> {
    let (_, table) = checked.table.split_once("| figure | measured | target | limit | |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        [cells[1], cells[2], cells[5]].map(str::to_string)
    })
    .collect()
}

#[test]
fn figures_stand_beside_their_targets() {
    if !is_emulated() {
        return;
    }
    let rows = |milliseconds: &str, kernels: &str, more: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let smlc = figures(folder.path(), milliseconds, kernels);
        let arguments = [&["--smlc", &smlc, "--parts", "kernels", "networks"], more].concat();
        let checked = check(folder.path(), &arguments);
        // What misses its target fails nothing.
        assert_eq!(checked.code, Some(0), "{}", checked.out);
        (targets(&checked), std::fs::read_to_string(folder.path().join("log")).unwrap(), checked)
    };
    let kernel = |name: &str, amount: f64, seconds: f64| {
        format!(r#"{{"name": "{name}", "amount": {amount}, "seconds": {seconds}, "unit": "elements"}}"#)
    };
    let product = "matrix product 4096x4096x4096, two pairs";
    let relu =
        |party: &str, rate: f64| kernel(&format!("ReLU of 1048576 sums, all that {party} launches"), 1e6 * rate, 1e-3);
    let fast = [kernel(product, 19e12, 1.0), relu("P0", 3.0), relu("P1", 1.25), relu("P2", 2.0)].join(",");
    let (found, log, checked) = rows(
        "*resnet50*N=64*) ms=640;; *resnet50*) ms=16.1;; *vgg16_cifar*) ms=15;; *lenet.sml*) ms=1.33;;",
        &fast,
        &[],
    );
    let wanted = [
        ["ResNet-50, one image", "16.1 ms", "met"],
        ["ResNet-50, 64 images, an image", "10 ms", "met"],
        ["VGG-16, CIFAR, one image", "15 ms", "met"],
        ["LeNet, one image", "1.33 ms", "met"],
        ["product of words, 4096x4096x4096", "19 T multiply-adds/s", "met"],
        ["ReLU, the launches of the slowest party", "1.25 G elements/s", "met"],
    ];
    assert_eq!(found, wanted.map(|row| row.map(str::to_string)));
    assert!((checked.results["targets"][1]["measured"].as_f64().unwrap() - 10.0).abs() < 1e-9);
    // What bounds kernels, and their parts of that.
    let share = |by: &str, share: f64| format!(r#"{{"by": "{by}", "share": {share}}}"#);
    let bounded = [
        kernel("at most: tensor cores", 6e11, 1e-3),
        kernel(product, 19e12, 1.0).replace('}', &format!(r#", "bound": {}}}"#, share("tensor cores", 0.58))),
        kernel("copy of 8 words", 2.8e12, 1.0).replace('}', &format!(r#", "bound": {}}}"#, share("memory", 1.0))),
    ];
    let (_, _, held) = rows("", &bounded.join(","), &["--only", "none"]);
    for row in [
        "| kernel | time | rate | bound by | of that |",
        "| at most: tensor cores | 1000.0 us | 600000.000 G elements a second |  |  |",
        "| matrix product 4096x4096x4096, two pairs | 1000000.0 us | 19000.000 G elements a second | tensor cores | 58 % |",
        "| copy of 8 words | 1000000.0 us | 2800.000 G elements a second | memory | 100 % |",
    ] {
        assert!(held.table.lines().any(|line| line == row), "{row}: {}", held.table);
    }
    assert_eq!(held.results["kernels"]["kernels"][1]["bound"]["share"], 0.58);
    // Which are compared with the plaintext.
    let compared = |log: &str| {
        let all = log.lines().filter(|line| !line.contains("--kernels") && !line.contains("--no-check"));
        let name = |line: &str| {
            let (path, rest) = line.strip_prefix("bench ").unwrap().split_once(' ').unwrap();
            let batch = rest.split_once("N=").unwrap().1.split(' ').next().unwrap();
            format!("{} {batch}", path.rsplit('/').next().unwrap())
        };
        all.map(name).collect::<Vec<_>>()
    };
    let small = ["lenet.sml", "lenet_wide.sml", "alexnet_cifar.sml", "vgg16_cifar.sml"];
    let mut batches: Vec<String> =
        small.iter().flat_map(|name| [1, 8, 64].map(|batch| format!("{name} {batch}"))).collect();
    let large = [
        "resnet50.sml",
        "resnet18.sml",
        "mobilenet_v2.sml",
        "alexnet.sml",
        "resnet101.sml",
        "resnet152.sml",
        "vgg16.sml",
    ];
    assert_eq!(compared(&log), [batches.clone(), large.map(|name| format!("{name} 1")).to_vec()].concat());
    let slow = [kernel(product, 11e12, 1.0), relu("P0", 3.0), relu("P1", 0.9), relu("P2", 2.0)].join(",");
    let (found, log, _) =
        rows("*resnet50*N=64*) ms=769;; *resnet50*) ms=61;; *vgg16_cifar*N=1) ms=15.1;;", &slow, &["--budget", "500"]);
    assert_eq!(
        found.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(),
        ["missed", "missed", "missed", "met", "missed", "missed"]
    );
    batches.pop();
    assert_eq!(compared(&log), [batches, vec!["resnet50.sml 1".to_string()]].concat());
    // What did not run is not met.
    let (found, ..) = rows("", "", &["--only", "lenet.sml"]);
    assert_eq!(found.iter().filter(|row| row[2] == "not measured").count(), 5, "{found:?}");
}
