owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
fn doubled(x: fix) -> fix {
    2.0 * x
}

fn wrong(x: fix) -> fix {
    let f = doubled;
    x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
