//! args: build {file} --emit plan
owners a, b;
fixed(int = 3, frac = 2);

entry f(x: fix[1, 3] from a, y: fix[1, 3] from b) -> int[1] to a {
    argmax(x + y)
}
