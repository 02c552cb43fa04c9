// Optimisers: functions over whole records of parameters.

/// One step of gradient descent, as `torch.optim.SGD`: p - rate g.
fn sgd[P: record](p: P, gradient: P, rate: fix) -> P {
    p - rate * gradient
}

/// One step of gradient descent with momentum, as `torch.optim.SGD(momentum=..)`: the parameters and the velocity,
/// v = momentum v + g and p - rate v. The first velocity is zero.
fn sgd_momentum[P: record](p: P, velocity: P, gradient: P, rate: fix, momentum: fix = 0.9) -> (P, P) {
    let v = momentum * velocity + gradient;
    (p - rate * v, v)
}
