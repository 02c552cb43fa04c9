owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0203: a module, or an item of a module, that does not exist
fn f(x: fix[4]) -> fix[4] {
    blocks::stage(x)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
