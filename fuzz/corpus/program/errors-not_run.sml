//! args: cost {file} --dim B=2
//! exit: 1
owners bank, telco;
fixed(int = 14, frac = 24);

struct Model { w: fix[8, 1], b: fix[1] }

fn sgd[P: record](p: P, gradient: P, rate: fix) -> P { p - rate * gradient }

entry step[B](
    model: Model from shares,
    x: fix[B, 8] from bank,
    t: fix[B, 1] from telco,
    rate: public fix,
) -> (Model to shares, fix to all) {
    let d = matmul(x, model.w) + reshape(model.b, [1, 1]) - t;
    let loss = mean(d * d, axis = 0)[0, 0];
    (sgd(model, grad(loss, model), rate), loss)
}
