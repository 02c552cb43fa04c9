/// A layer.
struct Block[I, O] { w: fix[I, O], b: fix[1, O] }
