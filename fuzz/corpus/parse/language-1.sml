owners a;
fixed(int = 32, frac = 16);

entry f(x: fix from a) -> fix to a {
    x
}