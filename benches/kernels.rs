//! Throughput of the processor's kernels. Elements a second are multiply-adds for products, words for the rest. Products are
//! measured with each instruction set that the processor has, the best one first.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use smlc::backend::cpu::{Cpu, Isa, register_loop, tile_loop};
use smlc::backend::{Backend, Launch, StreamKey};
use smlc::graph::Window;
use smlc::plan::layout::Layout;
use smlc::plan::{Access, Buf, BufId, Instr, Kernel, Operand, Party, Product, Program, Reg, Stream};
use smlc::run::kernels::truncation;

/// A launch of `kernel` at P0 on ring operands and results of these lengths.
fn launch(c: &mut Criterion, name: &str, work: usize, kernel: &Kernel, streams: &[Stream], ins: &[Buf], outs: &[Buf]) {
    launch_on(c, Isa::available()[0], name, work, kernel, streams, (ins, Access::Dense, outs));
}

/// A launch of a product, which takes so many multiply-adds, with each instruction set.
fn products(c: &mut Criterion, name: &str, work: usize, kernel: &Kernel, ins: [usize; 2], out: usize) {
    for isa in Isa::available() {
        let name = format!("{name}, {}", isa.name());
        launch_on(c, isa, &name, work, kernel, &[], (&ins.map(ring), Access::Dense, &[ring(out)]));
    }
}

/// A product whose second factor stays for all launches, as weights do.
fn product(product: Product) -> Kernel {
    Kernel::ProductOfSums(product, [[1, 0]; 2])
}

/// A launch with an instruction set, of operands that are addressed in such a way.
fn launch_on(
    c: &mut Criterion,
    isa: Isa,
    name: &str,
    work: usize,
    kernel: &Kernel,
    streams: &[Stream],
    (ins, access, outs): (&[Buf], Access, &[Buf]),
) {
    let mut device = Cpu::with_isa(Party(0), &[StreamKey([1; 16]), StreamKey([2; 16])], isa);
    let bufs: Vec<Buf> = ins.iter().chain(outs).cloned().collect();
    // As weights are in a network: packed in the first launch, if that pays.
    device.reserve(Layout::apart(&bufs).with_factors(vec![false, true])).expect("there is memory");
    for id in 0..ins.len() as u32 {
        let fill = &mut |words: &mut [u64]| {
            words.iter_mut().zip(0u64..).for_each(|(word, i)| *word = i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        };
        device.write(BufId(id), fill).expect("the buffer has a place");
    }
    let first_out = ins.len() as u32;
    let operands: Vec<_> = (0..first_out).map(|id| Operand { buf: BufId(id), access }).collect();
    let results: Vec<_> = (first_out..bufs.len() as u32).map(BufId).collect();
    let mut group = c.benchmark_group("kernels");
    group.throughput(Throughput::Elements(work as u64)).sample_size(20);
    group.bench_function(name, |b| {
        b.iter(|| {
            let launch = Launch { kernel, ins: &operands, streams, outs: &results, bufs: &bufs, site: Some(0) };
            device.launch(launch).expect("the launch fits its buffers");
        });
    });
    group.finish();
}

fn ring(len: usize) -> Buf {
    Buf::ring(Party(0), len, 64)
}

fn planes(len: usize, planes: usize) -> Buf {
    Buf::bits(Party(0), len, planes)
}

/// What products are measured against.
fn alone(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernels");
    group.sample_size(20);
    for isa in Isa::available() {
        if let Some(work) = tile_loop(isa, 250) {
            group.throughput(Throughput::Elements(work as u64));
            group.bench_function(format!("loop over tiles of limbs alone, {}", isa.name()), |b| {
                b.iter(|| tile_loop(isa, 250));
            });
            continue;
        }
        group.throughput(Throughput::Elements(register_loop(isa, 1000) as u64));
        group.bench_function(format!("register loop alone, {}", isa.name()), |b| b.iter(|| register_loop(isa, 1000)));
    }
    group.finish();
}

fn matmul(c: &mut Criterion) {
    for [m, k, n] in [
        [512, 512, 512],
        [1024, 1024, 1024],
        [64, 576, 3136],
        [67, 131, 257],
        [1, 1024, 1024],
        [1024, 1024, 1],
        [128, 784, 10],
        [4, 512, 512],
        [32, 4096, 1024],
        [128, 4096, 1024],
    ] {
        let kernel = product(Product::MatMul { batch: 1, m, k, n });
        let name = format!("matmul {m}x{k}x{n}");
        products(c, &name, m * k * n, &kernel, [m * k, k * n], m * n);
    }
    for [m, k, n] in [[1024; 3], [32, 4096, 1024], [128, 4096, 1024]] {
        let kernel = Kernel::Product(Product::MatMul { batch: 1, m, k, n });
        let name = format!("matmul of {m}x{k} and {k}x{n}, both new");
        products(c, &name, m * k * n, &kernel, [m * k, k * n], m * n);
    }
    let (batch, m, k, n) = (64, 16, 32, 16);
    let kernel = Kernel::Product(Product::MatMul { batch, m, k, n });
    let ins = [batch * m * k, batch * k * n];
    products(c, "matmul 64 times 16x32x16", batch * m * k * n, &kernel, ins, batch * m * n);
}

fn conv(c: &mut Criterion) {
    let shapes = [
        ("3x3 64 to 64 at 56x56", [1, 64, 56, 56], 64, 3, 1, 1, 1),
        ("3x3 128 to 128 at 28x28", [1, 128, 28, 28], 128, 3, 1, 1, 1),
        ("3x3 256 to 256 at 14x14", [1, 256, 14, 14], 256, 3, 1, 1, 1),
        ("7x7 3 to 64 at 224x224, stride 2", [1, 3, 224, 224], 64, 7, 2, 3, 1),
        ("3x3 512 to 512 at 7x7", [1, 512, 7, 7], 512, 3, 1, 1, 1),
        ("3x3 128 to 128 at 56x56, stride 2", [1, 128, 56, 56], 128, 3, 2, 1, 1),
        ("3x3 256 to 256 at 28x28, stride 2", [1, 256, 28, 28], 256, 3, 2, 1, 1),
        ("3x3 512 to 512 at 14x14, stride 2", [1, 512, 14, 14], 512, 3, 2, 1, 1),
        ("1x1 64 to 64 at 56x56", [1, 64, 56, 56], 64, 1, 1, 0, 1),
        ("1x1 256 to 64 at 56x56", [1, 256, 56, 56], 64, 1, 1, 0, 1),
        ("1x1 64 to 256 at 56x56", [1, 64, 56, 56], 256, 1, 1, 0, 1),
        ("1x1 512 to 128 at 28x28", [1, 512, 28, 28], 128, 1, 1, 0, 1),
        ("1x1 1024 to 256 at 14x14", [1, 1024, 14, 14], 256, 1, 1, 0, 1),
        ("1x1 512 to 2048 at 7x7", [1, 512, 7, 7], 2048, 1, 1, 0, 1),
        ("1x1 256 to 512 at 56x56, stride 2", [1, 256, 56, 56], 512, 1, 2, 0, 1),
        ("3x3 depthwise 128 at 56x56", [1, 128, 56, 56], 128, 3, 1, 1, 128),
    ];
    for (name, [n, ch, h, w], o, size, stride, pad, groups) in shapes {
        let window = Window::new([size; 2], [stride; 2], [pad; 2]);
        let [oh, ow] = window.output(h, w).expect("the window fits");
        let kernel = product(Product::Conv2d { n, c: ch, h, w, o, window, groups });
        let weights = o * (ch / groups) * size * size;
        let work = n * oh * ow * weights;
        products(c, &format!("conv {name}"), work, &kernel, [n * ch * h * w, weights], n * o * oh * ow);
    }
}

fn elements(c: &mut Criterion) {
    let len = 1 << 20;
    for bits in [64, 48, 32, 16] {
        let code = vec![Instr::Prf { stream: 0, plane: 0 }, Instr::Out { output: 0, plane: 0, value: Reg(0) }];
        let kernel = Kernel::from(Program { name: "stream".into(), planes: false, code });
        let streams = [Stream { key: 0, id: 0, bits }];
        launch(c, &format!("stream of {bits} bits"), len, &kernel, &streams, &[], &[ring(len)]);
    }
    for count in [64, 32] {
        let (kernel, access) = (Kernel::from(Program::planes(count)), Access::Bits { add: 1 << 16, from: 0 });
        let (isa, out) = (Isa::available()[0], planes(len, usize::from(count)));
        launch_on(c, isa, &format!("planes {count}"), len, &kernel, &[], (&[ring(len)], access, &[out]));
    }
    let code = truncation();
    let kernel = Kernel::from(Program { name: "trunc.first".into(), planes: false, code: code.clone() });
    let stream = |key, id, bits| Stream { key, id, bits };
    let streams = [stream(0, 1, 64), stream(1, 1, 64), stream(1, 2, 64), stream(1, 3, 16)];
    launch(c, "map truncation", len, &kernel, &streams, &[ring(len)], &[ring(len), ring(len)]);
    let mut dry = code;
    for instr in &mut dry {
        if let Instr::Prf { .. } = instr {
            *instr = Instr::In { input: 0, plane: 0 };
        }
    }
    let kernel = Kernel::from(Program { name: "trunc.dry".into(), planes: false, code: dry });
    launch(c, "map truncation without streams", len, &kernel, &[], &[ring(len)], &[ring(len), ring(len)]);
}

criterion_group!(kernels, alone, matmul, conv, elements);
criterion_main!(kernels);
