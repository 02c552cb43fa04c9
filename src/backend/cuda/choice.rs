//! Which kernel multiplies: the one that is predicted to take the least time for the shape.
//!
//! A prediction is made of counts and of a few times. The counts: tiles, with what fills up those that stick out; blocks of the
//! multiprocessor that has the most; steps; launches; bytes that residues take beside. The times are nanoseconds of an NVIDIA
//! H100: measured, or where `kernels/README.md` says so derived from instructions. Only their quotients matter here, and those
//! are much the same on other GPUs.

use super::kernels::{
    CONV_DIRECT, CONV_DIRECT_SUMS, CONV_LIMB, CONV_LIMB_LOW, CONV_LIMB_LOW_SUMS, CONV_LIMB_SUMS, CONV_SIMT,
    CONV_SIMT_SUMS, GEMM_LIMB, GEMM_LIMB_LOW, GEMM_LIMB_LOW_SUMS, GEMM_LIMB_SUMS, GEMM_SIMT, GEMM_SIMT_SUMS, GEMV_COLS,
    GEMV_COLS_SUMS, GEMV_ROWS, GEMV_ROWS_SUMS, Kernel,
};
use super::params::{Conv, Gemm};
use super::{Multiply, planes, residue};
use crate::backend::ceilings::Unit;

/// A launch behind others, and the way to its first and from its last block; as in `kernels/h200.json`.
const LAUNCH: f64 = 2000.0;

/// Bytes of memory that kernels read or write in a nanosecond, and of the second-level cache, which has what was just written.
const MEMORY: f64 = 2500.0;
const CACHE: f64 = 5000.0;

/// A product as kernels see it: results of so many rows and columns, each the sum of `depth` multiply-adds for each pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Matrices, or groups of a convolution.
    pub batch: usize,
    pub rows: usize,
    pub cols: usize,
    pub depth: usize,
    pub pairs: usize,
    /// Whether both factors are sums of two.
    pub sums: bool,
}

impl Shape {
    /// Products `[m, k]` by `[k, n]`; where one right matrix serves all, the left ones are one tall matrix.
    pub(super) fn of_matrices(
        batch: usize,
        [m, k, n]: [usize; 3],
        pairs: usize,
        (one_left, one_right): (bool, bool),
    ) -> Shape {
        let (batch, rows) = if one_right && !one_left { (1, batch * m) } else { (batch, m) };
        Shape { batch, rows, cols: n, depth: k, pairs, sums: false }
    }

    /// Multiply-adds of words.
    pub(super) fn multiply_adds(&self) -> f64 {
        [self.batch, self.rows, self.cols, self.depth, self.pairs].into_iter().map(|size| size as f64).product()
    }
}

/// A kernel with parameters `P` that computes tiles of a result, with its twin for sums.
pub(super) struct Tiled<P> {
    pub kernels: [Kernel<(P,)>; 2],
    pub tiles: Tiles,
}

/// What launches and predictions know of such a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    /// Rows and columns of a tile.
    tile: [usize; 2],
    /// Multiply-adds of an element in a step.
    step: usize,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// Whether it multiplies bytes on tensor cores, or words.
    of_bytes: bool,
    /// Rows and columns up to which it can be used.
    most: [usize; 2],
    /// Whether blocks can share the steps of a tile.
    shares: bool,
    /// Blocks that a multiprocessor holds.
    resident: usize,
    /// Nanoseconds of a block beside its steps, of a step while the multiprocessor is not busy with others, and of what a step
    /// keeps it busy with; and how many times as much the steps of sums take.
    begin: f64,
    alone: f64,
    busy: f64,
    sums: f64,
}

/// By multiply-adds of words. Not measured: 4 x 65,536 multiply-adds of 32 bits a step are 2,100 ns at 64 a clock, of which three
/// quarters are taken to be reached.
const SIMT: Tiles = Tiles {
    tile: [64, 64],
    step: 16,
    shared: 0,
    of_bytes: false,
    most: [usize::MAX; 2],
    shares: true,
    resident: 2,
    begin: 500.0,
    alone: 2800.0,
    busy: 2800.0,
    sums: 1.1,
};

/// By products of bytes. Measured: 1,930 to 2,140 ns a step.
const LIMB: Tiles = Tiles {
    tile: [64, 64],
    step: 32,
    shared: 65_536,
    of_bytes: true,
    resident: 1,
    begin: 1500.0,
    alone: 2000.0,
    busy: 2000.0,
    ..SIMT
};

/// The same in flat tiles, which take a quarter more loads.
const LIMB_LOW: Tiles = Tiles { tile: [32, 128], shared: 81_920, alone: 2100.0, busy: 2100.0, ..LIMB };

/// For few rows: a block has 8 KB on their way from memory. Measured: 730 ns a step with one block a multiprocessor.
const ROWS: Tiles = Tiles {
    tile: [FEW, 32],
    step: 32,
    most: [FEW, usize::MAX],
    resident: 4,
    alone: 730.0,
    busy: 430.0,
    sums: 2.0,
    ..SIMT
};

/// For few columns: 16 KB.
const COLUMNS: Tiles = Tiles { tile: [16, FEW], step: 128, most: [usize::MAX, FEW], resident: 2, busy: 860.0, ..ROWS };

/// A convolution without tiles: a thread computes four outputs of a pixel. Measured: 88 ns for one channel a group.
const DIRECT: Tiles = Tiles {
    tile: [4, 256],
    step: 1,
    most: [4 * MOST, usize::MAX],
    shares: false,
    resident: 6,
    alone: 300.0,
    busy: 88.0,
    sums: 1.5,
    ..SIMT
};

/// Rows or columns that kernels for few have.
const FEW: usize = 8;

/// Products of bytes that are one of words.
pub(super) const BYTES: f64 = 36.0;

/// By planes of bytes, once these are there. Not measured: between 1,100 ns, for products of bytes at 60 % of the data sheet, and
/// 1,550, for the part of that which `residue_product` reaches.
const PLANES: Tiles = Tiles {
    tile: [planes::PANEL; 2],
    step: planes::STEP,
    shared: planes::SHARED,
    begin: 2000.0,
    alone: 1400.0,
    busy: 1400.0,
    ..LIMB
};

/// Blocks of a grid along y and z.
pub(super) const MOST: usize = 65_535;

/// Residues: a block beside its steps, and a step of a tile for one modulus. Measured: 690 ns.
const RESIDUE_BLOCK: f64 = 3000.0;
const RESIDUE_STEP: f64 = 690.0;

/// Kernels for matrices, and for convolutions.
static MATRICES: [Tiled<Gemm>; 5] = [
    Tiled { kernels: [GEMM_SIMT, GEMM_SIMT_SUMS], tiles: SIMT },
    Tiled { kernels: [GEMM_LIMB, GEMM_LIMB_SUMS], tiles: LIMB },
    Tiled { kernels: [GEMM_LIMB_LOW, GEMM_LIMB_LOW_SUMS], tiles: LIMB_LOW },
    Tiled { kernels: [GEMV_ROWS, GEMV_ROWS_SUMS], tiles: ROWS },
    Tiled { kernels: [GEMV_COLS, GEMV_COLS_SUMS], tiles: COLUMNS },
];
static WINDOWS: [Tiled<Conv>; 4] = [
    Tiled { kernels: [CONV_SIMT, CONV_SIMT_SUMS], tiles: SIMT },
    Tiled { kernels: [CONV_LIMB, CONV_LIMB_SUMS], tiles: LIMB },
    Tiled { kernels: [CONV_LIMB_LOW, CONV_LIMB_LOW_SUMS], tiles: LIMB_LOW },
    Tiled { kernels: [CONV_DIRECT, CONV_DIRECT_SUMS], tiles: DIRECT },
];

/// A kernel for a shape, with the blocks that share a tile's steps, and the nanoseconds that it is predicted to take.
pub(super) struct Chosen<P: 'static> {
    pub kernel: &'static Tiled<P>,
    pub parts: usize,
    time: f64,
}

/// How matrices are multiplied.
pub(super) enum Matrices {
    Tiled(Chosen<Gemm>),
    /// By planes of bytes, of which so many blocks share the steps of a tile.
    Planes(usize),
    /// By residues, with so many moduli.
    Residues(usize),
}

/// How to multiply matrices of a shape on a GPU of so many multiprocessors.
pub(super) fn matrices(multiply: Multiply, shape: &Shape, multiprocessors: usize) -> Matrices {
    let tiled = cheapest(&MATRICES, multiply, shape, multiprocessors);
    let limit = match multiply {
        Multiply::ByShape => tiled.time,
        Multiply::Planes | Multiply::Residues => f64::INFINITY,
        Multiply::Words | Multiply::Bytes => return Matrices::Tiled(tiled),
    };
    let sizes = [shape.rows, shape.depth, shape.cols];
    let planes = planes::fit(sizes, shape.pairs).then(|| {
        let (parts, time) = by_planes(shape, multiprocessors);
        (Matrices::Planes(parts), time)
    });
    let residues = residue::moduli(sizes, shape.pairs)
        .map(|moduli| (Matrices::Residues(moduli), by_residues(shape, moduli, multiprocessors)));
    let split = [planes.filter(|_| multiply != Multiply::Residues), residues.filter(|_| multiply != Multiply::Planes)];
    let fastest = split.into_iter().flatten().min_by(|(_, one), (_, other)| one.total_cmp(other));
    fastest.filter(|(_, time)| *time < limit).map_or(Matrices::Tiled(tiled), |(way, _)| way)
}

/// The same for a convolution, whose rows are a group's outputs and whose columns are the result's pixels.
pub(super) fn windows(multiply: Multiply, shape: &Shape, multiprocessors: usize) -> Chosen<Conv> {
    cheapest(&WINDOWS, multiply, shape, multiprocessors)
}

fn cheapest<P>(
    candidates: &'static [Tiled<P>],
    multiply: Multiply,
    shape: &Shape,
    multiprocessors: usize,
) -> Chosen<P> {
    let choose = |kernel: &'static Tiled<P>| {
        let (parts, time) = kernel.tiles.best(shape, multiprocessors);
        let excluded = match multiply {
            Multiply::ByShape => false,
            Multiply::Words => kernel.tiles.of_bytes,
            Multiply::Bytes | Multiply::Planes | Multiply::Residues => !kernel.tiles.of_bytes,
        };
        Chosen { kernel, parts, time: if excluded { f64::INFINITY } else { time } }
    };
    let first = choose(&candidates[0]);
    candidates[1..].iter().map(choose).fold(first, |best, other| if other.time < best.time { other } else { best })
}

impl Tiles {
    /// What a multiply-add of words is to it: 36 products of bytes, or four multiply-adds of 32 bits.
    pub(super) fn multiplication(&self) -> (Unit, f64) {
        if self.of_bytes { (Unit::ByteProducts, BYTES) } else { (Unit::MultiplyAdds, 4.0) }
    }

    /// Blocks along x and y of a grid for a matrix or a group.
    pub(super) fn blocks(&self, shape: &Shape, parts: usize) -> [usize; 2] {
        let (rows, cols) = (shape.rows.div_ceil(self.tile[0]), shape.cols.div_ceil(self.tile[1]));
        if self.shares { [rows * cols, parts] } else { [cols, rows] }
    }

    /// How many blocks should share a tile's steps, and the nanoseconds that it takes then.
    fn best(&self, shape: &Shape, multiprocessors: usize) -> (usize, f64) {
        if shape.rows > self.most[0] || shape.cols > self.most[1] {
            return (1, f64::INFINITY);
        }
        let whole = (1, self.time(shape, 1, multiprocessors));
        if !self.shares {
            return whole;
        }
        // As many as multiprocessors hold, of at least four steps each.
        let tiles = self.blocks(shape, 1)[0] * shape.batch;
        let wanted = multiprocessors * self.resident / tiles.max(1);
        let parts = wanted.min(self.steps(shape) / 4).clamp(1, MOST);
        let shared = (parts, self.time(shape, parts, multiprocessors));
        if shared.1 < whole.1 { shared } else { whole }
    }

    fn steps(&self, shape: &Shape) -> usize {
        shape.depth.div_ceil(self.step) * shape.pairs
    }

    /// Nanoseconds with so many blocks that share a tile's steps: of the multiprocessor that has the most blocks, either one
    /// behind the other, as many at a time as it holds, or what keeps it busy.
    fn time(&self, shape: &Shape, parts: usize, multiprocessors: usize) -> f64 {
        let [x, y] = self.blocks(shape, parts);
        let most = (x * y * shape.batch).div_ceil(multiprocessors);
        let times = if shape.sums { self.sums } else { 1.0 };
        let steps = self.steps(shape).div_ceil(parts) as f64 * times;
        let behind = most.div_ceil(self.resident) as f64 * (self.begin + steps * self.alone);
        let busy = most as f64 * steps * self.busy;
        // Those that share add to zeros, which another launch makes.
        let words = (shape.rows * shape.cols * shape.batch) as f64;
        let sharing = if parts > 1 { LAUNCH + 8.0 * words * (1.0 + parts as f64) / CACHE } else { 0.0 };
        LAUNCH + behind.max(busy) + sharing
    }
}

/// How many blocks should share the steps of a tile of planes, and the nanoseconds: for each matrix of a batch two launches before
/// the product, which split words.
fn by_planes(shape: &Shape, multiprocessors: usize) -> (usize, f64) {
    let one = Shape { batch: 1, sums: false, ..*shape };
    let (parts, time) = PLANES.best(&one, multiprocessors);
    let terms = if shape.sums { 2 } else { 1 };
    let bytes = shape.pairs * shape.depth * (shape.rows + shape.cols) * (8 * terms + 8);
    (parts, shape.batch as f64 * (2.0 * LAUNCH + bytes as f64 / MEMORY + time))
}

/// Nanoseconds of a product by residues: four launches for each matrix of a batch, of which the first two split words into a byte
/// for each modulus, and the last joins those of a result.
fn by_residues(shape: &Shape, moduli: usize, multiprocessors: usize) -> f64 {
    let [tile_rows, tile_cols] = residue::TILE;
    let terms = if shape.sums { 2 } else { 1 };
    let words = shape.pairs * shape.depth * (shape.rows + shape.cols);
    let bytes = words * (8 * terms + moduli) + shape.rows * shape.cols * (2 * moduli + 8);
    let blocks = shape.rows.div_ceil(tile_rows) * shape.cols.div_ceil(tile_cols) * moduli;
    let steps = shape.depth.div_ceil(residue::STEP) * shape.pairs;
    let product = blocks.div_ceil(multiprocessors) as f64 * (RESIDUE_BLOCK + steps as f64 * RESIDUE_STEP);
    shape.batch as f64 * (4.0 * LAUNCH + bytes as f64 / MEMORY + product)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiprocessors of H100 and H200.
    const HOPPER: usize = 132;

    fn shape([rows, depth, cols]: [usize; 3], pairs: usize) -> Shape {
        Shape { batch: 1, rows, cols, depth, pairs, sums: false }
    }

    /// What is taken for matrices.
    fn of_matrices(shape: &Shape) -> &'static str {
        match matrices(Multiply::ByShape, shape, HOPPER) {
            Matrices::Tiled(chosen) => chosen.kernel.kernels[usize::from(shape.sums)].name,
            Matrices::Planes(_) => "planes",
            Matrices::Residues(_) => "residues",
        }
    }

    fn of_windows(shape: &Shape) -> &'static str {
        windows(Multiply::ByShape, shape, HOPPER).kernel.kernels[usize::from(shape.sums)].name
    }

    /// Microseconds that a launch took on an H100 (docs/src/benchmarks.md), beside what is predicted.
    #[test]
    fn predictions_are_near_what_was_measured() {
        let limb = |rows, cols, depth| {
            let chosen = windows(Multiply::Bytes, &shape([rows, depth, cols], 2), HOPPER);
            (chosen.kernel.kernels[0].name, chosen.time)
        };
        let depthwise = Shape { batch: 128, ..shape([1, 9, 56 * 56], 2) };
        let (rows, product) = (shape([1, 4096, 4096], 2), |n| by_residues(&shape([n; 3], 2), 18, HOPPER));
        let Matrices::Tiled(flat) = matrices(Multiply::Bytes, &shape([64, 256, 56 * 56], 2), HOPPER) else {
            panic!("residues")
        };
        let found = [
            (limb(64, 56 * 56, 576), "conv_limb", 40.8),
            (limb(512, 49, 4608), "conv_limb", 44.6),
            (limb(64, 64 * 56 * 56, 576), "conv_limb", 1861.7),
            ((flat.kernel.kernels[0].name, flat.time), "gemm_limb", 21.5),
            (("conv_direct", DIRECT.time(&depthwise, 1, HOPPER)), "conv_direct", 22.0),
            // Before blocks shared its steps.
            (("gemv_rows", ROWS.time(&rows, 1, HOPPER)), "gemv_rows", 188.2),
            (("residues", product(1024)), "residues", 191.8),
            (("residues", product(4096)), "residues", 7222.7),
        ];
        for ((name, nanoseconds), wanted, measured) in found {
            let times = nanoseconds / 1e3 / measured;
            assert!(name == wanted && (0.94..1.06).contains(&times), "{name}: {times:.2} of {measured} us");
        }
    }

    #[test]
    fn known_shapes_have_the_kernel_that_measured_or_counts_best() {
        for (sizes, pairs, wanted) in [
            // Few rows or columns, by far not all of which fill a tile of another kernel.
            ([1, 4096, 4096], 2, "gemv_rows"),
            ([8, 4096, 1000], 1, "gemv_rows"),
            ([1000, 4096, 8], 2, "gemv_cols"),
            // One step of words instead of one of bytes.
            ([9, 9, 9], 1, "gemm_simt"),
            ([64, 16, 64], 1, "gemm_simt"),
            ([64, 32, 64], 1, "gemm_limb"),
            // Convolutions of ResNet-50 with windows of one place.
            ([64, 64, 3136], 2, "gemm_limb"),
            ([256, 64, 3136], 2, "gemm_limb"),
            ([512, 1024, 196], 2, "gemm_limb"),
            ([2048, 512, 49], 2, "gemm_limb"),
            ([32, 576, 4096], 2, "gemm_limb_low"),
            ([512, 512, 512], 2, "gemm_limb"),
            ([1024, 1024, 1024], 2, "residues"),
            ([4096, 4096, 4096], 2, "residues"),
            // Bytes are split once, not once a tile, and residues would need a second wave, or are too few for the depth.
            ([640, 640, 640], 2, "planes"),
            ([512, 4096, 512], 2, "planes"),
            ([1024, 70_000, 1024], 1, "planes"),
        ] {
            assert_eq!(of_matrices(&shape(sizes, pairs)), wanted, "{sizes:?}, {pairs} pairs");
        }
        for (batch, sizes, wanted) in [
            (1, [64, 576, 3136], "conv_limb"),
            (1, [512, 4608, 49], "conv_limb"),
            (1, [64, 147, 12_544], "conv_limb"),
            (128, [1, 9, 3136], "conv_direct"),
            (960, [1, 9, 49], "conv_direct"),
            (1, [6, 25, 576], "conv_limb"),
            (1, [32, 27, 12_544], "conv_limb_low"),
        ] {
            assert_eq!(of_windows(&Shape { batch, ..shape(sizes, 2) }), wanted, "{batch} of {sizes:?}");
        }
        assert_eq!(of_matrices(&Shape { sums: true, ..shape([4096; 3], 1) }), "residues");
        assert_eq!(of_matrices(&Shape { sums: true, ..shape([256; 3], 1) }), "gemm_limb_sums");
        assert_eq!(of_windows(&Shape { batch: 960, sums: true, ..shape([1, 9, 49], 1) }), "conv_direct_sums");
    }

    #[test]
    fn blocks_share_steps_where_multiprocessors_would_idle() {
        let parts = |sizes| match matrices(Multiply::ByShape, &shape(sizes, 2), HOPPER) {
            Matrices::Tiled(chosen) => chosen.parts,
            Matrices::Planes(_) | Matrices::Residues(_) => 0,
        };
        // 49 tiles and 16 steps; 128 tiles of which a multiprocessor holds four; one tile with a step a pair, and with four.
        assert_eq!([[64, 256, 3136], [1, 4096, 4096], [9, 9, 9], [64, 128, 64]].map(parts), [2, 4, 1, 2]);
        // Other kernels take no part of what one must compute alone.
        let deep = Shape { batch: 1, ..shape([1, 1 << 20, 256], 2) };
        assert_eq!(DIRECT.best(&deep, HOPPER).0, 1);
    }

    #[test]
    fn each_way_of_multiplying_keeps_to_its_kernels() {
        for sizes in [[1, 9, 1], [4, 100, 300], [70, 70, 70], [300, 5, 5], [2000, 2000, 2000]] {
            let shape = shape(sizes, 1);
            for (multiply, bytes) in [(Multiply::Words, false), (Multiply::Bytes, true)] {
                let Matrices::Tiled(chosen) = matrices(multiply, &shape, HOPPER) else { panic!("{sizes:?}") };
                assert_eq!(chosen.kernel.tiles.of_bytes, bytes, "{sizes:?}");
                assert_eq!(windows(multiply, &shape, HOPPER).kernel.tiles.of_bytes, bytes, "{sizes:?}");
            }
            assert!(matches!(matrices(Multiply::Residues, &shape, HOPPER), Matrices::Residues(18)), "{sizes:?}");
            assert!(matches!(matrices(Multiply::Planes, &shape, HOPPER), Matrices::Planes(_)), "{sizes:?}");
            assert!(windows(Multiply::Residues, &shape, HOPPER).kernel.tiles.of_bytes);
        }
    }
}
