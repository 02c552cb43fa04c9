//! Whole operations, three parties on this machine on shares that they have: from asking for a run to having the result.

use std::collections::BTreeMap;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use smlc::graph;
use smlc::hir;
use smlc::pass;
use smlc::plan::lower::{self, Options};
use smlc::run::RunError;
use smlc::run::local;
use smlc::span::Sources;

/// Programs with their work, in elements or multiply-adds. What one owner knows alone would be computed by that owner.
const PROGRAMS: [(&str, u64, &str); 5] = [
    (
        "relu of 1M",
        1 << 20,
        "use nn::relu;\nentry f(x: fix[1048576] from a, y: fix[1048576] from b) -> fix[1048576] to a { relu(x + y) }",
    ),
    (
        "product of 1M, truncated",
        1 << 20,
        "entry f(x: fix[1048576] from a, y: fix[1048576] from b) -> fix[1048576] to a { x * y }",
    ),
    (
        "max_pool 3x3/2 of 64x112x112",
        64 * 112 * 112,
        "use nn::max_pool;\nentry f(x: fix[1, 64, 112, 112] from a, y: fix[1, 64, 112, 112] from b) -> fix[1, 64, 55, 55] to a { max_pool(x + y, 3, stride = 2) }",
    ),
    (
        "matmul 1024x1024x1024, truncated",
        1 << 30,
        "entry f(x: fix[1024, 1024] from a, y: fix[1024, 1024] from b) -> fix[1024, 1024] to a { matmul(x, y) }",
    ),
    (
        "conv 3x3 64 to 64 at 56x56, with relu",
        64 * 64 * 9 * 56 * 56,
        "use nn::{Conv, conv2d, relu};\nentry f(x: fix[1, 64, 56, 56] from a, c: Conv[64, 64, 3] from b) -> fix[1, 64, 56, 56] to a { x |> conv2d(c, pad = 1) |> relu }",
    ),
];

fn protocols(c: &mut Criterion) {
    for (name, work, program) in PROGRAMS {
        let mut sources = Sources::default();
        let text = format!("owners a, b;\nfixed(int = 16, frac = 16);\n{program}\n");
        let file = sources.add(format!("{name}.sml"), text);
        let mut diags = Vec::new();
        let program = hir::check(&mut sources, file, &mut diags);
        assert!(diags.is_empty(), "{}", smlc::diag::render::render(&diags, &sources, false));
        let program = program.expect("a program without mistakes");
        let mut graph = graph::lower::lower(&program, "f", &BTreeMap::new(), &mut diags).expect("there is an entry");
        pass::run(&mut graph, None, &[]).expect("passes keep the rules");
        let plan = lower::lower(&graph, &sources, Options::default());
        let tensor = |(id, path): (_, &str)| {
            let len = graph.node(id).ty.shape.iter().product::<usize>();
            (path.to_string(), (0..len).map(|i| (i * 7 % 100) as f64 / 100.0 - 0.5).collect::<Vec<f64>>())
        };
        let data = graph.inputs().map(tensor).collect();
        let mut group = c.benchmark_group("protocols");
        group.throughput(Throughput::Elements(work)).sample_size(10).measurement_time(Duration::from_secs(4));
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let runs = u32::try_from(times).expect("not so many runs") + 1;
                let all = local::parties(&plan, &Default::default(), runs, None, &|_| {}, None, |client| {
                    client.submit(&data, |_| true)?;
                    // The first run finds memory that was never touched.
                    client.run()?;
                    (1..runs).map(|_| Ok(client.run()?.run)).sum::<Result<Duration, RunError>>()
                });
                all.expect("the data fit")
            });
        });
        group.finish();
    }
}

criterion_group!(benches, protocols);
criterion_main!(benches);
