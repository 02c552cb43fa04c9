use module_block::Block;

/// Several layers.
fn stage[D](x: fix[1, 4], blocks: [Block[4, 4]; D]) -> fix[1, 4] {
    var h = x;
    for p in blocks { h = matmul(h, p.w) + p.b; }
    h
}
