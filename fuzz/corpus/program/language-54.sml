owners hospital, vendor;
fixed(int = 16, frac = 16);
struct Model { w: fix[8, 1], b: fix[1] }

entry score[N](x: fix[N, 8] from hospital, model: Model from vendor) -> fix[N, 1] to hospital {
    matmul(x, model.w) + reshape(model.b, [1, 1])
}