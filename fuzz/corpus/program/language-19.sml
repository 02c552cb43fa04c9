owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix[4] from hospital, y: fix[4] from vendor, n: public fix) -> fix[4] to hospital {
    (x + y) / n + x / y / 4.0
}