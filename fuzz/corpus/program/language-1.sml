owners hospital, vendor;

entry f(x: fix[4] from hospital, w: fix[4] from vendor) -> fix[4] to hospital {
    var h = x;
    for _ in 0..2 {
        h = h * w;
        reveal sum(h, axis = 0) to vendor;
    }
    h
}