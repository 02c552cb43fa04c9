//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

fn parens(x: fix(4)) -> fix { x[0] }

fn twice(x: fix[2][3]) -> fix { x[0, 0] }

fn array(x: [fix, 2]) -> fix { x[0] }

fn tuple(x: (fix; 2)) -> fix { x.0 }

fn open(x: fix[8) -> fix[8] { x }

struct Round(w: fix)

struct Semicolons { w: fix; b: fix }
