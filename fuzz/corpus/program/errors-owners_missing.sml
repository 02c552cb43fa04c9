//! args: check {file}
//! exit: 1
entry f(x: fix from hospital, y: fix from vendor, z: fix from shares) -> (fix, fix) to all {
    reveal x to vendor;
    (x + y, x - y + z)
}

entry g(x: fix from lab) -> fix to hospital {
    x
}
