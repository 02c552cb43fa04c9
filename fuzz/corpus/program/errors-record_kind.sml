//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

struct Pair[P: record, ..S] { a: fix }

fn wrong[P: vector](p: P) -> P { p }

entry f(x: fix[4] from hospital) -> fix[4] to hospital { x }
