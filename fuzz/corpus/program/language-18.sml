owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0202: a field that the struct does not have
fn wrong(t: (fix, fix)) -> fix {
    t.2
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
