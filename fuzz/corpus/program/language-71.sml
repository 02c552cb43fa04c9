owners hospital, vendor;

entry f(x: fix[4] from hospital, w: fix[2, 2] from vendor) -> fix[4] to hospital {
    x / 255.0 * reshape(transpose(w, [1, 0]), [4])
}