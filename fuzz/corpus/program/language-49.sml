owners a;
fixed(int = 12, frac = 10, ring = 48);

entry f(x: fix from a) -> fix to a {
    x
}