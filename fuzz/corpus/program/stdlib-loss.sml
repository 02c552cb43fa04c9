// Losses: means over a batch, as single numbers.

use math::sigmoid;
use nn::{log_softmax, softmax, softplus};

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
/// u = 2^-frac, and below u (2 + N y) in a ring without room for 1 / N. 1 multiplication an element.
fn nll[N, C](logs: fix[N, C], t: fix[N, C]) -> fix {
    reshape(-sum(sum(t * logs, axis = 1), axis = 0), []) / N
} derivative { logs => -t / N }

/// Mean of -t log(p) - (1 - t) log(1 - p) with p = 1 / (1 + e^-z), as `torch.nn.BCEWithLogitsLoss`, for all z of the
/// format. Computed as log(1 + e^z) - z t. Error below 6 u + 8e-6, where u = 2^-frac. A `softplus` and a multiplication an element.
fn binary_cross_entropy[N, C](z: fix[N, C], t: fix[N, C]) -> fix {
    reshape(mean(mean(softplus(z) - z * t, axis = 1), axis = 0), [])
} derivative { z => (sigmoid(z) - t) / (N * C) }
