fn double(x: fix[4]) -> fix[4] {
    2.0 * (x + x
}
