owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
entry f(x: fix[4, 4] from hospital, n: public int) -> (fix[4] to hospital, fix[1, 4] to hospital) {
    (x[n], sum(x, axis = n))
}