//! args: build {file} --emit hir
owners bank, telco;
fixed(int = 14, frac = 24);

struct Model { w: fix[8, 1], b: fix[1] }

fn loss[B](z: fix[B, 1], t: fix[B, 1]) -> fix {
    let d = z - t;
    mean(d * d, axis = 0)[0, 0]
} derivative { z => 2.0 * (z - t) / B }

fn sgd[P: record](p: P, gradient: P, rate: fix) -> P { p - rate * gradient }

entry step[B](
    model: Model from shares,
    x: fix[B, 8] in -4.0..4.0 from bank,
    t: fix[B, 1] from telco,
    rate: public fix in 0..1,
) -> (Model to shares, fix to all) {
    let now = loss(matmul(x, model.w) + reshape(model.b, [1, 1]), t);
    (sgd(model, grad(now, model), rate), now)
}
