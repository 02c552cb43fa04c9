//! Matrix products by planes of bytes: factors are split into their words' bytes first, so that the product's kernel only copies what
//! it multiplies (`kernels/planes.cu`). Splitting takes as long as a hundred multiply-adds of an element or so.

use super::gpu::Grid;
use super::kernels::{PLANE_PRODUCT, PLANE_SPLIT_LEFT, PLANE_SPLIT_RIGHT};
use super::lane::Queue as _;
use super::params::PlaneProduct;
use super::product::size;
use super::residue::Large;
use super::{Cuda, address, room};
use crate::backend::BackendError;

/// Lines of a panel, which are a tile's rows or columns, and the depth of a step.
pub(super) const PANEL: usize = 64;
pub(super) const STEP: usize = 32;

/// Planes of a factor.
const PLANES: usize = 8;

/// Bytes of planes up to which a product is computed in one go.
const MOST: usize = 4 << 30;

/// Dynamic shared memory of the product's kernel.
pub(super) const SHARED: u32 = 98_304;

/// Panels and steps of both factors, and the bytes of their planes.
struct Sizes {
    panels: [usize; 2],
    steps: usize,
    bytes: [usize; 2],
}

impl Sizes {
    fn of([m, k, n]: [usize; 3], pairs: usize) -> Option<Sizes> {
        let (panels, steps) = ([m, n].map(|lines| lines.div_ceil(PANEL)), k.div_ceil(STEP).checked_mul(pairs)?);
        let bytes = |panels: usize| panels.checked_mul(steps)?.checked_mul(PANEL * STEP * PLANES);
        Some(Sizes { panels, steps, bytes: [bytes(panels[0])?, bytes(panels[1])?] })
    }
}

/// Whether a product can be computed so: its planes have room.
pub(super) fn fit([m, k, n]: [usize; 3], pairs: usize) -> bool {
    let sizes = Sizes::of([m, k, n], pairs);
    k > 0 && sizes.is_some_and(|sizes| sizes.bytes.iter().all(|bytes| *bytes <= MOST / 2))
}

impl Cuda {
    /// Computes a product; `parts` blocks share the steps of a tile, and with more than one add to what is there.
    pub(super) fn by_planes(&mut self, product: &Large, parts: usize) -> Result<(), BackendError> {
        let Large { count, out, m, k, n, add, .. } = *product;
        let Sizes { panels, steps, bytes } = Sizes::of([m, k, n], count).ok_or_else(super::no_memory)?;
        let words = (bytes[0] + bytes[1]).div_ceil(8);
        let base = address(room(&mut self.scratch, &self.line, words)?, self.line.ahead());
        let [left, right] = [base, base + bytes[0] as u64];
        for (side, (kernel, planes)) in [(PLANE_SPLIT_LEFT, left), (PLANE_SPLIT_RIGHT, right)].into_iter().enumerate() {
            self.split(product, side, kernel, planes, PLANES, (panels[side] * steps).div_ceil(2))?;
        }
        let pitch = n as u64;
        let (m, n, steps) = (size(m)?, size(n)?, size(steps)?);
        let planes = PlaneProduct { left, right, c: out, pitch, m, n, steps, add: u32::from(add) };
        let blocks = [size(panels[0] * panels[1])?, size(parts)?, 1];
        self.call(PLANE_PRODUCT, Grid { blocks, threads: 256, shared: SHARED }, (planes,))
    }
}
