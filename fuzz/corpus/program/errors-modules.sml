//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

use not_here::{Block};
use module_parts::{Blok, stage};
use module_headed::double;

entry f(x: fix[4] from hospital) -> fix[4] to hospital {
    x |> stage |> double
}
