//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix from hospitol, y: fix, z: public fix from vendor) -> (fix to bank, fix) {
    (x, y)
}
