//! args: build {file} --emit graph
owners hospital, vendor;
fixed(int = 16, frac = 16);

// The loss reaches `w` through what the vendor computes alone, and `b` as it is.
entry f(x: fix[4] from hospital, w: fix[4] from vendor, b: fix[4] from vendor) -> (fix[4] to vendor, fix[4] to vendor) {
    let v = 2.0 * w;
    let loss = sum(x * v + b, axis = 0)[0];
    (grad(loss, w), grad(loss, b))
}
