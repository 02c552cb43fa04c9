owners hospital, vendor;
fixed(int = 16, frac = 16);

use math::rsqrt;

fn normalised[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    x * rsqrt(sum(x * x, axis = -1) + 0.001)
}

entry f(x: fix[20, 8] from hospital, w: fix[8, 3] from vendor) -> fix[20, 3] to hospital {
    normalised(matmul(x, w))
}