//! args: check {file}
//! exit: 1
fn f(x: fix) -> fix {
    if x > 1 x else { 2 }
}

fn g(x: fix) -> fix {
    let y = Conv { weight };
    let z = if x { 1 } + 2;
    y
}

fn h(x: fix) -> fix { x } }

fn i(x: fix) -> fix { x }
