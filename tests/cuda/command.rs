//! `--device` on the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::device::{is_emulated, library};

/// Runs `smlc` with the emulated driver on the library path; exit code, stdout, stderr.
pub fn smlc(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(library(), folder.path().join("libcuda.so")).unwrap();
    plain(arguments, environment, folder.path())
}

fn plain(arguments: &[&str], environment: &[(&str, &str)], libraries: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_smlc"))
        .args(arguments)
        .env("LD_LIBRARY_PATH", libraries)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/small_digits/small_digits.sml");

pub fn predictions(output: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(output).unwrap()["scores"]["out"]["predictions"].clone()
}

#[test]
fn devices_of_all_kinds_predict_the_same() {
    if !is_emulated() {
        return;
    }
    let run = |device: &str, more: &[&str]| {
        let arguments = [&["run", MODEL, "--take", "2", "--format", "json", "--device", device], more].concat();
        let (code, out, err) = smlc(&arguments, &[("SMLC_SIM_DEVICES", "2")]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{device}");
        predictions(&out)
    };
    let wanted = run("cpu", &[]);
    assert!(wanted.is_array());
    for device in ["cuda", "cuda:0,cpu,cuda:1", "cuda:0,cuda:1,cuda:1"] {
        assert_eq!(run(device, &[]), wanted, "{device}");
    }
    assert_eq!(run("cuda", &["--repeat", "2"]), wanted);
    assert_eq!(run("cuda", &["--transport", "tcp", "--repeat", "2"]), wanted);
}

#[test]
fn what_cannot_be_used_is_said() {
    let run = |device: &str, environment: &[(&str, &str)]| {
        let (code, out, err) = smlc(&["run", MODEL, "--take", "1", "--device", device], environment);
        assert!(code == Some(1) || code == Some(2), "{device}: {code:?}");
        assert_eq!(out, "", "{device}");
        err
    };
    assert!(run("gpu", &[]).contains("there is no device `gpu`: write cpu, cuda, or cuda:1 for the second GPU"));
    assert!(run("cpu,cuda", &[]).contains("2 devices: write one for all parties, or one for each of P0, P1 and P2"));
    assert!(run("cuda:x", &[]).contains("`x` is not the number of a GPU"));
    if !is_emulated() {
        return;
    }
    let found = run("cuda:3", &[]);
    assert!(found.contains("no GPU number 3: the CUDA driver finds 1"), "{found}");
    assert!(found.contains("`--device cpu` computes on the processor"), "{found}");
    let found = run("cuda", &[("SMLC_SIM_DEVICES", "0")]);
    assert!(found.contains("no GPU number 0: the CUDA driver finds 0"), "{found}");
    let nowhere = tempfile::tempdir().unwrap();
    let (code, _, found) = plain(&["run", MODEL, "--take", "1", "--device", "cuda"], &[], nowhere.path());
    assert_eq!(code, Some(2));
    assert!(found.contains("no CUDA driver (libcuda) on this machine; `--device cpu` computes"), "{found}");
    let (code, _, found) =
        plain(&["run", MODEL, "--take", "1", "--device", "cuda", "--transport", "tcp"], &[], nowhere.path());
    assert_eq!((code, found.matches("error").count()), (Some(2), 1), "{found}");
}

/// What is installed instead of a driver that can be used ends the program with one line, and no panic.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn drivers_that_cannot_be_used_say_why() {
    if !is_emulated() {
        return;
    }
    let says = |library: &Path, environment: &[(&str, &str)], wanted: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(library, folder.path().join("libcuda.so")).unwrap();
        for arguments in [&["run", MODEL, "--take", "1"][..], &["bench", "--kernels", "--shrink", "65536"]] {
            let (code, out, err) = plain(&[arguments, &["--device", "cuda"]].concat(), environment, folder.path());
            assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
            let line = format!("error: {wanted}; `--device cpu` computes on the processor\n");
            assert_eq!(err, line, "{environment:?}");
        }
    };
    let driver = |environment: &[(&str, &str)], wanted: &str| {
        says(&library(), environment, &format!("the CUDA driver on this machine cannot be used: {wanted}"));
    };
    for (version, said) in [("12080", "12.8"), ("12090", "12.9"), ("11000", "11.0")] {
        let wanted = format!("it is of CUDA {said}, the kernels need CUDA 13.0 (driver 580) or newer");
        driver(&[("SMLC_SIM_VERSION", version)], &wanted);
    }
    let codes = [
        (
            "34",
            "it is the stub that CUDA's toolkit has for linking; the driver's own `libcuda.so.1` has to be found before it",
        ),
        ("802", "a service that its GPUs need is not running, as `nvidia-fabricmanager`"),
        ("803", "it and the kernel's module are of different versions: restart the machine, or install both anew"),
        ("804", "it is CUDA's compatibility library, which this GPU does not take: remove that from the library path"),
        ("999", "it does not reach its module in the kernel, of which `nvidia-smi` says more"),
    ];
    for (code, wanted) in codes {
        driver(&[("SMLC_SIM_INIT", code)], &format!("{wanted} (error {code})"));
    }
    // One that nobody knows yet.
    driver(&[("SMLC_SIM_INIT", "77777")], "it begins with error 77777");
    says(&library(), &[("SMLC_SIM_INIT", "100")], "no GPU number 0: the CUDA driver finds 0");
    let old = "GPU 0 has compute capability 7.5, the kernels need 8.0";
    says(&library(), &[("SMLC_SIM_CAPABILITY", "7.5")], old);
    let (code, _, err) =
        smlc(&["bench", "--kernels", "--shrink", "65536", "--device", "cuda"], &[("SMLC_SIM_CAPABILITY", "8.0")]);
    assert_eq!((code, err.as_str()), (Some(0), ""));

    // A library that is none of the driver's: one that this process has.
    let lacks = |symbol: &str| {
        format!(
            "the CUDA driver on this machine cannot be used: it has no function `{symbol}`: it is no driver, or older than \
             CUDA 13.0 (driver 580)"
        )
    };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let other = maps.split_whitespace().find(|word| word.contains("/libgcc_s.so")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = std::fs::copy(other, folder.path().join("other")).map(|_| folder.path().join("other")).unwrap();
    says(&other, &[], &lacks("cuDriverGetVersion"));
    // Drivers that lack one function each.
    let whole = std::fs::read(library()).unwrap();
    let without = |symbol: &str| {
        let mut bytes = whole.clone();
        let name = format!("\0{symbol}\0").into_bytes();
        let places: Vec<usize> =
            bytes.windows(name.len()).enumerate().filter(|(_, w)| *w == name).map(|p| p.0).collect();
        assert!(!places.is_empty(), "{symbol}");
        places.into_iter().for_each(|at| bytes[at + 1] = b'x');
        let path = folder.path().join(symbol);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for symbol in symbols() {
        let path = without(symbol);
        says(&path, &[], &lacks(symbol));
        std::fs::remove_file(path).unwrap();
    }
    // Where the version says it as well, that is said.
    let path = without("cuEventElapsedTime_v2");
    let version = "the CUDA driver on this machine cannot be used: it is of CUDA 12.4, the kernels need CUDA 13.0 (driver 580) or newer";
    says(&path, &[("SMLC_SIM_VERSION", "12040")], version);
}

/// A model's text as a file, which lasts as long as its folder.
pub fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.sml");
    std::fs::write(&model, text).unwrap();
    let path = model.to_str().unwrap().to_string();
    (folder, path)
}

/// The functions that the program looks for.
fn symbols() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/backend/cuda/gpu.rs");
    let (_, listed) = source.split_once("const SYMBOLS").unwrap();
    listed.split_once("];").unwrap().0.split('"').skip(1).step_by(2).collect()
}

/// Wherever memory is missing, it is said how much for what and what helps; and the line of the model, once a plan is begun.
#[test]
fn lack_of_memory_names_the_line() {
    if !is_emulated() {
        return;
    }
    // Each party needs most at another line, as `smlc cost` says.
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[16, 1] from a, y: fix[1, 16] from b) -> fix[16, 1] to a {\n\
                let wide = matmul(x, y);\nlet high = relu(wide);\nlet more = matmul(high, wide);\nmatmul(relu(more), x)\n}\n";
    let (_folder, model) = written(text);
    let model = model.as_str();
    let (_, cost, _) = smlc(&["cost", model, "--format", "json"], &[]);
    let cost: serde_json::Value = serde_json::from_str(&cost).unwrap();
    let places = [0, 1, 2].map(|party| cost["peak_places"][party].as_str().unwrap().to_string());
    assert!(
        (0..3).all(|party| places[party].starts_with(model) && places[party] != places[(party + 1) % 3]),
        "{places:?}"
    );
    let mut said = BTreeSet::new();
    for (device, most) in [("cpu,cuda,cpu", 25), ("cuda", 40)] {
        for allocation in 1..=most {
            let fail = format!("alloc:{allocation}");
            let arguments = ["bench", model, "--repeat", "1", "--device", device];
            let (code, _, err) = smlc(&arguments, &[("SMLC_SIM_FAIL", &fail)]);
            if code == Some(0) {
                continue;
            }
            assert_eq!((code, err.lines().count()), (Some(2), 1), "{fail} with {device}: {err}");
            let (wanted, rest) = err.split_once(" bytes of memory for ").unwrap_or_else(|| panic!("{fail}: {err}"));
            let (party, bytes) = wanted.strip_prefix("error: P").unwrap().split_once(" stopped: no ").unwrap();
            let (party, bytes): (usize, u64) = (party.parse().unwrap(), bytes.parse().unwrap());
            assert!(bytes > 0, "{err}");
            let (what, rest) = rest.split_once(": ").unwrap();
            let what = what.to_string();
            let helps = match what.as_str() {
                "tables, in memory of the host"
                | "messages, in memory of the host"
                | "the trail of launches, in memory of the host" => {
                    "the host has no more that stays in place; fewer inputs at a time take less"
                }
                _ => {
                    "the GPU is out of memory; fewer inputs at a time take less, `--device cpu` computes on the processor"
                }
            };
            let place = rest.strip_prefix(helps).unwrap_or_else(|| panic!("{fail}: {err}"));
            match what.as_str() {
                "keys" | "tables, in memory of the host" | "the trail of launches, in memory of the host" => {
                    assert_eq!(place, format!(" (before {model}:5:12)\n"));
                }
                "the plan's buffers" => {
                    assert_eq!(place, format!(" (most of it at {})\n", places[party]));
                    assert!(bytes >= cost["live_bytes"][party].as_u64().unwrap(), "{err}");
                }
                _ => assert!(place.starts_with(" (at ") && place.contains("model.sml:"), "{fail}: {err}"),
            }
            said.insert(what);
        }
    }
    let all = [
        "keys",
        "messages, in memory of the host",
        "tables, in memory of the host",
        "the plan's buffers",
        "the trail of launches, in memory of the host",
        "what kernels need",
    ];
    assert!(all.iter().all(|what| said.contains(*what)), "{said:?}");
}

#[test]
fn kernels_stand_beside_what_bounds_them() {
    if !is_emulated() {
        return;
    }
    let (code, table, _) = smlc(&["bench", "--kernels", "--shrink", "65536", "--device", "cuda"], &[]);
    assert_eq!(code, Some(0));
    for (name, end) in [
        ("at most: tensor cores ", "products of bytes a second"),
        ("at most: multiply-adds of 32 bits ", "multiply-adds of 32 bits a second"),
        ("at most: lookups ", "lookups a second"),
        ("copy of 1024 words ", "% of memory"),
        ("a launch of 8 ", "launches a second"),
    ] {
        assert!(table.lines().any(|line| line.starts_with(name) && line.ends_with(end)), "{name}: {table}");
    }
}

/// A driver that lacks a function that is called would end the program with a panic, so all of them are looked for at first.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn all_functions_of_the_driver_that_are_called_are_looked_for() {
    if !is_emulated() {
        return;
    }
    let listed = symbols();
    let run = ["run", MODEL, "--take", "1", "--repeat", "2", "--device"];
    let bench = ["bench", "--kernels", "--shrink", "65536", "--device"];
    for (arguments, device) in
        [(&run[..], "cuda"), (&run, "cpu,cuda,cpu"), (&run, "cuda:0,cuda:1,cuda:1"), (&bench, "cuda")]
    {
        // The dynamic linker says what is looked up.
        let environment = [("LD_DEBUG", "symbols"), ("SMLC_SIM_DEVICES", "2")];
        let (code, _, found) = smlc(&[arguments, &[device]].concat(), &environment);
        assert_eq!(code, Some(0));
        let called: BTreeSet<&str> = found
            .lines()
            .filter_map(|line| line.split_once("symbol=cu")?.1.split_once(';').map(|(name, _)| name))
            .filter(|name| name.starts_with(char::is_uppercase))
            .collect();
        assert!(called.contains("LaunchKernel"), "{called:?}");
        for name in called {
            assert!(listed.contains(format!("cu{name}").as_str()), "cu{name} is called and not looked for");
        }
    }
}

/// Nothing of shares, keys and messages is left in memory of a GPU that is given back.
#[test]
fn memory_is_overwritten_before_it_is_given_back() {
    if !is_emulated() {
        return;
    }
    for device in ["cuda", "cpu,cuda,cuda:1"] {
        let arguments = ["run", MODEL, "--take", "1", "--device", device, "--repeat", "2"];
        let (code, _, err) = smlc(&arguments, &[("SMLC_SIM_WIPED", "1"), ("SMLC_SIM_DEVICES", "2")]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{device}");
    }
    // Nor when a run fails for lack of memory.
    for allocation in (1..40).step_by(6) {
        let fail = format!("alloc:{allocation}");
        let environment = [("SMLC_SIM_WIPED", "1"), ("SMLC_SIM_FAIL", fail.as_str())];
        let (code, _, err) = smlc(&["run", MODEL, "--take", "1", "--device", "cpu,cuda,cuda"], &environment);
        assert!(matches!(code, Some(0 | 2)) && !err.contains("freed with words"), "{fail}: {err}");
    }
}

/// The PTX of what is loaded can be had without waiting for kernels to run, as `scripts/element-programs` wants it.
#[test]
fn the_emulated_driver_keeps_programs() {
    if !is_emulated() {
        return;
    }
    let kept = tempfile::tempdir().unwrap();
    let run = |idle: &str| {
        let arguments = ["run", MODEL, "--take", "4", "--format", "json", "--device", "cuda"];
        let environment = [("SMLC_SIM_IDLE", idle), ("SMLC_SIM_KEEP", kept.path().to_str().unwrap())];
        let (code, out, err) = smlc(&arguments, &environment);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let files = std::fs::read_dir(kept.path()).unwrap().map(|file| file.unwrap().path());
        let texts: BTreeMap<String, String> = files
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read_to_string(&path).unwrap())
            })
            .collect();
        (predictions(&out), texts)
    };
    let (nothing, texts) = run("1");
    let elements = texts.iter().filter(|(name, _)| name.starts_with("element_"));
    let entry = |(name, text): (&String, &String)| {
        text.contains(&format!(".visible .entry {}(", name.rsplit_once('-').unwrap().0))
    };
    assert!(elements.clone().all(entry) && elements.count() > 5, "{:?}", texts.keys());
    let streams = include_str!("../../kernels/ptx/streams.ptx");
    assert!(texts.values().any(|text| text == streams));
    // Kernels did nothing, and nothing else is loaded where they do something.
    let (something, same) = run("0");
    assert!(nothing != something && texts == same);
}

/// `SMLC_KERNEL_SRC` takes kernels from their sources.
#[test]
fn kernels_come_from_sources_if_asked() {
    if !is_emulated() {
        return;
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let run = |sources: &Path, libraries: &Path| {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(library(), folder.path().join("libcuda.so")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_smlc"))
            .args(["run", MODEL, "--take", "1", "--format", "json", "--device", "cuda"])
            .env("LD_LIBRARY_PATH", std::env::join_paths([folder.path(), libraries]).unwrap())
            .env("SMLC_KERNEL_SRC", sources)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let nowhere = tempfile::tempdir().unwrap();
    let (code, _, found) = run(nowhere.path(), nowhere.path());
    assert_eq!(code, Some(2), "{found}");
    assert!(found.contains("kernels from sources: `") && found.contains("there is no such file"), "{found}");
    let (code, _, found) = run(&nowhere.path().join("none"), nowhere.path());
    assert_eq!(code, Some(2), "{found}");
    assert!(found.contains("cannot read the kernels' sources in `"), "{found}");
    // The compiler that `scripts/kernels` fetches, which is there in CI.
    let kept = std::env::var_os("SMLC_NVRTC").map(PathBuf::from);
    let nvrtc = kept.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nvrtc-13.0.88"));
    if !nvrtc.join("complete").exists() {
        let (_, _, found) = run(&sources, nowhere.path());
        assert!(found.contains("no NVRTC (libnvrtc.so.13) on the library path"), "{found}");
        return;
    }
    let (code, out, found) = run(&sources, &nvrtc);
    assert_eq!((code, found.as_str()), (Some(0), ""));
    assert!(predictions(&out).is_array());
    // A mistake in the sources is told as the compiler does.
    let changed = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(&sources).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        std::fs::copy(&file, changed.path().join(file.file_name().unwrap())).unwrap();
    }
    let text = std::fs::read_to_string(sources.join("streams.cu")).unwrap();
    let change = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        std::fs::write(changed.path().join("streams.cu"), text.replace(from, to)).unwrap();
        let (code, _, found) = run(changed.path(), &nvrtc);
        assert_eq!(code, Some(2), "{found}");
        found
    };
    let found = change(&text, "0x99, 0x2d, 0x0f,", "0x99, 0x2d; 0x0f,");
    assert!(found.contains("streams.cu(") && found.contains("error"), "{found}");
    // So are parameters of other types.
    let found = change(&text, "u64 units, u32 unit)", "u64 units, u64 unit)");
    assert!(found.contains("`streams` does not take the parameters that smlc gives it"), "{found}");
}
