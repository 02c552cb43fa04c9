//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
struct Net { conv: Conv[1, 6, 5], fc: Linear[3456, 10] }

fn f[N](x: fix[N, 1, 28, 28], net: Net) -> fix[N, 10] {
    x |> conv2d(net.conv) |> relu |> flatten |> linear(net.fc)
}
