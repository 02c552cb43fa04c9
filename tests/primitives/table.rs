//! The one table of cases: every primitive as a graph in text form. A new primitive is one more [`Case`] in [`CASES`].
//!
//! `{n}` in a graph is a size: all checks run with [`SMALL`] or with each of [`SIZES`] in its place.

use std::collections::BTreeMap;

use smlc::graph::{self, Graph, Op, eval};
use smlc::plan::lower;
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Plan, verify};
use smlc::span::Sources;

use crate::random::Random;

pub type Data = BTreeMap<String, Vec<f64>>;

/// Sizes that are odd in every way: one element, primes, around a word of bits.
pub const SIZES: &[usize] = &[1, 7, 63, 64, 65, 131];
/// The size for statistics.
pub const SMALL: usize = 3;

/// What an input's elements are.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// Multiples of `2^-frac` up to `limit` on either side.
    Fixed { limit: f64, frac: i32 },
    /// 0 or 1.
    Bits,
}

/// A primitive, alone or with what it needs around it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// The number format, as the graph's text has it.
    pub format: &'static str,
    /// Inputs by name.
    pub inputs: &'static [(&'static str, Values)],
    /// The nodes. Owners are `a` and `b`.
    pub nodes: &'static str,
    /// By how many units in the last place of the format a result may differ from the evaluator's.
    pub ulps: f64,
}

const WIDE: &str = "ring=64 int=16 frac=16";
const NARROW: &str = "ring=48 int=15 frac=16";
const TINY: &str = "ring=8 int=2 frac=1";

const fn upto(limit: f64) -> Values {
    Values::Fixed { limit, frac: 16 }
}

const X: (&str, Values) = ("x", upto(100.0));
const Y: (&str, Values) = ("y", upto(100.0));
const BITS: (&str, Values) = ("q", Values::Bits);
const XY: &[(&str, Values)] = &[X, Y];

/// Shares of two owners' vectors: %2 and %3.
macro_rules! two {
    ($rest:literal) => {
        concat!(
            "%0 = input \"x\" : clear(a) [{n}]\n%1 = input \"y\" : clear(b) [{n}]\n",
            "%2 = share scale=16 %0 : ring(16) [{n}]\n%3 = share scale=16 %1 : ring(16) [{n}]\n",
            $rest
        )
    };
}

pub const CASES: &[Case] = &[
    Case {
        name: "share and reveal",
        format: WIDE,
        inputs: XY,
        ulps: 0.0,
        nodes: two!(
            "%4 = sub %2 %3 : ring(16) [{n}]\n%5 = neg %4 : ring(16) [{n}]\n%6 = reveal \"d\" to=a %4 : ring(16) [{n}]\n\
         %7 = reveal \"e\" to=b %5 : ring(16) [{n}]\n%8 = reveal \"f\" to=all %5 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "multiply",
        format: WIDE,
        inputs: XY,
        ulps: 0.0,
        nodes: two!("%4 = mul %2 %3 : ring(32) [{n}]\n%5 = reveal \"p\" to=a %4 : ring(32) [{n}]\n"),
    },
    Case {
        name: "square",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = mul %1 %1 : ring(32) [{n}]\n%3 = reveal \"p\" to=all %2 : ring(32) [{n}]\n",
    },
    Case {
        name: "multiply and truncate",
        format: WIDE,
        inputs: XY,
        ulps: 1.0,
        nodes: two!(
            "%4 = mul %2 %3 : ring(32) [{n}]\n%5 = trunc bits=16 %4 : ring(16) [{n}]\n%6 = reveal \"p\" to=b %5 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "multiply and truncate, 48 bits",
        format: NARROW,
        inputs: XY,
        ulps: 1.0,
        nodes: two!(
            "%4 = mul %2 %3 : ring(32) [{n}]\n%5 = trunc bits=16 %4 : ring(16) [{n}]\n%6 = reveal \"p\" to=b %5 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "truncate shares",
        format: WIDE,
        inputs: XY,
        ulps: 1.0,
        nodes: two!(
            "%4 = up bits=13 %2 : ring(29) [{n}]\n%5 = trunc bits=13 %4 : ring(16) [{n}]\n%6 = reveal \"p\" to=b %5 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "eight bits",
        format: TINY,
        inputs: &[("x", Values::Fixed { limit: 1.0, frac: 1 }), ("y", Values::Fixed { limit: 1.0, frac: 1 })],
        ulps: 1.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = input \"y\" : clear(b) [{n}]\n%2 = share scale=1 %0 : ring(1) [{n}]\n\
         %3 = share scale=1 %1 : ring(1) [{n}]\n%4 = mul %2 %3 : ring(2) [{n}]\n%5 = trunc bits=1 %4 : ring(1) [{n}]\n\
         %6 = relu %5 : ring(1) [{n}]\n%7 = reveal \"r\" to=a %6 : ring(1) [{n}]\n",
    },
    Case {
        name: "matrix product",
        format: WIDE,
        inputs: &[("x", upto(10.0)), ("y", upto(10.0))],
        ulps: 1.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}, 5]\n%1 = input \"y\" : clear(b) [5, 2]\n%2 = share scale=16 %0 : ring(16) [{n}, 5]\n\
         %3 = share scale=16 %1 : ring(16) [5, 2]\n%4 = matmul %2 %3 : ring(32) [{n}, 2]\n%5 = trunc bits=16 %4 : ring(16) [{n}, 2]\n\
         %6 = reveal \"p\" to=a %5 : ring(16) [{n}, 2]\n%7 = reveal \"w\" to=b %4 : ring(32) [{n}, 2]\n",
    },
    Case {
        name: "matrix product with a bias, and ReLU",
        format: WIDE,
        inputs: &[("x", upto(10.0)), ("y", upto(10.0)), ("z", upto(10.0))],
        ulps: 1.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}, 2]\n%1 = input \"y\" : clear(b) [2, 5]\n%2 = share scale=16 %0 : ring(16) [{n}, 2]\n\
         %3 = share scale=16 %1 : ring(16) [2, 5]\n%4 = matmul %2 %3 : ring(32) [{n}, 5]\n%5 = input \"z\" : clear(b) [1, 5]\n\
         %6 = share scale=32 %5 : ring(32) [1, 5]\n%7 = broadcast %6 : ring(32) [{n}, 5]\n%8 = add %4 %7 : ring(32) [{n}, 5]\n\
         %9 = trunc bits=16 %8 : ring(16) [{n}, 5]\n%10 = relu %9 : ring(16) [{n}, 5]\n%11 = reveal \"p\" to=a %10 : ring(16) [{n}, 5]\n",
    },
    Case {
        name: "long matrix product",
        format: WIDE,
        inputs: &[("x", upto(10.0)), ("y", upto(10.0)), ("z", upto(10.0))],
        ulps: 1.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}, 64]\n%1 = input \"y\" : clear(b) [64, 1]\n%2 = share scale=16 %0 : ring(16) [{n}, 64]\n\
         %3 = share scale=16 %1 : ring(16) [64, 1]\n%4 = matmul %2 %3 : ring(32) [{n}, 1]\n\
         %5 = input \"z\" : clear(b) [{n}, 1]\n%6 = share scale=32 %5 : ring(32) [{n}, 1]\n%7 = sub %6 %4 : ring(32) [{n}, 1]\n\
         %8 = trunc bits=16 %7 : ring(16) [{n}, 1]\n%9 = reveal \"p\" to=a %8 : ring(16) [{n}, 1]\n",
    },
    Case {
        name: "convolution",
        format: WIDE,
        inputs: &[("x", upto(10.0)), ("y", upto(10.0))],
        ulps: 1.0,
        nodes: "%0 = input \"x\" : clear(a) [1, 2, {n}, 3]\n%1 = input \"y\" : clear(b) [2, 1, 3, 3]\n\
         %2 = share scale=16 %0 : ring(16) [1, 2, {n}, 3]\n%3 = share scale=16 %1 : ring(16) [2, 1, 3, 3]\n\
         %4 = conv2d size=3x3 stride=1x2 pad=1x1 groups=2 %2 %3 : ring(32) [1, 2, {n}, 2]\n\
         %5 = trunc bits=16 %4 : ring(16) [1, 2, {n}, 2]\n%6 = reveal \"p\" to=a %5 : ring(16) [1, 2, {n}, 2]\n",
    },
    Case {
        name: "ReLU",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = relu %1 : ring(16) [{n}]\n%3 = reveal \"r\" to=a %2 : ring(16) [{n}]\n",
    },
    Case {
        name: "ReLU of a product",
        format: WIDE,
        inputs: XY,
        ulps: 1.0,
        nodes: two!(
            "%4 = mul %2 %3 : ring(32) [{n}]\n%5 = trunc bits=16 %4 : ring(16) [{n}]\n%6 = relu %5 : ring(16) [{n}]\n\
         %7 = reveal \"r\" to=b %6 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "ReLU6 of a sum",
        format: WIDE,
        inputs: XY,
        ulps: 0.0,
        nodes: two!(
            "%4 = add %2 %3 : ring(16) [{n}]\n%5 = relu %4 : ring(16) [{n}]\n%6 = const 6.0 : clear [{n}]\n\
         %7 = encode scale=16 %6 : public(16) [{n}]\n%8 = sub %4 %7 : ring(16) [{n}]\n%9 = relu %8 : ring(16) [{n}]\n\
         %10 = sub %5 %9 : ring(16) [{n}]\n%11 = neg %10 : ring(16) [{n}]\n%12 = reveal \"r\" to=b %11 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "ReLU of a product, 48 bits",
        format: NARROW,
        inputs: XY,
        ulps: 1.0,
        nodes: two!(
            "%4 = mul %2 %3 : ring(32) [{n}]\n%5 = trunc bits=16 %4 : ring(16) [{n}]\n%6 = relu %5 : ring(16) [{n}]\n\
         %7 = reveal \"r\" to=b %6 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "ReLU with 6 bits unread",
        format: WIDE,
        inputs: &[X],
        ulps: 64.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = relu unread=6 %1 : ring(16) [{n}]\n%3 = reveal \"r\" to=a %2 : ring(16) [{n}]\n",
    },
    Case {
        name: "sign",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = is_negative %1 : bit [{n}]\n%3 = reveal \"b\" to=a %2 : bit [{n}]\n",
    },
    Case {
        name: "sign of two bits",
        format: "ring=8 int=1 frac=1",
        inputs: &[("x", Values::Fixed { limit: 0.5, frac: 1 })],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=1 %0 : ring(1) [{n}]\n\
         %2 = up bits=1 %1 : ring(2) [{n}]\n%3 = trunc bits=1 %2 : ring(1) [{n}]\n%4 = is_negative %3 : bit [{n}]\n\
         %5 = and %4 %4 : bit [{n}]\n%6 = reveal \"b\" to=a %5 : bit [{n}]\n%7 = relu %3 : ring(1) [{n}]\n\
         %8 = reveal \"r\" to=b %7 : ring(1) [{n}]\n",
    },
    Case {
        name: "and, xor, or",
        format: WIDE,
        inputs: XY,
        ulps: 0.0,
        nodes: two!(
            "%4 = is_negative %2 : bit [{n}]\n%5 = is_negative %3 : bit [{n}]\n%6 = and %4 %5 : bit [{n}]\n\
         %7 = xor %4 %5 : bit [{n}]\n%8 = xor %6 %7 : bit [{n}]\n%9 = reveal \"and\" to=a %6 : bit [{n}]\n\
         %10 = reveal \"xor\" to=b %7 : bit [{n}]\n%11 = reveal \"or\" to=all %8 : bit [{n}]\n"
        ),
    },
    Case {
        name: "bits with public bits",
        format: WIDE,
        inputs: &[X, BITS],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = input \"q\" : clear [{n}]\n%2 = share scale=16 %0 : ring(16) [{n}]\n\
         %3 = encode scale=0 %1 : public(0) [{n}]\n%4 = is_negative %2 : bit [{n}]\n%5 = and %4 %3 : bit [{n}]\n\
         %6 = xor %4 %3 : bit [{n}]\n%7 = const 1.0 : clear [{n}]\n%8 = encode scale=0 %7 : public(0) [{n}]\n\
         %9 = xor %5 %8 : bit [{n}]\n%10 = and %9 %6 : bit [{n}]\n%11 = reveal \"b\" to=b %10 : bit [{n}]\n",
    },
    Case {
        name: "select",
        format: WIDE,
        inputs: XY,
        ulps: 0.0,
        nodes: two!(
            "%4 = sub %2 %3 : ring(16) [{n}]\n%5 = is_negative %4 : bit [{n}]\n%6 = select %5 %2 %3 : ring(16) [{n}]\n\
         %7 = select %5 %3 %2 : ring(16) [{n}]\n%8 = reveal \"min\" to=a %6 : ring(16) [{n}]\n\
         %9 = reveal \"max\" to=b %7 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "max",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [3, {n}]\n%1 = share scale=16 %0 : ring(16) [3, {n}]\n\
         %2 = max axis=0 %1 : ring(16) [1, {n}]\n%3 = reveal \"m\" to=a %2 : ring(16) [1, {n}]\n",
    },
    Case {
        name: "argmax",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [3, {n}]\n%1 = share scale=16 %0 : ring(16) [3, {n}]\n\
         %2 = argmax axis=0 %1 : ring(0) [{n}]\n%3 = reveal \"i\" to=a %2 : ring(0) [{n}]\n",
    },
    Case {
        name: "max pool",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [1, 1, {n}, 4]\n%1 = share scale=16 %0 : ring(16) [1, 1, {n}, 4]\n\
         %2 = max_pool size=1x3 stride=1x2 pad=0x1 %1 : ring(16) [1, 1, {n}, 2]\n%3 = reveal \"m\" to=a %2 : ring(16) [1, 1, {n}, 2]\n",
    },
    Case {
        name: "sum pool and sum",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [1, 2, {n}, 4]\n%1 = share scale=16 %0 : ring(16) [1, 2, {n}, 4]\n\
         %2 = sum_pool size=3x2 stride=1x2 pad=1x0 %1 : ring(16) [1, 2, {n}, 2]\n%3 = sum axis=1 %2 : ring(16) [1, 1, {n}, 2]\n\
         %4 = reveal \"s\" to=a %3 : ring(16) [1, 1, {n}, 2]\n",
    },
    Case {
        name: "rearrangement",
        format: WIDE,
        inputs: &[X],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [3, {n}]\n%1 = share scale=16 %0 : ring(16) [3, {n}]\n\
         %2 = transpose perm=1,0 %1 : ring(16) [{n}, 3]\n%3 = slice axis=1 start=0 step=2 %2 : ring(16) [{n}, 2]\n\
         %4 = concat axis=1 %3 %2 : ring(16) [{n}, 5]\n%5 = reshape %4 : ring(16) [5, {n}]\n\
         %6 = reveal \"s\" to=a %5 : ring(16) [5, {n}]\n",
    },
    Case {
        name: "public operands",
        format: WIDE,
        inputs: &[("x", upto(10.0)), ("q", upto(10.0)), ("p", upto(5.0))],
        ulps: 20.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}, 3]\n%1 = input \"q\" : clear [{n}, 3]\n%2 = input \"p\" : clear [3, 2]\n\
         %3 = share scale=16 %0 : ring(16) [{n}, 3]\n%4 = encode scale=16 %1 : public(16) [{n}, 3]\n\
         %5 = encode scale=16 %2 : public(16) [3, 2]\n%6 = add %3 %4 : ring(16) [{n}, 3]\n%7 = mul %6 %4 : ring(32) [{n}, 3]\n\
         %8 = trunc bits=16 %7 : ring(16) [{n}, 3]\n%9 = matmul %8 %5 : ring(32) [{n}, 2]\n%10 = trunc bits=16 %9 : ring(16) [{n}, 2]\n\
         %11 = reveal \"p\" to=all %10 : ring(16) [{n}, 2]\n%12 = mul %3 %8 : ring(32) [{n}, 3]\n%13 = mul %3 %4 : ring(32) [{n}, 3]\n\
         %14 = add %12 %13 : ring(32) [{n}, 3]\n%15 = trunc bits=16 %14 : ring(16) [{n}, 3]\n\
         %16 = reveal \"q\" to=a %15 : ring(16) [{n}, 3]\n",
    },
    Case {
        name: "equality",
        format: WIDE,
        inputs: &[("x", Values::Fixed { limit: 2.0, frac: 0 }), ("y", Values::Fixed { limit: 2.0, frac: 0 })],
        ulps: 0.0,
        nodes: two!(
            "%4 = sub %2 %3 : ring(16) [{n}]\n%5 = is_zero %4 : bit [{n}]\n%6 = reveal \"e\" to=a %5 : bit [{n}]\n\
         %7 = select %5 %2 %4 : ring(16) [{n}]\n%8 = reveal \"s\" to=b %7 : ring(16) [{n}]\n"
        ),
    },
    Case {
        name: "one-hot rows",
        format: WIDE,
        inputs: &[("x", Values::Fixed { limit: 20.0, frac: 0 })],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=0 %0 : ring(0) [{n}]\n\
         %2 = one_hot places=8 %1 : ring(0) [{n}, 8]\n%3 = reveal \"h\" to=b %2 : ring(0) [{n}, 8]\n",
    },
    Case {
        name: "exponential",
        format: WIDE,
        inputs: &[("x", upto(1.5))],
        ulps: 3.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = neg %0 : clear(a) [{n}]\n%2 = relu %0 : clear(a) [{n}]\n\
         %3 = sub %1 %2 : clear(a) [{n}]\n%4 = sub %3 %2 : clear(a) [{n}]\n%5 = share scale=16 %4 : ring(16) [{n}]\n\
         %6 = exp low=-20 pieces=32 top=15 %5 : ring(16) [{n}]\n%7 = reveal \"e\" to=a %6 : ring(16) [{n}]\n",
    },
    Case {
        name: "exponential, 48 bits",
        format: NARROW,
        inputs: &[("x", upto(0.9))],
        ulps: 5.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = exp low=-13 pieces=16 top=3 %1 : ring(16) [{n}]\n%3 = reveal \"e\" to=a %2 : ring(16) [{n}]\n",
    },
    Case {
        name: "polynomials by piece",
        format: WIDE,
        inputs: &[("x", upto(2.9))],
        ulps: 3.0,
        // x^2 - x / 2 in each of 8 pieces of width 1 from -3 on: with x = p - 3 + w.
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = piecewise low=-196608 shift=16 top=6 periodic=false pieces=8 \
         coefficients=18.0,-8.5,1.0,10.5,-6.5,1.0,5.0,-4.5,1.0,1.5,-2.5,1.0,0.0,-0.5,1.0,0.5,1.5,1.0,3.0,3.5,1.0,7.5,5.5,1.0 \
         %1 : ring(16) [{n}]\n%3 = reveal \"y\" to=a %2 : ring(16) [{n}]\n",
    },
    Case {
        name: "periodic constants",
        format: NARROW,
        inputs: &[("x", upto(16000.0))],
        ulps: 2.0,
        // Every other unit.
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=16 %0 : ring(16) [{n}]\n\
         %2 = piecewise low=0 shift=17 top=3 periodic=true pieces=2 coefficients=3.5,3.5 %1 : ring(16) [{n}]\n\
         %3 = reveal \"y\" to=a %2 : ring(16) [{n}]\n",
    },
    Case {
        name: "highest bit",
        format: WIDE,
        inputs: &[("x", upto(30000.0))],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = relu %0 : clear(a) [{n}]\n%2 = share scale=16 %1 : ring(16) [{n}]\n\
         %3 = leading what=scale %2 : ring(16) [{n}]\n%4 = leading what=exponent %2 : ring(16) [{n}]\n\
         %5 = leading what=root %2 : ring(16) [{n}]\n%6 = reveal \"s\" to=a %3 : ring(16) [{n}]\n\
         %7 = reveal \"e\" to=b %4 : ring(16) [{n}]\n%8 = reveal \"r\" to=all %5 : ring(16) [{n}]\n",
    },
    Case {
        name: "highest bit of four",
        format: "ring=16 int=2 frac=3",
        inputs: &[("x", Values::Fixed { limit: 1.9, frac: 3 })],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = relu %0 : clear(a) [{n}]\n%2 = share scale=3 %1 : ring(3) [{n}]\n\
         %3 = leading what=even_scale %2 : ring(3) [{n}]\n%4 = reveal \"s\" to=a %3 : ring(3) [{n}]\n",
    },
    Case {
        name: "bits and back",
        format: WIDE,
        inputs: &[("x", Values::Fixed { limit: 30000.0, frac: 0 })],
        ulps: 0.0,
        nodes: "%0 = input \"x\" : clear(a) [{n}]\n%1 = share scale=0 %0 : ring(0) [{n}]\n\
         %2 = bits count=21 %1 : bit [21, {n}]\n%3 = any_above %2 : bit [21, {n}]\n%4 = from_bits %2 : ring(0) [{n}]\n\
         %5 = from_bits %3 : ring(0) [{n}]\n%6 = transpose perm=1,0 %2 : bit [{n}, 21]\n\
         %7 = reveal \"b\" to=a %6 : bit [{n}, 21]\n%8 = reveal \"x\" to=b %4 : ring(0) [{n}]\n\
         %9 = reveal \"y\" to=all %5 : ring(0) [{n}]\n",
    },
    Case {
        name: "numbers of bits that were moved",
        format: WIDE,
        inputs: XY,
        ulps: 0.0,
        nodes: two!(
            "%4 = sub %2 %3 : ring(16) [{n}]\n%5 = is_negative %4 : bit [{n}]\n%6 = is_negative %2 : bit [{n}]\n\
         %7 = concat axis=0 %5 %6 : bit [TWICE]\n%8 = reshape %7 : bit [2, {n}]\n%9 = from_bits %8 : ring(0) [{n}]\n\
         %10 = any_above %8 : bit [2, {n}]\n%11 = reveal \"n\" to=b %9 : ring(0) [{n}]\n\
         %12 = reveal \"a\" to=a %10 : bit [2, {n}]\n"
        ),
    },
    Case {
        name: "loop",
        format: WIDE,
        inputs: &[("x", upto(4.0)), ("y", upto(0.9))],
        ulps: 8.0,
        nodes: two!(
            "%4 = loop turns=3 carried=1 scanned=0 %2 %3 {\n%0 = arg 0 : ring(16) [{n}]\n%1 = arg 1 : ring(16) [{n}]\n\
         %2 = mul %0 %1 : ring(32) [{n}]\n%3 = trunc bits=16 %2 : ring(16) [{n}]\n%4 = relu %3 : ring(16) [{n}]\n\
         %5 = add %4 %0 : ring(16) [{n}]\n%6 = yield 0 %5 : ring(16) [{n}]\n}\n%5 = final 0 %4 : ring(16) [{n}]\n\
         %6 = reveal \"h\" to=a %5 : ring(16) [{n}]\n"
        ),
    },
];

/// A row by its name.
pub fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("the table has no `{name}`"))
}

impl Case {
    pub fn graph(&self, n: usize) -> Graph {
        let nodes = self.nodes.replace("{n}", &n.to_string()).replace("TWICE", &(2 * n).to_string());
        let text = format!("graph test\nformat {}\nowners a b\n{nodes}", self.format);
        let graph = graph::text::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        graph::verify::verify(&graph).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        graph
    }

    /// Compiled as it stands, and checked. Each step is one of its protocol; what becomes of them when they are fused is
    /// what [`crate::fused`] tests.
    pub fn plan(&self, n: usize, prefer: Prefer) -> Plan {
        self.lowered(n, lower::Options { prefer, fused: false, ..Default::default() })
    }

    /// The same with these options.
    pub fn lowered(&self, n: usize, options: lower::Options) -> Plan {
        let plan = lower::lower(&self.graph(n), &Sources::default(), options);
        verify::verify(&plan).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        plan
    }

    /// Inputs: seed 0 is all zeros, every other one draws them.
    pub fn data(&self, n: usize, seed: u64) -> Data {
        let graph = self.graph(n);
        let mut random = Random(seed);
        let mut value = |values: &Values| match values {
            _ if seed == 0 => 0.0,
            Values::Fixed { limit, frac } => (random.uniform(*limit) * 2f64.powi(*frac)).round() * 2f64.powi(-frac),
            Values::Bits => (random.next() & 1) as f64,
        };
        let len = |name: &str| {
            let found = graph.dag.node_weights().find(|n| matches!(&n.op, Op::Input { path } if path == name));
            found.unwrap_or_else(|| panic!("{}: no input `{name}`", self.name)).ty.len()
        };
        self.inputs.iter().map(|(name, v)| (name.to_string(), (0..len(name)).map(|_| value(v)).collect())).collect()
    }

    /// Compares results with the evaluator's.
    pub fn check(&self, n: usize, data: &Data, outputs: &Data) {
        let graph = self.graph(n);
        let wanted = eval::results(&graph, data, eval::Mode::Fixed).unwrap();
        let allowed = self.ulps * 2f64.powi(-(graph.format.frac as i32));
        assert_eq!(outputs.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{}", self.name);
        for (name, values) in &wanted {
            for (i, (a, b)) in outputs[name].iter().zip(values).enumerate() {
                assert!((a - b).abs() <= allowed, "{}, n = {n}: {name}[{i}] is {a} instead of {b}", self.name);
            }
        }
    }
}

/// A protocol that no row runs is a protocol that nothing here tests.
#[test]
fn every_message_of_the_protocols_is_in_the_table() {
    let mut written = std::collections::BTreeSet::new();
    for path in crate::files::all(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/protocol")) {
        let text = std::fs::read_to_string(path).unwrap();
        for call in text.split("b.send").skip(1) {
            let name = call.split(';').next().and_then(|call| call.split('"').nth(1));
            written.extend(name.map(str::to_string));
        }
    }
    assert!(written.len() > 10, "{written:?}");
    for case in CASES {
        for round in case.plan(SMALL, Prefer::Rounds).rounds {
            written.retain(|name| round.sends.iter().all(|send| send.name != *name));
        }
    }
    assert!(written.is_empty(), "no case of the table sends {written:?}");
}
