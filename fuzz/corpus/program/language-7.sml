owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0603: an entry result that goes to nobody
entry f(x: fix from hospital, w: fix from vendor) -> fix {
    x * w
}