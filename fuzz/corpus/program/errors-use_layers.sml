//! args: check {file}
//! exit: 1
owners a;
use nn::{ReLU, GELU, Conv2d, MaxPool2d, AvgPool2d, Dropout, adaptive_avg_pool};
use nn::{exp, matmul, mine};

entry f(x: fix from a) -> fix to a {
    x
}
