//! args: check {file}
//! exit: 1
owners a;

struct S { w: fix }

fn parts(p: (S, [S; 3]), q: f32, r: f32) -> f32 {
    let (first, ..rest) = p;
    let u: f32 = first.w;
    u
}

fn other(x: f64) -> f32 {
    x
}
