//! args: build {file} --emit graph
//! exit: 2
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N, 4] from hospital) -> fix[N, 4] to hospital { x }
