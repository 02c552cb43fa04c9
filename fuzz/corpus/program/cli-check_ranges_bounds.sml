//! args: check {file} --ranges
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{relu, softmax};

entry f(
    x: fix[2, 3] in -30000..30000 from hospital,
    w: fix[2, 3] in 0.0..2.0 from vendor,
    c: bool[2, 3] from vendor,
    small: fix[2, 3] in -1..1 from vendor,
) -> (fix[2, 3] to hospital, fix[2, 3] to hospital, fix[2, 3] to hospital, fix[2, 3] to hospital) {
    let compared = select(x > 15000.0 * w, x, small);
    let local = x * 1000.0;
    (compared, local + w, 20000.0 * approx(relu(x * small), error = 1.0), select(c, x / (1.0 + w), softmax(small * w)))
}
