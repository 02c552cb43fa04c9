owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
entry one(x: fix from hospital) -> fix to vendor {
    x
}

entry other(x: fix from hospital) -> fix to vendor {
    one(x)
}