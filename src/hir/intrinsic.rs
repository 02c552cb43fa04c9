//! Operations of the compiler that the standard library declares with `intrinsic fn`, and the types of those whose
//! result shape no declaration can express.

use super::types::{Elem, Ty};
use crate::diag::Code;
use crate::shape::{Dim, Shape};

macro_rules! intrinsics {
    ($($(#[$doc:meta])* $variant:ident $name:literal)*) => {
        /// An operation of the compiler.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Intrinsic { $($(#[$doc])* $variant,)* }

        impl Intrinsic {
            /// Finds an intrinsic by its name in `.sml`.
            #[must_use]
            pub fn find(name: &str) -> Option<Intrinsic> {
                match name { $($name => Some(Intrinsic::$variant),)* _ => None }
            }

            /// Its name in `.sml`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Intrinsic::$variant => $name,)* }
            }
        }
    };
}

intrinsics! {
    /// `select(c, a, b)`.
    Select "select"
    /// `sum(x, axis)`.
    Sum "sum"
    /// `mean(x, axis)`.
    Mean "mean"
    /// `max_over(x, axis)`.
    MaxOver "max_over"
    /// `argmax(x, axis)`.
    Argmax "argmax"
    /// `reshape(x, [sizes])`.
    Reshape "reshape"
    /// `transpose(x, [perm])`.
    Transpose "transpose"
    /// `concat(a, b, axis)`.
    Concat "concat"
    /// `matmul(a, b)`.
    MatMul "matmul"
    /// `relu(x)`.
    Relu "relu"
    /// `convolve(x, weight, stride, pad, groups, dilation, stride_w, pad_w, dilation_w)`.
    Convolve "convolve"
    /// `max_pool(x, k, stride, pad)`.
    MaxPool "max_pool"
    /// `sum_pool(x, k, stride, pad)`.
    SumPool "sum_pool"
    /// `unit()`.
    Unit "unit"
    /// `limit()`.
    Limit "limit"
    /// `exp_between(x, low, high)`.
    ExpBetween "exp_between"
    /// `nodes(low, step, pieces, degree)`.
    Nodes "nodes"
    /// `piecewise(x, low, step, samples)`.
    Piecewise "piecewise"
    /// `periodic(x, step, samples)`.
    Periodic "periodic"
    /// `normaliser(x)`.
    Normaliser "normaliser"
    /// `even_normaliser(x)`.
    EvenNormaliser "even_normaliser"
    /// `root_normaliser(x)`.
    RootNormaliser "root_normaliser"
    /// `root_exponent(x)`.
    RootExponent "root_exponent"
    /// `exponent(x)`.
    Exponent "exponent"
    /// `one_hot(i, n)`.
    OneHot "one_hot"
    /// `rows_at(table, i)`.
    RowsAt "rows_at"
    /// `bits(x, n)`.
    Bits "bits"
    /// `from_bits(b)`.
    FromBits "from_bits"
    /// `any_above(b)`.
    AnyAbove "any_above"
    /// `keep_some(x, part)`.
    KeepSome "keep_some"
    /// `gather(x, [indices], axis)`.
    Gather "gather"
    /// `reverse(x, axis)`.
    Reverse "reverse"
    /// `every(x, step, axis, start)`.
    Every "every"
    /// `zero_pad(x, before, after, axis)`.
    ZeroPad "zero_pad"
    /// `spread(x, step, axis)`.
    Spread "spread"
    /// `patches(x, k, stride)`.
    Patches "patches"
    /// `adaptive_avg_pool(x, h, w)`.
    AdaptiveAvgPool "adaptive_avg_pool"
}

/// Why arguments do not fit.
pub(super) struct Problem {
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
}

fn problem<T>(code: Code, message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { code, message: message.into(), help: None })
}

impl Intrinsic {
    /// The result type for given arguments, of intrinsics declared without one. No argument is [`Ty::Error`].
    pub(super) fn rule(self, args: &[Ty], sizes: &[Vec<Dim>]) -> Result<Ty, Problem> {
        let one = |i: usize| sizes.get(i).and_then(|s| s.first()).cloned().unwrap_or_default();
        let many = |i: usize| sizes.get(i).cloned().unwrap_or_default();
        match (self, args) {
            (Intrinsic::Select, [c, a, b]) => select(c, a, b),
            (Intrinsic::Sum | Intrinsic::Mean | Intrinsic::MaxOver, [x]) => {
                let (elem, mut shape) = self.tensor(x)?;
                let axis = self.axis(&shape, &one(0))?;
                if self == Intrinsic::Mean && elem != Elem::Fix {
                    return problem(Code::TypeMismatch, format!("`mean` takes `fix` numbers, and this is `{x}`"));
                }
                shape.dims[axis] = Dim::constant(1);
                Ok(Ty::Tensor(elem, shape))
            }
            (Intrinsic::Argmax, [x]) => {
                let (_, mut shape) = self.tensor(x)?;
                let axis = self.axis(&shape, &one(0))?;
                shape.dims.remove(axis);
                Ok(Ty::Tensor(Elem::Int, shape))
            }
            (Intrinsic::Reshape, [Ty::Tensor(elem, shape)]) => reshape(*elem, shape, many(0)),
            (Intrinsic::Transpose, [Ty::Tensor(elem, shape)]) => transpose(*elem, shape, &many(0)),
            (Intrinsic::Concat, [a, b]) => self.concat(a, b, &one(0)),
            (Intrinsic::Gather, [Ty::Tensor(elem, shape)]) => {
                let (axis, indices) = (self.axis(shape, &one(1))?, many(0));
                self.indices(&indices, &shape.dims[axis])?;
                Ok(along(*elem, shape, axis, Dim::count(indices.len())))
            }
            (Intrinsic::Reverse, [Ty::Tensor(elem, shape)]) => {
                let _axis = self.axis(shape, &one(0))?;
                Ok(Ty::Tensor(*elem, shape.clone()))
            }
            (Intrinsic::Every, [Ty::Tensor(elem, shape)]) => {
                let (step, axis, start) = (one(0), self.axis(shape, &one(1))?, one(2));
                self.at_least(&start, 0, "start")?;
                self.at_least(&step, 1, "step")?;
                let left = shape.dims[axis].minus(&start);
                if left.as_constant().is_some_and(|c| c < 1) {
                    let message = format!("`every` starts at {start} of an axis of {}", shape.dims[axis]);
                    return problem(Code::BadSize, message);
                }
                let count = left.plus(&step).minus(&Dim::constant(1)).over(&step);
                Ok(along(*elem, shape, axis, count.unwrap_or_default()))
            }
            (Intrinsic::ZeroPad, [Ty::Tensor(elem, shape)]) => {
                let (before, after, axis) = (one(0), one(1), self.axis(shape, &one(2))?);
                let length = shape.dims[axis].plus(&before).plus(&after);
                self.at_least(&length, 1, "length of the result")?;
                Ok(along(*elem, shape, axis, length))
            }
            (Intrinsic::Spread, [Ty::Tensor(elem, shape)]) => {
                let (step, axis) = (one(0), self.axis(shape, &one(1))?);
                self.at_least(&step, 1, "step")?;
                let (first, one) = (Dim::constant(1), Dim::constant(1));
                Ok(along(*elem, shape, axis, shape.dims[axis].minus(&one).times(&step).plus(&first)))
            }
            _ => problem(Code::TypeMismatch, format!("`{}` takes tensors", self.name())),
        }
    }

    /// Element type and shape of a tensor of numbers.
    fn tensor(self, ty: &Ty) -> Result<(Elem, Shape), Problem> {
        match ty {
            Ty::Tensor(elem @ (Elem::Fix | Elem::Int), shape) => Ok((*elem, shape.clone())),
            other => problem(
                Code::TypeMismatch,
                format!("`{}` takes a tensor of numbers, and this is `{other}`", self.name()),
            ),
        }
    }

    fn axis(self, shape: &Shape, axis: &Dim) -> Result<usize, Problem> {
        let Some(number) = axis.as_constant() else {
            return Err(Problem {
                code: Code::Axis,
                message: format!("the axis `{axis}` of `{}` is no number here", self.name()),
                help: Some("axes are counted: 0 is the first, -1 the last".into()),
            });
        };
        shape.axis(number).ok_or_else(|| Problem {
            code: Code::Axis,
            message: if shape.is_scalar() {
                format!("axis {number} does not exist in a single number")
            } else {
                format!("axis {number} does not exist in shape `{shape}`")
            },
            help: Some(match (&shape.rest, shape.dims.len()) {
                (Some(rest), 0) => {
                    format!("`..{rest}` may have any number of axes; name the last one: `[..{rest}, C]`")
                }
                (Some(_), n) => format!("axes of this shape count from the end: -{n} to -1"),
                (None, 0) => "shapes are written behind the type: `fix[N]`".to_string(),
                (None, n) => format!("axes go from 0 to {}, or from -{n} to -1", n - 1),
            }),
        })
    }

    /// Indices that are known lie in the axis, and there is one.
    fn indices(self, indices: &[Dim], size: &Dim) -> Result<(), Problem> {
        let negative = |d: &Dim| d.as_constant().is_some_and(|c| c < 0);
        let outside = |i: &&Dim| negative(i) || negative(&size.minus(i).minus(&Dim::constant(1)));
        let (message, help) = match indices.iter().find(outside) {
            _ if indices.is_empty() => ("`gather` takes at least one index".to_string(), None),
            None => return Ok(()),
            Some(index) => (
                format!("index `{index}` of `gather` does not lie in an axis of {size}"),
                Some(format!("positions count from 0; the last one is {}", size.minus(&Dim::constant(1)))),
            ),
        };
        Err(Problem { code: Code::BadSize, message, help })
    }

    /// A compile-time argument that is surely too small is refused.
    fn at_least(self, value: &Dim, least: i64, what: &str) -> Result<(), Problem> {
        match value.as_constant() {
            Some(c) if c < least => Err(Problem {
                code: Code::BadSize,
                message: format!("the {what} of `{}` is {c} here", self.name()),
                help: Some(format!("it is at least {least}")),
            }),
            _ => Ok(()),
        }
    }

    fn concat(self, a: &Ty, b: &Ty, axis: &Dim) -> Result<Ty, Problem> {
        let any = |ty: &Ty| match ty {
            Ty::Tensor(elem, shape) => Ok((*elem, shape.clone())),
            _ => self.tensor(ty),
        };
        let ((elem, mut left), (other, mut right)) = (any(a)?, any(b)?);
        if elem != other {
            return problem(Code::TypeMismatch, format!("`concat` cannot join `{a}` with `{b}`"));
        }
        let axis = self.axis(&left, axis)?;
        if left.dims.len() != right.dims.len() || left.rest != right.rest {
            let (l, r) = (left.dims.len(), right.dims.len());
            let message = format!("`concat` cannot join `{a}` with `{b}`: they have {l} and {r} axes");
            return problem(Code::ShapeMismatch, message);
        }
        let length = left.dims[axis].plus(&right.dims[axis]);
        let differ: Vec<usize> = (0..left.dims.len()).filter(|i| left.dims[*i] != right.dims[*i]).collect();
        (left.dims[axis], right.dims[axis]) = (length.clone(), length);
        if left != right {
            let help = match differ.as_slice() {
                [only] => Some(format!("they can be joined along axis {only}: `axis = {only}`")),
                _ => Some("all axes but the joined one have to agree".to_string()),
            };
            let message = format!("`concat` cannot join `{a}` with `{b}` along axis {axis}");
            return Err(Problem { code: Code::ShapeMismatch, message, help });
        }
        Ok(Ty::Tensor(elem, left))
    }
}

/// The tensor with another length of one axis.
fn along(elem: Elem, shape: &Shape, axis: usize, length: Dim) -> Ty {
    let mut shape = shape.clone();
    shape.dims[axis] = length;
    Ty::Tensor(elem, shape)
}

fn select(c: &Ty, a: &Ty, b: &Ty) -> Result<Ty, Problem> {
    let Ty::Tensor(Elem::Bool, condition) = c else {
        let message = format!("`select` chooses by a `bool`, and this is `{c}`");
        let help = Some("compare first: `select(x > 0.0, a, b)`".to_string());
        return Err(Problem { code: Code::TypeMismatch, message, help });
    };
    match (a, b) {
        (Ty::Tensor(x, left), Ty::Tensor(y, right)) if x == y && *x != Elem::Bool => {
            match left.broadcast(right).and_then(|s| s.broadcast(condition)) {
                Some(shape) => Ok(Ty::Tensor(*x, shape)),
                None => {
                    problem(Code::ShapeMismatch, format!("`select` cannot bring `{c}`, `{a}` and `{b}` to one shape"))
                }
            }
        }
        _ => problem(Code::TypeMismatch, format!("`select` chooses between numbers of one type, not `{a}` and `{b}`")),
    }
}

fn reshape(elem: Elem, shape: &Shape, dims: Vec<Dim>) -> Result<Ty, Problem> {
    let count = |dims: &[Dim]| dims.iter().fold(Dim::constant(1), |n, d| n.times(d));
    if let Some(rest) = &shape.rest {
        return problem(
            Code::OpenSize,
            format!("the number of elements of `..{rest}` is open, so it cannot be reshaped"),
        );
    }
    let (have, want) = (count(&shape.dims), count(&dims));
    if have != want {
        let inferred = dims.iter().any(|d| d.as_constant() == Some(-1));
        let target = Shape::of(dims);
        let message = format!("`{shape}` has {have} elements and `{target}` has {want}");
        let help = inferred.then(|| "sizes are not inferred here: write out what stands for -1".to_string());
        return Err(Problem { code: Code::ShapeMismatch, message, help });
    }
    Ok(Ty::Tensor(elem, Shape::of(dims)))
}

fn transpose(elem: Elem, shape: &Shape, perm: &[Dim]) -> Result<Ty, Problem> {
    let order: Option<Vec<usize>> = perm.iter().map(|d| d.as_constant().and_then(|i| shape.axis(i))).collect();
    let mut sorted = order.clone().unwrap_or_default();
    sorted.sort_unstable();
    match order {
        Some(order) if shape.rest.is_none() && sorted.iter().copied().eq(0..shape.dims.len()) => {
            Ok(Ty::Tensor(elem, Shape::of(order.into_iter().map(|i| shape.dims[i].clone()).collect())))
        }
        _ => Err(Problem {
            code: Code::Axis,
            message: format!("`{}` is no order of the axes of shape `{shape}`", Shape::of(perm.to_vec())),
            help: (shape.rest.is_none() && !shape.is_scalar()).then(|| {
                let axes: Vec<String> = (0..shape.dims.len()).map(|i| i.to_string()).collect();
                format!("name each axis once: `[{}]` in another order", axes.join(", "))
            }),
        }),
    }
}
