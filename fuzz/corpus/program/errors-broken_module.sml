//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

use module_broken::double;

entry f(x: fix[4] from hospital) -> fix[4] to hospital {
    double(x)
}
