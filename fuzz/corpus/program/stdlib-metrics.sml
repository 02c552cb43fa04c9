// Metrics: how good results are, as shared numbers. Whoever a metric is opened to learns that number alone.

/// Which part of the rows has its largest score at the label. A maximum of each row and an equality; error below 2^(1-frac),
/// and N 2^-frac in a ring without room for 1 / N.
fn accuracy[N, C](scores: fix[N, C], label: int[N]) -> fix {
    let right = argmax(scores) == label;
    reshape(sum(select(right, 1.0, 0.0), axis = 0), []) / N
}

/// Which part of the rows has fewer than k scores above that of the label; t has a 1 at the label and zeros elsewhere.
/// `k = 1` is the accuracy when there are no ties, which count for the label here. C + 1 comparisons a row, in two sets of
/// rounds, and no sorting; error as of `accuracy`.
fn top_k_accuracy[N, C](scores: fix[N, C], t: fix[N, C], k: nat) -> fix {
    let own = sum(scores * t, axis = 1);
    let above = sum(select(scores > own, 1, 0), axis = 1);
    reshape(sum(select(above < k, 1.0, 0.0), axis = 0), []) / N
}
