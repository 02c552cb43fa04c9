owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0205: a type that nothing defines
struct Stage { depth: nat }
entry nothing(x: fix from hospital) -> fix to hospital { x }
