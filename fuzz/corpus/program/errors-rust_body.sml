//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f(x: &fix) -> fix {
    let mut y = x;
    y += 1.0;
    match y { 0 => x, _ => y }
    return x as int;
}

fn g(x: Vec<fix>) -> fix { x }
