//! args: debug {file} --in x=200.0 --in y=200.0
owners clinic, vendor;

entry f(x: fix from clinic, y: fix from vendor) -> fix to clinic {
    x * y + 100.0
}
