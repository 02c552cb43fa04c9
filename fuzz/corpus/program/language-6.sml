owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0602: an entry parameter without a source
entry f(x: fix from hospital, threshold: fix) -> bool to hospital {
    x > threshold
}