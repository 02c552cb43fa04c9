//! args: build {file} --emit graph --dim N=1000000000000
//! exit: 1
owners a;
fixed(int = 16, frac = 16);

entry f[N](x: fix[N, 10] from a) -> fix[N, 10] to a {
    -x
}
