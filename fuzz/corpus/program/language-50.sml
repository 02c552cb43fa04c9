// E0501: a number format that does not fit the ring
owners a;
fixed(int = 32, frac = 16);

entry f(x: fix from a) -> fix to a {
    x
}