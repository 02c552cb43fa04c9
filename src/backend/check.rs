//! What every launch is checked for before a device touches a word: a damaged plan is refused and harms nothing.

use smallvec::SmallVec;

use crate::backend::{BackendError, Launch, view};
use crate::graph::Window;
use crate::plan::program::{MOST_TAKEN, ROOM, ROOM_OF_PLANES};
use crate::plan::{
    Access, Buf, BufId, Instr, Kernel, Lookup, Operand, Part, Party, Product, Program, Stream, are_places, sums,
};

/// The error for operands that do not fit.
pub(super) fn misfit<T>(message: impl Into<String>) -> Result<T, BackendError> {
    Err(BackendError::Shape(message.into()))
}

/// What the plan says of a buffer of this party.
pub(super) fn describe(party: Party, bufs: &[Buf], id: BufId) -> Result<&Buf, BackendError> {
    let Some(buf) = bufs.get(id.index()) else { return Err(BackendError::Missing(id)) };
    if buf.party != party {
        return misfit(format!("buffer {id} belongs to {}, not to {party}", buf.party));
    }
    if !(1..=64).contains(&buf.width) || (buf.width > 1 && buf.planes != 1) {
        return misfit(format!("buffer {id} has {} planes of {} bits", buf.planes, buf.width));
    }
    if !matches!(buf.stride().checked_mul(buf.planes), Some(words) if words <= isize::MAX as usize / size_of::<u64>()) {
        return misfit(format!("buffer {id} exceeds the address space"));
    }
    if let Some(Part { of, start }) = buf.part {
        let Some(whole) = bufs.get(of.index()) else { return Err(BackendError::Missing(of)) };
        let alike = buf.width > 1 && (whole.party, whole.width, whole.planes) == (buf.party, buf.width, 1);
        if !alike || whole.part.is_some() || start.checked_add(buf.len).is_none_or(|end| end > whole.len) {
            return misfit(format!("buffer {id} is no part of {of}"));
        }
        describe(party, bufs, of)?;
    }
    Ok(buf)
}

/// An operand as the plan describes it.
#[derive(Clone, Copy)]
struct Input<'a> {
    buf: &'a Buf,
    access: Access,
}

type Inputs<'a> = SmallVec<[Input<'a>; ROOM]>;
type Outputs<'a> = SmallVec<[&'a Buf; ROOM]>;

/// Checks that a launch's buffers, streams and sizes fit its kernel and one another, for a device of `party`. What
/// registers of an element program hold is left to whoever prepares the program.
///
/// # Errors
/// What does not fit.
pub(super) fn launch(party: Party, launch: &Launch<'_>) -> Result<(), BackendError> {
    let input =
        |operand: &Operand| Ok(Input { buf: describe(party, launch.bufs, operand.buf)?, access: operand.access });
    let ins: Inputs<'_> = launch.ins.iter().map(input).collect::<Result<_, BackendError>>()?;
    let outs: Outputs<'_> = launch.outs.iter().map(|id| describe(party, launch.bufs, *id)).collect::<Result<_, _>>()?;
    for stream in launch.streams {
        if stream.key >= 3 || !party.holds_key(stream.key) {
            return Err(BackendError::Key(stream.key));
        }
    }
    let kernel = launch.kernel;
    if let Kernel::Map(program) = kernel {
        if program.taken(launch.ins).sum::<usize>() > MOST_TAKEN {
            return misfit(format!("map `{}`: more than {MOST_TAKEN} planes are taken from words", program.name));
        }
        return map(program, &ins, launch.streams, &outs);
    }
    // Only element programs broadcast or take bits.
    if ins.iter().any(|input| input.access != Access::Dense) {
        return misfit(format!("{}: only a map may read an operand otherwise than word by word", kernel.name()));
    }
    let ins: Outputs<'_> = ins.iter().map(|input| input.buf).collect();
    match kernel {
        Kernel::Map(_) => Ok(()),
        Kernel::Product(shape) => {
            let (pairs, rest) = ins.as_chunks::<2>();
            if !rest.is_empty() || !(1..=2).contains(&pairs.len()) {
                return misfit(format!("product: one or two pairs of operands expected, found {} operands", ins.len()));
            }
            product(shape, pairs, &outs)
        }
        Kernel::ProductOfSums(shape, factors) => {
            let Some(sums) = sums(factors, &ins) else {
                return misfit(format!("product: not {} operands for sums of {factors:?}", ins.len()));
            };
            for (first, second) in sums {
                if let Some(second) = second {
                    expect("product: second term of a sum", second.words(), first.words())?;
                }
            }
            product(shape, &[sums.map(|(first, _)| first)], &outs)
        }
        Kernel::Copy(shape) => {
            let (input, output) = unary("copy", &ins, &outs)?;
            moves("copy", &ins, output)?;
            expect("copy: result", output.len, size(&shape.shape)?)?;
            if output.len > 0 {
                view::axes(shape, input.len)?;
            }
            Ok(())
        }
        Kernel::Concat { outer, chunks } => {
            let output = single("concat", &outs)?;
            moves("concat", &ins, output)?;
            if chunks.len() != ins.len() {
                return misfit(format!("concat: {} operands for {} chunks", ins.len(), chunks.len()));
            }
            for (input, chunk) in ins.iter().zip(chunks) {
                expect("concat: operand", input.len, size(&[*outer, *chunk])?)?;
            }
            expect("concat: result", output.len, ins.iter().map(|input| input.len).sum())
        }
        Kernel::Gather { outer, axis, inner, index } => {
            let (input, output) = unary("gather", &ins, &outs)?;
            moves("gather", &ins, output)?;
            expect("gather: operand", input.len, size(&[*outer, *axis, *inner])?)?;
            expect("gather: result", output.len, size(&[*outer, index.len(), *inner])?)?;
            if index.iter().flatten().any(|i| i >= axis) {
                return misfit("gather: an index beyond the axis");
            }
            Ok(())
        }
        Kernel::Sum { outer, axis, inner } => {
            let (input, output) = unary("sum", &ins, &outs)?;
            expect("sum: operand", input.words(), size(&[*outer, *axis, *inner])?)?;
            expect("sum: result", output.words(), size(&[*outer, *inner])?)
        }
        Kernel::SumPool { planes, h, w, window } => {
            let (input, output) = unary("sum_pool", &ins, &outs)?;
            let [rows, cols] = window_output(window, *h, *w)?;
            if !window.is_solid() {
                return misfit("sum_pool: a window with gaps");
            }
            expect("sum_pool: operand", input.words(), size(&[*planes, *h, *w])?)?;
            expect("sum_pool: result", output.words(), size(&[*planes, rows, cols])?)
        }
        Kernel::OneHot { shift, places, .. } => {
            expect_places("one_hot", *places, *shift)?;
            let [x, values @ ..] = ins.as_slice() else { return misfit("one_hot: one or two operands expected") };
            if values.len() > 1 {
                return misfit("one_hot: one or two operands expected");
            }
            expect("one_hot's result", single("one_hot", &outs)?.words(), size(&[x.words(), *places])?)?;
            values.iter().try_for_each(|values| expect("one_hot's second operand", values.words(), x.words()))
        }
        Kernel::Rotate { shift, places } => {
            expect_places("rotate", *places, *shift)?;
            let [rows, by] = ins.as_slice() else { return misfit("rotate: two operands expected") };
            expect("rotate's operand", rows.words(), size(&[by.words(), *places])?)?;
            expect("rotate's result", single("rotate", &outs)?.words(), rows.words())
        }
        Kernel::Lookup(table) => lookup(table, &ins, &outs),
    }
}

/// The product of sizes.
pub(super) fn size(dims: &[usize]) -> Result<usize, BackendError> {
    match dims.iter().try_fold(1usize, |size, dim| size.checked_mul(*dim)) {
        Some(size) => Ok(size),
        None => misfit("a size exceeds the address space"),
    }
}

/// The output size of a window, checked.
fn window_output(window: &Window, h: usize, w: usize) -> Result<[usize; 2], BackendError> {
    let limit = 1 << 31;
    let sizes = [h, w].into_iter().chain(window.size).chain(window.stride).chain(window.pad).chain(window.dilation);
    if window.stride.contains(&0) || window.dilation.contains(&0) || sizes.max() > Some(limit) {
        return misfit("a window has no stride, no dilation or a size out of range");
    }
    match window.output(h, w) {
        Some(sizes) => Ok(sizes),
        None => misfit("a window is larger than its image"),
    }
}

fn expect(what: &str, found: usize, expected: usize) -> Result<(), BackendError> {
    if found == expected { Ok(()) } else { misfit(format!("{what} has {found} elements, expected {expected}")) }
}

fn expect_places(kernel: &str, places: usize, shift: u32) -> Result<(), BackendError> {
    if are_places(places, shift) { Ok(()) } else { misfit(format!("{kernel}: {places} places above {shift} bits")) }
}

/// The result of a kernel that has one.
fn single<'a>(kernel: &str, outs: &[&'a Buf]) -> Result<&'a Buf, BackendError> {
    match outs {
        [output] => Ok(output),
        _ => misfit(format!("{kernel}: one result expected, found {}", outs.len())),
    }
}

/// The operand and the result of a kernel that has one of each.
fn unary<'a>(kernel: &str, ins: &[&'a Buf], outs: &[&'a Buf]) -> Result<(&'a Buf, &'a Buf), BackendError> {
    match ins {
        [input] => Ok((input, single(kernel, outs)?)),
        _ => misfit(format!("{kernel}: one operand expected, found {}", ins.len())),
    }
}

/// Words are moved to words, planes to as many planes.
fn moves(kernel: &str, ins: &[&Buf], output: &Buf) -> Result<(), BackendError> {
    let bits = output.width == 1;
    if ins.iter().all(|input| (input.width == 1) == bits && (!bits || input.planes == output.planes)) {
        return Ok(());
    }
    misfit(format!("{kernel}: operands of as many planes as the result expected, or of words as it is"))
}

fn product(product: &Product, pairs: &[[&Buf; 2]], outs: &[&Buf]) -> Result<(), BackendError> {
    let output = single("product", outs)?;
    for [left, right] in pairs {
        match *product {
            Product::MatMul { batch, m, k, n } => {
                // One matrix serves the whole batch.
                if left.words() != size(&[m, k])? {
                    expect("product: left operand", left.words(), size(&[batch, m, k])?)?;
                }
                if right.words() != size(&[k, n])? {
                    expect("product: right operand", right.words(), size(&[batch, k, n])?)?;
                }
                expect("product: result", output.words(), size(&[batch, m, n])?)?;
            }
            Product::Conv2d { n, c, h, w, o, window, groups } => {
                let [rows, cols] = window_output(&window, h, w)?;
                if groups == 0 || !c.is_multiple_of(groups) || !o.is_multiple_of(groups) {
                    return misfit(format!("convolution: {groups} groups do not divide {c} and {o} channels"));
                }
                size(&[n, c, h + 2 * window.pad[0], w + 2 * window.pad[1]])?;
                expect("product: left operand", left.words(), size(&[n, c, h, w])?)?;
                let weights = size(&[o, c / groups, window.size[0], window.size[1]])?;
                expect("product: right operand", right.words(), weights)?;
                expect("product: result", output.words(), size(&[n, o, rows, cols])?)?;
            }
        }
    }
    Ok(())
}

fn lookup(table: &Lookup, ins: &[&Buf], outs: &[&Buf]) -> Result<(), BackendError> {
    let [rows, by] = ins else { return misfit("lookup: two operands expected") };
    if !table.is_sound() || outs.len() != table.terms.len() {
        return misfit("lookup: the table's sizes do not fit together");
    }
    expect("lookup's operand", rows.words(), size(&[by.words(), table.pieces])?)?;
    outs.iter().try_for_each(|out| expect("lookup's result", out.words(), by.words()))
}

fn map(program: &Program, ins: &[Input<'_>], streams: &[Stream], outs: &[&Buf]) -> Result<(), BackendError> {
    let refuse = |message: String| misfit(format!("map `{}`: {message}", program.name));
    let Some(first) = outs.first() else { return refuse("no result".into()) };
    let stride = first.stride();
    for (number, out) in outs.iter().enumerate() {
        if out.stride() != stride || (out.width == 1) != program.planes {
            return refuse(format!("result {number} is not like the others"));
        }
    }
    for stream in streams {
        if !(1..=64).contains(&stream.bits) || (stream.bits == 1) != program.planes {
            return refuse(format!("a stream of {} bits", stream.bits));
        }
    }
    let begins = begins(outs.iter().map(|out| out.planes));
    let mut written: SmallVec<[bool; ROOM_OF_PLANES]> = SmallVec::from_elem(false, begins[outs.len()]);
    for instr in &program.code {
        let fits = match *instr {
            Instr::In { input, plane } => ins.get(usize::from(input)).is_some_and(|operand| match operand.access {
                Access::Bits { from, .. } => {
                    let within = u64::from(from) + u64::from(plane) < 64 && operand.buf.len.div_ceil(64) == stride;
                    operand.buf.width > 1 && program.planes && within
                }
                _ => (operand.buf.width == 1) == program.planes && covers(operand, plane, operand.buf.stride(), stride),
            }),
            Instr::BitOf { input, plane } => ins.get(usize::from(input)).is_some_and(|operand| {
                operand.buf.width == 1 && !program.planes && covers(operand, plane, operand.buf.len, stride)
            }),
            Instr::Prf { stream, plane } => usize::from(stream) < streams.len() && (program.planes || plane == 0),
            Instr::Out { output, plane, .. } => {
                let (output, plane) = (usize::from(output), usize::from(plane));
                outs.get(output).is_some_and(|out| plane < out.planes)
                    && !std::mem::replace(&mut written[begins[output] + plane], true)
            }
            _ => true,
        };
        if !fits {
            return refuse(format!("{instr:?} does not fit its operands"));
        }
    }
    if written.contains(&false) {
        return refuse("a plane of a result is never written".into());
    }
    Ok(())
}

/// For each result where its planes begin among those of all, which are counted at the end.
pub(super) fn begins(planes: impl Iterator<Item = usize>) -> SmallVec<[usize; ROOM]> {
    let mut begins = SmallVec::from_elem(0, 1);
    planes.for_each(|planes| begins.push(begins[begins.len() - 1] + planes));
    begins
}

/// Whether `count` values of an operand's plane, of `size`, can be read.
fn covers(operand: &Input<'_>, plane: u16, size: usize, count: usize) -> bool {
    let addressed = match operand.access {
        Access::Dense => size == count,
        Access::Repeat { inner, len, start } => {
            let period = inner.checked_mul(len).filter(|period| *period <= isize::MAX as usize);
            len <= size && period.is_some_and(|period| start < period)
        }
        Access::Bits { .. } => false,
    };
    addressed && usize::from(plane) < operand.buf.planes
}
