//! args: check {file}
//! exit: 1
owners a;

entry f(x: fix from a) -> fix to a {
    let größe = x;
    let s = "a", t = "b";
    let h = |y| y + “x”;
    ​x
}
