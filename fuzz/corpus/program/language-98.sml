owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0302: a shape other than the place asks for
use nn::flatten;

fn wrong[N](x: fix[N, 1, 8, 8]) -> fix[N, 1, 8, 8] {
    var h = x;
    h = flatten(h);
    x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
