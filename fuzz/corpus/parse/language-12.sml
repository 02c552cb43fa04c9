owners hospital, vendor;
fixed(int = 16, frac = 16);
struct Affine[C] { scale: fix[C], shift: fix[C] }

fn step[C](p: Affine[C], gradient: Affine[C], rate: fix) -> Affine[C] {
    p - rate * gradient
}

fn same[C](p: Affine[C]) -> Affine[C] {
    Affine { scale: p.scale, shift: p.shift }
}

fn second(t: (fix, (fix, fix)), a: [fix; 3]) -> fix {
    t.1.0 + a.2 + a[0]
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
