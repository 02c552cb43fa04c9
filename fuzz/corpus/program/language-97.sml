owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
fn wrong(x: fix) -> fix {
    let y = x;
    y = y + x;
    y
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
