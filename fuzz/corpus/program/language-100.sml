owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
use nn::relu;

fn wrong(x: fix) -> fix {
    relu(x);
    x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
