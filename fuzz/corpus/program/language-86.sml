owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0308: a size that comes out negative, zero or fractional
use nn::max_pool;

fn wrong[N](x: fix[N, 1, 4, 4]) -> fix[N, 1, 1, 1] {
    max_pool(x, 5)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
