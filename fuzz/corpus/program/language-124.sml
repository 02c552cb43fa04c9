owners clinic, vendor;
fixed(int = 16, frac = 16);

entry score(x: fix[3] from clinic, w: fix[3] from vendor) -> fix[1] to clinic {
    sum(x * w, axis = 0)
}