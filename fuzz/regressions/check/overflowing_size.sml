owners a, b;
fixed(int = 16, frac = 16);
entry main(x: fix[9223372036854775807 + 1] from a) -> fix to a { x[9223372036854775807] }
