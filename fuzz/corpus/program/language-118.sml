owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
struct Wrong { blocks: (..[fix[4]; 3], fix[8]) }
entry nothing(x: fix from hospital) -> fix to hospital { x }
