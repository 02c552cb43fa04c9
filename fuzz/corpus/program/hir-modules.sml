//! args: build {file} --emit hir
owners hospital, vendor;
fixed(int = 16, frac = 16);

use module_block::Block;
use module_layers::stage;

entry f(x: fix[1, 4] from hospital, net: (Block[4, 4], ..[Block[4, 4]; 3]) from vendor) -> fix[1, 4] to hospital {
    let (first, ..rest) = net;
    let y = matmul(x, first.w) |> stage(rest[1..]) |> stage(rest[..1]);
    y + net.2.b
}
