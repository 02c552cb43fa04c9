//! args: run {file} --in x=data/empty.csv
//! exit: 2
owners clinic;

entry half[N](x: fix[N] from clinic) -> fix[N] to clinic {
    x * 0.5
}
