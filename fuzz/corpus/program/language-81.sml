owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0404: a function that opens a secret
fn peek(x: fix[4]) -> fix[4] {
    reveal x to vendor;
    x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
