//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn;
use nn::{};
use nn::relu::x;
