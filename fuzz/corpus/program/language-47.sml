owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
entry f(x: int[4] from hospital, y: int[4] from vendor) -> int[4] to hospital {
    x / 2 + y % 2
}