owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0304: a size that nothing determines
fn power[N](x: fix) -> fix {
    var y = x;
    for _ in 1..N { y = y * x; }
    y
}

fn cube(x: fix) -> fix {
    power(x)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
