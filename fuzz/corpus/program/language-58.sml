owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0303: a call whose arguments do not fit the function's parameters
use nn::Linear;

struct Net { fc: Linear[10] }
entry nothing(x: fix from hospital) -> fix to hospital { x }
