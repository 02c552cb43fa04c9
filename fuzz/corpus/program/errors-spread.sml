//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

struct Down { w: fix[2, 4] }
struct Block { w: fix[4, 4] }
struct Wrong { a: (..[Block; 2], Down), b: (Down, ..Block), c: (Down, ..[Block; 2]) }

fn f(x: fix[1, 2], layer: (Down, ..[Block; 2]), blocks: [Block; 3]) -> fix[1, 4] {
    let (first, second) = layer;
    let (head, ..tail) = blocks;
    let none = blocks[3];
    let empty = blocks[2..2];
    let pair = blocks[0, 1];
    matmul(matmul(x, layer.0.w), layer.3.w)
}
