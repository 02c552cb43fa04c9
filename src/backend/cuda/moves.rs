//! Kernels that move, add up and look up.

use bytemuck::cast_slice;

use super::gpu::Grid;
use super::params::{Chunk, Divisor, Gather, LongDivisor, LongView, MAX_AXES, Pool, Term, View};
use super::product::size;
use super::{Cuda, kernels};
use crate::backend::check::misfit;
use crate::backend::view::{self, Axes};
use crate::backend::{BackendError, Launch};
use crate::graph::Window;
use crate::plan::{self, Buf, Kernel, Lookup};

/// Sides of the tiles through which axes are exchanged.
const TILE: usize = 32;

/// Axes from this size on are added up by several threads, where results are fewer than the GPU's threads.
const LONG: usize = 512;

impl Cuda {
    /// Runs a kernel that is neither an element program nor a product.
    pub(super) fn other(&mut self, launch: &Launch<'_>) -> Result<(), BackendError> {
        let bufs = launch.bufs;
        let output = &bufs[launch.outs[0].index()];
        let count = output.words();
        if count == 0 {
            return Ok(());
        }
        let to = self.operand(bufs, launch.outs[0])?;
        let input = |at: usize| &bufs[launch.ins[at].buf.index()];
        let from = |device: &Cuda, at: usize| device.operand(bufs, launch.ins[at].buf);
        let through = self.through(count);
        match launch.kernel {
            Kernel::Copy(view) => {
                let (start, axes) = view::axes(view, input(0).len)?;
                let places = [from(self, 0)?, to];
                self.view((start, &view::merged(&axes)), view.fill, places, [input(0), output])
            }
            Kernel::Concat { outer, chunks } => self.concat(*outer, chunks, launch, output, to),
            Kernel::Gather { axis, inner, index, .. } => {
                let from = from(self, 0)?;
                let indices: Vec<i32> = index.iter().map(|i| i.map_or(-1, |i| i as i32)).collect();
                if indices.len() >= 1 << 31 || *axis >= 1 << 31 {
                    return Err(BackendError::Limit("gather: an axis is longer".to_string()));
                }
                let words = indices.len().div_ceil(2);
                let mut table = vec![0u64; words];
                bytemuck::cast_slice_mut::<u64, i32>(&mut table)[..indices.len()].copy_from_slice(&indices);
                let table = self.line.table(&table)?;
                let (inner, row) = (*inner as u64, (index.len() * inner) as u64);
                let gather = Gather {
                    index: table,
                    inner,
                    axis: *axis as u64,
                    row,
                    by_inner: LongDivisor::by(inner),
                    by_row: LongDivisor::by(row),
                };
                let len = output.len as u64;
                if output.width == 1 {
                    let (planes, stride) = (output.planes as u32, input(0).stride() as u64);
                    return self.call(kernels::GATHER_BITS, through, (from, to, gather, len, planes, stride));
                }
                self.call(kernels::GATHER_WORDS, through, (from, to, gather, len))
            }
            Kernel::Sum { outer, axis, inner } => self.sum([*outer, *axis, *inner], launch, to),
            Kernel::SumPool { h, w, window, .. } => {
                let pool = pool([*h, *w], window)?;
                self.call(kernels::SUM_POOL, through, (from(self, 0)?, to, pool, count as u64))
            }
            Kernel::OneHot { add, shift, places } => {
                let values = if launch.ins.len() > 1 { from(self, 1)? } else { 0 };
                let (from, count, log) = (from(self, 0)?, count as u64, places.trailing_zeros());
                self.call(kernels::ONE_HOT, through, (from, values, to, count, *add, *shift, log))
            }
            Kernel::Rotate { shift, places } => {
                let (rows, by, count, log) = (from(self, 0)?, from(self, 1)?, count as u64, places.trailing_zeros());
                self.call(kernels::ROTATE, through, (rows, by, to, count, *shift, log))
            }
            Kernel::Lookup(table) => self.lookup(table, launch),
            Kernel::Map(_) | Kernel::Product(_) | Kernel::ProductOfSums(..) => {
                misfit(format!("{}: not a move", launch.kernel.name()))
            }
        }
    }

    /// A view whose first valid element is word `first`.
    fn view(
        &self,
        (first, axes): (usize, &Axes),
        fill: u64,
        [from, to]: [u64; 2],
        [input, output]: [&Buf; 2],
    ) -> Result<(), BackendError> {
        if axes.len() > MAX_AXES {
            return Err(BackendError::Limit(format!("copy: {} axes are more", axes.len())));
        }
        let mut view = LongView {
            start: first as i64,
            stride: [0; MAX_AXES],
            fill,
            size: [1; MAX_AXES],
            first: [0; MAX_AXES],
            end: [1; MAX_AXES],
            by: [Divisor::by(1); MAX_AXES],
            axes: axes.len().max(1) as u32,
            unused: 0,
        };
        for (at, axis) in axes.iter().rev().enumerate() {
            view.start -= axis.valid.start as i64 * axis.stride as i64;
            view.stride[at] = axis.stride as i64;
            view.size[at] = axis.size as u64;
            (view.first[at], view.end[at]) = (axis.valid.start as u64, axis.valid.end as u64);
        }
        let through = self.through(output.words());
        let (len, planes) = (output.len as u64, output.planes as u32);
        let short = [input.len, output.len].into_iter().all(|len| len < 1 << 31);
        if !short {
            if output.width == 1 {
                return Err(BackendError::Limit("copy: there are more bits".to_string()));
            }
            return self.call(kernels::COPY_WORDS_LONG, through, (from, to, view, len));
        }
        let mut view = short_view(&view);
        let len = len as u32;
        if output.width == 1 {
            let stride = input.stride() as u64;
            return self.call(kernels::COPY_BITS, through, (from, to, view, len, planes, stride));
        }
        // Neighbours in the operand on another axis than the innermost.
        let fast = (1..axes.len()).find(|at| view.stride[*at] == 1 && view.size[*at] > 1 && view.stride[0] != 1);
        let Some(fast) = fast else {
            return self.call(kernels::COPY_WORDS, through, (from, to, view, len));
        };
        let mut tiles = 1;
        for at in 0..axes.len() {
            let of_axis = view.size[at] as usize;
            let of_axis = if at == 0 || at == fast { of_axis.div_ceil(TILE) } else { of_axis };
            view.by[at] = Divisor::by(size(of_axis)?);
            tiles *= of_axis;
        }
        let (fast, tiles) = (fast as u32, size(tiles)?);
        let blocks = tiles.min(self.gpu.multiprocessors() * 8);
        let grid = Grid { blocks: [blocks, 1, 1], threads: 256, shared: 0 };
        self.call(kernels::COPY_WORDS_ACROSS, grid, (from, to, view, fast, tiles))
    }

    fn concat(
        &mut self,
        outer: usize,
        chunks: &[usize],
        launch: &Launch<'_>,
        output: &Buf,
        to: u64,
    ) -> Result<(), BackendError> {
        let mut parts = Vec::with_capacity(chunks.len());
        let mut before = 0;
        for (operand, chunk) in launch.ins.iter().zip(chunks).filter(|(_, chunk)| **chunk > 0) {
            let (words, buf) = (self.operand(launch.bufs, operand.buf)?, &launch.bufs[operand.buf.index()]);
            parts.push(Chunk { words, before, chunk: *chunk as u64, stride: buf.stride() as u64 });
            before += *chunk as u64;
        }
        let table = self.line.table(cast_slice(&parts))?;
        let (count, elements, by_row) = (parts.len() as u32, outer as u64 * before, LongDivisor::by(before));
        let through = self.through(output.words());
        if output.width == 1 {
            let planes = output.planes as u32;
            return self.call(kernels::CONCAT_BITS, through, (table, count, to, elements, before, by_row, planes));
        }
        self.call(kernels::CONCAT_WORDS, through, (table, count, to, elements, before, by_row))
    }

    fn sum(&mut self, [outer, axis, inner]: [usize; 3], launch: &Launch<'_>, to: u64) -> Result<(), BackendError> {
        let from = self.operand(launch.bufs, launch.ins[0].buf)?;
        let count = outer * inner;
        let threads = self.gpu.multiprocessors() as usize * 1024;
        let (axis_size, inner_size) = (axis as u64, inner as u64);
        if axis < LONG || count >= threads {
            let parameters = (from, to, count as u64, axis_size, inner_size, LongDivisor::by(inner_size));
            return self.call(kernels::SUM_EACH, self.through(count), parameters);
        }
        let log = inner.next_power_of_two().trailing_zeros().min(5);
        let blocks = outer * inner.div_ceil(1 << log);
        let parts = (self.gpu.multiprocessors() as usize / blocks).min(axis / LONG).clamp(1, 65_535);
        if parts > 1 {
            self.clear(self.places.operand(launch.bufs, launch.outs[0])?)?;
        }
        let grid = Grid { blocks: [size(blocks)?, parts as u32, 1], threads: 256, shared: 0 };
        self.call(kernels::SUM_LONG, grid, (from, to, axis_size, inner_size, log))
    }

    fn lookup(&mut self, table: &Lookup, launch: &Launch<'_>) -> Result<(), BackendError> {
        let bufs = launch.bufs;
        let (rows, by) = (self.operand(bufs, launch.ins[0].buf)?, self.operand(bufs, launch.ins[1].buf)?);
        let outs = launch.outs.iter().map(|id| self.operand(bufs, *id)).collect::<Result<Vec<u64>, _>>()?;
        // Numbers, to which terms point.
        let mut numbers: Vec<i64> = Vec::new();
        let mut terms = Vec::with_capacity(table.terms.len());
        for (term, out) in table.terms.iter().zip(outs) {
            let coefficients = numbers.len() as u64;
            let (polynomials, factors) = match term {
                plan::Term::Polynomials(pieces) => (pieces.as_slice(), &[][..]),
                plan::Term::Multiples { of, factors } => (std::slice::from_ref(of), factors.as_slice()),
            };
            let powers = polynomials.iter().map(Vec::len).max().unwrap_or(1);
            for power in (0..powers).rev() {
                numbers.extend(polynomials.iter().map(|c| c.get(power).copied().unwrap_or(0)));
            }
            terms.push((coefficients, (!factors.is_empty()).then_some(numbers.len() as u64), out, powers as u32));
            numbers.extend_from_slice(factors);
        }
        let numbers = self.line.table(cast_slice(&numbers))?;
        let number = |at: u64| numbers + 8 * at;
        let term = |(coefficients, factors, out, powers): (u64, Option<u64>, u64, u32)| Term {
            coefficients: number(coefficients),
            factors: factors.map_or(0, number),
            out,
            powers,
            unused: 0,
        };
        let terms: Vec<Term> = terms.into_iter().map(term).collect();
        let place = self.line.table(cast_slice(&terms))?;
        let (term_count, count, log) =
            (terms.len() as u32, bufs[launch.ins[1].buf.index()].words() as u64, table.pieces.trailing_zeros());
        let through = self.through(count as usize * table.pieces.min(32));
        let parameters = (rows, by, place, term_count, count, table.shift, log, table.fraction, table.drop);
        self.call(kernels::LOOKUP, through, parameters)
    }
}

/// The same view with sizes of 32 bits, which it has.
fn short_view(view: &LongView) -> View {
    let short = |sizes: [u64; MAX_AXES]| sizes.map(|size| size as u32);
    let size = short(view.size);
    View {
        start: view.start,
        stride: view.stride,
        fill: view.fill,
        size,
        first: short(view.first),
        end: short(view.end),
        by: size.map(Divisor::by),
        axes: view.axes,
        unused: 0,
    }
}

fn pool([h, w]: [usize; 2], window: &Window) -> Result<Pool, BackendError> {
    let u32s = |sizes: [usize; 2]| Ok::<_, BackendError>([size(sizes[0])?, size(sizes[1])?]);
    let [rows, cols] = window.output(h, w).unwrap_or_default();
    Ok(Pool {
        size: u32s([h, w])?,
        window: u32s(window.size)?,
        stride: u32s(window.stride)?,
        pad: u32s(window.pad)?,
        result: u32s([rows, cols])?,
        by_image: LongDivisor::by((rows * cols) as u64),
        by_row: LongDivisor::by(cols as u64),
    })
}
