//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry of(x: fix of hospital) -> fix to hospital { x }

entry bare(x: fix[4] hospital) -> fix[4] hospital { x }

entry public(x: fix public) -> fix to all { x }

entry nothing(x: fix from hospital) { x }

fn from_somebody(x: fix from hospital) -> fix { x }

fn to_somebody(x: fix) -> fix to hospital { x }

entry reveals(x: fix from hospital) -> fix to hospital {
    reveal x;
    x
}
