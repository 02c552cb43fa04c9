owners hospital, vendor;
fixed(int = 16, frac = 16);
struct First { w: fix[8, 4] }

struct Block { w: fix[4, 4] }

fn stage[N, D](x: fix[N, 8], blocks: (First, ..[Block; D])) -> fix[N, 4] {
    let (first, ..rest) = blocks;
    var h = matmul(x, first.w);
    for p in rest { h = matmul(h, p.w); }
    h
}

fn third(blocks: (First, ..[Block; 3])) -> fix[4, 4] {
    blocks.2.w
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
