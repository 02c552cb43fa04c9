owners hospital, vendor;

entry f[N](x: fix[N, 4] from hospital, w: fix[N - 1, 4] from vendor) -> fix[N - 1, 4] to hospital {
    (x[1..] - x[0..N - 1]) * w
}