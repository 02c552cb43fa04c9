owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, Linear};

// conv, relu, pool, conv: the keys are `features.0.weight`, ..., `features.3.bias`.
struct Net { features: (Conv[1, 32, 3], (), (), Conv[32, 64, 3]), classifier: [Linear[64, 64]; 2] }
entry nothing(x: fix from hospital) -> fix to hospital { x }
