owners a, b;
fixed(int = 16, frac = 16);
fn f0(x: fix) -> fix { x }
fn f1(x: fix) -> fix { f0(x) + f0(x) }
fn f2(x: fix) -> fix { f1(x) + f1(x) }
fn f3(x: fix) -> fix { f2(x) + f2(x) }
fn f4(x: fix) -> fix { f3(x) + f3(x) }
fn f5(x: fix) -> fix { f4(x) + f4(x) }
fn f6(x: fix) -> fix { f5(x) + f5(x) }
fn f7(x: fix) -> fix { f6(x) + f6(x) }
fn f8(x: fix) -> fix { f7(x) + f7(x) }
fn f9(x: fix) -> fix { f8(x) + f8(x) }
fn f10(x: fix) -> fix { f9(x) + f9(x) }
fn f11(x: fix) -> fix { f10(x) + f10(x) }
fn f12(x: fix) -> fix { f11(x) + f11(x) }
fn f13(x: fix) -> fix { f12(x) + f12(x) }
fn f14(x: fix) -> fix { f13(x) + f13(x) }
fn f15(x: fix) -> fix { f14(x) + f14(x) }
fn f16(x: fix) -> fix { f15(x) + f15(x) }
fn f17(x: fix) -> fix { f16(x) + f16(x) }
fn f18(x: fix) -> fix { f17(x) + f17(x) }
fn f19(x: fix) -> fix { f18(x) + f18(x) }
fn f20(x: fix) -> fix { f19(x) + f19(x) }
fn f21(x: fix) -> fix { f20(x) + f20(x) }
fn f22(x: fix) -> fix { f21(x) + f21(x) }
fn f23(x: fix) -> fix { f22(x) + f22(x) }
fn f24(x: fix) -> fix { f23(x) + f23(x) }
fn f25(x: fix) -> fix { f24(x) + f24(x) }
fn f26(x: fix) -> fix { f25(x) + f25(x) }
fn f27(x: fix) -> fix { f26(x) + f26(x) }
fn f28(x: fix) -> fix { f27(x) + f27(x) }
fn f29(x: fix) -> fix { f28(x) + f28(x) }
fn f30(x: fix) -> fix { f29(x) + f29(x) }
fn f31(x: fix) -> fix { f30(x) + f30(x) }
fn f32(x: fix) -> fix { f31(x) + f31(x) }
fn f33(x: fix) -> fix { f32(x) + f32(x) }
fn f34(x: fix) -> fix { f33(x) + f33(x) }
fn f35(x: fix) -> fix { f34(x) + f34(x) }
fn f36(x: fix) -> fix { f35(x) + f35(x) }
fn f37(x: fix) -> fix { f36(x) + f36(x) }
fn f38(x: fix) -> fix { f37(x) + f37(x) }
fn f39(x: fix) -> fix { f38(x) + f38(x) }
entry main(x: fix from a, y: fix from b) -> fix to a { f39(x) }
