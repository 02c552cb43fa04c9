//! args: debug {file} --in x=20.0 --in y=10.0 --tolerance -0.5
//! exit: 2
owners clinic, vendor;

use nn::relu;

entry f(x: fix from clinic, y: fix from vendor) -> fix to clinic {
    let p = x * y;
    let s = p * p;
    let t = s * 0.5;
    relu(s) + relu(t)
}
