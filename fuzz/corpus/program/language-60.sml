owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0202: a field that the struct does not have
struct Affine[C] { scale: fix[C], shift: fix[C] }

fn wrong[C](p: Affine[C]) -> fix[C] {
    p.shfit
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
