//! Inputs to start from, made of the programs of the project: those in `examples`, `stdlib` and `tests/golden`, and the
//! blocks of the manual; their graphs; their plans.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use smlc::graph::lower::lower;
use smlc::graph::unroll;
use smlc::graph::{self, Graph};
use smlc::span::Sources;
use smlc::{hir, pass, plan};

/// A named input.
pub struct Seed {
    pub name: String,
    pub text: String,
}

/// Longer graphs and plans are left out.
const MAX_BYTES: usize = 12_000;

const HEADER: &str = "owners hospital, vendor;\nfixed(int = 16, frac = 16);\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files with an ending below a folder, in order.
fn files(dir: &Path, ending: &str, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, ending, out);
        } else if path.extension().is_some_and(|e| e == ending) {
            out.push(path);
        }
    }
}

/// The programs of the project; `tests/golden/errors` has wrong ones too.
pub fn programs() -> Vec<Seed> {
    let mut paths = Vec::new();
    for folder in ["examples", "stdlib", "tests/golden"] {
        files(&root().join(folder), "sml", &mut paths);
    }
    let name = |path: &Path| {
        let parts = path.strip_prefix(root()).unwrap_or(path).components().map(|c| c.as_os_str().to_string_lossy());
        parts.filter(|part| part != "tests" && part != "golden").collect::<Vec<_>>().join("-")
    };
    let mut seeds: Vec<Seed> = paths.iter().map(|path| Seed { name: name(path), text: read(path) }).collect();
    seeds.extend(blocks());
    seeds
}

/// The programs in the manual's chapters, each with the header and the entry that it is told to be read with.
fn blocks() -> Vec<Seed> {
    let mut pages = Vec::new();
    for folder in ["docs/src/language", "docs/src/tutorial"] {
        files(&root().join(folder), "md", &mut pages);
    }
    let texts: Vec<String> = pages.iter().map(|page| read(page)).collect();
    let mut seeds = Vec::new();
    for block in texts.iter().flat_map(|text| text.split("\n```").skip(1).step_by(2)) {
        let Some((kind, body)) = block.split_once('\n') else { continue };
        if !kind.starts_with("sml") || kind == "sml fragment" {
            continue;
        }
        let header = if body.contains("owners ") { "" } else { HEADER };
        let entry = if body.contains("entry ") {
            ""
        } else {
            "\nentry nothing(x: fix from hospital) -> fix to hospital { x }\n"
        };
        seeds.push(Seed { name: format!("language-{}.sml", seeds.len()), text: format!("{header}{body}{entry}") });
    }
    seeds
}

/// The graphs of all programs that check, with small sizes, before and after the passes.
fn graphs() -> Vec<(String, Graph, Sources)> {
    let mut graphs = Vec::new();
    for Seed { name, text } in programs() {
        let mut sources = Sources::default();
        let file = sources.add(name.as_str(), text);
        let Some(program) = hir::check(&mut sources, file, &mut Vec::new()) else { continue };
        let name = name.trim_end_matches(".sml");
        for entry in &program.entries {
            let dims: BTreeMap<String, usize> = entry.sizes.iter().map(|name| (name.clone(), 2)).collect();
            let Some(graph) = lower(&program, &entry.name, &dims, &mut Vec::new()) else { continue };
            let mut passed = graph.clone();
            pass::run(&mut passed, None, &[]).unwrap_or_else(|(pass, e)| panic!("{name}: after `{pass}`: {e}"));
            graphs.push((format!("{name}-{}", entry.name), graph, sources.clone()));
            graphs.push((format!("{name}-{}-passed", entry.name), passed, sources.clone()));
        }
    }
    graphs
}

/// The inputs of a kind (`Target::inputs`) to start from, each once.
pub fn seeds(inputs: &str) -> Vec<Seed> {
    let mut seen = BTreeSet::new();
    let mut seeds = all(inputs);
    seeds.retain(|seed| seen.insert(seed.text.clone()));
    seeds
}

fn all(inputs: &str) -> Vec<Seed> {
    let short = |seed: &Seed| seed.text.len() <= MAX_BYTES;
    let graph = |(name, graph, _): (String, Graph, Sources)| Seed {
        name: format!("{name}.graph"),
        text: graph::text::print(&graph),
    };
    let plan = |(name, graph, sources): (String, Graph, Sources)| {
        let plan = plan::lower::lower(&graph, &sources, plan::lower::Options::default());
        Seed { name: format!("{name}.plan"), text: plan::file::write(&plan) }
    };
    match inputs {
        "program" => programs(),
        "graph" => graphs().into_iter().map(graph).filter(short).collect(),
        "plan" => {
            let passed = graphs().into_iter().filter(|(name, graph, _)| {
                let is_run = plan::lower::unsupported(graph).is_none();
                name.ends_with("-passed") && is_run && unroll::node_count(graph) <= 60
            });
            passed.map(plan).filter(short).collect()
        }
        other => panic!("there are no inputs `{other}`"),
    }
}
