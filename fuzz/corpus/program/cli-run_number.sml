//! args: run {file} --in x=2.5 --in y=data/row.csv
//! mask: seconds
owners a, b;

entry kinds(x: fix from a, y: fix[3] from b) -> (fix to a, int to b, bool to a, fix[3] to b) {
    (x, 3, x > 1.0, y)
}
