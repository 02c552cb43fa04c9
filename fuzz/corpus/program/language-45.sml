owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
fn power(x: fix, n: nat) -> fix {
    if n == 0 { 1.0 } else { x * power(x, n - 1) }
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
