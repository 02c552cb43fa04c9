// Losses: means over a batch, as single numbers.

use math::{exp_neg, log, sigmoid};
use nn::{log_softmax, relu, softmax};

/// Mean over the batch of -log of what the softmax of z gives to the right class; t has a 1 there and zeros elsewhere.
/// `torch.nn.CrossEntropyLoss` with probabilities as targets. Error below that of `log_softmax`.
fn cross_entropy[N, C](z: fix[N, C], t: fix[N, C]) -> fix {
    reshape(-sum(sum(t * log_softmax(z), axis = 1), axis = 0), []) / N
} derivative { z => (softmax(z) - t) / N }

/// Mean of the squared differences, as `torch.nn.MSELoss`. 1 multiplication an element, no comparison.
fn mse[N, C](y: fix[N, C], t: fix[N, C]) -> fix {
    let d = y - t;
    reshape(mean(mean(d * d, axis = 1), axis = 0), [])
} derivative { y => 2.0 / (N * C) * (y - t) }

/// Mean over the batch of -log of the probability of the right class, from logarithms of probabilities (`log_softmax`), as
/// `torch.nn.NLLLoss`; t has a 1 at the right class and zeros elsewhere. Error below u (2 + y) for a result y, where
/// u = 2^-frac. 1 multiplication an element.
fn nll[N, C](logs: fix[N, C], t: fix[N, C]) -> fix {
    reshape(-sum(sum(t * logs, axis = 1), axis = 0), []) / N
} derivative { logs => -t / N }

/// Mean of -t log(p) - (1 - t) log(1 - p) with p = 1 / (1 + e^-z), as `torch.nn.BCEWithLogitsLoss`, for t from 0 to 1 and
/// all z of the format. Computed as max(z, 0) - z t + log(1 + e^-|z|), which does not overflow. Error below the sum of
/// those of `exp_neg` and `log`, and u (4 + 2 y) for a result y, where u = 2^-frac. 2 comparisons, an `exp_neg`, a `log` and
/// 1 multiplication an element.
fn binary_cross_entropy[N, C](z: fix[N, C], t: fix[N, C]) -> fix {
    let positive = relu(z);
    let small = exp_neg(at_least(z - 2.0 * positive, -16.0));
    let each = positive - z * t + log(1.0 + small);
    reshape(mean(mean(each, axis = 1), axis = 0), [])
} derivative { z => (sigmoid(z) - t) / (N * C) }
