//! args: run {file} --in x=data/x.npy
//! exit: 2
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry scores[N](x: fix[N, 3] in 0..1 from hospital) -> fix[N, 3] to hospital {
    x * x
}
