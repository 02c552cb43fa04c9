owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
entry f(x: fix from hospital, y: fix from vendor) -> fix to hospital {
    x / (x + y)
}