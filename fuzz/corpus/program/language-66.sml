owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{log_softmax, softmax};

fn cross_entropy[N, C](z: fix[N, C], t: fix[N, C]) -> fix {
    sum(sum(-t * log_softmax(z), axis = 1), axis = 0)[0, 0] / N
} derivative { z => (softmax(z) - t) / N }

fn slope(w: fix[4], x: fix[4]) -> fix[4] {
    grad(sum(w * w * x, axis = 0)[0], w)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
