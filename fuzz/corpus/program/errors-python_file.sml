//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
from nn import relu

fn a(x: fix) -> fix { x }

class Net { w: fix }

fn b(x: fix) -> fix { x }

def f(x: fix) -> fix { x }

fn c(x: fix) -> fix { x }

import nn
