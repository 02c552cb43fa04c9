owners a, b;
fixed(int = 16, frac = 16);
entry main(x: fix[9223372036854775807, 3] from a) -> fix[9223372036854775807, 3] to a { -x }
