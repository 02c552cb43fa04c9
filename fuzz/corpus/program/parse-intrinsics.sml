//! args: build {file} --emit ast
/// The product of two matrices.
intrinsic fn matmul[N, K, M](a: fix[N, K], b: fix[K, M]) -> fix[N, M];
intrinsic fn grad(loss: fix, of: fix);
intrinsic fn pad2[..S](x: fix[..S], by: public nat = 1, value: fix = -0.5,);
