//! The examples of `smlc explain`: each wrong one gives exactly its code, each right one gives nothing.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use smlc::diag::Code;

use super::blocks::{blocks_of, check, whole};
use super::console::smlc;

/// A `.npy` file of one element type.
fn npy(folder: &Path, name: &str, dtype: &str, shape: &str, bytes: &[u8]) {
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    std::fs::write(folder.join(name), file).unwrap();
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn tensors(folder: &Path, file: &str, names: [&str; 2]) {
    let (w, b) = (floats(&[0.5; 8]), floats(&[0.25; 2]));
    let views = [
        (names[0], TensorView::new(Dtype::F32, vec![4, 2], &w).unwrap()),
        (names[1], TensorView::new(Dtype::F32, vec![2], &b).unwrap()),
    ];
    std::fs::write(folder.join(file), safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The files that the explanations of E07 speak of.
fn files(folder: &Path) {
    let good = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    npy(folder, "x.npy", "<f4", "(2, 4)", &good);
    npy(folder, "cut_off.npy", "<f4", "(2, 4)", &good[..20]);
    npy(folder, "wide.npy", "<f4", "(2, 5)", &floats(&[1.0; 10]));
    npy(folder, "huge.npy", "<f4", "(2, 4)", &floats(&[1_000_000.0; 8]));
    npy(folder, "complex.npy", "<c8", "(2, 4)", &floats(&[1.0; 16]));
    tensors(folder, "net.safetensors", ["w", "b"]);
    tensors(folder, "renamed.safetensors", ["weight", "bias"]);
}

#[test]
fn every_code_has_a_wrong_and_a_right_example() {
    for code in Code::ALL {
        let name = format!("src/diag/explain/{code}.md");
        let blocks = blocks_of(&name, code.entry().text);
        let kinds: Vec<&str> = blocks.iter().map(|b| b.kind.as_str()).collect();
        let (program, file) = (format!("sml error {code}"), format!("console error {code}"));
        if kinds == [&program, "sml"] {
            assert!(blocks.iter().all(check), "{name}");
            continue;
        }
        assert_eq!(kinds, ["sml", &file, "console"], "{name}: a model, a wrong and a right command line");
        let folder = tempfile::tempdir().unwrap();
        files(folder.path());
        std::fs::write(folder.path().join("model.sml"), whole(&blocks[0].text)).unwrap();
        let command = |at: usize| blocks[at].text.trim_end().strip_prefix("$ ").unwrap();
        let told = |line: &&str| ["error", "warning"].iter().any(|word| line.starts_with(word));
        let (printed, _) = smlc(command(1), folder.path());
        let wrong: Vec<&str> = printed.lines().filter(told).collect();
        assert!(!wrong.is_empty(), "{name}: nothing is wrong with `{}`:\n{printed}", command(1));
        assert!(wrong.iter().all(|line| line.contains(&format!("[{code}]: "))), "{name}:\n{printed}");
        let (printed, success) = smlc(command(2), folder.path());
        assert!(success && printed.lines().find(told).is_none(), "{name}: `{}`:\n{printed}", command(2));
    }
}

#[test]
fn every_explanation_belongs_to_a_code() {
    for path in super::blocks::documents(&["src/diag/explain"]) {
        let name = Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(Code::find(&name).is_some(), "{path} explains no code");
    }
}
