//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix[12] from hospital, rows: int from vendor) -> fix[3, 4] to hospital {
    let a: fix[rows, 4] = reshape(x, [rows, 4]);
    sum(a, axis = rows)
}
