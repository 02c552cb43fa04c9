//! Every family of instructions, a row for each case: the instruction, what it reads, what it must give.

use ptx_emulator::{Launch, Memory, Module, Stats};

/// Runs one instruction in 40 threads, of which all but one are given other values, and returns what that one computes.
/// `%a`, `%b`, `%c` are inputs, `%d` is the result, of 64 bits each; `%ah` to `%dh` of 32, `%as` to `%ds` of 16,
/// `%p` and `%q` predicates that are set if `%a` and `%b` are odd, `%r` one to be written, stored if `%d` is not named.
fn compute(code: &str, inputs: [u64; 3]) -> u64 {
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out)\n{{
        .reg .pred %p, %q, %r; .reg .b16 %as, %bs, %cs, %ds; .reg .b32 %ah, %bh, %ch, %dh, %t, %th;
        .reg .b64 %a, %b, %c, %d, %i, %o, %x;
        ld.param.u64 %i, [in]; ld.param.u64 %o, [out];
        mov.u32 %t, %tid.x; mul.wide.u32 %x, %t, 24; add.u64 %i, %i, %x;
        mul.wide.u32 %x, %t, 8; add.u64 %o, %o, %x;
        ld.global.u64 %a, [%i]; ld.global.u64 %b, [%i+8]; ld.global.u64 %c, [%i+16];
        cvt.u32.u64 %ah, %a; cvt.u32.u64 %bh, %b; cvt.u32.u64 %ch, %c;
        cvt.u16.u64 %as, %a; cvt.u16.u64 %bs, %b; cvt.u16.u64 %cs, %c;
        and.b32 %th, %ah, 1; setp.eq.u32 %p, %th, 1; and.b32 %th, %bh, 1; setp.eq.u32 %q, %th, 1;
        mov.u64 %d, 0; mov.u32 %dh, 0; mov.u16 %ds, 0; setp.ne.u32 %r, %t, %t;
        {code}
        {}
        st.global.u64 [%o], %d;\n}}\n",
        if code.contains("%dh") {
            "cvt.u64.u32 %d, %dh;"
        } else if code.contains("%ds") {
            "cvt.u64.u16 %d, %ds;"
        } else if code.contains("%r") {
            "selp.u64 %d, 1, 0, %r;"
        } else {
            ""
        }
    );
    let module = Module::parse(&text).unwrap_or_else(|error| panic!("{code}: {error}"));
    const THREADS: usize = 40;
    // Others have values that do no harm.
    let mut input = [9, 5, 3].repeat(THREADS);
    input[37 * 3..38 * 3].copy_from_slice(&inputs);
    let mut output = vec![0_u64; THREADS];
    let mut memory = Memory::default();
    let params = [memory.add(&mut input), memory.add(&mut output)];
    let mut launch = Launch { module: &module, mem: &memory, reverse: false, stats: Stats::default() };
    launch.run("k", [1, 1, 1], [THREADS as u32, 1, 1], 0, &params).unwrap_or_else(|error| panic!("{code}: {error}"));
    output[37]
}

fn check(rows: &[(&str, [u64; 3], u64)]) {
    for (code, inputs, expected) in rows {
        let found = compute(code, *inputs);
        assert_eq!(found, *expected, "{code} of {inputs:#x?}: {found:#x}, expected {expected:#x}");
    }
}

const M: u64 = u64::MAX;
/// -5 in 64, 32 and 16 bits.
const N64: u64 = -5_i64 as u64;
const N32: u64 = -5_i32 as u32 as u64;
const N16: u64 = -5_i16 as u16 as u64;

#[test]
fn sums_and_products() {
    check(&[
        ("add.u64 %d, %a, %b;", [M, 2, 0], 1),
        ("add.s32 %dh, %ah, %bh;", [0xffff_ffff, 2, 0], 1),
        ("add.u16 %ds, %as, %bs;", [0xffff, 2, 0], 1),
        ("add.sat.s32 %dh, %ah, %bh;", [0x7fff_ffff, 2, 0], 0x7fff_ffff),
        ("sub.sat.s32 %dh, %ah, %bh;", [0x8000_0000, 2, 0], 0x8000_0000),
        ("sub.u64 %d, %a, %b;", [1, 3, 0], M - 1),
        ("sub.s32 %dh, %ah, 7;", [2, 0, 0], N32),
        ("mul.lo.u64 %d, %a, %b;", [1 << 63 | 3, 5, 0], 1 << 63 | 15),
        ("mul.lo.s32 %dh, %ah, %bh;", [N32, 3, 0], -15_i32 as u32 as u64),
        ("mul.lo.s16 %ds, %as, %bs;", [N16, 3, 0], -15_i16 as u16 as u64),
        ("mul.hi.u64 %d, %a, %b;", [M, M, 0], M - 1),
        ("mul.hi.s64 %d, %a, %b;", [N64, 3, 0], M),
        ("mul.hi.u32 %dh, %ah, %bh;", [0xffff_ffff, 0xffff_ffff, 0], 0xffff_fffe),
        ("mul.hi.s32 %dh, %ah, %bh;", [N32, 3, 0], 0xffff_ffff),
        ("mul.hi.u16 %ds, %as, %bs;", [0xffff, 0xffff, 0], 0xfffe),
        ("mul.wide.u32 %d, %ah, %bh;", [0xffff_ffff, 0xffff_ffff, 0], 0xffff_fffe_0000_0001),
        ("mul.wide.s32 %d, %ah, %bh;", [N32, 3, 0], -15_i64 as u64),
        ("mul.wide.u16 %dh, %as, %bs;", [0xffff, 2, 0], 0x1_fffe),
        ("mul.wide.s16 %dh, %as, %bs;", [N16, 3, 0], -15_i32 as u32 as u64),
        ("mad.lo.u64 %d, %a, %b, %c;", [M, 2, 5], 3),
        ("mad.lo.s32 %dh, %ah, %bh, %ch;", [N32, 3, 20], 5),
        ("mad.lo.s16 %ds, %as, %bs, %cs;", [N16, 3, 20], 5),
        ("mad.hi.u64 %d, %a, %b, %c;", [M, M, 3], 1),
        ("mad.hi.u32 %dh, %ah, %bh, %ch;", [0xffff_ffff, 0xffff_ffff, 3], 1),
        ("mad.hi.s32 %dh, %ah, %bh, %ch;", [N32, 3, 3], 2),
        ("mad.wide.u32 %d, %ah, %bh, %c;", [0xffff_ffff, 2, M], 0x1_ffff_fffd),
        ("mad.wide.s32 %d, %ah, %bh, %c;", [N32, 2, 11], 1),
        ("mad.wide.s16 %dh, %as, %bs, %ch;", [N16, 2, 11], 1),
        ("div.u64 %d, %a, %b;", [M, 10, 0], M / 10),
        ("div.s64 %d, %a, %b;", [N64, 2, 0], -2_i64 as u64),
        ("div.s32 %dh, %ah, %bh;", [N32, 2, 0], -2_i32 as u32 as u64),
        ("div.s32 %dh, %ah, %bh;", [0x8000_0000, 0xffff_ffff, 0], 0x8000_0000),
        ("div.u16 %ds, %as, %bs;", [0xffff, 16, 0], 0xfff),
        ("rem.u64 %d, %a, %b;", [M, 10, 0], 5),
        ("rem.s32 %dh, %ah, %bh;", [N32, 2, 0], 0xffff_ffff),
        ("rem.s64 %d, %a, %b;", [1 << 63, M, 0], 0),
        ("min.u64 %d, %a, %b;", [N64, 3, 0], 3),
        ("min.s64 %d, %a, %b;", [N64, 3, 0], N64),
        ("max.s32 %dh, %ah, %bh;", [N32, 3, 0], 3),
        ("max.u32 %dh, %ah, %bh;", [N32, 3, 0], N32),
        ("min.s16 %ds, %as, %bs;", [N16, 3, 0], N16),
        ("neg.s64 %d, %a;", [5, 0, 0], N64),
        ("neg.s32 %dh, %ah;", [5, 0, 0], N32),
        ("neg.s16 %ds, %as;", [5, 0, 0], N16),
        ("abs.s64 %d, %a;", [N64, 0, 0], 5),
        ("abs.s32 %dh, %ah;", [N32, 0, 0], 5),
        ("sad.s32 %dh, %ah, %bh, %ch;", [N32, 3, 4], 12),
        ("sad.u32 %dh, %ah, %bh, %ch;", [10, 3, 4], 11),
        ("dp4a.u32.u32 %dh, %ah, %bh, %ch;", [0xff02_0304, 0x0201_0101, 1], 520),
        ("dp4a.s32.u32 %dh, %ah, %bh, %ch;", [0xff02_0304, 0x0201_0101, 1], 8),
        ("dp4a.s32.s32 %dh, %ah, %bh, %ch;", [0xff00_0000, 0xff00_0000, 1], 2),
    ]);
}

#[test]
fn carries() {
    check(&[
        ("add.cc.u64 %d, %a, %b; addc.u64 %d, %c, 0;", [M, 1, 7], 8),
        ("add.cc.u64 %d, %a, %b; addc.u64 %d, %c, 0;", [M - 1, 1, 7], 7),
        ("add.cc.u32 %dh, %ah, %bh; addc.cc.u32 %dh, %ch, %ch; addc.u32 %dh, 0, 0;", [0xffff_ffff, 1, 0x7fff_ffff], 0),
        ("add.cc.u32 %dh, %ah, %bh; addc.cc.u32 %dh, %ch, %ch; addc.u32 %dh, 0, 0;", [0xffff_ffff, 1, 0x8000_0000], 1),
        ("add.cc.u32 %dh, %ah, %bh; addc.cc.u32 %dh, 0xffffffff, 0; addc.u32 %dh, 0, 0;", [0xffff_ffff, 1, 0], 1),
        ("sub.cc.u64 %d, %a, %b; subc.u64 %d, %c, 0;", [0, 1, 7], 6),
        ("sub.cc.u64 %d, %a, %b; subc.u64 %d, %c, 0;", [1, 1, 7], 7),
        ("sub.cc.u32 %dh, %ah, %bh; subc.cc.u32 %dh, 0, 0; subc.u32 %dh, 10, 0;", [0, 1, 0], 9),
        ("mad.lo.cc.u64 %d, %a, %b, %c; madc.hi.u64 %d, %a, %b, 0;", [M, M, M], M),
        ("mad.lo.cc.u32 %dh, %ah, %bh, %ch; madc.hi.u32 %dh, %ah, %bh, 0;", [0xffff_ffff, 2, 1], 1),
        ("mad.lo.cc.u32 %dh, %ah, %bh, %ch; madc.hi.u32 %dh, %ah, %bh, 0;", [0xffff_ffff, 2, 2], 2),
        ("mad.hi.cc.u32 %dh, %ah, %bh, %ch; addc.u32 %dh, 0, 0;", [0xffff_ffff, 2, 0xffff_ffff], 1),
    ]);
}

#[test]
fn bits() {
    check(&[
        ("and.b64 %d, %a, %b;", [12, 10, 0], 8),
        ("or.b32 %dh, %ah, %bh;", [12, 10, 0], 14),
        ("xor.b16 %ds, %as, %bs;", [12, 10, 0], 6),
        ("not.b64 %d, %a;", [12, 0, 0], !12),
        ("not.b32 %dh, %ah;", [12, 0, 0], 0xffff_fff3),
        ("not.b16 %ds, %as;", [12, 0, 0], 0xfff3),
        ("cnot.b32 %dh, %ah;", [12, 0, 0], 0),
        ("cnot.b32 %dh, %ah;", [0, 0, 0], 1),
        ("shl.b64 %d, %a, %bh;", [3, 63, 0], 1 << 63),
        ("shl.b64 %d, %a, %bh;", [3, 64, 0], 0),
        ("shl.b32 %dh, %ah, %bh;", [3, 31, 0], 1 << 31),
        ("shl.b32 %dh, %ah, %bh;", [3, 32, 0], 0),
        ("shl.b16 %ds, %as, %bh;", [3, 15, 0], 1 << 15),
        ("shr.u64 %d, %a, %bh;", [M, 63, 0], 1),
        ("shr.u64 %d, %a, %bh;", [M, 64, 0], 0),
        ("shr.s64 %d, %a, %bh;", [N64, 1, 0], -3_i64 as u64),
        ("shr.s64 %d, %a, %bh;", [N64, 200, 0], M),
        ("shr.s32 %dh, %ah, %bh;", [N32, 40, 0], 0xffff_ffff),
        ("shr.u32 %dh, %ah, %bh;", [N32, 32, 0], 0),
        ("shr.b32 %dh, %ah, 4;", [0x8000_0000, 0, 0], 0x0800_0000),
        ("shr.s16 %ds, %as, %bh;", [N16, 1, 0], -3_i16 as u16 as u64),
        ("shf.l.wrap.b32 %dh, %ah, %bh, %ch;", [0x8000_0000, 1, 33], 3),
        ("shf.l.clamp.b32 %dh, %ah, %bh, %ch;", [0x8000_0001, 1, 33], 0x8000_0001),
        ("shf.r.wrap.b32 %dh, %ah, %bh, %ch;", [0x8000_0000, 1, 33], 0xc000_0000),
        ("shf.r.clamp.b32 %dh, %ah, %bh, %ch;", [0x8000_0000, 7, 40], 7),
        ("bfe.u32 %dh, %ah, %bh, %ch;", [0xabcd_1234, 8, 8], 0x12),
        ("bfe.u32 %dh, %ah, %bh, %ch;", [0xabcd_1234, 28, 8], 0xa),
        ("bfe.u32 %dh, %ah, %bh, %ch;", [0xabcd_1234, 40, 8], 0),
        ("bfe.u32 %dh, %ah, %bh, %ch;", [0xabcd_1234, 4, 0], 0),
        ("bfe.s32 %dh, %ah, %bh, %ch;", [0x0000_8000, 8, 8], 0xffff_ff80),
        ("bfe.s32 %dh, %ah, %bh, %ch;", [0xabcd_1234, 28, 8], 0xffff_fffa),
        ("bfe.s32 %dh, %ah, %bh, %ch;", [0xabcd_1234, 40, 8], 0xffff_ffff),
        ("bfe.u64 %d, %a, %bh, %ch;", [0xabcd_0000_0000_0000, 48, 16], 0xabcd),
        ("bfe.u64 %d, %a, %bh, %ch;", [0xabcd_0000_0000_0000, 0, 64], 0xabcd_0000_0000_0000),
        ("bfe.s64 %d, %a, %bh, %ch;", [0xabcd_0000_0000_0000, 48, 16], 0xffff_ffff_ffff_abcd),
        ("bfi.b32 %dh, %ah, %bh, %ch, 8;", [0x1ff, 0, 4], 0xff0),
        ("bfi.b32 %dh, %ah, %bh, 28, 8;", [0xff, 1, 0], 0xf000_0001),
        ("bfi.b32 %dh, %ah, %bh, 32, 8;", [0xff, 1, 0], 1),
        ("bfi.b64 %d, %a, %b, 32, 32;", [0x1234_5678, 5, 0], 0x1234_5678_0000_0005),
        ("bfi.b64 %d, %a, %b, 0, 64;", [7, 5, 0], 7),
        ("bmsk.clamp.b32 %dh, %ah, %bh;", [4, 8, 0], 0xff0),
        ("lop3.b32 %dh, %ah, %bh, %ch, 0x96;", [12, 10, 7], 12 ^ 10 ^ 7),
        ("lop3.b32 %dh, %ah, %bh, %ch, 0xca;", [12, 10, 7], (12 & 10) | (!12 & 7)),
        ("lop3.b32 %dh, %ah, %bh, %ch, 0x01;", [0, 0, 0], 0xffff_ffff),
        ("prmt.b32 %dh, %ah, %bh, 0x5140;", [0x3322_1100, 0x7766_5544, 0], 0x5511_4400),
        ("prmt.b32 %dh, %ah, %bh, 0x1234;", [0x3322_1100, 0x7766_5544, 0], 0x1122_3344),
        ("prmt.b32 %dh, %ah, %bh, 0x8f98;", [0x3322_1180, 0xff66_5544, 0], 0xffff_00ff),
        ("popc.b64 %dh, %a;", [M, 0, 0], 64),
        ("popc.b32 %dh, %ah;", [M, 0, 0], 32),
        ("clz.b32 %dh, %ah;", [1, 0, 0], 31),
        ("clz.b64 %dh, %a;", [0, 0, 0], 64),
        ("brev.b32 %dh, %ah;", [1, 0, 0], 1 << 31),
        ("brev.b64 %d, %a;", [1, 0, 0], 1 << 63),
        ("bfind.u32 %dh, %ah;", [0x100, 0, 0], 8),
        ("bfind.u32 %dh, %ah;", [0, 0, 0], 0xffff_ffff),
        ("bfind.s32 %dh, %ah;", [N32, 0, 0], 2),
        ("bfind.u64 %dh, %a;", [1 << 40, 0, 0], 40),
        ("bfind.shiftamt.u32 %dh, %ah;", [0x100, 0, 0], 23),
    ]);
}

#[test]
fn moves_and_conversions() {
    let f64_of = |v: f64| v.to_bits();
    let f32_of = |v: f32| u64::from(v.to_bits());
    check(&[
        ("mov.b64 %d, {%ah, %bh};", [1, 2, 0], 2 << 32 | 1),
        ("mov.b64 {%dh, _}, %a;", [7 << 32 | 5, 0, 0], 5),
        ("mov.b64 {_, %dh}, %a;", [7 << 32 | 5, 0, 0], 7),
        ("mov.b32 %dh, {%as, %bs};", [1, 2, 0], 2 << 16 | 1),
        ("mov.b32 {_, %ds}, %ah;", [2 << 16 | 1, 0, 0], 2),
        ("mov.b64 %d, {%as, %bs, %cs, %as};", [1, 2, 3], 1 << 48 | 3 << 32 | 2 << 16 | 1),
        ("mov.u32 %dh, WARP_SZ;", [0; 3], 32),
        ("mov.u32 %dh, %laneid;", [0; 3], 5),
        ("mov.u32 %dh, %warpid;", [0; 3], 1),
        ("mov.u32 %dh, %lanemask_lt;", [0; 3], 31),
        ("mov.u32 %dh, %ntid.x;", [0; 3], 40),
        ("mov.u64 %d, -5;", [0; 3], N64),
        ("cvt.u64.u32 %d, %ah;", [N32, 0, 0], N32),
        ("cvt.s64.s32 %d, %ah;", [N32, 0, 0], N64),
        ("cvt.u32.u64 %dh, %a;", [N64, 0, 0], N32),
        ("cvt.u16.u32 %ds, %ah;", [N32, 0, 0], N16),
        ("cvt.s32.s16 %dh, %as;", [N16, 0, 0], N32),
        ("cvt.u32.u8 %dh, %ah;", [0x1ff, 0, 0], 0xff),
        ("cvt.s32.s8 %dh, %ah;", [0x1fb, 0, 0], N32),
        ("cvt.u8.u32 %ds, %ah;", [0x1ff, 0, 0], 0xff),
        ("cvt.s8.s32 %dh, %ah;", [0x1fb, 0, 0], N32),
        ("cvt.sat.u8.s32 %dh, %ah;", [N32, 0, 0], 0),
        ("cvt.sat.u8.u32 %dh, %ah;", [300, 0, 0], 255),
        ("cvt.sat.s8.s64 %dh, %a;", [1000, 0, 0], 127),
        ("cvt.sat.s32.u64 %dh, %a;", [M, 0, 0], 0x7fff_ffff),
        ("cvt.rn.f64.u64 %d, %a;", [M, 0, 0], f64_of(18_446_744_073_709_551_615.0)),
        ("cvt.rn.f64.s64 %d, %a;", [N64, 0, 0], f64_of(-5.0)),
        ("cvt.rn.f32.s32 %dh, %ah;", [N32, 0, 0], f32_of(-5.0)),
        ("cvt.rn.f32.f64 %dh, %a;", [f64_of(0.1), 0, 0], f32_of(0.1)),
        ("cvt.f64.f32 %d, %ah;", [f32_of(0.5), 0, 0], f64_of(0.5)),
        ("cvt.rni.s64.f64 %d, %a;", [f64_of(2.5), 0, 0], 2),
        ("cvt.rni.s64.f64 %d, %a;", [f64_of(-3.5), 0, 0], -4_i64 as u64),
        ("cvt.rzi.s32.f64 %dh, %a;", [f64_of(-5.9), 0, 0], N32),
        ("cvt.rmi.s32.f32 %dh, %ah;", [f32_of(-4.5), 0, 0], N32),
        ("cvt.rpi.u32.f32 %dh, %ah;", [f32_of(4.5), 0, 0], 5),
        ("cvt.rzi.u32.f64 %dh, %a;", [f64_of(-1.0), 0, 0], 0),
        ("cvt.rni.f64.f64 %d, %a;", [f64_of(2.5), 0, 0], f64_of(2.0)),
        ("add.f64 %d, %a, %b;", [f64_of(0.1), f64_of(0.2), 0], f64_of(0.1 + 0.2)),
        ("sub.rn.f64 %d, %a, %b;", [f64_of(0.1), f64_of(0.2), 0], f64_of(0.1 - 0.2)),
        ("mul.rn.f64 %d, %a, %b;", [f64_of(0.1), f64_of(0.2), 0], f64_of(0.1 * 0.2)),
        ("div.rn.f64 %d, %a, %b;", [f64_of(1.0), f64_of(3.0), 0], f64_of(1.0 / 3.0)),
        ("fma.rn.f64 %d, %a, %b, %c;", [f64_of(0.1), f64_of(10.0), f64_of(-1.0)], f64_of(0.1_f64.mul_add(10.0, -1.0))),
        (
            "fma.rn.f32 %dh, %ah, %bh, %ch;",
            [f32_of(0.1), f32_of(10.0), f32_of(-1.0)],
            f32_of(0.1_f32.mul_add(10.0, -1.0)),
        ),
        ("neg.f64 %d, %a;", [f64_of(0.1), 0, 0], f64_of(-0.1)),
        ("abs.f32 %dh, %ah;", [f32_of(-0.1), 0, 0], f32_of(0.1)),
        ("max.f64 %d, %a, %b;", [f64_of(f64::NAN), f64_of(2.0), 0], f64_of(2.0)),
        ("sqrt.rn.f64 %d, %a;", [f64_of(2.0), 0, 0], f64_of(2_f64.sqrt())),
        ("mov.f64 %d, 0d3FE0000000000000;", [0; 3], f64_of(0.5)),
    ]);
}

#[test]
fn comparisons_and_predicates() {
    let nan = f64::NAN.to_bits();
    check(&[
        ("setp.lt.u64 %r, %a, %b;", [N64, 3, 0], 0),
        ("setp.lt.s64 %r, %a, %b;", [N64, 3, 0], 1),
        ("setp.lo.u32 %r, %ah, %bh;", [3, N32, 0], 1),
        ("setp.hs.u32 %r, %ah, %bh;", [3, 3, 0], 1),
        ("setp.ls.u32 %r, %ah, %bh;", [4, 3, 0], 0),
        ("setp.hi.u32 %r, %ah, %bh;", [4, 3, 0], 1),
        ("setp.ge.s32 %r, %ah, %bh;", [N32, 3, 0], 0),
        ("setp.gt.s16 %r, %as, %bs;", [N16, 3, 0], 0),
        ("setp.le.u16 %r, %as, %bs;", [N16, 3, 0], 0),
        ("setp.ne.b64 %r, %a, %b;", [1 << 40, 0, 0], 1),
        ("setp.eq.b32 %r, %ah, %bh;", [1 << 40, 0, 0], 1),
        ("setp.eq.and.u32 %r, %ah, 5, %q;", [5, 1, 0], 1),
        ("setp.eq.and.u32 %r, %ah, 5, !%q;", [5, 1, 0], 0),
        ("setp.eq.or.u32 %r, %ah, 6, %q;", [5, 1, 0], 1),
        ("setp.eq.xor.u32 %r, %ah, 5, %q;", [5, 1, 0], 0),
        ("setp.eq.u32 _|%r, %ah, 5;", [5, 1, 0], 0),
        ("setp.eq.u32 _|%r, %ah, 5;", [6, 1, 0], 1),
        ("setp.lt.f64 %r, %a, %b;", [1_f64.to_bits(), 2_f64.to_bits(), 0], 1),
        ("setp.ne.f64 %r, %a, %b;", [nan, 2_f64.to_bits(), 0], 0),
        ("set.lt.u32.s32 %dh, %ah, %bh;", [N32, 3, 0], 0xffff_ffff),
        ("set.lt.u32.u32 %dh, %ah, %bh;", [N32, 3, 0], 0),
        ("set.eq.and.u32.u32 %dh, %ah, 5, %q;", [5, 1, 0], 0xffff_ffff),
        ("set.lt.f32.s32 %dh, %ah, %bh;", [N32, 3, 0], 0x3f80_0000),
        ("and.pred %r, %p, %q;", [1, 1, 0], 1),
        ("or.pred %r, %p, !%q;", [0, 1, 0], 0),
        ("xor.pred %r, %p, %q;", [1, 0, 0], 1),
        ("not.pred %r, %p;", [1, 0, 0], 0),
        ("mov.pred %r, !%p;", [0, 0, 0], 1),
        ("mov.pred %r, -1;", [0, 0, 0], 1),
        ("and.pred %r, %p, 0;", [1, 0, 0], 0),
        ("selp.b64 %d, %b, %c, %p;", [1, 2, 3], 2),
        ("selp.b32 %dh, %bh, %ch, !%p;", [1, 2, 3], 3),
        ("slct.b32.s32 %dh, %ah, %bh, %ch;", [1, 2, 0], 1),
        ("slct.u64.s32 %d, %a, %b, %ch;", [1, 2, N32], 2),
        ("mov.u64 %d, 1; @%p mov.u64 %d, 2;", [1, 0, 0], 2),
        ("mov.u64 %d, 1; @!%p mov.u64 %d, 2;", [1, 0, 0], 1),
    ]);
}

#[test]
fn branches_calls_and_loops() {
    check(&[
        ("mov.u64 %d, 1; @%p bra SKIP; mov.u64 %d, 2; SKIP: add.u64 %d, %d, 10;", [1, 0, 0], 11),
        ("mov.u64 %d, 1; @%p bra SKIP; mov.u64 %d, 2; SKIP: add.u64 %d, %d, 10;", [0, 0, 0], 12),
        ("LOOP: add.u64 %d, %d, %b; sub.u64 %a, %a, 1; setp.ne.u64 %q, %a, 0; @%q bra.uni LOOP;", [6, 7, 0], 42),
        ("{ .reg .b64 %d1; mov.u64 %d1, %a; add.u64 %d, %d1, 1; }", [6, 0, 0], 7),
        ("T: .branchtargets A, B, C; brx.idx %ah, T; A: mov.u64 %d, 5; bra C; B: mov.u64 %d, 6; C: add.u64 %d, %d, 10;", [1, 0, 0], 16),
        ("T: .branchtargets A, B, C; brx.idx %ah, T; A: mov.u64 %d, 5; bra C; B: mov.u64 %d, 6; C: add.u64 %d, %d, 10;", [2, 0, 0], 10),
    ].map(|(code, inputs, expected)| {
        // The other threads' index must be one of the targets, too.
        let code = code.replace("brx.idx %ah", "rem.u32 %ah, %ah, 3; brx.idx %ah");
        (&*Box::leak(code.into_boxed_str()), inputs, expected)
    }));
}

#[test]
fn memory_of_a_thread() {
    check(&[
        (
            "{ .local .align 8 .b8 room[16]; st.local.u64 [room+8], %a; ld.local.u32 %dh, [room+12]; }",
            [7 << 32, 0, 0],
            7,
        ),
        (
            "{ .local .align 8 .b8 room[16]; .reg .b64 %g; mov.u64 %g, room; cvta.local.u64 %g, %g; st.u64 [%g], %a; ld.local.u64 %d, [room]; }",
            [9, 0, 0],
            9,
        ),
        (
            "{ .local .align 8 .b8 room[16]; st.local.v2.u32 [room], {%ah, %bh}; ld.local.u64 %d, [room]; }",
            [1, 2, 0],
            2 << 32 | 1,
        ),
        ("{ .local .align 8 .b8 room[16]; st.local.u8 [room], %ah; ld.local.s8 %dh, [room]; }", [0x1fb, 0, 0], N32),
        ("{ .local .align 8 .b8 room[16]; st.local.u16 [room], %as; ld.local.u16 %ds, [room]; }", [N16, 0, 0], N16),
        ("ld.global.v2.u32 {%dh, _}, [%i+8];", [1, 2, 3], 2),
        ("ld.global.nc.L1::no_allocate.v2.u32 {_, %dh}, [%i];", [7 << 32, 0, 0], 7),
        ("ld.u64 %d, [%i+16];", [1, 2, 3], 3),
        ("ld.volatile.global.u64 %d, [%i+-0];", [1, 2, 3], 1),
        ("atom.global.add.u64 %x, [%i], 5; ld.global.u64 %d, [%i];", [1, 0, 0], 6),
        ("atom.global.add.u64 %d, [%i], 5;", [1, 0, 0], 1),
        ("red.relaxed.gpu.global.add.u64 [%i], %b; ld.global.u64 %d, [%i];", [1, 9, 0], 10),
        ("red.global.max.s32 [%i], %bh; ld.global.u32 %dh, [%i];", [N32, 9, 0], 9),
        ("red.global.min.s32 [%i], %bh; ld.global.u32 %dh, [%i];", [N32, 9, 0], N32),
        ("red.global.max.u32 [%i], %bh; ld.global.u32 %dh, [%i];", [N32, 9, 0], N32),
        ("red.global.or.b64 [%i], %b; ld.global.u64 %d, [%i];", [1, 8, 0], 9),
        ("red.global.and.b32 [%i], %bh; ld.global.u32 %dh, [%i];", [9, 8, 0], 8),
        ("red.global.xor.b32 [%i], %bh; ld.global.u32 %dh, [%i];", [9, 8, 0], 1),
        ("atom.global.exch.b64 %x, [%i], %b; ld.global.u64 %d, [%i];", [1, 8, 0], 8),
        ("atom.global.cas.b64 %x, [%i], %b, %c; ld.global.u64 %d, [%i];", [1, 1, 4], 4),
        ("atom.global.cas.b32 %th, [%i], %bh, %ch; ld.global.u32 %dh, [%i];", [1, 2, 4], 1),
        ("atom.global.inc.u32 %th, [%i], %bh; ld.global.u32 %dh, [%i];", [3, 3, 0], 0),
        ("atom.global.dec.u32 %th, [%i], %bh; ld.global.u32 %dh, [%i];", [0, 3, 0], 3),
        ("{ .reg .pred %g; isspacep.global %r, %i; }", [0; 3], 1),
        ("{ .reg .pred %g; isspacep.shared %r, %i; }", [0; 3], 0),
    ]);
}

#[test]
fn lanes_of_a_warp() {
    // Thread 37 is lane 5 of a warp of eight lanes; the other lanes hold 9, 5, 3.
    check(
        &[
            ("vote.sync.ballot.b32 %dh, %p, 0xff;", [0, 0, 0], 0xdf),
            ("vote.sync.all.pred %r, %p, 0xff;", [0, 0, 0], 0),
            ("vote.sync.any.pred %r, !%p, 0xff;", [0, 0, 0], 1),
            ("vote.sync.uni.pred %r, %p, 0xff;", [0, 0, 0], 0),
            ("shfl.sync.idx.b32 %dh, %ah, 0, 0x1f, 0xff;", [100, 0, 0], 9),
            ("shfl.sync.bfly.b32 %dh|%r, %ah, 1, 0x1f, 0xff;", [100, 0, 0], 9),
            ("shfl.sync.down.b32 %dh|%r, %ah, 2, 0x1c03, 0xff;", [100, 0, 0], 9),
            ("shfl.sync.down.b32 %dh, %ah, 4, 0x1c03, 0xff;", [100, 0, 0], 100),
            ("shfl.sync.up.b32 %dh, %ah, 1, 0, 0xff;", [100, 0, 0], 9),
            ("shfl.sync.up.b32 %dh, %ah, 6, 0, 0xff;", [100, 0, 0], 100),
            ("redux.sync.add.u32 %dh, %ah, 0xff;", [100, 0, 0], 163),
            ("redux.sync.max.s32 %dh, %ah, 0xff;", [N32, 0, 0], 9),
            ("redux.sync.min.s32 %dh, %ah, 0xff;", [N32, 0, 0], N32),
            ("match.any.sync.b32 %dh, %ah, 0xff;", [100, 0, 0], 0x20),
            ("match.all.sync.b32 %dh|%r, %ah, 0xff;", [100, 0, 0], 0),
            ("match.any.sync.b64 %dh, %a, 0xff;", [9, 0, 0], 0xff),
            ("activemask.b32 %dh;", [0; 3], 0xff),
            ("@!%p activemask.b32 %dh;", [0; 3], 0x20),
        ]
        .map(|(code, inputs, expected)| {
            // The first warp has all its lanes, this one has eight.
            let code = code.replace("0xff;", "%th;");
            let code = format!("mov.u32 %th, 0xff; setp.lt.u32 %r, %t, 32; @%r mov.u32 %th, 0xffffffff; {code}");
            let code = if code.contains("%dh|%r") { code.replace("%dh|%r", "%dh|%q") } else { code };
            (&*Box::leak(code.into_boxed_str()), inputs, expected)
        }),
    );
}
