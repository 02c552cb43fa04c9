//! args: build {file} --emit graph --dim H=1
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{avg_pool};

entry f[H](x: fix[1, 1, H, H] from hospital) -> fix[1, 1, H / 2, H / 2] to hospital { avg_pool(x, 2) }
