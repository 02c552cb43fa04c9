// Functions of shared values. What one owner holds alone is better computed by that owner: `1.0 / x` costs nothing there, nor do
// the functions whose names end in `_local`.
// u = `unit()` is the step of the number format. Bounds count every rounding at its worst. Outside of its domain a function
// returns a number without meaning, and nobody notices. Costs are those of the default format for each element, all
// parties together; the table in the manual has them for others.

/// The step of the number format, 2^-frac: a constant.
intrinsic fn unit() -> fix;

/// The number format's limit, 2^(int-1), which no number reaches: a constant.
intrinsic fn limit() -> fix;

/// e^x for x from `low` to `high`, both constants; elsewhere without meaning. Relative error below 2^-17, and 1.5 u. 3
/// rounds: see `exp`, which knows its domain by itself.
intrinsic fn exp_between[..S](x: fix[..S], low: fix, high: fix) -> fix[..S];

/// Where `piecewise` has to know a function: `degree + 1` places over twice the width of each piece, the first of which lies
/// before `low`. Constants.
intrinsic fn nodes(low: fix, step: fix, pieces: nat, degree: nat) -> fix[pieces, degree + 1];

/// Any smooth function from `low` to `low + (P - 1) step`, from what it is at the `nodes` of the same `low` and `step`: each
/// piece is the polynomial through its samples. P and `step` are powers of two; all but x are constants. Elsewhere
/// without meaning, but within the samples' range. 4 rounds, whatever the function; a piece costs 5 bytes, a degree 14.
intrinsic fn piecewise[..S, P, D](x: fix[..S], low: fix, step: fix, samples: fix[P, D]) -> fix[..S];

/// The same for a function that begins anew after P pieces, for all x; `low` is 0.
intrinsic fn periodic[..S, P, D](x: fix[..S], step: fix, samples: fix[P, D]) -> fix[..S];

/// The power of two by which x > 0 falls between 1/2 and 1; 0 for x = 0. Exact. Together with the other functions of the
/// highest bit of the same x it takes 7 rounds.
intrinsic fn normaliser[..S](x: fix[..S]) -> fix[..S];

/// The power of four by which x > 0 falls between 1/4 and 1; 0 for x = 0. Exact.
intrinsic fn even_normaliser[..S](x: fix[..S]) -> fix[..S];

/// The square root of `even_normaliser(x)`. Exact.
intrinsic fn root_normaliser[..S](x: fix[..S]) -> fix[..S];

/// 1 / `root_normaliser(x)`; 0 for x = 0. Exact.
intrinsic fn root_exponent[..S](x: fix[..S]) -> fix[..S];

/// The whole number e for which 2^(e-1) <= x < 2^e, for x > 0; 0 for x = 0. Exact.
intrinsic fn exponent[..S](x: fix[..S]) -> fix[..S];

/// e^x of data that one owner holds, or of constants, as f64.
fn exp_local[..S](x: fix[..S]) -> fix[..S] {
    let t = x / 4096.0;
    var y = 1.0 + t * (1.0 + t / 2.0 * (1.0 + t / 3.0 * (1.0 + t / 4.0 * (1.0 + t / 5.0))));
    for _ in 0..12 { y = y * y; }
    y
}

/// Natural logarithm of data that one owner holds, or of constants, as f64: Halley's steps, for x from 1e-12 to 1e12.
fn log_local[..S](x: fix[..S]) -> fix[..S] {
    var y = 0.0 * x;
    for _ in 0..24 {
        let e = exp_local(y);
        y = y + 2.0 * (x - e) / (x + e);
    }
    y
}

/// The error function of data that one owner holds, or of constants, as f64: a series, for |x| < 6.
fn erf_local[..S](x: fix[..S]) -> fix[..S] {
    var term = x;
    var sum = x;
    for n in 1..160 {
        term = term * (2.0 * x * x) / (2 * n + 1);
        sum = sum + term;
    }
    1.1283791670955126 * exp_local(-x * x) * sum
}

/// Sine of data that one owner holds, or of constants, as f64: a series, for |x| < 8.
fn sin_local[..S](x: fix[..S]) -> fix[..S] {
    var term = x;
    var sum = x;
    for n in 1..24 {
        term = -term * x * x / (2 * n * (2 * n + 1));
        sum = sum + term;
    }
    sum
}

/// 1 / x for u < x, as far as the result is within the format. Relative error below 4 u + 5e-7, and 1 u. For int <=
/// frac + 1.
fn reciprocal[..S](x: fix[..S]) -> fix[..S] {
    let s = normaliser(x);
    let t = nodes(0.5, 0.0625, pieces = 16, degree = 5);
    piecewise(x * s, 0.5, 0.0625, 1.0 / t) * s
}

/// a / b for u < b, as far as 1 / b is within the format: `a * reciprocal(b)`. Error below that of 1 / b times |a|, and 1 u.
fn divide[..S](a: fix[..S], b: fix[..S]) -> fix[..S] {
    a * reciprocal(b)
}

/// 1 / sqrt(x) for x > 0. Relative error below 4 u + 5e-7, and 1 u. For int <= frac.
fn rsqrt[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(0.25, 0.0625, pieces = 16, degree = 6);
    piecewise(x * even_normaliser(x), 0.25, 0.0625, 1.0 / sqrt_local(t)) * root_normaliser(x)
}

/// Square root for x >= 0. Relative error below 5 u + 5e-7, and 1 u. For int <= frac.
fn sqrt[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(0.25, 0.0625, pieces = 16, degree = 5);
    piecewise(x * even_normaliser(x), 0.25, 0.0625, sqrt_local(t)) * root_exponent(x)
}

/// e^x where it is within the format; 0 where it is below u / 2. Relative error below 2^-17, and 2 u.
fn exp[..S](x: fix[..S]) -> fix[..S] {
    let least = log_local(unit()) - 0.7;
    select(x < least, 0.0, exp_between(x, least, log_local(limit() - unit())))
}

/// e^x for x <= 0; 0 where it is below u / 2. Error below 2 u.
fn exp_neg[..S](x: fix[..S]) -> fix[..S] {
    let least = log_local(unit()) - 0.7;
    select(x < least, 0.0, exp_between(x, least, 0.0))
}

/// Natural logarithm for x > 0. Error below 6 u + 1e-6.
fn log[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(0.5, 0.0625, pieces = 16, degree = 4);
    let e = exponent(x);
    // log(2) in two parts, as the second is encoded with more digits.
    piecewise(x * normaliser(x), 0.5, 0.0625, log_local(t)) + (0.6875 * e + 0.0056471805599453094 * e)
}

/// x^y for x > 0, as e^(y log(x)), where y log(x) and the result are within the format. Relative error below
/// `6 u |y| + u + 2^-17`, and 2 u.
fn pow[..S](x: fix[..S], y: fix[..S]) -> fix[..S] {
    exp(y * log(x))
}

/// 1 / (1 + e^-x) for all x. Error below 3 u + 4e-6.
fn sigmoid[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-15.5, 1.0, pieces = 32, degree = 6);
    let near = piecewise(x, -15.5, 1.0, 1.0 / (1.0 + exp_local(-t)));
    near - select(x < -15.0, near, 0.0) + select(x >= 15.0, 1.0 - near, 0.0)
}

/// Hyperbolic tangent for all x. Error below 3 u + 4e-6.
fn tanh[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-7.75, 0.5, pieces = 32, degree = 6);
    let near = piecewise(x, -7.75, 0.5, 2.0 / (1.0 + exp_local(-2.0 * t)) - 1.0);
    near - select(x < -7.5, 1.0 + near, 0.0) + select(x >= 7.5, 1.0 - near, 0.0)
}

/// The error function for all x. Error below 3 u + 4e-6.
fn erf[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-3.875, 0.25, pieces = 32, degree = 6);
    let near = piecewise(x, -3.875, 0.25, erf_local(t));
    near - select(x < -3.75, 1.0 + near, 0.0) + select(x >= 3.75, 1.0 - near, 0.0)
}

/// x in sixteenths of a circle.
fn sixteenths[..S](x: fix[..S]) -> fix[..S] {
    // 16 / (2 pi) in two parts, as the second is encoded with more digits.
    2.5 * x + 0.046479089470325372 * x
}

/// Sine for |x| below a sixteenth of the format's limit. Error below 3 u + 1e-6 + 4e-7 |x|, for frac >= 11.
fn sin[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(0.0, 0.5, pieces = 32, degree = 4);
    periodic(sixteenths(x), 0.5, sin_local(0.39269908169872415 * t))
}

/// Cosine, domain and error as of the sine.
fn cos[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(0.0, 0.5, pieces = 32, degree = 4);
    periodic(sixteenths(x), 0.5, sin_local(0.39269908169872415 * t + 1.5707963267948966))
}
