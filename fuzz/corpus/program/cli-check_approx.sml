//! args: check {file}
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{max_pool, relu};

// The comparison in the argument is exact; those in the call leave 9 bits unread.
fn clamp[..S](x: fix[..S]) -> fix[..S] { at_most(at_least(x, -1.0), 1.0) }

entry f(x: fix[1, 1, 4, 4] from hospital, y: fix[1, 1, 4, 4] from vendor) -> fix[1, 1, 2, 2] to hospital {
    let z = approx(clamp(relu(x * y)), error = 0.01);
    z |> approx(max_pool(2), error = 0.1)
}
