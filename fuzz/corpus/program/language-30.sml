owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0203: a module, or an item of a module, that does not exist
use nn::{Conv2d, rellu};
entry nothing(x: fix from hospital) -> fix to hospital { x }
