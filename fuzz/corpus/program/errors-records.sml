//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

struct Labels { of: bool[4] }

fn step[P: record](p: P, g: P, rate: fix) -> P { p - rate * g }
fn product[P: record](p: P, g: P) -> P { p * g }
fn sized[P: record](p: P) -> fix[P] { p }

entry f(x: fix[4] from hospital, y: fix[3] from vendor, t: Labels from vendor) -> fix[4] to hospital {
    let a = step(x, y, 0.5);
    let b = step(t, t, 0.5);
    x
}
