//! Large matrix products by residues: one product of bytes for each of 18 or 19 moduli, instead of 36 for the bytes of words.
//!
//! Factors are split into residues, multiplied modulus by modulus, and joined again (`kernels/residue.cu`). Splitting and joining take
//! as long as some hundred multiply-adds of an element, so that only large products gain.

use super::gpu::Grid;
use super::kernels::Kernel;
use super::lane::Queue as _;
use super::params::{Joined, ResidueProduct, Split, Terms};
use super::product::size;
use super::{Cuda, address, kernels, room};
use crate::backend::BackendError;

/// Multiply-adds of an element, of all pairs, up to which 18 moduli, and 19, have room for its sum.
const DEPTHS: [(usize, usize); 2] = [(18, 11_162), (19, 66_051)];

/// Rows and columns of a block's tile, and the depth of a step.
pub(super) const TILE: [usize; 2] = [128, 256];
pub(super) const STEP: usize = 64;

/// Bytes of residues up to which a product is computed in one go.
const MOST: usize = 4 << 30;

/// Dynamic shared memory of the product's kernel.
const SHARED: u32 = 98_304;

/// A product to compute, `c (+)= sum of pairs of left * right`.
pub(super) struct Large {
    /// Left and right factors of each pair.
    pub pairs: [[Terms; 2]; 2],
    pub count: usize,
    /// Where the result begins.
    pub out: u64,
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// Whether the result is added to what is there.
    pub add: bool,
}

/// How many moduli a product needs, if there are enough and its residues have room.
pub(super) fn moduli([m, k, n]: [usize; 3], pairs: usize) -> Option<usize> {
    let depth = k.checked_mul(pairs)?;
    let (moduli, _) = DEPTHS.into_iter().find(|(_, most)| depth <= *most)?;
    let bytes = Sizes::of([m, k, n], pairs, moduli)?.bytes.iter().sum::<usize>();
    (depth > 0 && bytes <= MOST).then_some(moduli)
}

/// Tiles, steps and bytes of residues: of the left factor, of the right one, of the products.
struct Sizes {
    tiles: [usize; 2],
    steps: usize,
    bytes: [usize; 3],
}

impl Sizes {
    fn of([m, k, n]: [usize; 3], pairs: usize, moduli: usize) -> Option<Sizes> {
        let (tiles, steps) = ([m.div_ceil(TILE[0]), n.div_ceil(TILE[1])], pairs * k.div_ceil(STEP));
        let bytes = |parts: [usize; 3]| parts.iter().try_fold(moduli, |bytes, part| bytes.checked_mul(*part));
        let left = bytes([tiles[0], steps, TILE[0] * STEP])?;
        let right = bytes([tiles[1], steps, TILE[1] * STEP])?;
        let products = bytes([tiles[0], tiles[1], TILE[0] * TILE[1]])?;
        Some(Sizes { tiles, steps, bytes: [left, right, products] })
    }
}

impl Cuda {
    /// Splits the left factors (side 0) or the right ones of a product into so many planes, by a kernel with so many blocks.
    pub(super) fn split(
        &self,
        product: &Large,
        side: usize,
        kernel: Kernel<(Split,)>,
        planes: u64,
        count: usize,
        blocks: usize,
    ) -> Result<(), BackendError> {
        let Large { pairs, m, k, n, .. } = *product;
        let [lines, pitch] = [[m, k], [n, n]][side];
        let split = Split {
            pair: pairs.map(|pair| pair[side]),
            planes,
            pitch: pitch as u64,
            lines: size(lines)?,
            k: size(k)?,
            pairs: product.count as u32,
            count: count as u32,
        };
        self.call(kernel, Grid { blocks: [size(blocks)?, 1, 1], threads: 256, shared: 0 }, (split,))
    }

    /// Computes a product with so many moduli.
    pub(super) fn by_residues(&mut self, product: &Large, moduli: usize) -> Result<(), BackendError> {
        let Large { count, out, m, k, n, add, .. } = *product;
        let sizes = Sizes::of([m, k, n], count, moduli).ok_or_else(super::no_memory)?;
        let [left, right, products] = sizes.bytes;
        let words = (left + right + products).div_ceil(8);
        let base = address(room(&mut self.scratch, &self.line, words)?, self.line.ahead());
        let places = [base, base + left as u64, base + (left + right) as u64];
        let grid = |blocks: usize, moduli: usize, shared| {
            Ok::<_, BackendError>(Grid { blocks: [size(blocks)?, 1, moduli as u32], threads: 256, shared })
        };
        let [rows, cols] = sizes.tiles;
        for (side, (kernel, blocks)) in [
            (kernels::RESIDUE_SPLIT_LEFT, rows * sizes.steps * 2),
            (kernels::RESIDUE_SPLIT_RIGHT, cols * sizes.steps * 4),
        ]
        .into_iter()
        .enumerate()
        {
            self.split(product, side, kernel, places[side], moduli, blocks)?;
        }
        let [left, right, bytes] = places;
        let product =
            ResidueProduct { left, right, bytes, m: size(m)?, n: size(n)?, steps: size(sizes.steps)?, unused: 0 };
        self.call(kernels::RESIDUE_PRODUCT, grid(rows * cols, moduli, SHARED)?, (product,))?;
        let joined = Joined {
            bytes,
            c: out,
            pitch: n as u64,
            m: size(m)?,
            n: size(n)?,
            moduli: moduli as u32,
            add: u32::from(add),
        };
        self.call(kernels::RESIDUE_JOIN, grid(rows * cols * 8, 1, 0)?, (joined,))
    }
}
