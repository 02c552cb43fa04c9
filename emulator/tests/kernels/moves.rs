//! Views, concatenation, an axis by its indices: of words and of bits.

use crate::device::{Args, Fields, bit, in_both_orders, planes_of, random, random_planes};

/// One axis of a view: its size, valid indices and operand words a step.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    valid: [usize; 2],
    stride: i64,
}

fn axis(size: usize, stride: i64) -> Axis {
    Axis { size, valid: [0, size], stride }
}

/// A view of `operand` elements, outermost axis first.
struct View {
    operand: usize,
    start: i64,
    axes: Vec<Axis>,
}

const FILL: u64 = 0x1234_5678_9abc_def1;

impl View {
    fn count(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    /// The operand's element for one of the result's.
    fn source(&self, mut number: usize) -> Option<usize> {
        let (mut at, mut valid) = (self.start, true);
        for axis in self.axes.iter().rev() {
            let i = number % axis.size;
            number /= axis.size;
            at += i as i64 * axis.stride;
            valid &= (axis.valid[0]..axis.valid[1]).contains(&i);
        }
        valid.then_some(at as usize)
    }

    /// The structure that the kernels take, with numbers of 32 or 64 bits, divided as `by` says.
    fn fields(&self, long: bool, by: impl Fn(usize, &Axis) -> usize) -> Fields {
        let mut axes: Vec<Axis> = self.axes.iter().rev().copied().collect();
        let count = axes.len();
        axes.resize(8, Axis { size: 1, valid: [0, 1], stride: 0 });
        let fields =
            Fields::default().u64(self.start as u64).u64s(axes.iter().map(|axis| axis.stride as u64)).u64(FILL);
        let numbers: [fn(&Axis) -> usize; 3] = [|axis| axis.size, |axis| axis.valid[0], |axis| axis.valid[1]];
        let fields = numbers
            .iter()
            .flat_map(|number| axes.iter().map(number))
            .fold(fields, |fields, number| if long { fields.u64(number as u64) } else { fields.u32(number as u32) });
        let divisors = axes.iter().enumerate();
        divisors.fold(fields, |fields, (a, axis)| fields.divisor(by(a, axis) as u32)).u32(count as u32)
    }
}

fn views() -> Vec<View> {
    let part = |size, valid, stride| Axis { size, valid, stride };
    vec![
        View { operand: 1, start: 0, axes: vec![] },
        View { operand: 300, start: 0, axes: vec![axis(300, 1)] },
        // A transposition, a slice with steps from its end, a broadcast, padding on both sides, nothing valid.
        View { operand: 35 * 66, start: 0, axes: vec![axis(66, 1), axis(35, 66)] },
        View { operand: 200, start: 1, axes: vec![axis(130, 1)] },
        View { operand: 200, start: 199, axes: vec![axis(3, -60), axis(20, -3)] },
        View { operand: 12, start: 2, axes: vec![axis(70, 0), axis(5, 2), axis(2, 0)] },
        View { operand: 40, start: -9, axes: vec![part(7, [1, 6], 8), part(11, [2, 9], 1)] },
        View { operand: 3, start: 0, axes: vec![part(5, [2, 2], 1), axis(14, 0)] },
        // Eight axes, in reverse.
        View {
            operand: 384,
            start: 0,
            axes: [2, 3, 2, 2, 2, 2, 1, 4]
                .iter()
                .zip([1, 2, 6, 12, 24, 48, 96, 96])
                .map(|(size, stride)| axis(*size, stride))
                .collect(),
        },
    ]
}

#[test]
fn views_of_words() {
    for view in views() {
        let (words, count) = (random(1, view.operand), view.count());
        let expected: Vec<u64> = (0..count).map(|i| view.source(i).map_or(FILL, |at| words[at])).collect();
        in_both_orders(|device| {
            let (from, to, long) = (device.put(&words), device.room(count), device.room(count));
            let args = Args::default().u64(from).u64(to).fields(view.fields(false, |_, axis| axis.size));
            device.launch("copy_words", [2, 1, 1], 256, 0, &args.u32(count as u32));
            assert_eq!(device.read(to), expected);
            let args = Args::default().u64(from).u64(long).fields(view.fields(true, |_, axis| axis.size));
            device.launch("copy_words_long", [2, 1, 1], 256, 0, &args.u64(count as u64));
            assert_eq!(device.read(long), expected);
        });
    }
}

#[test]
fn views_across_tiles() {
    let part = |size, valid, stride| Axis { size, valid, stride };
    for (view, fast) in [
        (View { operand: 35 * 66, start: 0, axes: vec![axis(66, 1), axis(35, 66)] }, 1),
        (
            View { operand: 3 * 5 * 33 * 2, start: 0, axes: vec![axis(3, 330), axis(33, 1), axis(5, 66), axis(2, 33)] },
            2,
        ),
        (
            View {
                operand: 600,
                start: -23,
                axes: vec![part(40, [3, 30], 1), part(3, [1, 3], 7), part(34, [1, 20], 20)],
            },
            2,
        ),
    ] {
        let (words, count) = (random(1, view.operand), view.count());
        let expected: Vec<u64> = (0..count).map(|i| view.source(i).map_or(FILL, |at| words[at])).collect();
        let number = |a: usize, axis: &Axis| if a == 0 || a == fast { axis.size.div_ceil(32) } else { axis.size };
        let tiles: usize = view.axes.iter().rev().enumerate().map(|(a, axis)| number(a, axis)).product();
        in_both_orders(|device| {
            let to = device.room(count);
            let args = Args::default().u64(device.put(&words)).u64(to).fields(view.fields(false, number));
            device.launch("copy_words_across", [2, 1, 1], 256, 0, &args.u32(fast as u32).u32(tiles as u32));
            assert_eq!(device.read(to), expected);
        });
    }
}

#[test]
fn views_of_bits() {
    let planes = 2;
    for view in views() {
        let (words, count) = (random_planes(1, view.operand, planes), view.count());
        let source = |plane, i| view.source(i).map_or(FILL & 1, |at| bit(&words, view.operand, plane, at));
        let expected = planes_of(count, planes, source);
        in_both_orders(|device| {
            let to = device.room(expected.len());
            let args = Args::default().u64(device.put(&words)).u64(to).fields(view.fields(false, |_, axis| axis.size));
            let args = args.u32(count as u32).u32(planes as u32).u64(view.operand.div_ceil(64) as u64);
            device.launch("copy_bits", [1, 1, 1], 256, 0, &args);
            assert_eq!(device.read(to), expected);
        });
    }
}

#[test]
fn concatenations() {
    let planes = 3;
    for (outer, chunks) in [(1, vec![1]), (3, vec![5, 70, 1]), (40, vec![3, 2, 2, 9]), (1, vec![300, 40])] {
        let row: usize = chunks.iter().sum();
        let before = |j: usize| chunks[..j].iter().sum::<usize>();
        // The operand and its element for one of the result's.
        let source = |i: usize| {
            let j = (0..chunks.len()).rfind(|j| before(*j) <= i % row).unwrap();
            (j, i / row * chunks[j] + i % row - before(j))
        };
        let table = |addresses: &[u64], strides: &dyn Fn(usize) -> usize| {
            let chunk = |j: usize| {
                let numbers = [before(j), chunks[j], strides(j)].map(|number| number as u64);
                Fields::default().u64(addresses[j]).u64s(numbers)
            };
            Fields::words((0..chunks.len()).map(chunk))
        };
        let elements = outer * row;
        let operands: Vec<Vec<u64>> = (0..chunks.len()).map(|j| random(j as u64, outer * chunks[j])).collect();
        let expected: Vec<u64> = (0..elements).map(source).map(|(j, e)| operands[j][e]).collect();
        let bits: Vec<Vec<u64>> =
            (0..chunks.len()).map(|j| random_planes(j as u64, outer * chunks[j], planes)).collect();
        let expected_bits = planes_of(elements, planes, |plane, i| {
            let (j, e) = source(i);
            bit(&bits[j], outer * chunks[j], plane, e)
        });
        in_both_orders(|device| {
            let to = device.room(elements);
            let addresses: Vec<u64> = operands.iter().map(|words| device.put(words)).collect();
            let table_at = device.put(&table(&addresses, &|j| outer * chunks[j]));
            let args = |table: u64, to: u64| {
                let args = Args::default().u64(table).u32(chunks.len() as u32).u64(to).u64(elements as u64);
                args.u64(row as u64).fields(Fields::default().long_divisor(row as u64))
            };
            device.launch("concat_words", [2, 1, 1], 256, 0, &args(table_at, to));
            assert_eq!(device.read(to), expected);
            let to = device.room(expected_bits.len());
            let addresses: Vec<u64> = bits.iter().map(|words| device.put(words)).collect();
            let table_at = device.put(&table(&addresses, &|j| (outer * chunks[j]).div_ceil(64)));
            device.launch("concat_bits", [1, 1, 1], 256, 0, &args(table_at, to).u32(planes as u32));
            assert_eq!(device.read(to), expected_bits);
        });
    }
}

#[test]
fn indices_of_an_axis() {
    let planes = 2;
    let some = |index: &[i64]| index.to_vec();
    for (outer, axis, inner, index) in [
        (1, 1, 1, some(&[0])),
        (3, 4, 5, some(&[3, -1, 0, 0, 2, -1])),
        (2, 9, 70, some(&[8, 1, -1])),
        (30, 7, 1, (0..11).map(|j| j * 5 % 8 - 1).collect()),
        (2, 0, 3, some(&[-1, -1])),
    ] {
        let (row, elements) = (index.len() * inner, outer * index.len() * inner);
        let source = |i: usize| {
            let from = index[i % row / inner];
            (from >= 0).then(|| (i / row * axis + from as usize) * inner + i % inner)
        };
        let words = random(1, outer * axis * inner);
        let expected: Vec<u64> = (0..elements).map(|i| source(i).map_or(0, |at| words[at])).collect();
        let len = outer * axis * inner;
        let bits = random_planes(1, len, planes);
        let expected_bits =
            planes_of(elements, planes, |plane, i| source(i).map_or(0, |at| bit(&bits, len, plane, at)));
        in_both_orders(|device| {
            let indices = Fields::default().u32s(index.iter().map(|i| *i as u32));
            let fields = Fields::default().u64(device.put(&Fields::words([indices])));
            let fields = fields.u64s([inner, axis, row].map(|number| number as u64));
            let fields = fields.long_divisor(inner as u64).long_divisor(row as u64);
            let (to, to_bits) = (device.room(elements), device.room(expected_bits.len()));
            let args = Args::default().u64(device.put(&words)).u64(to).fields(fields.clone()).u64(elements as u64);
            device.launch("gather_words", [2, 1, 1], 256, 0, &args);
            assert_eq!(device.read(to), expected);
            let args = Args::default().u64(device.put(&bits)).u64(to_bits).fields(fields).u64(elements as u64);
            let args = args.u32(planes as u32).u64(len.div_ceil(64) as u64);
            device.launch("gather_bits", [1, 1, 1], 256, 0, &args);
            assert_eq!(device.read(to_bits), expected_bits);
        });
    }
}

#[test]
fn zeros() {
    for (count, grid) in [(1, 1), (700, 2), (1_000, 9)] {
        in_both_orders(|device| {
            let out = device.put(&random(2, count + 1));
            let last = device.read(out)[count];
            device.launch("zero_words", [grid, 1, 1], 256, 0, &Args::default().u64(out).u64(count as u64));
            let words = device.read(out);
            assert!(words[..count].iter().all(|word| *word == 0) && words[count] == last);
        });
    }
}
