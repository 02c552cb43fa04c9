//! What `smlc cost` writes as a page, and what `smlc run --profile` and `--trace` measure: structure and sums, no times.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use roxmltree::{Document, Node};
use serde_json::Value;

fn smlc(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_smlc"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no_cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const PROGRAMS: [&[&str]; 5] = [
    &["examples/lenet.sml", "--dim", "N=1"],
    &["examples/residual.sml", "--dim", "N=1"],
    &["examples/transformer.sml", "--dim", "N=1"],
    &["examples/resnet/resnet18.sml", "--dim", "N=1", "--one-machine"],
    &["examples/digits/digits.sml", "--net", "3ms,20Mb"],
];

fn report(program: &[&str], format: &str) -> String {
    smlc(&[&["cost"], program, &["--format", format]].concat())
}

fn class<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute("class").unwrap_or("")
}

fn value(node: Node<'_, '_>) -> f64 {
    node.attribute("data-value").unwrap().parse().unwrap()
}

/// The percentages of a cell's bars, added up.
fn bars(cell: Node<'_, '_>) -> f64 {
    let bars = cell.children().filter(|node| node.has_tag_name("i"));
    bars.map(|bar| {
        let style = bar.attribute("style").unwrap();
        style.strip_prefix("width:").unwrap().strip_suffix('%').unwrap().parse::<f64>().unwrap()
    })
    .sum()
}

fn section<'a, 'b>(page: &'a Document<'b>, id: &str) -> Node<'a, 'b> {
    page.descendants().find(|node| node.attribute("id") == Some(id)).unwrap()
}

fn rows<'a, 'b>(section: Node<'a, 'b>) -> Vec<Node<'a, 'b>> {
    let rows = section.descendants().filter(|node| node.has_tag_name("tr"));
    rows.filter(|row| row.children().any(|cell| cell.has_tag_name("td"))).collect()
}

fn cells<'a, 'b>(row: Node<'a, 'b>) -> Vec<Node<'a, 'b>> {
    row.children().filter(|cell| cell.has_tag_name("td")).collect()
}

fn parse(html: &str) -> Document<'_> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    Document::parse_with_options(html, options).unwrap()
}

#[test]
fn the_page_says_what_the_json_says() {
    for program in PROGRAMS {
        let (html, json) = (report(program, "html"), report(program, "json"));
        let (page, json): (_, Value) = (parse(&html), serde_json::from_str(&json).unwrap());
        for outside in ["http:", "https:", "<script", "<link", "src=", "url(\"", "@import"] {
            assert!(!html.contains(outside), "{program:?}: {outside}");
        }
        assert!(html.contains("prefers-color-scheme: dark"));

        let facts: Vec<f64> =
            section(&page, "totals").descendants().filter(|n| n.has_attribute("data-value")).map(value).collect();
        let sum = |key: &str| json[key].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).sum::<f64>();
        let peak = json["peak_bytes"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).fold(0.0, f64::max);
        let number = |key: &str| json[key].as_f64().unwrap();
        let wanted = [
            number("rounds"),
            number("bytes_total"),
            sum("multiply_adds"),
            sum("stream_bytes"),
            peak,
            number("owner_bytes_in"),
            number("owner_bytes_out"),
        ];
        assert_eq!(facts, wanted, "{program:?}");

        let predictions = json["predictions"].as_array().unwrap();
        let times = rows(section(&page, "time"));
        assert_eq!(times.len(), predictions.len());
        for (row, prediction) in times.iter().zip(predictions) {
            assert_eq!(value(cells(*row)[1]), prediction["seconds"].as_f64().unwrap());
        }

        let lines = json["lines"].as_array().unwrap();
        let shown = rows(section(&page, "lines"));
        assert_eq!(shown.len(), lines.len(), "{program:?}");
        let mut scales: BTreeMap<usize, f64> = BTreeMap::new();
        for (row, line) in shown.iter().zip(lines) {
            let cells = cells(*row);
            assert_eq!(cells[0].text(), line["place"].as_str());
            assert!(cells[1].descendants().any(|node| node.text().is_some_and(|text| !text.is_empty())), "source");
            let keys = ["rounds", "bytes", "multiply_adds", "peak_bytes"];
            for (cell, key) in cells[2..].iter().zip(keys) {
                assert_eq!(value(*cell), line[key].as_f64().unwrap(), "{program:?} {key}");
            }
            for (cell, time) in cells[6..].iter().zip(line["predictions"].as_array().unwrap()) {
                let seconds = time["compute"].as_f64().unwrap() + time["network"].as_f64().unwrap();
                assert!((value(*cell) - seconds).abs() < 1e-12);
            }
            // Bars of a column are as long as their values, the longest as the cell.
            for (column, cell) in cells.iter().enumerate().skip(3) {
                let scale = scales.entry(column).or_default();
                *scale = scale.max(bars(*cell) / 100.0);
            }
        }
        for (column, scale) in scales {
            let values: Vec<(f64, f64)> =
                shown.iter().map(|row| (value(cells(*row)[column]), bars(cells(*row)[column]))).collect();
            let most = values.iter().map(|(value, _)| *value).fold(0.0, f64::max);
            assert!((scale - f64::from(most > 0.0)).abs() < 2e-4, "{program:?} column {column}");
            for (value, bar) in values {
                assert!(most == 0.0 || (bar - 100.0 * value / most).abs() < 0.02, "{program:?} column {column}");
            }
        }
    }
}

/// Left, top, right and bottom of each box of the graph.
fn boxes(page: &Document<'_>) -> Vec<[f64; 4]> {
    let groups = page.descendants().filter(|node| class(*node).starts_with("box "));
    groups
        .map(|group| {
            let numbers = group.attribute("transform").unwrap().trim_start_matches("translate(").trim_end_matches(')');
            let [x, y]: [f64; 2] =
                numbers.split(' ').map(|n| n.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
            let rect = group.children().find(|node| node.has_tag_name("rect")).unwrap();
            let [w, h] = ["width", "height"].map(|side| rect.attribute(side).unwrap().parse::<f64>().unwrap());
            [x, y, x + w, y + h]
        })
        .collect()
}

#[test]
fn the_page_draws_every_line_and_nothing_over_another() {
    for program in PROGRAMS {
        let html = report(program, "html");
        let page = parse(&html);
        let boxes = boxes(&page);
        for (at, [left, top, right, bottom]) in boxes.iter().enumerate() {
            for [l, t, r, b] in &boxes[..at] {
                assert!(right <= l || r <= left || bottom <= t || b <= top, "{program:?}: boxes overlap");
            }
        }
        let drawn: Vec<String> = page
            .descendants()
            .filter_map(|node| node.attribute("data-rows"))
            .flat_map(|rows| rows.split(' ').map(|row| format!("line{row}")).collect::<Vec<_>>())
            .collect();
        for row in rows(section(&page, "lines")) {
            let id = row.attribute("id").unwrap();
            assert!(drawn.iter().any(|other| other == id), "{program:?}: {id} has no box");
        }
        let edges = page.descendants().filter(|node| class(*node) == "edge").count();
        assert!(edges + 1 >= boxes.len() / 2, "{edges} edges between {} boxes", boxes.len());
        // Each lane's pieces follow one another.
        for svg in page.descendants().filter(|node| class(*node) == "rounds") {
            let mut ends: BTreeMap<&str, f64> = BTreeMap::new();
            for rect in svg.children().filter(|node| ["busy", "wait"].contains(&class(*node))) {
                let [x, width] = ["x", "width"].map(|side| rect.attribute(side).unwrap().parse::<f64>().unwrap());
                let end = ends.entry(rect.attribute("y").unwrap()).or_default();
                // Very short pieces are drawn a little wider than they are.
                assert!(x >= *end - 0.45, "{program:?}: {x} before {end}");
                assert!(x + width <= 1101.0);
                *end = x + width;
            }
            assert_eq!(ends.len(), 3, "a lane for each party");
        }
    }
}

/// A browser reads the same document. Without one there is nothing to look at.
#[test]
fn a_browser_reads_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let html = report(PROGRAMS[0], "html");
    std::fs::write(&path, &html).unwrap();
    let browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output();
    let Ok(output) = browser else { return };
    let seen = String::from_utf8_lossy(&output.stdout);
    for tag in ["<tr", "<td", "<rect", "<path", "<text", "<section", "<i "] {
        assert_eq!(seen.matches(tag).count(), html.matches(tag).count(), "{tag}");
    }
}

fn seconds(spent: &Value) -> f64 {
    spent["compute"].as_f64().unwrap() + spent["network"].as_f64().unwrap()
}

#[test]
fn a_profile_adds_up_and_a_trace_has_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    let program = "examples/small_digits/small_digits.sml";
    let out = smlc(&[
        "run",
        program,
        "--take",
        "3",
        "--batch",
        "2",
        "--net",
        "1ms,100Mb",
        "--profile",
        "--format",
        "json",
        "--trace",
        trace.to_str().unwrap(),
    ]);
    let json: Value = serde_json::from_str(&out).unwrap();
    let profile = &json["profile"];
    for which in ["measured", "predicted"] {
        let all = profile[which]["seconds"].as_f64().unwrap();
        for key in ["lines", "rounds"] {
            let parts: f64 = profile[key].as_array().unwrap().iter().map(|part| seconds(&part[which])).sum();
            assert!((parts - all).abs() < 1e-3 * all + 1e-6, "{which} {key}: {parts} of {all}");
        }
        assert!((seconds(&profile[which]) - all).abs() < 1e-3 * all + 1e-6);
    }
    check_trace(&trace, json["rounds"].as_u64().unwrap());
}

/// Both runs' rounds are there, no two slices of a track overlap, and each message has a start and an end.
fn check_trace(path: &Path, rounds: u64) {
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let mut tracks: BTreeMap<(u64, u64), Vec<(f64, f64)>> = BTreeMap::new();
    let mut flows: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let (mut computed, mut sent) = (0, 0);
    for event in events {
        let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        match event["ph"].as_str().unwrap() {
            "X" => {
                let (ts, dur) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
                assert!(dur >= 0.0);
                computed += usize::from(event["cat"] == "compute");
                sent += usize::from(event["cat"] == "network");
                if event["cat"] == "compute" {
                    assert!(event["name"].as_str().unwrap().contains("small_digits.sml:"), "{event}");
                }
                // Messages of a link overlap: one is in flight as the next leaves.
                if event["cat"] != "network" {
                    tracks.entry(track).or_default().push((ts, ts + dur));
                }
            }
            phase @ ("s" | "f") => flows.entry(event["id"].as_u64().unwrap()).or_default().push(phase),
            other => assert_eq!(other, "M"),
        }
    }
    assert_eq!(tracks.len(), 3);
    for slices in tracks.values() {
        assert!(slices.windows(2).all(|pair| pair[1].0 >= pair[0].1 - 1e-3), "slices overlap");
    }
    assert!(flows.values().all(|phases| phases == &["s", "f"]));
    assert_eq!(flows.len(), sent);
    assert!(computed > 0 && sent as u64 >= rounds);
}

#[test]
fn a_plan_made_for_a_network_takes_no_longer_over_it() {
    let report = |net: &str, made_for: &[&str]| -> (f64, u64, u64) {
        let program = ["examples/lenet_wide.sml", "--dim", "N=1", "--machine", "built-in", "--net", net];
        let report: Value = serde_json::from_str(&report(&[&program, made_for].concat(), "json")).unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        (
            report["predictions"][0]["seconds"].as_f64().unwrap(),
            number(&report["rounds"]),
            number(&report["bytes_total"]),
        )
    };
    for net in ["datacentre", "lan", "wan", "1ms,1Gb", "200ms,10Mb"] {
        let made = report(net, &["--for", net]);
        for spare in ["rounds", "bytes"] {
            let other = report(net, &["--spare", spare]);
            assert!(made.0 <= other.0, "{net}: {made:?}, {other:?}");
        }
    }
    let (far, near) = (report("wan", &["--for", "wan"]), report("wan", &["--for", "datacentre"]));
    assert!(far.1 < near.1 && far.2 > near.2 && far.0 < 0.95 * near.0, "{far:?}, {near:?}");
}

#[test]
fn a_benchmark_runs_what_the_plan_costs() {
    let program = ["examples/lenet.sml", "--dim", "N=2"];
    let cost: Value = serde_json::from_str(&report(&program, "json")).unwrap();
    let bench: Value =
        serde_json::from_str(&smlc(&[&["bench"], &program[..], &["--repeat", "2", "--format", "json"]].concat()))
            .unwrap();
    for field in ["rounds", "bytes_total"] {
        assert_eq!(bench[field], cost[field], "{field}");
    }
    let number = |field: &str| bench[field].as_f64().unwrap();
    assert!(0.0 < number("seconds_least") && number("seconds_least") <= number("seconds_median"));
    // The results are those of the plaintext, and not all 0.
    assert!(number("error") < 0.001 && number("largest") > 0.01, "{bench}");
}
