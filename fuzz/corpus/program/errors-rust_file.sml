//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::*;
use nn::relu as r;

pub fn f(x: fix) -> fix { x }

fn a(x: fix) -> fix { x }

impl Net { }

fn b(x: fix) -> fix { x }

const RATE: fix = 0.5;

fn c(x: fix) -> fix { x }

let k = 3;
