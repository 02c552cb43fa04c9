/// Shares its names with another module.
struct Block { w: fix }

/// One layer.
fn stage(x: fix) -> fix {
    x
}
