//! args: build {file} --emit graph --after fuse-linear
// Two constants have more fraction bits than one: one truncation of the more bits.
owners a, b;

entry f(x: fix[4] from a, y: fix[4] from b) -> fix[4] to a {
    let z = x * y;
    0.012345 * z + 2.5 * z
}
