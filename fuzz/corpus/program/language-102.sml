owners hospital, vendor;

entry f(x: fix[4] from hospital, y: fix[4] from vendor) -> fix[4] to hospital {
    var h = x * y;
    for _ in 0..3 { h = h * h; }
    h
}