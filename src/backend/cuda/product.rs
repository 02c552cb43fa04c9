//! Which kernel multiplies: by the shape of the product, and by how many blocks it makes.

use smallvec::SmallVec;

use super::gpu::Grid;
use super::kernels::{
    CONV_DIRECT, CONV_DIRECT_SUMS, CONV_LIMB, CONV_LIMB_LOW, CONV_LIMB_LOW_SUMS, CONV_LIMB_SUMS, CONV_SIMT,
    CONV_SIMT_SUMS, GEMM_LIMB, GEMM_LIMB_LOW, GEMM_LIMB_LOW_SUMS, GEMM_LIMB_SUMS, GEMM_SIMT, GEMM_SIMT_SUMS, GEMV_COLS,
    GEMV_COLS_SUMS, GEMV_ROWS, GEMV_ROWS_SUMS, Kernel,
};
use super::params::{self, Conv, Divisor, Gemm};
use super::residue::{self, Large};
use super::{Cuda, Multiply};
use crate::backend::{BackendError, Launch};
use crate::graph::Window;
use crate::plan::{Product, sums};

/// A kernel with parameters `P` that computes tiles of a result, with its twin for sums.
#[derive(Clone, Copy)]
struct Tiled<P> {
    kernels: [Kernel<(P,)>; 2],
    /// Rows and columns of a tile.
    tile: [usize; 2],
    /// Multiply-adds of an element in a step.
    step: usize,
    /// Bytes of dynamic shared memory.
    shared: u32,
}

impl<P> Tiled<P> {
    /// Tiles of so many rows and columns.
    fn tiles(&self, rows: usize, cols: usize) -> usize {
        rows.div_ceil(self.tile[0]) * cols.div_ceil(self.tile[1])
    }
}

/// A kernel for matrices, and the one for convolutions: by multiply-adds of words, on tensor cores, and there for few rows.
struct Both {
    matrices: Tiled<Gemm>,
    windows: Tiled<Conv>,
}

const fn both(
    matrices: [Kernel<(Gemm,)>; 2],
    windows: [Kernel<(Conv,)>; 2],
    tile: [usize; 2],
    step: usize,
    shared: u32,
) -> Both {
    Both {
        matrices: Tiled { kernels: matrices, tile, step, shared },
        windows: Tiled { kernels: windows, tile, step, shared },
    }
}

const SIMT: Both = both([GEMM_SIMT, GEMM_SIMT_SUMS], [CONV_SIMT, CONV_SIMT_SUMS], [64, 64], 16, 0);
const LIMB: Both = both([GEMM_LIMB, GEMM_LIMB_SUMS], [CONV_LIMB, CONV_LIMB_SUMS], [64, 64], 32, 65_536);
const LIMB_LOW: Both =
    both([GEMM_LIMB_LOW, GEMM_LIMB_LOW_SUMS], [CONV_LIMB_LOW, CONV_LIMB_LOW_SUMS], [32, 128], 32, 81_920);

/// For few rows, and for few columns.
const ROWS: Tiled<Gemm> = Tiled { kernels: [GEMV_ROWS, GEMV_ROWS_SUMS], tile: [FEW, 32], step: 32, shared: 0 };
const COLUMNS: Tiled<Gemm> = Tiled { kernels: [GEMV_COLS, GEMV_COLS_SUMS], tile: [16, FEW], step: 128, shared: 0 };

/// Rows or columns up to which a product reads its larger factor once, at the memory's speed.
const FEW: usize = 8;

/// Results of a group up to which a convolution is computed without tiles, and the depth up to which it is.
const SHALLOW: (usize, usize) = (4, 32);

/// Below these a tile of bytes is mostly filling.
const LIMBS: [usize; 3] = [16, 16, 24];

/// Blocks of a grid along y and z.
const MOST: usize = 65_535;

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
                let base = Matrices { out: out.clone(), batch, m, k, n, factors, accumulate: false };
                if pairs == 1 || of_pair(0) == of_pair(1) {
                    return self.matmul(&base, a, b, pairs, of_pair(0));
                }
                // Pairs that share their batch in another way: one after the other.
                self.clear(out)?;
                let base = Matrices { accumulate: true, ..base };
                for pair in 0..pairs {
                    self.matmul(&base, [a[pair], 0], [b[pair], 0], 1, of_pair(pair))?;
                }
                Ok(())
            }
            Product::Conv2d { n, c, h, w, o, window, groups } => {
                let (image, weight) = (a, b);
                if groups == 1 && window == Window::new([1, 1], [1, 1], [0, 0]) {
                    // The weights times each image.
                    let factors = factors.map(|[image, weight]| [weight, image]);
                    let base = Matrices { out, batch: n, m: o, k: c, n: h * w, factors, accumulate: false };
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

    fn matmul(
        &mut self,
        base: &Matrices,
        a: Terms,
        b: Terms,
        pairs: usize,
        (one_left, one_right): (bool, bool),
    ) -> Result<(), BackendError> {
        let Matrices { ref out, batch, m, k, n, factors, accumulate } = *base;
        // One right matrix for all: the left ones are one tall matrix.
        let (batch, m) = if one_right && !one_left { (1, batch * m) } else { (batch, m) };
        let by_residues = match self.multiply {
            Multiply::ByShape => residue::is_worthwhile([m, k, n], pairs),
            Multiply::Residues => true,
            Multiply::Words | Multiply::Bytes => false,
        };
        if let (true, Some(moduli)) = (by_residues, residue::moduli([m, k, n], pairs)) {
            for item in 0..batch {
                self.residues(base, (a, b), pairs, (one_left, one_right), [item, m, k, n], moduli)?;
            }
            return Ok(());
        }
        let sums = factors.is_some();
        let kernel = match (m, n) {
            (..=FEW, _) => ROWS,
            (_, ..=FEW) => COLUMNS,
            _ => self.tiled(m, n, k).matrices,
        };
        let (tiles, steps) = (kernel.tiles(m, n), k.div_ceil(kernel.step) * pairs);
        // Parts add to what is there.
        let parts = if accumulate { 2 } else { self.parts(tiles * batch, steps) };
        if parts > 1 && !accumulate {
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
        let blocks = [size(tiles)?, parts as u32, batch.min(MOST) as u32];
        let grid = Grid { blocks, threads: 256, shared: kernel.shared };
        self.call(kernel.kernels[usize::from(sums)], grid, (parameters,))
    }

    /// A product of a batch by residues.
    fn residues(
        &mut self,
        base: &Matrices,
        (a, b): (Terms, Terms),
        pairs: usize,
        (one_left, one_right): (bool, bool),
        [item, m, k, n]: [usize; 4],
        moduli: usize,
    ) -> Result<(), BackendError> {
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
        let large = Large { pairs: terms, count: pairs, out, m, k, n, add: base.accumulate };
        self.by_residues(&large, moduli)
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
        let z = groups.min(MOST) as u32;
        if outputs <= SHALLOW.0 && depth <= SHALLOW.1 {
            let kernel = [CONV_DIRECT, CONV_DIRECT_SUMS][usize::from(sums)];
            let blocks = [size(columns.div_ceil(256))?, outputs.div_ceil(4) as u32, z];
            return self.call(kernel, Grid { blocks, threads: 256, shared: 0 }, (parameters,));
        }
        let kernel = self.tiled(outputs, columns, depth).windows;
        let tiles = kernel.tiles(outputs, columns);
        let parts = self.parts(tiles * groups, depth.div_ceil(kernel.step) * pairs as usize);
        if parts > 1 {
            self.clear(out)?;
        }
        let grid = Grid { blocks: [size(tiles)?, parts as u32, z], threads: 256, shared: kernel.shared };
        self.call(kernel.kernels[usize::from(sums)], grid, (parameters,))
    }

    /// The kernels for a result of so many rows and columns, and for so many multiply-adds of each element.
    fn tiled(&self, rows: usize, cols: usize, depth: usize) -> Both {
        let worthwhile = rows >= LIMBS[0] && cols >= LIMBS[1] && depth >= LIMBS[2];
        let on_tensor_cores = match self.multiply {
            Multiply::ByShape => worthwhile,
            Multiply::Words => false,
            Multiply::Bytes | Multiply::Residues => true,
        };
        match on_tensor_cores {
            false => SIMT,
            true if rows <= LIMB_LOW.matrices.tile[0] => LIMB_LOW,
            true => LIMB,
        }
    }

    /// How many blocks share the steps of a tile, so that all multiprocessors have one: at least four steps each.
    fn parts(&self, tiles: usize, steps: usize) -> usize {
        let wanted = self.gpu.multiprocessors() as usize / tiles.max(1);
        wanted.min(steps / 4).clamp(1, MOST)
    }
}

/// A batch of matrix products, but for the matrices.
struct Matrices {
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
