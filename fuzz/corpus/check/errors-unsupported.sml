//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use optim::sgd;

entry step(x: fix[4] from hospital, w: fix[4] from shares, rate: public fix) -> (fix[4] to shares, fix to all) {
    let loss = sum(x * w, axis = 0)[0];
    let next = if rate > 0.5 { w } else { w - grad(loss, w) };
    (next, loss)
}
