owners hospital, vendor;
fixed(int = 16, frac = 16);
fn bound(x: fix[4], triple: [fix[4]; 3]) -> fix[4] {
    let y = x + 1.0;
    let y: fix[1] = sum(y, axis = 0);
    let (first, _, last) = triple;
    var total = first;
    total = total + last;
    total * y
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
