owners hospital, vendor;
fixed(int = 16, frac = 16);
struct Affine[C] { scale: fix[C], shift: fix[C] }

fn step[C](p: Affine[C], gradient: Affine[C], rate: fix) -> Affine[C] {
    p - rate * gradient
}

fn mean_of_two(a: [fix[3]; 2], b: [fix[3]; 2]) -> [fix[3]; 2] {
    (a + b) / 2.0
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
