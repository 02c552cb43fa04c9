//! args: check {file}
//! exit: 1
owners hospital, hospital;
owners vendor;
fixed(int = 32, frac = 24);
fixed(int = 12, frac = 16);
entry f(x: fix from hospital, y: fix from vendor) -> fix to hospital {
    x + y
}
