owners hospital, vendor;
fixed(int = 16, frac = 16);
struct Affine[C] { scale: fix[C], shift: fix[C] }

fn apply[N, C](x: fix[N, C], p: Affine[C]) -> fix[N, C] {
    x * reshape(p.scale, [1, C]) + reshape(p.shift, [1, C])
}

fn identity(c: fix[4]) -> Affine[4] {
    Affine { scale: 0.0 * c + 1.0, shift: 0.0 * c }
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
