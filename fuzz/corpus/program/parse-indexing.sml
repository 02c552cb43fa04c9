//! args: build {file} --emit ast
fn f[N](x: fix[N, 4], i: public int) -> fix {
    let row = x[0];
    let part = x[1..N - 1, ..2, 2.., ..];
    let literal = Pair { left: x[i, i + 1], right: [x[0], x[1],], };
    let one = (x,);
    literal.left
}
