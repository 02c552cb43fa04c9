//! args: check {file}
//! exit: 1
/* a program */
owner a;
owners: a, b;
fixed(32, 16);
use torch::nn::relu;
entry f(x: fix from a) -> fix to a {
    x /* given back */
}
