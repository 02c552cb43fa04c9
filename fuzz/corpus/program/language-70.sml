owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(
    x: fix[4] from hospital,
    w: fix[4] from vendor,
    v: fix[4] from vendor,
) -> fix[4] to hospital {
    let own = w / sqrt_local(v + 0.001); // the vendor's alone: divided in the clear
    x * own
}