//! args: build {file} --emit graph --after hoist-local
// Scales and shifts of one owner become one scale and one shift.
owners a, b;

entry f(
    x: fix[8] from a,
    s: fix[8] from b,
    t: fix[8] from b,
    r: fix[8] from b,
    u: fix[8] from b,
) -> fix[8] to a {
    0.3 * ((x * s + t) * r + u)
}
