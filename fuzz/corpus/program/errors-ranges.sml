//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry f(
    a: fix[4] in 1.0..0.0 from hospital,
    b: fix[4] in 0..40000 from hospital,
    c: bool[4] in 0..1 from vendor,
    d: int[4] in -8..7 from vendor,
) -> fix[4] to hospital {
    a
}
