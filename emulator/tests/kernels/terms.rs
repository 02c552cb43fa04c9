//! Factors of products that are split before they are multiplied, as `kernels/terms.h` has them.

use crate::device::{Device, Fields};

/// A matrix: one term or the sum of two, with factors.
#[derive(Clone)]
pub struct Terms {
    pub words: Vec<Vec<u64>>,
    pub factors: [i64; 2],
}

impl Terms {
    /// The factor of the term that is missing is none to reckon with.
    pub fn of(words: Vec<u64>) -> Terms {
        Terms { words: vec![words], factors: [1, 0x55] }
    }

    pub fn at(&self, place: usize) -> u64 {
        let terms = self.words.iter().zip(self.factors);
        terms.fold(0, |sum, (words, factor)| sum.wrapping_add(words[place].wrapping_mul(factor as u64)))
    }
}

/// The fields of a split for the matrices of one or two pairs, whose words begin behind some others.
pub fn fields(device: &mut Device, skipped: usize, pairs: &[&Terms]) -> Fields {
    let mut fields = Fields::default();
    for pair in 0..2 {
        let (mut words, mut factors) = ([0; 2], [0; 2]);
        if let Some(terms) = pairs.get(pair) {
            words.iter_mut().zip(&terms.words).for_each(|(to, words)| *to = device.put_after(skipped, words));
            factors = terms.factors.map(|factor| factor as u64);
        }
        fields = fields.u64s(words).u64s(factors);
    }
    fields
}
