//! The kernels of `kernels/`, each with the types of its parameters: what a kernel does not take does not compile. That the
//! PTX declares the same is tested for all, and looked at when a kernel is first used, as its source may have been changed.

use std::marker::PhantomData;

use bytemuck::{Pod, bytes_of};
use smallvec::SmallVec;

use super::params::{
    Conv, Gather, Gemm, Joined, LongDivisor, LongView, PlaneProduct, Pool, ResidueProduct, Split, View,
};

/// The kernels' PTX, file by file.
pub(super) const FILES: [(&str, &str); 10] = [
    ("conv", include_str!("../../../kernels/ptx/conv.ptx")),
    ("gemm", include_str!("../../../kernels/ptx/gemm.ptx")),
    ("moves", include_str!("../../../kernels/ptx/moves.ptx")),
    ("planes", include_str!("../../../kernels/ptx/planes.ptx")),
    ("probe", include_str!("../../../kernels/ptx/probe.ptx")),
    ("residue", include_str!("../../../kernels/ptx/residue.ptx")),
    ("streams", include_str!("../../../kernels/ptx/streams.ptx")),
    ("sums", include_str!("../../../kernels/ptx/sums.ptx")),
    ("tables", include_str!("../../../kernels/ptx/tables.ptx")),
    ("wire", include_str!("../../../kernels/ptx/wire.ptx")),
];

/// A kernel that takes parameters `P`, a tuple.
pub(super) struct Kernel<P> {
    /// Of its entry.
    pub name: &'static str,
    parameters: PhantomData<fn(P)>,
}

impl<P> Kernel<P> {
    const fn new(name: &'static str) -> Kernel<P> {
        Kernel { name, parameters: PhantomData }
    }
}

impl<P> Clone for Kernel<P> {
    fn clone(&self) -> Kernel<P> {
        *self
    }
}

impl<P> Copy for Kernel<P> {}

/// A parameter as PTX declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// A number without sign of so many bytes.
    Number(usize),
    /// A structure.
    Structure { bytes: usize, align: usize },
}

impl Declared {
    /// Words that hold it.
    pub(super) const fn words(self) -> usize {
        let (Declared::Number(bytes) | Declared::Structure { bytes, .. }) = self;
        bytes.div_ceil(8)
    }
}

/// A parameter of a kernel. Addresses are numbers of 64 bits.
pub(super) trait Parameter: Pod {
    /// What the PTX has to say of it.
    const DECLARED: Declared;
}

impl Parameter for u32 {
    const DECLARED: Declared = Declared::Number(4);
}

impl Parameter for u64 {
    const DECLARED: Declared = Declared::Number(8);
}

macro_rules! structures {
    ($($structure:ty),+) => {
        $(impl Parameter for $structure {
            const DECLARED: Declared = Declared::Structure { bytes: size_of::<$structure>(), align: align_of::<$structure>() };
        })+
    };
}

structures!(Conv, Gather, Gemm, Joined, LongDivisor, LongView, PlaneProduct, Pool, ResidueProduct, Split, View);

/// All parameters of a launch as words: each begins with one.
pub(super) type Words = SmallVec<[u64; 64]>;

/// All parameters of a kernel.
pub(super) trait Parameters {
    /// What the PTX has to say of each.
    const DECLARED: &'static [Declared];

    /// Their words.
    fn words(&self) -> Words;
}

/// Appends the bytes of a parameter, the last word filled up with zeros.
fn append(words: &mut Words, parameter: &impl Parameter) {
    let (whole, rest) = bytes_of(parameter).as_chunks::<8>();
    words.extend(whole.iter().map(|bytes| u64::from_ne_bytes(*bytes)));
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words.push(u64::from_ne_bytes(last));
    }
}

macro_rules! tuples {
    ($(($($at:tt $type:ident),+))+) => {
        $(impl<$($type: Parameter),+> Parameters for ($($type,)+) {
            const DECLARED: &'static [Declared] = &[$($type::DECLARED),+];

            fn words(&self) -> Words {
                let mut words = Words::new();
                $(append(&mut words, &self.$at);)+
                words
            }
        })+
    };
}

tuples! {
    (0 A)
    (0 A, 1 B)
    (0 A, 1 B, 2 C, 3 D)
    (0 A, 1 B, 2 C, 3 D, 4 E)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G)
    (0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I)
}

/// Declares each kernel with its parameters, as its source has them; and the list of all, for the test.
macro_rules! kernels {
    ($($constant:ident = $name:literal $parameters:ty;)+) => {
        $(pub(super) const $constant: Kernel<$parameters> = Kernel::new($name);)+

        #[cfg(test)]
        const ALL: &[(&str, &[Declared])] = &[$(($constant.name, <$parameters as Parameters>::DECLARED)),+];
    };
}

kernels! {
    // conv.cu
    CONV_SIMT = "conv_simt" (Conv,);
    CONV_SIMT_SUMS = "conv_simt_sums" (Conv,);
    CONV_LIMB = "conv_limb" (Conv,);
    CONV_LIMB_SUMS = "conv_limb_sums" (Conv,);
    CONV_LIMB_LOW = "conv_limb_low" (Conv,);
    CONV_LIMB_LOW_SUMS = "conv_limb_low_sums" (Conv,);
    CONV_DIRECT = "conv_direct" (Conv,);
    CONV_DIRECT_SUMS = "conv_direct_sums" (Conv,);
    // gemm.cu
    GEMM_SIMT = "gemm_simt" (Gemm,);
    GEMM_SIMT_SUMS = "gemm_simt_sums" (Gemm,);
    GEMM_LIMB = "gemm_limb" (Gemm,);
    GEMM_LIMB_SUMS = "gemm_limb_sums" (Gemm,);
    GEMM_LIMB_LOW = "gemm_limb_low" (Gemm,);
    GEMM_LIMB_LOW_SUMS = "gemm_limb_low_sums" (Gemm,);
    GEMV_ROWS = "gemv_rows" (Gemm,);
    GEMV_ROWS_SUMS = "gemv_rows_sums" (Gemm,);
    GEMV_COLS = "gemv_cols" (Gemm,);
    GEMV_COLS_SUMS = "gemv_cols_sums" (Gemm,);
    // moves.cu: from, to, the view, its length; then what the kernel alone needs.
    COPY_WORDS = "copy_words" (u64, u64, View, u32);
    COPY_WORDS_LONG = "copy_words_long" (u64, u64, LongView, u64);
    COPY_WORDS_ACROSS = "copy_words_across" (u64, u64, View, u32, u32);
    COPY_BITS = "copy_bits" (u64, u64, View, u32, u32, u64);
    // Chunks, how many, to, elements, those of a row, by which to divide.
    CONCAT_WORDS = "concat_words" (u64, u32, u64, u64, u64, LongDivisor);
    CONCAT_BITS = "concat_bits" (u64, u32, u64, u64, u64, LongDivisor, u32);
    GATHER_WORDS = "gather_words" (u64, u64, Gather, u64);
    GATHER_BITS = "gather_bits" (u64, u64, Gather, u64, u32, u64);
    ZERO_WORDS = "zero_words" (u64, u64);
    // planes.cu
    PLANE_SPLIT_LEFT = "plane_split_left" (Split,);
    PLANE_SPLIT_RIGHT = "plane_split_right" (Split,);
    PLANE_PRODUCT = "plane_product" (PlaneProduct,);
    // probe.cu: to, rounds.
    PROBE_BYTES = "probe_bytes" (u64, u32);
    PROBE_MULTIPLY_ADDS = "probe_multiply_adds" (u64, u32);
    PROBE_LOOKUPS = "probe_lookups" (u64, u32);
    // residue.cu
    RESIDUE_SPLIT_LEFT = "residue_split_left" (Split,);
    RESIDUE_SPLIT_RIGHT = "residue_split_right" (Split,);
    RESIDUE_PRODUCT = "residue_product" (ResidueProduct,);
    RESIDUE_JOIN = "residue_join" (Joined,);
    // streams.cu: keys, how many, uses, how many, units, blocks of a unit.
    STREAMS = "streams" (u64, u32, u64, u32, u64, u32);
    // sums.cu: from, to, results, the axis, what is inside, by which to divide.
    SUM_EACH = "sum_each" (u64, u64, u64, u64, u64, LongDivisor);
    SUM_LONG = "sum_long" (u64, u64, u64, u64, u32);
    SUM_POOL = "sum_pool" (u64, u64, Pool, u64);
    // tables.cu
    ONE_HOT = "one_hot" (u64, u64, u64, u64, u64, u32, u32);
    ROTATE = "rotate" (u64, u64, u64, u64, u32, u32);
    LOOKUP = "lookup" (u64, u64, u64, u32, u64, u32, u32, u32, u32);
    // wire.cu: buffers, how many, the message, its bytes; words of all buffers.
    PACK = "pack" (u64, u32, u64, u64);
    UNPACK = "unpack" (u64, u32, u64, u64, u64);
}

/// The parameters that PTX declares for an entry; `None` if there is no such entry, or one is of another kind.
pub(super) fn declared(ptx: &str, entry: &str) -> Option<Vec<Declared>> {
    let (_, rest) = ptx.split_once(&format!(".entry {entry}("))?;
    let (list, _) = rest.split_once(')')?;
    list.split(',').map(parameter).collect()
}

/// A parameter from its declaration: `.param .u64 NAME`, or `.param .align 8 .b8 NAME[BYTES]`.
fn parameter(declaration: &str) -> Option<Declared> {
    let words: SmallVec<[&str; 5]> = declaration.split_whitespace().collect();
    match words[..] {
        [".param", ".u32", _] => Some(Declared::Number(4)),
        [".param", ".u64", _] => Some(Declared::Number(8)),
        [".param", ".align", align, ".b8", name] => {
            let bytes = name.split_once('[')?.1.strip_suffix(']')?;
            Some(Declared::Structure { bytes: bytes.parse().ok()?, align: align.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of all entries of a text.
    fn entries(ptx: &str) -> Vec<&str> {
        ptx.split(".entry ").skip(1).filter_map(|rest| rest.split('(').next()).collect()
    }

    #[test]
    fn kernels_take_what_their_ptx_declares() {
        let mut found = Vec::new();
        for (file, ptx) in FILES {
            for entry in entries(ptx) {
                let declared = declared(ptx, entry).unwrap_or_else(|| panic!("{file}: {entry}"));
                found.push((entry, declared));
            }
        }
        let mut ours: Vec<(&str, Vec<Declared>)> = ALL.iter().map(|(name, each)| (*name, each.to_vec())).collect();
        found.sort_by_key(|(name, _)| *name);
        ours.sort_by_key(|(name, _)| *name);
        for (found, ours) in found.iter().zip(&ours) {
            assert_eq!(ours, found);
        }
        assert_eq!(ours.len(), found.len());
    }

    #[test]
    fn declarations_of_other_kinds_are_not_taken_for_known_ones() {
        let ptx = |declaration: &str| format!(".visible .entry some(\n\t.param {declaration}\n)\n");
        let of = |declaration: &str| declared(&ptx(declaration), "some");
        assert_eq!(
            of(".u32 a,\n\t.param .align 16 .b8 b[48]"),
            Some(vec![Declared::Number(4), Declared::Structure { bytes: 48, align: 16 }])
        );
        for other in [".f32 a", ".s64 a", ".align 8 .b8 a", ".align 8 .b16 a[4]"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(declared(&ptx(".u64 a"), "som"), None);
    }

    #[test]
    fn parameters_begin_with_a_word_each() {
        let divisor = LongDivisor::by(5);
        let words = (7u32, u64::MAX, divisor, 9u32).words();
        assert_eq!(words[..], [7, u64::MAX, divisor.mul, u64::from(divisor.shift), 9]);
        assert_eq!(
            <(u32, u64, LongDivisor, u32)>::DECLARED.iter().map(|each| each.words()).sum::<usize>(),
            words.len()
        );
    }
}
