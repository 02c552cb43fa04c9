// Functions of shared values, made of additions, multiplications, comparisons and `select`. What one owner holds alone
// is better divided by directly: `1.0 / x` costs nothing there.
// u = 2^-frac is the step of the number format. The bounds count every rounding at its worst, and want int >= 14 and
// frac >= 15. Outside of its domain a function returns a number without meaning, and nobody notices. Costs are for each
// element: a multiplication is one of two shared numbers, with its truncation.

/// Divides by a power of 4: `x = m 4^k` with m from 64 to 256, for x from 2^-12 to 2^16. Returns m and how k came about:
/// x < 1 (m was multiplied by 4^6), m >= 2^8 (divided by 4^4), m < 2^4 (multiplied by 4^2), m < 2^6 (multiplied by 4).
/// 4 comparisons.
fn scaled[..S](x: fix[..S]) -> (fix[..S], bool[..S], bool[..S], bool[..S], bool[..S]) {
    let small = x < 1.0;
    let a = select(small, 4096.0 * x, x);
    let large = a >= 256.0;
    let b = select(large, a / 256.0, a);
    let by4 = b < 16.0;
    let c = select(by4, 16.0 * b, b);
    let by2 = c < 64.0;
    (select(by2, 4.0 * c, c), small, large, by4, by2)
}

/// 1 / m for m from 1 to 2: a parabola within 1/99, then two of Newton's steps. Error below 3 u + 1.1e-8.
/// 5 multiplications, no comparison.
fn reciprocal_near_one[..S](m: fix[..S]) -> fix[..S] {
    var y = (0.32323232 * m - 1.45454545) * m + 2.12121212;
    for _ in 0..2 { y = y * (2.0 - m * y); }
    y
}

/// 1 / x for 2^-12 <= x < 2^15 (and within the format). Error below u (1 + 6 / x) + 1.2e-8 / x: for x <= 1 a relative
/// error, for large x a step of the format. 5 comparisons, 6 multiplications.
fn reciprocal[..S](x: fix[..S]) -> fix[..S] {
    let (m, small, large, by4, by2) = scaled(x);
    let by1 = m < 128.0;
    let m = select(by1, 2.0 * m, m) / 128.0;
    // The power of two to multiply by, made of exact doublings. 2^-15 is written a little smaller, so that a format that
    // does not have it refuses it (E0502).
    let s = select(small, 1.0 / 8.0, 0.0000305175781);
    let s = select(large, s, 256.0 * s);
    let s = select(by4, 16.0 * s, s);
    let s = select(by2, 4.0 * s, s);
    let s = select(by1, 2.0 * s, s);
    reciprocal_near_one(m) * s
}

/// A first guess of 1 / sqrt(2 h) for h from 1/2 to 2, within 0.71 %. 2 multiplications.
fn rsqrt_guess[..S](h: fix[..S]) -> fix[..S] {
    1.55618762 - 1.47772705 * h + (0.77874328 - 0.15240336 * h) * (h * h)
}

/// 1 / sqrt(x) for 2^-12 <= x < 2^15 (and within the format). Error below u (1 + 7 / sqrt(x)) + 1e-8 / sqrt(x).
/// 4 comparisons, 9 multiplications.
fn rsqrt[..S](x: fix[..S]) -> fix[..S] {
    let (m, small, large, by4, by2) = scaled(x);
    let h = m / 128.0;
    var y = rsqrt_guess(h);
    for _ in 0..2 { y = y * (1.5 - h * y * y); }
    let s = select(small, 1.0 / 2.0, 1.0 / 128.0);
    let s = select(large, s, 16.0 * s);
    let s = select(by4, 4.0 * s, s);
    let s = select(by2, 2.0 * s, s);
    y * s
}

/// Square root for 2^-12 <= x < 2^15 (and within the format), and for 0. Error below u (1 + 6 sqrt(x)) + 1e-8 sqrt(x);
/// below 0.002 for 0 < x < 2^-12. 4 comparisons, 9 multiplications.
fn sqrt[..S](x: fix[..S]) -> fix[..S] {
    let (m, small, large, by4, by2) = scaled(x);
    let h = m / 128.0;
    let guess = rsqrt_guess(h);
    let y = guess * (1.5 - h * guess * guess);
    // 2 k is within 1e-4 of sqrt(2 h), and the last step takes off what is left.
    let k = h * y;
    let root = 2.0 * k + y * (h - 2.0 * k * k);
    let t = select(small, 1.0 / 64.0, 1.0);
    let t = select(large, 16.0 * t, t);
    let t = select(by4, t, 4.0 * t);
    let t = select(by2, t, 2.0 * t);
    root * t
}

/// e^x for -16 <= x <= 8, as (e^(x/16))^16: a polynomial of degree 6 and four squarings. Error below
/// (100 u + 7e-6) e^x + 4 u. No comparison, 8 multiplications.
fn exp[..S](x: fix[..S]) -> fix[..S] {
    let v = x / 16.0;
    let v2 = v * v;
    let low = 1.0 + 0.99999636 * v + (0.49999343 + 0.1667173 * v) * v2;
    let high = 0.04176841 + 0.00823171 * v + 0.00106313 * v2;
    var y = low + high * (v2 * v2);
    for _ in 0..4 { y = y * y; }
    y
}

/// e^x for -16 <= x <= 0: the same with a closer polynomial. Error below (100 u + 4.7e-7) e^x + 4 u. No comparison,
/// 8 multiplications.
fn exp_neg[..S](x: fix[..S]) -> fix[..S] {
    let v = x / 16.0;
    let v2 = v * v;
    let low = 1.0 + 0.99999855 * v + (0.49997389 + 0.16650622 * v) * v2;
    let high = 0.0412023 + 0.0076337 * v + 0.00084172 * v2;
    var y = low + high * (v2 * v2);
    for _ in 0..4 { y = y * y; }
    y
}

/// Natural logarithm for 2^-12 <= x < 2^15 (and within the format). Error below 12 u + 2.4e-7. 5 comparisons,
/// 5 multiplications.
fn log[..S](x: fix[..S]) -> fix[..S] {
    let (m, small, large, by4, by2) = scaled(x);
    let by1 = m < 128.0;
    // log(1 + t) for t from 0 to 1.
    let t = select(by1, 2.0 * m, m) / 128.0 - 1.0;
    let t2 = t * t;
    let low = 0.99998114 - 0.49947178 * t + (0.3282422 - 0.225898 * t) * t2;
    let high = 0.1346745 - 0.05514517 * t + 0.0107645 * t2;
    let near = (low + high * (t2 * t2)) * t;
    // log(2) = 0.69314718 for each doubling that was taken back.
    let far = select(small, -8.31776617, 0.0) + select(large, 5.54517744, 0.0);
    let rest = select(by4, 0.0, 2.77258872)
        + select(by2, 0.0, 1.38629436)
        + select(by1, 0.0, 0.69314718);
    near + far + rest
}

/// 1 / (1 + e^a) for -16 <= a <= 0: from 1 / 2 up to 1. 13 multiplications.
fn sigmoid_above[..S](a: fix[..S]) -> fix[..S] {
    reciprocal_near_one(1.0 + exp_neg(a))
}

/// 1 / (1 + e^-x) for all x of the format. Error below 30 u + 4e-7. 2 comparisons, 13 multiplications.
fn sigmoid[..S](x: fix[..S]) -> fix[..S] {
    let negative = x < 0.0;
    let p = sigmoid_above(at_least(select(negative, x, -x), -16.0));
    select(negative, 1.0 - p, p)
}

/// Hyperbolic tangent, for all x of the format. Error below 60 u + 8e-7. 2 comparisons, 13 multiplications.
fn tanh[..S](x: fix[..S]) -> fix[..S] {
    let negative = x < 0.0;
    let p = sigmoid_above(2.0 * at_least(select(negative, x, -x), -8.0));
    select(negative, 1.0 - 2.0 * p, 2.0 * p - 1.0)
}
