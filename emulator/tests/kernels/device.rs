//! A device to launch kernels on, and what they are given.

use std::path::PathBuf;
use std::sync::OnceLock;

use ptx_emulator::{Launch, Memory, Module, Stats};

/// What memory holds that nobody wrote.
pub const UNWRITTEN: u64 = 0xa5a5_5a5a_c3c3_3c3c;

/// All modules.
fn modules() -> &'static [Module] {
    static MODULES: OnceLock<Vec<Module>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kernels/ptx");
        let folder = std::env::var_os("SMLC_PTX_DIR").map_or_else(default, PathBuf::from);
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "ptx"));
        paths.sort();
        let parse = |path: &PathBuf| match Module::parse(&std::fs::read_to_string(path).unwrap()) {
            Ok(module) => module,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        paths.iter().map(parse).collect()
    })
}

/// A device whose threads run in one order.
#[derive(Default)]
pub struct Device {
    reverse: bool,
    /// Buffers, with the words before that only shift them.
    buffers: Vec<(usize, Vec<u64>)>,
}

/// Runs a test with threads in order and in the reverse order.
pub fn in_both_orders(test: impl Fn(&mut Device)) {
    for reverse in [false, true] {
        test(&mut Device { reverse, buffers: Vec::new() });
    }
}

impl Device {
    /// The address of a buffer that holds the words.
    pub fn put(&mut self, words: &[u64]) -> u64 {
        self.put_after(0, words)
    }

    /// The same behind so many words that the kernel must leave alone.
    pub fn put_after(&mut self, skipped: usize, words: &[u64]) -> u64 {
        let mut buffer = vec![UNWRITTEN; skipped];
        buffer.extend(words);
        buffer.reserve(1);
        let address = buffer[skipped..].as_ptr() as u64;
        self.buffers.push((skipped, buffer));
        address
    }

    /// The address of a buffer of so many words that nobody wrote.
    pub fn room(&mut self, words: usize) -> u64 {
        self.put(&vec![UNWRITTEN; words])
    }

    /// The words of a buffer.
    pub fn read(&self, address: u64) -> Vec<u64> {
        let buffer = self.buffers.iter().find(|(skipped, buffer)| buffer[*skipped..].as_ptr() as u64 == address);
        let (skipped, buffer) = buffer.unwrap();
        assert!(buffer[..*skipped].iter().all(|word| *word == UNWRITTEN), "words before the buffer were written");
        buffer[*skipped..].to_vec()
    }

    /// Launches a kernel with `threads` a block and `shared` bytes of dynamic shared memory.
    pub fn launch(&mut self, kernel: &str, grid: [u32; 3], threads: u32, shared: u32, args: &Args) {
        let module = modules().iter().find(|module| module.entries.contains_key(kernel));
        let module = module.unwrap_or_else(|| panic!("no kernel {kernel}"));
        let mut memory = Memory::default();
        for (skipped, buffer) in &mut self.buffers {
            memory.add(&mut buffer[*skipped..]);
        }
        let mut launch = Launch { module, mem: &memory, reverse: self.reverse, stats: Stats::default() };
        if let Err(error) = launch.run(kernel, grid, [threads, 1, 1], shared, &args.0) {
            panic!("{error}");
        }
    }
}

/// Arguments of a kernel, each as its bytes.
#[derive(Clone, Default)]
pub struct Args(Vec<Vec<u8>>);

impl Args {
    pub fn u32(mut self, value: u32) -> Args {
        self.0.push(value.to_le_bytes().to_vec());
        self
    }

    pub fn u64(mut self, value: u64) -> Args {
        self.0.push(value.to_le_bytes().to_vec());
        self
    }

    pub fn fields(mut self, fields: Fields) -> Args {
        self.0.push(fields.bytes());
        self
    }
}

/// A structure as C lays it out: of 4 and 8 bytes, each at a multiple of its size.
#[derive(Clone, Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    pub fn u32(mut self, value: u32) -> Fields {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Fields {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u32s(self, values: impl IntoIterator<Item = u32>) -> Fields {
        values.into_iter().fold(self, Fields::u32)
    }

    pub fn u64s(self, values: impl IntoIterator<Item = u64>) -> Fields {
        values.into_iter().fold(self, Fields::u64)
    }

    /// A `Divisor`.
    pub fn divisor(self, by: u32) -> Fields {
        let by = u64::from(by.max(1));
        let shift = by.next_power_of_two().trailing_zeros();
        self.u32(((((1 << shift) - by) << 32) / by + 1) as u32).u32(shift)
    }

    /// A `LongDivisor`.
    pub fn long_divisor(self, by: u64) -> Fields {
        let by = u128::from(by.max(1));
        let shift = by.next_power_of_two().trailing_zeros();
        self.u64(((((1 << shift) - by) << 64) / by + 1) as u64).u32(shift).u32(0)
    }

    fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0
    }

    /// Several structures one after the other, as words.
    pub fn words(all: impl IntoIterator<Item = Fields>) -> Vec<u64> {
        let bytes: Vec<u8> = all.into_iter().flat_map(Fields::bytes).collect();
        bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    }
}

/// Words that look random.
pub fn random(seed: u64, len: usize) -> Vec<u64> {
    let mix = |i: u64| {
        let x = (seed << 32 | i).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    (0..len as u64).map(mix).collect()
}

/// Bits of each of `planes` planes of `len` elements, zeros past the end.
pub fn random_planes(seed: u64, len: usize, planes: usize) -> Vec<u64> {
    let stride = len.div_ceil(64);
    let mut words = random(seed, stride * planes);
    if !len.is_multiple_of(64) {
        words.iter_mut().skip(stride - 1).step_by(stride).for_each(|word| *word &= (1 << (len % 64)) - 1);
    }
    words
}

/// Element `e` of plane `plane`.
pub fn bit(words: &[u64], len: usize, plane: usize, e: usize) -> u64 {
    words[plane * len.div_ceil(64) + e / 64] >> (e % 64) & 1
}

/// Planes from their bits.
pub fn planes_of(len: usize, planes: usize, bit: impl Fn(usize, usize) -> u64) -> Vec<u64> {
    let stride = len.div_ceil(64);
    let mut words = vec![0; stride * planes];
    for plane in 0..planes {
        for e in 0..len {
            words[plane * stride + e / 64] |= bit(plane, e) << (e % 64);
        }
    }
    words
}

#[test]
fn division_by_multiplication_is_exact() {
    let near = |n: u64| [n.saturating_sub(1), n, n + 1];
    let divisors = (0..63).flat_map(|bits| near(1 << bits)).chain([3, 7, 10, 641, 1_000_003]).filter(|by| *by > 0);
    for by in divisors {
        let words = Fields::words([Fields::default().long_divisor(by)]);
        let short = Fields::words([Fields::default().divisor(by as u32)])[0];
        let numbers = (0..62).flat_map(|bits| near(1 << bits)).chain([0, (1 << 63) - 1, by - 1, by, 5 * (by / 5)]);
        for n in numbers.flat_map(|n| [n, n - n % by]) {
            let high = ((u128::from(n) * u128::from(words[0])) >> 64) as u64;
            assert_eq!((high + n) >> (words[1] as u32), n / by, "{n} / {by}");
            if n < 1 << 31 && by < 1 << 31 {
                let high = (n * (short & 0xffff_ffff)) >> 32;
                assert_eq!((high + n) >> (short >> 32), n / by, "{n} / {by}");
            }
        }
    }
}
