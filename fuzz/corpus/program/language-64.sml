owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0301: a value of another type than the place asks for
fn product[P: record](a: P, b: P) -> P {
    a * b
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
