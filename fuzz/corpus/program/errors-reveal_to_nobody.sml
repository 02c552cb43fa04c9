//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix from hospital, w: fix from vendor) -> fix to everyone {
    reveal x * w to all;
    reveal x + w to parties;
    reveal x - w to shares;
    x
}
