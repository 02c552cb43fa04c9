owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
entry f(x: fix[4] from hospital, n: public int) -> fix[4] to hospital {
    var h = x;
    for _ in 0..n { h = 2.0 * h; }
    h
}