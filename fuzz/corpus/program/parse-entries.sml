//! args: build {file} --emit ast
owners bank, telco, broker,;
fixed(int = 14, frac = 24, ring = 64,);

/// One receiver.
entry one[N](x: fix[N] from bank, w: Net from shares, rate: public fix) -> fix[N] to all { x }

/// Each part has its own receiver.
entry parts(x: fix from bank) -> (Net to shares, fix to telco, (fix, int) to broker) { (n, x, (x, 1)) }

/// One receiver of all parts.
entry together(x: fix from bank) -> (fix, fix) to telco { (x, x) }

entry opens(x: fix from bank) -> fix to telco {
    let y = reveal x to broker;
    reveal x + 1.0 to telco;
    y
}
