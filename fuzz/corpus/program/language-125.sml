owners clinic, vendor;
fixed(int = 16, frac = 16);

entry layer[N](
    x: fix[N, 49] from clinic,
    weight: fix[49, 10] from vendor,
    bias: fix[10] from vendor,
) -> fix[N, 10] to clinic {
    matmul(x, weight) + reshape(bias, [1, 10])
}