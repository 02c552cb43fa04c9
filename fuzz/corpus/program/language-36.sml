owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0102: a token where the grammar does not allow it
fn f(x: fix) -> fix {
    /// A statement is not documented.
    let y = x;
    y
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
