//! args: run {file} --in x=2.5 --take 3
//! exit: 2
owners a;

entry half(x: fix from a) -> fix to a {
    x * 0.5
}
