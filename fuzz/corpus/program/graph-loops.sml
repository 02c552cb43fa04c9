//! args: build {file} --emit graph
owners hospital, vendor;
fixed(int = 16, frac = 16);

struct Layer { w: fix[3, 3], scale: fix[1, 3], variance: fix[1, 3] }

// The first turn shares `x` and stays as it is; the third differs by its branch.
entry f(x: fix[2, 3] from hospital, layers: [Layer; 4] from vendor, rate: public fix) -> fix[2, 3] to hospital {
    var h = x;
    for p in layers {
        let scale = p.scale / (p.variance + 0.5);
        h = x + rate * matmul(h, p.w) * scale;
    }
    for i in 0..6 {
        for _ in 0..2 { h = h * h; }
        if i == 2 { h = h - x; }
    }
    h
}
