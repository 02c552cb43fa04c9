//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

fn angle<N>(x: fix[N]) -> fix[N] { x }

fn colon(x: fix): fix { x }

fn arrow(x: fix) => fix { x }

fn none(x: fix);

fn commas(x: fix[8] y: fix) -> fix[8] { x }

fn word(from: fix) -> fix { x }
