//! args: build {file} --emit graph --dim N=3
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N] from hospital) -> fix[N + 9999999] to hospital {
    zero_pad(x, 9999999, 0, axis = 0)
}
