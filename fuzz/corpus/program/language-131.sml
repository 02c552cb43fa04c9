owners clinic, vendor;

fn larger(a: fix, b: fix) -> fix {
    if a > b { a } else { b }
}

entry score(x: fix from clinic, w: fix from vendor) -> fix to clinic {
    larger(x, w)
}