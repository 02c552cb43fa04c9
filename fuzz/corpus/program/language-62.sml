owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0301: a value of another type than the place asks for
struct Affine[C] { scale: fix[C], shift: fix[C] }

fn wrong[C](p: Affine[C]) -> Affine[C] {
    p + 1.0
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
