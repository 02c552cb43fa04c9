//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

fn f(x: float[4], n: i32, y: Tensor[4, 2], b: boolean, s: str) -> f32 {
    x
}
