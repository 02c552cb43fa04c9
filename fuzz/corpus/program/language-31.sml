owners hospital, vendor;
fixed(int = 16, frac = 16);
/// A layer of blocks.sml.
struct Block[C] { w: fix[C, C] }

/// Several layers.
fn stage[N, C, D](x: fix[N, C], blocks: [Block[C]; D]) -> fix[N, C] {
    var h = x;
    for p in blocks { h = matmul(h, p.w); }
    h
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
