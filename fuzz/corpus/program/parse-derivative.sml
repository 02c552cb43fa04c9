//! args: build {file} --emit ast
/// Cross entropy with the rule that is stable.
fn cross_entropy[N, C](z: fix[N, C], t: fix[N, C]) -> fix {
    -sum(t * log_softmax(z)) / N
} derivative { z => (softmax(z) - t) / N }

fn square(x: fix) -> fix { x * x } derivative {
    x =>
    let two = 2.0;
    two * x
}
