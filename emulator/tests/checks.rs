//! What the emulator must report: for each check a kernel that breaks the rule and one that keeps it.

use ptx_emulator::{Error, Fault, Launch, Memory, Module, Report, Stats};

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

/// Runs code in blocks of threads. `%o` is a buffer of 1024 bytes, `%t` the thread, `%s` four times the thread, `room`
/// 512 bytes of shared memory, `%lane` the lane.
fn run_with(code: &str, threads: u32, unwritten: bool) -> Result<Vec<u64>, Error> {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 out)\n{{
.reg .pred %p, %q; .reg .b32 %t, %s, %lane, %w<9>; .reg .b64 %o, %x<9>;
.shared .align 16 .b8 room[512];
ld.param.u64 %o, [out]; mov.u32 %t, %tid.x; mul.lo.u32 %s, %t, 4; mov.u32 %lane, %laneid;
{code}
}}\n"
    );
    let module = Module::parse(&text)?;
    let mut out = vec![7_u64; 128];
    let mut memory = Memory::default();
    let address = if unwritten { memory.add_unwritten(&mut out) } else { memory.add(&mut out) };
    let mut launch = Launch { module: &module, mem: &memory, reverse: false, stats: Stats::default() };
    launch.run("k", [1, 1, 1], [threads, 1, 1], 0, &[address])?;
    Ok(out)
}

fn run(code: &str) -> Result<Vec<u64>, Error> {
    run_with(code, 64, false)
}

/// The fault of code that must have one.
fn fault(code: &str) -> Report {
    match run(code) {
        Err(Error::Fault(report)) => *report,
        other => panic!("{code}: {other:?}"),
    }
}

fn passes(code: &str) {
    run(code).unwrap_or_else(|error| panic!("{code}: {error}"));
}

/// The reason why text is refused.
fn refused(code: &str) -> String {
    match run(code) {
        Err(Error::Text { why, .. }) => why,
        other => panic!("{code}: {other:?}"),
    }
}

#[test]
fn bounds_and_alignment() {
    passes("st.global.u64 [%o+1016], 1;");
    let report = fault("setp.eq.u32 %p, %t, 37;\n@%p st.global.u64 [%o+1024], 1;");
    assert!(matches!(report.fault, Fault::OutOfBounds { access: "store", space: "global", size: 8, .. }));
    assert_eq!(
        (report.thread, report.block, report.text.as_str()),
        (Some([37, 0, 0]), [0; 3], "@%p st.global.u64 [%o+1024], 1;")
    );
    let text = Error::Fault(Box::new(report)).to_string();
    assert!(
        text.starts_with("kernel `k`, block (0, 0, 0), thread (37, 0, 0): out-of-bounds store of 8 bytes"),
        "{text}"
    );
    for (code, space) in [
        ("ld.global.u64 %x1, [%o+-8];", "global"),
        ("mov.u64 %x2, 64; ld.u64 %x1, [%x2];", "global"),
        ("ld.shared.u32 %w1, [room+512];", "shared"),
        ("st.shared.v2.u64 [room+512], {%o, %o};", "shared"),
        ("mov.u64 %x1, room; cvta.shared.u64 %x1, %x1; st.u32 [%x1+512], %t;", "shared"),
        // A generic address cut to 32 bits is none of shared memory.
        ("mov.u64 %x1, room; cvta.shared.u64 %x1, %x1; cvt.u32.u64 %w1, %x1; st.shared.u32 [%w1], %t;", "shared"),
        ("{ .local .b32 l[4]; ld.local.u32 %w1, [l+16]; }", "local"),
        ("atom.global.add.u64 %x1, [%o+1024], 1;", "global"),
        ("cp.async.ca.shared.global [room+512], [%o], 4;", "shared"),
        ("cp.async.cg.shared.global [room], [%o+1024], 16;", "global"),
    ] {
        let found = fault(code).fault;
        let Fault::OutOfBounds { space: named, .. } = found else { panic!("{code}: {found}") };
        assert_eq!(named, space, "{code}");
    }
    for code in [
        "ld.global.u64 %x1, [%o+4];",
        "ld.global.v2.u64 {%x1, %x2}, [%o+8];",
        "st.global.v4.u32 [%o+8], {%t, %t, %t, %t};",
        "st.shared.u32 [room+2], %t;",
        "red.global.add.u32 [%o+2], 1;",
        "cp.async.cg.shared.global [room+8], [%o], 16;",
        "cp.async.cg.shared.global [room], [%o+8], 16;",
    ] {
        assert!(matches!(fault(code).fault, Fault::Misaligned { .. }), "{code}");
    }
}

#[test]
fn bytes_that_nothing_has_written() {
    assert!(matches!(fault("ld.shared.u32 %w1, [room];").fault, Fault::Uninitialised { space: "shared", address: 0 }));
    assert!(matches!(
        fault("setp.eq.u32 %p, %t, 0; @%p st.shared.u8 [room+4], %t; bar.sync 0; ld.shared.u32 %w1, [room+4];").fault,
        Fault::Uninitialised { space: "shared", address: 5 }
    ));
    assert!(matches!(
        fault("{ .local .b32 l[4]; st.local.u32 [l], %t; ld.local.u32 %w1, [l+4]; }").fault,
        Fault::Uninitialised { space: "local", .. }
    ));
    let read = "ld.global.u32 %w1, [%o];";
    passes(read);
    assert!(run_with(read, 1, true).unwrap_err().to_string().contains("which nothing has written"));
    run_with("st.global.u32 [%o], 1; ld.global.u32 %w1, [%o];", 1, true).unwrap();
    assert!(run_with("st.global.u32 [%o], 1; ld.global.u64 %x1, [%o];", 1, true).is_err());
    assert!(run_with("red.global.add.u64 [%o], 1;", 1, true).is_err());
    let copy = "cp.async.ca.shared.global [room], [%o], 4; cp.async.wait_all;";
    run_with(copy, 1, false).unwrap();
    assert!(run_with(copy, 1, true).is_err());
}

#[test]
fn races_in_shared_memory() {
    let neighbour =
        "add.u32 %w1, %s, 4; and.b32 %w1, %w1, 255; mov.u32 %w2, room; add.u32 %w1, %w1, %w2; add.u32 %w2, %s, %w2;";
    let with = |between: &str| format!("{neighbour} st.shared.u32 [%w2], %t; {between} ld.shared.u32 %w3, [%w1];");
    passes(&with("bar.sync 0;"));
    assert!(matches!(fault(&with("")).fault, Fault::Race { .. } | Fault::Uninitialised { .. }));
    let own = format!("{neighbour} st.shared.u32 [%w2], %t; ld.shared.u32 %w3, [%w2];");
    passes(&own);
    // Within a warp, the warp's own ordering is enough; across warps it is not.
    let half = with("bar.warp.sync 0xffffffff;").replace("and.b32 %w1, %w1, 255", "xor.b32 %w1, %s, 4");
    passes(&half);
    let across = with("bar.warp.sync 0xffffffff;").replace("and.b32 %w1, %w1, 255", "xor.b32 %w1, %s, 128");
    assert!(matches!(fault(&across).fault, Fault::Race { .. } | Fault::Uninitialised { .. }));
    // Reads before a write of another.
    let late =
        format!("{neighbour} st.shared.u32 [%w2], %t; bar.sync 0; ld.shared.u32 %w3, [%w1]; st.shared.u32 [%w2], %t;");
    assert!(matches!(fault(&late).fault, Fault::Race { now: "writes", .. }));
    passes(&late.replace("st.shared.u32 [%w2], %t;", "bar.sync 0; st.shared.u32 [%w2], %t;"));
    // Neighbouring bytes are nobody else's.
    passes("mov.u32 %w1, room; add.u32 %w1, %w1, %t; st.shared.u8 [%w1], %t;");
    assert!(matches!(fault("st.shared.u8 [room], %t;").fault, Fault::Race { byte: 0, .. }));
    // Atomics may meet each other, but no plain access.
    let zero = "setp.eq.u32 %p, %t, 0; @%p st.shared.u32 [room], 0; bar.sync 0; red.shared.add.u32 [room], 1;";
    let out = run(&format!("{zero} bar.sync 0; ld.shared.u32 %w1, [room]; @%p st.global.u32 [%o], %w1;")).unwrap();
    assert_eq!(out[0] as u32, 64);
    assert!(matches!(fault(&format!("{zero} ld.shared.u32 %w1, [room];")).fault, Fault::Race { .. }));
}

#[test]
fn barriers() {
    passes("bar.sync 0; barrier.sync 1;");
    let report = fault("setp.lt.u32 %p, %t, 32; @%p bra A; bar.sync 0; bra B; A: bar.sync 0; B:");
    assert!(matches!(report.fault, Fault::Barrier(_)), "{report}");
    assert!(matches!(fault("setp.eq.u32 %p, %lane, 0; @%p bar.sync 0; bar.sync 0;").fault, Fault::Barrier(_)));
    assert!(matches!(fault("setp.eq.u32 %p, %t, 5; @%p ret; bar.sync 0;").fault, Fault::Barrier(_)));
    assert!(matches!(fault("setp.lt.u32 %p, %t, 32; @%p ret; bar.sync 0;").fault, Fault::Barrier(_)));
    assert!(matches!(fault("and.b32 %w1, %t, 32; shr.u32 %w1, %w1, 5; bar.sync %w1;").fault, Fault::Barrier(_)));
    assert!(
        refused("bar.sync 0, 32;").contains("not modelled") && refused("bar.arrive 0, 64;").contains("not modelled")
    );
}

#[test]
fn lanes_that_are_not_there() {
    passes("shfl.sync.idx.b32 %w1, %t, 0, 0x1f, 0xffffffff;");
    // Lanes that branched apart meet again, wherever they wait.
    passes(
        "setp.lt.u32 %p, %lane, 16; @%p bra A; add.u32 %w2, %t, 1; A: shfl.sync.idx.b32 %w1, %t, 0, 0x1f, 0xffffffff;",
    );
    passes("setp.lt.u32 %p, %lane, 16; @%p shfl.sync.idx.b32 %w1, %t, 0, 0x1f, 0xffff;");
    for code in [
        "setp.lt.u32 %p, %lane, 16; @%p shfl.sync.idx.b32 %w1, %t, 0, 0x1f, 0xffffffff;",
        "shfl.sync.idx.b32 %w1, %t, 0, 0x1f, 0xffff;",
        "setp.lt.u32 %p, %lane, 16; @%p shfl.sync.idx.b32 %w1, %t, 20, 0x1f, 0xffff;",
        "setp.lt.u32 %p, %lane, 16; mov.u32 %w1, 0xffff; @!%p mov.u32 %w1, -1; vote.sync.ballot.b32 %w2, %p, %w1;",
        "setp.eq.u32 %p, %lane, 3; @%p ret; shfl.sync.idx.b32 %w1, %t, 3, 0x1f, 0xffffffff;",
        "setp.eq.u32 %p, %lane, 3; @%p ret; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%w1}, [room];",
        "setp.eq.u32 %p, %lane, 3; @%p bar.warp.sync -1; bar.sync 0; bar.warp.sync -1;",
    ] {
        let found = fault(code).fault;
        assert!(matches!(found, Fault::Warp(_)), "{code}: {found}");
    }
}

#[test]
fn asynchronous_copies() {
    let copy = "mov.u32 %w1, room; add.u32 %w1, %w1, %s; mul.wide.u32 %x1, %t, 4; add.u64 %x1, %o, %x1;
        cp.async.ca.shared.global [%w1], [%x1], 4; cp.async.commit_group;";
    let with = |rest: &str| format!("{copy} {rest}");
    let out =
        run(&with("cp.async.wait_group 0; ld.shared.u32 %w2, [%w1]; add.u32 %w2, %w2, 1; st.global.u32 [%x1], %w2;"));
    assert_eq!(out.unwrap()[0], 1 << 32 | 8);
    assert!(matches!(fault(&with("ld.shared.u32 %w2, [%w1]; cp.async.wait_all;")).fault, Fault::InFlight(_)));
    assert!(matches!(fault(&with("cp.async.wait_group 1; ld.shared.u32 %w2, [%w1];")).fault, Fault::InFlight(_)));
    assert!(matches!(fault(&with("")).fault, Fault::CopiesLeft(1)));
    // What another thread copied needs a barrier, too.
    let other = "xor.b32 %w3, %s, 128; mov.u32 %w4, room; add.u32 %w3, %w3, %w4; ld.shared.u32 %w2, [%w3];";
    passes(&with(&format!("cp.async.wait_all; bar.sync 0; {other}")));
    assert!(run(&with(&format!("cp.async.wait_all; {other}"))).is_err());
    // Bytes past the valid ones are zero, and are not read.
    let zeros = "setp.eq.u32 %p, %t, 0; @%p cp.async.cg.shared.global [room], [%o+1008], 16, 8; cp.async.wait_all;
        @%p ld.shared.u64 %x1, [room+8]; @%p st.global.u64 [%o], %x1;";
    assert_eq!(run(zeros).unwrap()[0], 0);
    passes(&zeros.replace("1008], 16, 8", "1024], 16, 0"));
    assert!(run(&zeros.replace("1008], 16, 8", "1024], 16, 8")).is_err());
}

#[test]
fn what_threads_may_not_do() {
    assert!(matches!(fault("sub.u32 %w1, %t, 3; div.u32 %w2, %t, %w1;").fault, Fault::DivisionByZero));
    passes("setp.eq.u32 %p, %t, 3; sub.u32 %w1, %t, 3; @!%p div.u32 %w2, %t, %w1;");
    assert!(matches!(fault("setp.eq.u32 %p, %t, 3; @%p trap;").fault, Fault::Trap(_)));
}

#[test]
fn text_that_is_refused() {
    for (code, why) in [
        ("mov.u32 %w1, %clock;", "not declared"),
        ("mov.u32 %unknown, 1;", "not declared"),
        ("add.u32 %w9, %t, 1;", "not declared"),
        ("add.u64 %w1, %t, 1;", "expected 64"),
        ("add.u32 %x1, %t, 1;", "expected 32"),
        ("add.u64 %x1, %o, %t;", "operand of 32 bits"),
        ("st.global.u64 [%o], %t;", "operand of 32 bits"),
        ("ld.global.u64 %t, [%o];", "destination of 32 bits"),
        ("add.u32 %w1, %t;", "operands"),
        ("add.u32 %t, %p, 1;", "no register"),
        ("add.rz.f32 %w1, %t, %t;", "not handled"),
        ("mul.u32 %w1, %t, %t;", "not handled"),
        ("st.const.u32 [%o], %t;", "not written"),
        ("bra NOWHERE;", "no label"),
        ("ld.global.v4.u64 {%x1, %x2, %x3, %x4}, [%o];", "at most 16"),
        ("cp.async.cg.shared.global [room], [%o], 8;", "does not exist"),
        (
            "mma.sync.aligned.m16n8k16.row.col.s32.u8.u8.s32 {%w1,%w1,%w1,%w1}, {%w1,%w1}, {%w1}, {%w1,%w1,%w1,%w1};",
            "not modelled",
        ),
        ("atom.global.add.f32 %w1, [%o], %w1;", "not handled"),
        ("tcgen05.ld;", "not handled"),
        ("call nothing;", "no function"),
    ] {
        let found = refused(code);
        assert!(found.contains(why), "{code}: {found}");
    }
    let error =
        Module::parse(&format!("{HEAD}\n.visible .entry k()\n{{\n\tnonsense.u32 x;\n}}")).unwrap_err().to_string();
    assert_eq!(error, "PTX line 7: instruction nonsense.u32 is not handled: `nonsense.u32 x;`");
    for text in [
        "nonsense",
        ".visible .entry k() {",
        ".visible .entry k() { add.u32 }",
        ".visible .entry k() { .shared .b8 x[60000]; }",
    ] {
        assert!(Module::parse(&format!("{HEAD}{text}")).is_err(), "{text}");
    }
}

#[test]
fn launches_that_do_not_fit() {
    let text = format!(
        "{HEAD}.extern .shared .align 16 .b8 more[];\n.visible .entry k(.param .u64 a, .param .u32 b)\n.maxntid 64, 1, 1\n{{ ret; }}"
    );
    let module = Module::parse(&text).unwrap();
    let memory = Memory::default();
    let mut launch = Launch { module: &module, mem: &memory, reverse: false, stats: Stats::default() };
    launch.run("k", [1, 1, 1], [64, 1, 1], 0, &[1, 2]).unwrap();
    launch.run("k", [1, 1, 1], [64, 1, 1], 0, &[1, -1_i64 as u64]).unwrap();
    for (grid, block, shared, params) in [
        ([1, 1, 1], [65, 1, 1], 0, &[1, 2][..]),
        ([1, 1, 1], [0, 1, 1], 0, &[1, 2]),
        ([1, 0, 1], [1, 1, 1], 0, &[1, 2]),
        ([1, 65_536, 1], [1, 1, 1], 0, &[1, 2]),
        ([1, 1, 1], [64, 1, 1], 228 << 10, &[1, 2]),
        ([1, 1, 1], [64, 1, 1], 0, &[1]),
        ([1, 1, 1], [64, 1, 1], 0, &[1, 1 << 32]),
    ] {
        let found = launch.run("k", grid, block, shared, params);
        assert!(matches!(found, Err(Error::Launch { .. })), "{grid:?} {block:?} {shared} {params:?}: {found:?}");
    }
    let bytes = [vec![0_u8; 8], vec![0_u8; 3]];
    assert!(launch.run("k", [1, 1, 1], [64, 1, 1], 0, &bytes).is_err());
    assert!(matches!(launch.run("other", [1, 1, 1], [64, 1, 1], 0, &[1_u64]), Err(Error::NoKernel(_))));
}
