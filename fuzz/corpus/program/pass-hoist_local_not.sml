//! args: build {file} --emit graph --after hoist-local
// The factors are of two owners; the scaled value is used twice; a row and a column of factors are fewer than their
// products.
owners a, b, c;

entry f(
    x: fix[4, 4] from a,
    s: fix[4] from b,
    t: fix[4] from c,
    r: fix[4] from b,
) -> (fix[4, 4] to a, fix[4, 4] to a, fix[4, 4] to a) {
    let (s, r) = (reshape(s, [1, 4]), reshape(r, [4, 1]));
    let t = reshape(t, [1, 4]);
    let y = x * s;
    let z = x * t;
    (y * t, z * t + z, x * s * r)
}
