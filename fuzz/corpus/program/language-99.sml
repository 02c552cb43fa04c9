owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0301: a value of another type than the place asks for
fn wrong(pair: (fix, fix)) -> fix {
    let (a, b, c) = pair;
    a
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
