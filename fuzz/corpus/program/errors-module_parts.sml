/// A layer.
struct Block { w: fix[4, 4] }

/// Several layers.
fn stage[D](x: fix[1, 4], blocks: [Block; D]) -> fix[1, 4] {
    var h = x;
    for p in blocks { h = matmul(h, p.w); }
    h
}
