//! args: check {file}
//! exit: 1
entry f(x: fix from hospital) -> fix to hospital { x }
