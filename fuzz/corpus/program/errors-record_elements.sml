//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

struct Counts { w: int[4] }
struct Marks { w: bool[4] }

entry f(d: Counts from vendor, e: Marks from vendor, x: fix[4] from hospital) -> fix[4] to hospital {
    let a = -d + d;
    let b = 0.5 * d;
    let c = e + e;
    let g = -e;
    x
}
