//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N, 10] from hospital, table: fix[10, 4] from vendor) -> fix[N, 4] to hospital {
    let best = argmax(x);
    table[best]
}
