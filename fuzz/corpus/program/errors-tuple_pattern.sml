//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn pair(x: fix) -> (fix, fix) { (x, 2.0 * x) }

fn f(x: fix, three: [fix; 3]) -> fix {
    let (a, b, c) = pair(x);
    let (d, e) = three;
    let (g, h) = x;
    let i = pair(x).2;
    a + d + g
}
