//! args: check {file} --message-format json
//! exit: 1
owners a;
entry f(x: fix from a) -> fix to a { y }
