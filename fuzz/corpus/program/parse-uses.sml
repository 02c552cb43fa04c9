//! args: build {file} --emit ast
use nn::relu;
use nn::{conv2d, linear,};
use loss::{cross_entropy};

fn f(x: fix) -> fix { nn::relu(x) |> loss::scale }
