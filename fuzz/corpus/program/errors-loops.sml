//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4], s: fix, pairs: [(fix, fix); 2]) -> fix[N, 4] {
    var h = x;
    for row in x { h = h + row; }
    for i in N { h = h + x; }
    for i in s { h = h + x; }
    for (a, b, c) in pairs { h = h * a; }
    for (a, b) in 0..3 { h = h + x; }
    for i in 0..s { h = h + x; }
    h
}
