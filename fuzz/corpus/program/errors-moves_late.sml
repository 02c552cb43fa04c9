//! args: build {file} --emit graph --dim N=3
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn third[N](x: fix[N]) -> fix[1] {
    gather(x, [3], axis = 0)
}
entry f[N](x: fix[N] from hospital) -> fix[1] to hospital {
    third(x)
}
