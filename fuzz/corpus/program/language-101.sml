owners hospital, vendor;
fixed(int = 16, frac = 16);
fn prefix_sums[N](x: fix[N]) -> fix[1] {
    var total = x[0..1];
    for i in 1..N { total = total + x[i..i + 1]; }
    total
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
