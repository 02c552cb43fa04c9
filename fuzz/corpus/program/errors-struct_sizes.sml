//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, Linear};

struct Block[C] { conv: Conv[C, C, 3] }
struct Net { a: Block, b: Block[8, 8], c: Linear[10], d: fix[0], e: Block[C] }
