//! args: build {file} --emit ast
owners a, b;
fixed(int = 16, frac = 16);

fn sgd[N, ..S, P: record](p: P, x: fix[..S, N]) -> P { p }

entry f(
    x: fix[4] in -1.5..2.5 from a,
    y: public int in 0..255,
    net: (Conv[1, 2, 3], ..[Conv[2, 2, 3]; 4]) in -8..8 from b,
) -> fix[4] to a {
    let (first, ..rest) = net;
    let (u, .._) = net;
    x
}
