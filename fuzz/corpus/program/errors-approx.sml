//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::relu;

fn double[N](x: fix[N]) -> fix[N] { 2.0 * x }
fn step[N](x: fix[N]) -> int[N] { select(x > 0.0, 1, 0) }

entry f(x: fix[4] from hospital, y: fix[4] from vendor) -> fix[4] to hospital {
    let a = approx(x * y);
    let b = approx(relu(x * y));
    let c = approx(relu(x * y), bits = 3);
    let d = approx(relu(x * y), error = 1);
    let e = approx(relu(x * y), error = 0.00001);
    let f = approx(relu(x * y), error = 40000.0);
    let g = approx(double(x * y), error = 0.5);
    let h = approx(step(x * y), error = 0.5);
    x * y |> approx(relu, error = 0.1)
}
