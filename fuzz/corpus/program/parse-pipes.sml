//! args: build {file} --emit ast
// A pipe binds loosest and hands its value on as the first argument.
fn f(x: fix, p: Net) -> fix {
    let a = x |> relu;
    let b = x + 1.0 |> nn::linear(p.fc1, bias = false) |> relu();
    let c = (x |> relu) + x;
    let d = x |> approx(sigmoid, bits = 8) |> approx(nn::gelu(p));
    let e = approx(sigmoid(x), bits = 8);
    select(x |> relu, b, c |> relu)
}
