owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;

struct Layers { first: Linear[4, 8], rest: [Linear[8, 8]; 3] }
entry nothing(x: fix from hospital) -> fix to hospital { x }
