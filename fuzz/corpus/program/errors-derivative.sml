//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

fn square[N](x: fix[N]) -> fix[N] { x * x } derivative { x => 2.0 * x }
fn loss[N](x: fix[N], t: int[N]) -> fix { sum(x * x, axis = 0)[0] } derivative { z => x }
fn length[N](x: fix[N]) -> fix { sum(x * x, axis = 0)[0] } derivative { x => sum(x, axis = 0) }

entry step(w: fix[4] from shares, t: int[4] from hospital) -> fix[4] to all {
    let a = grad(w * w, w);
    let b = grad(length(w), t);
    let c = grad(loss = length(w), by = w);
    grad(length(w))
}
