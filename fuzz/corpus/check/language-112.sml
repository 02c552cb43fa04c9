owners ann, ben, cleo;
fixed(int = 20, frac = 12);

entry compare(x: fix from ann, y: fix from ben, z: fix from cleo) -> (fix to all, bool to ann) {
    let mean = (x + y + z) / 3.0;
    (mean, x > mean)
}