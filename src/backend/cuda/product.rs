//! Products: what each kernel that multiplies is given.

use smallvec::SmallVec;

use super::Cuda;
use super::choice::{self, Chosen, MOST, Matrices, Shape, Tiled};
use super::gpu::Grid;
use super::kernels::Parameters;
use super::params::{self, Conv, Divisor, Gemm};
use super::residue::Large;
use crate::backend::ceilings::{Unit, Work};
use crate::backend::{BackendError, Launch};
use crate::graph::Window;
use crate::plan::{Product, sums};

/// A factor: its words, or `factors[0]` times the first and `factors[1]` times the second.
type Terms = [u64; 2];

impl Cuda {
    /// Multiplies; with `factors` the two sums of pairs.
    pub(super) fn product(
        &mut self,
        product: &Product,
        factors: Option<&[[i8; 2]; 2]>,
        launch: &Launch<'_>,
    ) -> Result<(), BackendError> {
        let out = self.places.operand(launch.bufs, launch.outs[0])?;
        if out.is_empty() {
            return Ok(());
        }
        // A sum of one term is one of the term and of nothing of it.
        let ins = match factors.and_then(|factors| sums(factors, launch.ins)) {
            Some(sums) => sums.into_iter().flat_map(|(first, second)| [first, second.unwrap_or(first)]).collect(),
            None => SmallVec::<[_; 4]>::from_slice(launch.ins),
        };
        let places: SmallVec<[(u64, usize); 4]> = ins
            .iter()
            .map(|operand| Ok((self.operand(launch.bufs, operand.buf)?, launch.bufs[operand.buf.index()].words())))
            .collect::<Result<_, BackendError>>()?;
        let factors = factors.map(|sides| sides.map(|side| side.map(|factor| i64::from(factor) as u64)));
        // Sums have their left operands first, pairs one of each.
        let [left, right] = if factors.is_some() { [[0, 1], [2, 3]] } else { [[0, 2], [1, 3]] };
        let take = |at: [usize; 2]| -> Terms { at.map(|at| places.get(at).map_or(0, |place| place.0)) };
        let (a, b) = (take(left), take(right));
        let pairs = if factors.is_some() { 1 } else { places.len() / 2 };
        match *product {
            Product::MatMul { batch, m, k, n } => {
                let shared = |at: usize, matrix: usize| places[at].1 == matrix && batch > 1;
                let of_pair = |pair: usize| (shared(left[pair], m * k), shared(right[pair], k * n));
                let base = Batch { out: out.clone(), batch, m, k, n, factors, accumulate: false };
                if pairs == 1 || of_pair(0) == of_pair(1) {
                    return self.matmul(&base, a, b, pairs, of_pair(0));
                }
                // Pairs that share their batch in another way: one after the other.
                self.clear(out)?;
                let base = Batch { accumulate: true, ..base };
                for pair in 0..pairs {
                    self.matmul(&base, [a[pair], 0], [b[pair], 0], 1, of_pair(pair))?;
                }
                Ok(())
            }
            Product::Conv2d { n, c, h, w, o, window, groups } => {
                let (image, weight) = (a, b);
                if is_of_matrices(groups, &window) {
                    // The weights times each image.
                    let factors = factors.map(|[image, weight]| [weight, image]);
                    let base = Batch { out, batch: n, m: o, k: c, n: h * w, factors, accumulate: false };
                    return self.matmul(&base, weight, image, pairs, (n > 1, false));
                }
                let result = window.output(h, w).unwrap_or_default();
                let u32s = |sizes: [usize; 2]| Ok::<_, BackendError>([size(sizes[0])?, size(sizes[1])?]);
                let [image_factor, weight_factor] = factors.unwrap_or_default();
                let parameters = Conv {
                    image,
                    weight,
                    out: self.address(out.start)?,
                    image_factor,
                    weight_factor,
                    images: size(n)?,
                    groups: size(groups)?,
                    channels: size(c / groups)?,
                    outputs: size(o / groups)?,
                    size: u32s([h, w])?,
                    window: u32s(window.size)?,
                    stride: u32s(window.stride)?,
                    pad: u32s(window.pad)?,
                    dilation: u32s(window.dilation)?,
                    result: u32s(result)?,
                    by_image: Divisor::by(size(result[0] * result[1])?),
                    by_row: Divisor::by(size(result[1])?),
                    by_channel: Divisor::by(size(window.size[0] * window.size[1])?),
                    by_line: Divisor::by(size(window.size[1])?),
                    pairs: pairs as u32,
                    unused: 0,
                };
                let columns = n * result[0] * result[1];
                // Numbers that the kernel divides or adds up.
                for sizes in [columns, c / groups * h * w, o / groups * (c / groups) * window.size[0] * window.size[1]]
                {
                    size(sizes)?;
                }
                self.conv(parameters, out, columns, factors.is_some())
            }
        }
    }

    /// Adds the multiplications of a product.
    pub(super) fn multiplications(&self, product: &Product, sums: bool, launch: &Launch<'_>, work: &mut Work) {
        let words = |at: usize| launch.bufs[launch.ins[at].buf.index()].words();
        let pairs = if sums { 1 } else { launch.ins.len() / 2 };
        let multiprocessors = self.gpu.multiprocessors() as usize;
        let matrices = |shape: Shape| match choice::matrices(self.multiply, &shape, multiprocessors) {
            Matrices::Tiled(chosen) => (shape, chosen.kernel.tiles.multiplication()),
            Matrices::Planes(_) => (shape, (Unit::ByteProducts, choice::BYTES)),
            Matrices::Residues(moduli) => (shape, (Unit::ByteProducts, moduli as f64)),
        };
        let (shape, (unit, each)) = match *product {
            Product::MatMul { batch, m, k, n } => {
                let shared = (batch > 1 && words(0) == m * k, batch > 1 && words(launch.ins.len() - 1) == k * n);
                matrices(Shape { sums, ..Shape::of_matrices(batch, [m, k, n], pairs, shared) })
            }
            Product::Conv2d { n, c, h, w, o, window, groups } if is_of_matrices(groups, &window) => {
                matrices(Shape { sums, ..Shape::of_matrices(n, [o, c, h * w], pairs, (n > 1, false)) })
            }
            Product::Conv2d { n, c, h, w, o, window, groups } => {
                let [[rows, cols], [height, width]] = [window.output(h, w).unwrap_or_default(), window.size];
                let depth = c / groups * height * width;
                let shape = Shape { batch: groups, rows: o / groups, cols: n * rows * cols, depth, pairs, sums };
                (shape, choice::windows(self.multiply, &shape, multiprocessors).kernel.tiles.multiplication())
            }
        };
        work.add(unit, each * shape.multiply_adds());
    }

    fn matmul(
        &mut self,
        base: &Batch,
        a: Terms,
        b: Terms,
        pairs: usize,
        (one_left, one_right): (bool, bool),
    ) -> Result<(), BackendError> {
        let Batch { ref out, batch, m, k, n, factors, accumulate } = *base;
        let shape = Shape::of_matrices(batch, [m, k, n], pairs, (one_left, one_right));
        let (shape, m, batch) = (Shape { sums: factors.is_some(), ..shape }, shape.rows, shape.batch);
        let sizes = [m, k, n];
        let large = |device: &Cuda, item| device.large(base, (a, b), pairs, (one_left, one_right), sizes, item);
        let mut chosen = match choice::matrices(self.multiply, &shape, self.gpu.multiprocessors() as usize) {
            Matrices::Tiled(chosen) => chosen,
            Matrices::Planes(parts) => {
                if parts > 1 && !accumulate {
                    self.clear(out.clone())?;
                }
                return (0..batch).try_for_each(|item| self.by_planes(&large(self, item)?, parts));
            }
            Matrices::Residues(moduli) => {
                return (0..batch).try_for_each(|item| self.by_residues(&large(self, item)?, moduli));
            }
        };
        if accumulate {
            // Parts add to what is there.
            chosen.parts = chosen.parts.max(2);
        } else if chosen.parts > 1 {
            self.clear(out.clone())?;
        }
        let [factor_a, factor_b] = factors.unwrap_or_default();
        let parameters = Gemm {
            a,
            b,
            c: self.address(out.start)?,
            step_a: if one_left { 0 } else { (m * k) as u64 },
            step_b: if one_right { 0 } else { (k * n) as u64 },
            factor_a,
            factor_b,
            m: size(m)?,
            n: size(n)?,
            k: size(k)?,
            pairs: pairs as u32,
            batch: size(batch)?,
            unused: 0,
        };
        self.tiles(&chosen, &shape, (parameters,))
    }

    /// A product of a batch whose factors are split.
    fn large(
        &self,
        base: &Batch,
        (a, b): (Terms, Terms),
        pairs: usize,
        (one_left, one_right): (bool, bool),
        [m, k, n]: [usize; 3],
        item: usize,
    ) -> Result<Large, BackendError> {
        let from = |words: u64, one: bool, matrix: usize| words + if one { 0 } else { 8 * (item * matrix) as u64 };
        let (a, b) = (a.map(|words| from(words, one_left, m * k)), b.map(|words| from(words, one_right, k * n)));
        let single = |words: u64| params::Terms { words: [words, 0], factor: [1, 0] };
        let terms = match base.factors {
            Some([left, right]) => {
                let sum = |words, factor| params::Terms { words, factor };
                [[sum(a, left), sum(b, right)], Default::default()]
            }
            None => [0, 1].map(|pair: usize| [single(a[pair]), single(b[pair])]),
        };
        let out = self.address(base.out.start + item * m * n)?;
        Ok(Large { pairs: terms, count: pairs, out, m, k, n, add: base.accumulate })
    }

    fn conv(
        &mut self,
        parameters: Conv,
        out: std::ops::Range<usize>,
        columns: usize,
        sums: bool,
    ) -> Result<(), BackendError> {
        let Conv { groups, channels, outputs, window, pairs, .. } = parameters;
        let (outputs, groups) = (outputs as usize, groups as usize);
        let depth = channels as usize * window[0] as usize * window[1] as usize;
        let shape = Shape { batch: groups, rows: outputs, cols: columns, depth, pairs: pairs as usize, sums };
        let chosen = choice::windows(self.multiply, &shape, self.gpu.multiprocessors() as usize);
        if chosen.parts > 1 {
            self.clear(out)?;
        }
        self.tiles(&chosen, &shape, (parameters,))
    }

    /// Launches a kernel that was chosen for a shape.
    fn tiles<P>(&self, chosen: &Chosen<P>, shape: &Shape, parameters: (P,)) -> Result<(), BackendError>
    where
        (P,): Parameters,
    {
        let Tiled { kernels, tiles } = chosen.kernel;
        let [x, y] = tiles.blocks(shape, chosen.parts);
        let blocks = [size(x)?, size(y)?, shape.batch.min(MOST) as u32];
        self.call(kernels[usize::from(shape.sums)], Grid { blocks, threads: 256, shared: tiles.shared }, parameters)
    }
}

/// Whether a convolution is the weights times each image.
fn is_of_matrices(groups: usize, window: &Window) -> bool {
    groups == 1 && *window == Window::new([1, 1], [1, 1], [0, 0])
}

/// A batch of matrix products, but for the matrices.
struct Batch {
    /// The result's words.
    out: std::ops::Range<usize>,
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    factors: Option<[[u64; 2]; 2]>,
    /// Whether the result is added to what is there.
    accumulate: bool,
}

/// A size that the kernels hold in 32 bits.
pub(super) fn size(value: usize) -> Result<u32, BackendError> {
    match u32::try_from(value) {
        Ok(size) if size < 1 << 31 => Ok(size),
        _ => Err(BackendError::Limit(format!("a size of {value} is more"))),
    }
}
