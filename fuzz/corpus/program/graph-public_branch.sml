//! args: build {file} --emit graph
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry f(x: fix[4] from hospital, w: fix[4] from vendor, mode: public int) -> fix[4] to hospital {
    var h = x * w;
    if mode == 1 { h = h + w; }
    if mode > 2 { h } else { -h }
}
