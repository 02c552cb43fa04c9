owners hospital, vendor;
fixed(int = 16, frac = 16);

fn double(x: fix[4]) -> fix[4] { 2.0 * x }

entry g(x: fix[4] from hospital) -> fix[4] to hospital { x }
