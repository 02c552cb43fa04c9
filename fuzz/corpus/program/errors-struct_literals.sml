//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;

struct Affine[C] { scale: fix[C], shift: fix[C] }
struct Mlp { a: Linear[4, 8], b: Linear[8, 2] }

fn f[C](s: fix[C], t: fix[4]) -> Affine[C] {
    let a = Affine { scale: s };
    let b = Affine { scale: s, shfit: s };
    let c = Affine { scale: s, shift: t };
    let d = Affine { scale: s, shift: s, bias: s };
    let e = Afine { scale: s, shift: s };
    let g = Affine(s, s);
    let h = Affine { scale: 1.0, shift: s };
    s.scale
}
