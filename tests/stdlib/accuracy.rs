//! The manual's page on accuracy: errors that three parties make over whole domains, with rounds and bytes. Shares and keys are the
//! same in every run, so the page is; `SMLC_BLESS=1 cargo test --test stdlib page` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use smlc::backend::StreamKey;
use smlc::graph::NodeId;
use smlc::plan::{Party, Plan, cost};
use smlc::run::owner;

use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Runs a plan with the same shares and keys every time.
fn run_alike(plan: &Plan, data: &Data) -> Vec<f64> {
    let mut random = Random(7);
    let clear = owner::clear_graph(plan).unwrap();
    let mut loads = lockstep::Loads::default();
    for input in &plan.inputs {
        let words = eval::encoded(&clear, data, NodeId::new(input.node as usize)).unwrap();
        let parts: [Vec<u64>; 2] = [(); 2].map(|()| words.iter().map(|_| random.next() & plan.format.mask()).collect());
        let last = words.iter().enumerate().map(|(i, w)| w.wrapping_sub(parts[0][i]).wrapping_sub(parts[1][i]));
        let last = last.map(|w| w & plan.format.mask()).collect();
        let [first, second] = parts;
        let shares = [first, second, last];
        for party in Party::ALL {
            for part in 0..2u8 {
                let share = shares[party.plus(part).index()].clone();
                loads[party.index()].push((input.bufs[usize::from(part)][party.index()], share));
            }
        }
    }
    let keys = [3u8, 4, 5].map(|byte| StreamKey([byte; 16]));
    let outcome = lockstep::execute(plan, lockstep::devices(&keys), loads, &mut |_, _, _, _| {}).unwrap();
    outcome.outputs["out"].clone()
}

/// What SPU 0.9.5 was measured to take for 65,536 numbers (ABY3, 64 bits, 18 of them fraction): messages of the busiest
/// party, bytes an element of all three, and its errors in words.
const SPU: &[(&str, usize, usize, &str)] = &[
    ("math::exp", 26, 444, "17 % up to 10, 5 % up to 5"),
    ("math::log", 42, 2524, "0.029 below 0.01, 3e-4 up to 1"),
    ("math::reciprocal", 51, 1337, "32 % from 100 on, 0.03 % up to 1"),
    ("math::rsqrt", 49, 1547, "1.4 % below 0.01, 0.03 % up to 1"),
    ("math::sigmoid", 76, 1779, "9e-4"),
    ("math::tanh", 0, 0, "4.9e-3"),
    ("nn::gelu", 63, 1108, "5.6e-3 up to 4, 0.027 up to 20"),
    ("nn::softmax", 135, 2004, "2.5e-3, 10 classes"),
];

fn spu(call: &str, domain: &str) -> String {
    match SPU.iter().find(|(name, ..)| *name == call && !domain.ends_with("00 classes")) {
        Some((_, 0, _, error)) => format!("| | | {error} |"),
        Some((_, rounds, bytes, error)) => format!("| {rounds} | {bytes} | {error} |"),
        None => "| | | |".to_string(),
    }
}

struct Row {
    call: &'static str,
    domain: String,
    errors: [f64; 3],
    rounds: usize,
    bytes: f64,
}

impl Row {
    fn print(&self, out: &mut String) {
        let Row { call, domain, errors: [low, middle, high], rounds, bytes } = self;
        let share = |x: &f64| if *x > 0.0 { format!("{:.1e}", x) } else { String::new() };
        writeln!(
            out,
            "| `{call}` | {domain} | {:.1e} | {} | {} | {rounds} | {bytes:.0} {}",
            low,
            share(middle),
            share(high),
            spu(call, domain)
        )
        .unwrap();
    }
}

/// A function of one number: the largest error where the result is below 1 (absolute), up to 64 and above (relative).
fn row(promise: &Promise) -> Row {
    let format = FORMATS[0];
    let text = format!("entry f[N](x: fix[N] from a, y: fix[N] from b) -> fix[N] to a {{ {}(x + y) }}", promise.call);
    let xs = within(promise, format, 4_000);
    let (graph, sources) = compile(format, &text, &[("N", xs.len())]);
    let plan = lower::lower(&graph, &sources, lower::Options::default());
    let data = Data::from([("y".into(), vec![0.0; xs.len()]), ("x".into(), xs.clone())]);
    let mut errors = [0f64; 3];
    for (x, found) in xs.iter().zip(run_alike(&plan, &data)) {
        let exact = (promise.exact)(*x);
        let (at, error) = match exact.abs() {
            y if y < 1.0 => (0, (found - exact).abs()),
            y if y < 64.0 => (1, (found / exact - 1.0).abs()),
            _ => (2, (found / exact - 1.0).abs()),
        };
        errors[at] = errors[at].max(error);
    }
    let cost = cost::cost(&plan);
    let bytes = cost.bytes_total as f64 / xs.len() as f64;
    let number = |x: f64| match x {
        x if x <= f64::MIN => "all".to_string(),
        x if x >= f64::MAX => "all".to_string(),
        0.0 => "0".to_string(),
        x => format!("{x}"),
    };
    let [low, high] = promise.domain.map(number);
    let domain = if low == "all" && high == "all" {
        low
    } else {
        if low == "all" { format!("up to {high}") } else { format!("{low} to {high}") }
    };
    Row { call: promise.call, domain, errors, rounds: cost.rounds, bytes }
}

/// Softmax of rows of several widths, scattered and nearly equal: absolute errors.
fn softmax_row(width: usize) -> Row {
    let format = FORMATS[0];
    let mut xs = rows(pow2(-16), width, 30.0);
    xs.truncate(40);
    let text = format!(
        "entry f[N](x: fix[N, {width}] from a, y: fix[N, {width}] from b) -> fix[N, {width}] to a {{ nn::softmax(x + y) }}"
    );
    let (graph, sources) = compile(format, &text, &[("N", xs.len())]);
    let plan = lower::lower(&graph, &sources, lower::Options::default());
    let data = Data::from([("y".into(), vec![0.0; xs.len() * width]), ("x".into(), xs.concat())]);
    let found = run_alike(&plan, &data);
    let mut worst = 0f64;
    for (x, found) in xs.iter().zip(found.chunks_exact(width)) {
        for (y, wanted) in found.iter().zip(softmax(x)) {
            worst = worst.max((y - wanted).abs());
        }
    }
    assert!(worst < pow2(-9), "softmax of {width} classes errs by {worst}");
    let cost = cost::cost(&plan);
    let bytes = cost.bytes_total as f64 / (xs.len() * width) as f64;
    Row {
        call: "nn::softmax",
        domain: format!("{width} classes"),
        errors: [worst, 0.0, 0.0],
        rounds: cost.rounds,
        bytes,
    }
}

#[test]
fn the_page_on_accuracy() {
    let mut page = String::from(
        "<!-- Made by tests/stdlib; do not edit. `SMLC_BLESS=1 cargo test --test stdlib page` writes it anew. -->\n\n\
         # Accuracy\n\n\
         What the library's functions were found to err by in runs of three parties, over their whole domains: every power of two of the\n\
         format with its neighbours, an even and a geometric sweep. The format is `fixed(int = 16, frac = 16)`, whose step is\n\
         1.5e-5. The bounds that the functions promise stand in the [library](stdlib.md); `tests/stdlib` holds them to those in three formats.\n\n\
         Errors are absolute where the result is below 1, else relative. Bytes are an element's, of all three parties together; of softmax, a class's.\n\n\
         Beside them stand figures of SecretFlow SPU 0.9.5 (ABY3, 64 bits, 18 of them fraction bits, its defaults; 65,536 numbers, softmax\n\
         128 x 10), measured on one machine in 2026: messages that the busiest party sent, bytes an element of all three, and errors found.\n\n\
         | function | domain | below 1 | 1 to 64 | above | rounds | bytes | SPU: messages | bytes | error |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let rows: Vec<Row> = PROMISES.iter().map(row).chain([10, 100, 1000].map(softmax_row)).collect();
    rows.iter().for_each(|row| row.print(&mut page));
    for (call, rounds, bytes, _) in SPU.iter().filter(|(_, rounds, ..)| *rounds > 0) {
        let ours = rows.iter().find(|row| row.call == *call).unwrap();
        assert!(
            ours.rounds < *rounds && ours.bytes < *bytes as f64,
            "{call}: {} rounds, {} bytes",
            ours.rounds,
            ours.bytes
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/accuracy.md");
    if std::env::var_os("SMLC_BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page, "docs/src/accuracy.md is stale: bless it");
}
