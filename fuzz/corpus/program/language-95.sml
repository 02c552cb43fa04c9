owners hospital, vendor;
fixed(int = 16, frac = 16);
fn statements(x: fix[4], pairs: [(fix[4], fix[4]); 2]) -> fix[4] {
    let y = 2.0 * x;
    let (a, b): (fix[4], fix[4]) = pairs[0];
    let _ = b;
    var h = y + a;
    for (left, right) in pairs {
        h = h * left + right;
    }
    for i in 0..3 {
        h = if i == 1 { h } else { h + x };
    }
    h
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
