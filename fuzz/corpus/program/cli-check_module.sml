//! args: check {file}
fn twice(x: fix) -> fix {
    x + x
}
