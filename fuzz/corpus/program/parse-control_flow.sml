//! args: build {file} --emit ast
fn f[D](x: fix, ps: [Net; D], train: public bool) -> fix {
    var h = x;
    for p in ps { h = block(h, p); }
    for (a, (_, b)) in pairs { h = h + a * b; }
    for i in 1..D - 1 {
        if train { h = h * 2; } else if i == 2 { h = h; }
    }
    { let unused = h; }
    if train { drop(h) } else { h }
    let y: fix = if train { h } else { let z = h; z };
    if train { y } else if !train { { y + h } } else { h }
}
