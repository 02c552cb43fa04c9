owners a, b;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N]) -> fix[N * N] { reshape(matmul(reshape(x, [N, 1]), reshape(x, [1, N])), [N * N]) }
fn g[N](x: fix[N]) -> fix { let y = x |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f |> f; y[0] }
entry main(x: fix from a, y: fix from b) -> fix to a { x + y }
