owners hospital, vendor;
fixed(int = 16, frac = 16);
fn elements(t: (fix, (fix, fix)), a: [fix; 3]) -> fix {
    var sum = t.1.0 + a.2 + a[0];
    for x in a[1..] { sum = sum + x; }
    sum
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
