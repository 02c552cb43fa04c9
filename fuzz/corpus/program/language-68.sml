owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
struct Layers { first: fix[4], rest: Layers }
entry nothing(x: fix from hospital) -> fix to hospital { x }
