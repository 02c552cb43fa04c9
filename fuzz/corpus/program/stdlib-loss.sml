// Losses: means over a batch, as single numbers.

use nn::{log_softmax, softmax};

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
