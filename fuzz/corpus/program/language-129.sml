owners ann, ben, cleo;
fixed(int = 12, frac = 24);

entry compare(x: fix from ann, y: fix from ben, z: fix from cleo) -> (fix to all, bool to ann) {
    let total = x + y + z;
    (total / 3.0, 3.0 * x > total)
}