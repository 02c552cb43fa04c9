owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0303: a call whose arguments do not fit the function's parameters
struct Affine[C] { scale: fix[C], shift: fix[C] }

fn wrong[C](s: fix[C]) -> Affine[C] {
    Affine { scale: s }
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
