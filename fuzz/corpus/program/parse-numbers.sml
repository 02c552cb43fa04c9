//! args: build {file} --emit tokens
// Ranges, fields and numbers share the point.
fn f[N](x: (fix, (fix, fix)), layer1: [fix; 2]) -> fix {
    for i in 0..8 { y = i; }
    x.0 + x.1.0 + layer1.0.conv1.weight * 0.5 - 1e-3 / 1.0 + 2.5E4 - 9223372036854775807
}
