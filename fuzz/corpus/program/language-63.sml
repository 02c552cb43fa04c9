owners hospital, vendor;
fixed(int = 16, frac = 16);
fn sgd[P: record](p: P, gradient: P, rate: fix) -> P {
    p - rate * gradient
}

struct Affine[C] { scale: fix[C], shift: fix[C] }

fn step(p: Affine[4], g: Affine[4], w: [fix[3]; 2], v: [fix[3]; 2]) -> (Affine[4], [fix[3]; 2]) {
    (sgd(p, g, 0.1), sgd(w, v, 0.1))
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
