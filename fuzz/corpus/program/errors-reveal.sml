//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn peek[N](x: fix[N]) -> fix[N] {
    reveal x to vendor;
    x
}

entry f[N](x: fix[N] from hospital) -> fix[N] to hospital { peek(x) }
