owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
fn wrong[N](x: fix[N]) -> fix {
    var total = 0.0;
    for row in x { total = total + row; }
    total
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
