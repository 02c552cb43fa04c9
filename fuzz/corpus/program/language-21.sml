owners hospital, vendor;
fixed(int = 16, frac = 16);
fn block(x: fix) -> fix {
    let y = {
        let z = x + 1.0;
        z * z
    };
    y - x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
