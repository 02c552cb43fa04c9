//! args: check {file}
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry f(x: fix[4] from hospital, w: fix[4] from vendor) -> fix[4] to hospital {
    var h = x * w;
    reveal h to vendor;
    for i in 0..3 {
        h = h + w;
        if i == 1 { reveal h to vendor; } else { reveal x to hospital; }
    }
    reveal h to hospital;
    h
}
