owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
entry f(x: fix from hospital, mode: public int) -> fix to hospital {
    if mode == 1 { reveal x to vendor; }
    x
}