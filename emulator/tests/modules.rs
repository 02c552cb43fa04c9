//! What only whole modules show: functions, variables, structures passed by value, dynamic shared memory, matrices.

use ptx_emulator::{Error, Launch, Memory, Module, Stats};

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

/// Runs kernel `k` of a module in blocks of 32 threads on a buffer of 1024 words, whose address is its last parameter.
fn run(text: &str, more: &[Vec<u8>], shared: u32, reverse: bool) -> Result<Vec<u32>, Error> {
    let module = Module::parse(&format!("{HEAD}{text}"))?;
    let mut out = vec![0_u32; 1024];
    let mut memory = Memory::default();
    let address = memory.add(&mut out);
    let mut params = more.to_vec();
    params.push(address.to_le_bytes().to_vec());
    let mut launch = Launch { module: &module, mem: &memory, reverse, stats: Stats::default() };
    launch.run("k", [2, 1, 1], [32, 1, 1], shared, &params)?;
    Ok(out)
}

#[test]
fn functions_are_called() {
    let text = "
.func (.param .b32 back) twice(.param .b32 v)
{ .reg .b32 %r<3>; ld.param.b32 %r1, [v]; add.u32 %r2, %r1, %r1; st.param.b32 [back], %r2; ret; }
.func (.param .align 8 .b8 back[8]) inner(.param .align 8 .b8 v[8]);
.func (.param .align 8 .b8 back[8]) inner(.param .align 8 .b8 v[8])
{
  .reg .b32 %r<5>; .reg .pred %p;
  ld.param.v2.b32 {%r1, %r2}, [v];
  setp.lt.u32 %p, %r1, 10; @%p bra SMALL;
  { .param .b32 a; st.param.b32 [a], %r1; .param .b32 b; call.uni (b), twice, (a); ld.param.b32 %r1, [b]; }
SMALL:
  st.param.b32 [back], %r1; st.param.b32 [back+4], %r2; ret;
}
.visible .entry k(.param .u64 out)
{
  .reg .b32 %r<9>; .reg .b64 %d<4>;
  ld.param.u64 %d1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;
  { .param .align 8 .b8 a[8]; st.param.v2.b32 [a], {%r1, 3}; .param .align 8 .b8 b[8];
    call.uni (b), inner, (a); ld.param.b32 %r2, [b]; ld.param.b32 %r3, [b+4]; }
  { .param .b32 a; st.param.b32 [a], %r2; .param .b32 b; call (b), twice, (a); ld.param.b32 %r2, [b]; }
  add.u32 %r2, %r2, %r3; st.global.u32 [%d1], %r2; ret;
}";
    let expected = |i: u32| 2 * if i < 10 { i } else { 2 * i } + 3;
    for reverse in [false, true] {
        let out = run(text, &[], 0, reverse).unwrap();
        assert_eq!(out[..32], (0..32).map(expected).collect::<Vec<u32>>());
    }
    let text = text.replace("add.u32 %r2, %r1, %r1;", "{ .param .b32 a; .param .b32 b; call (b), twice, (a); }");
    assert!(run(&text, &[], 0, false).unwrap_err().to_string().contains("recursive"));
}

#[test]
fn variables_of_a_module() {
    let text = "
.visible .const .align 4 .u16 table[4] = {1, 0x20, 3};
.const .b8 bytes[2] = {200, 100};
.visible .global .align 8 .b8 kept[8] = {1, 0, 0, 0, 2};
.visible .entry k(.param .u64 out)
{
  .reg .b32 %r<9>; .reg .b16 %h; .reg .b64 %d<6>;
  ld.param.u64 %d1, [out]; mov.u32 %r1, %tid.x; setp.ne.u32 %p, %r1, 0; .reg .pred %p; 
  @%p ret;
  ld.const.u16 %h, [table+2]; cvt.u32.u16 %r2, %h; st.global.u32 [%d1], %r2;
  mov.u64 %d2, table; ld.const.u16 %r3, [%d2+4]; st.global.u32 [%d1+4], %r3;
  cvta.const.u64 %d3, %d2; ld.u16 %r3, [%d3+6]; st.global.u32 [%d1+8], %r3;
  ld.const.u8 %r4, [bytes]; st.global.u32 [%d1+12], %r4;
  atom.global.add.u32 %r5, [kept+4], 10; mov.u32 %r6, %ctaid.x; mul.wide.u32 %d4, %r6, 4; add.u64 %d4, %d4, %d1;
  st.global.u32 [%d4+16], %r5; ret;
}";
    let text = text.replace("setp.ne.u32 %p, %r1, 0; .reg .pred %p;", ".reg .pred %p; setp.ne.u32 %p, %r1, 0;");
    assert_eq!(run(&text, &[], 0, false).unwrap()[..6], [0x20, 3, 0, 200, 2, 12]);
    let wrong = |from: &str, to: &str| run(&text.replace(from, to), &[], 0, false).unwrap_err().to_string();
    assert!(wrong("cvta.const.u64 %d3, %d2;", "mov.u64 %d3, %d2;").contains("out-of-bounds load"));
    assert!(wrong("ld.u16 %r3, [%d3+6];", "st.u16 [%d3+6], %r3;").contains("out-of-bounds store"));
    assert!(wrong("[table+2]", "[table+8]").contains("out-of-bounds load"));
}

#[test]
fn structures_by_value_and_dynamic_shared_memory() {
    let text = "
.extern .shared .align 16 .b8 room[];
.shared .align 4 .b32 fixed;
.visible .entry k(.param .align 8 .b8 s[24], .param .u64 .ptr .global .align 8 out)
{
  .reg .b32 %r<9>; .reg .b64 %d<6>; .reg .pred %p;
  ld.param.u64 %d1, [out]; mov.u32 %r1, %tid.x; setp.ne.u32 %p, %r1, 0;
  @!%p st.shared.u32 [fixed], %r1; @!%p st.shared.u32 [room], 77;
  bar.sync 0;
  @%p ret;
  ld.param.u32 %r2, [s+4]; st.global.u32 [%d1], %r2;
  ld.param.v2.u64 {%d2, %d3}, [s+8]; st.global.u64 [%d1+8], %d3;
  mov.b64 %d4, s; ld.param.u64 %d5, [%d4+8]; st.global.u64 [%d1+16], %d5;
  ld.shared.u32 %r3, [fixed]; ld.shared.u32 %r4, [room]; add.u32 %r3, %r3, %r4; st.global.u32 [%d1+24], %r3;
  mov.u32 %r5, %dynamic_smem_size; st.global.u32 [%d1+28], %r5; ret;
}";
    let s: Vec<u8> = (0..24).collect();
    let text = text.replace("ld.param.v2.u64 {%d2, %d3}, [s+8];", "ld.param.u64 %d2, [s+8]; ld.param.u64 %d3, [s+16];");
    let out = run(&text, std::slice::from_ref(&s), 64, false).unwrap();
    assert_eq!(out[..8], [0x0706_0504, 0, 0x1312_1110, 0x1716_1514, 0x0b0a_0908, 0x0f0e_0d0c, 77, 64]);
    assert!(run(&text, std::slice::from_ref(&s), 0, false).unwrap_err().to_string().contains("out-of-bounds store"));
    assert!(run(&text, &[s[..23].to_vec()], 64, false).is_err());
}

/// Products of random bytes, with fragments filled and read as the PTX manual describes them.
#[test]
fn products_of_bytes() {
    for (kinds, signed) in
        [("u8.u8", [false; 2]), ("s8.s8", [true; 2]), ("s8.u8", [true, false]), ("u8.s8", [false, true])]
    {
        let text = format!("
.visible .entry k(.param .align 4 .b8 a[512], .param .align 4 .b8 b[256], .param .u64 out)
{{
  .reg .b32 %r<24>; .reg .b64 %d<6>; .reg .pred %p; .shared .align 16 .b8 sa[512]; .shared .align 16 .b8 sb[256];
  ld.param.u64 %d1, [out]; mov.u32 %r1, %laneid;
  shr.u32 %r2, %r1, 2; and.b32 %r3, %r1, 3;
  // a is 16 x 32, by rows; b is 8 columns of 32.
  mul.lo.u32 %r4, %r2, 32; mad.lo.u32 %r4, %r3, 4, %r4; cvt.u64.u32 %d2, %r4;
  mov.u64 %d3, a; add.u64 %d3, %d3, %d2; mov.u64 %d4, b; add.u64 %d4, %d4, %d2;
  ld.param.u32 %r5, [%d3]; ld.param.u32 %r6, [%d3+256]; ld.param.u32 %r7, [%d3+16]; ld.param.u32 %r8, [%d3+272];
  ld.param.u32 %r9, [%d4]; ld.param.u32 %r10, [%d4+16];
  mov.u32 %r11, 1;
  mma.sync.aligned.m16n8k32.row.col.s32.{kinds}.s32 {{%r12,%r13,%r14,%r15}}, {{%r5,%r6,%r7,%r8}}, {{%r9,%r10}}, {{%r11,%r11,%r11,%r11}};
  mul.lo.u32 %r16, %r2, 8; mad.lo.u32 %r16, %r3, 2, %r16; mul.wide.u32 %d5, %r16, 4; add.u64 %d1, %d1, %d5;
  st.global.v2.u32 [%d1], {{%r12, %r13}}; st.global.v2.u32 [%d1+256], {{%r14, %r15}}; ret;
}}");
        let byte = |i: usize| (i as u32).wrapping_mul(0x9e37_79b9).to_le_bytes()[3];
        let (a, b): (Vec<u8>, Vec<u8>) = ((0..512).map(byte).collect(), (1000..1256).map(byte).collect());
        let value = |v: u8, signed: bool| if signed { i32::from(v as i8) } else { i32::from(v) };
        let out = run(&text, &[a.clone(), b.clone()], 0, false).unwrap();
        for i in 0..16 {
            for j in 0..8 {
                let sum: i32 = (0..32).map(|k| value(a[32 * i + k], signed[0]) * value(b[32 * j + k], signed[1])).sum();
                assert_eq!(out[8 * i + j], (sum + 1) as u32, "{kinds} {i} {j}");
            }
        }
    }
}

/// The largest products and sums, and sums that wrap.
#[test]
fn products_at_the_bounds() {
    let all = |a: u32, b: u32, c: u32, kinds: &str| {
        let text = format!("
.visible .entry k(.param .u64 out)
{{
  .reg .b32 %r<9>; .reg .b64 %d1; ld.param.u64 %d1, [out];
  mov.u32 %r1, {a}; mov.u32 %r2, {b}; mov.u32 %r3, {c};
  mma.sync.aligned.m16n8k32.row.col.s32.{kinds}.s32 {{%r4,%r5,%r6,%r7}}, {{%r1,%r1,%r1,%r1}}, {{%r2,%r2}}, {{%r3,%r3,%r3,%r3}};
  st.global.u32 [%d1], %r4; ret;
}}");
        run(&text, &[], 0, false).unwrap()[0]
    };
    assert_eq!(all(0xffff_ffff, 0xffff_ffff, 5, "u8.u8"), 32 * 255 * 255 + 5);
    assert_eq!(all(0x8080_8080, 0xffff_ffff, 0, "s8.u8"), (-32 * 128 * 255_i32) as u32);
    assert_eq!(all(0xffff_ffff, 0xffff_ffff, u32::MAX, "u8.u8"), 32 * 255 * 255 - 1);
}

#[test]
fn matrices_are_loaded() {
    let text = |form: &str, d: &str| {
        format!(
            "
.visible .entry k(.param .u64 out)
{{
  .reg .b32 %r<24>; .reg .b64 %d<6>; .shared .align 16 .b8 room[512];
  ld.param.u64 %d1, [out]; mov.u32 %r1, %laneid; mov.u32 %r2, room; mad.lo.u32 %r3, %r1, 16, %r2;
  // Row r of matrix i holds 100 i + 8 r + column, as 16 bits.
  shr.u32 %r4, %r1, 3; and.b32 %r5, %r1, 7; mul.lo.u32 %r4, %r4, 100; mad.lo.u32 %r4, %r5, 8, %r4;
  mul.lo.u32 %r4, %r4, 0x10001; add.u32 %r4, %r4, 0x10000;
  add.u32 %r6, %r4, 0x20002; add.u32 %r7, %r4, 0x40004; add.u32 %r8, %r4, 0x60006;
  st.shared.v4.u32 [%r3], {{%r4, %r6, %r7, %r8}}; bar.warp.sync 0xffffffff;
  mov.u32 %r10, 0; mov.u32 %r11, 0; mov.u32 %r12, 0; mov.u32 %r13, 0;
  ldmatrix.sync.aligned.m8n8.{form}.shared.b16 {{{d}}}, [%r3];
  mul.wide.u32 %d2, %r1, 16; add.u64 %d1, %d1, %d2; st.global.v2.u32 [%d1], {{%r10, %r11}};
  st.global.v2.u32 [%d1+8], {{%r12, %r13}}; ret;
}}"
        )
    };
    for (form, d, count) in [
        ("x1", "%r10", 1),
        ("x2", "%r10, %r11", 2),
        ("x4", "%r10, %r11, %r12, %r13", 4),
        ("x4.trans", "%r10, %r11, %r12, %r13", 4),
    ] {
        let out = run(&text(form, d), &[], 0, false).unwrap();
        for lane in 0..32_u32 {
            for i in 0..count {
                let (row, column) = (lane / 4, 2 * (lane % 4));
                let at =
                    |r: u32, c: u32| if form.ends_with("trans") { 100 * i + 8 * c + r } else { 100 * i + 8 * r + c };
                let expected = at(row, column) | at(row, column + 1) << 16;
                assert_eq!(out[(4 * lane + i) as usize], expected, "{form} lane {lane} matrix {i}");
            }
        }
    }
    let race = text("x1", "%r10").replace("bar.warp.sync 0xffffffff;", "");
    assert!(run(&race, &[], 0, false).unwrap_err().to_string().contains("race"));
}
