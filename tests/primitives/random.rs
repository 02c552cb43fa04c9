//! Numbers and keys for tests, the same in every run of them: SplitMix64.

use smlc::backend::StreamKey;

#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn uniform(&mut self, limit: f64) -> f64 {
        ((self.next() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) * limit
    }

    pub fn key(&mut self) -> StreamKey {
        let mut key = StreamKey([0; 16]);
        key.0[..8].copy_from_slice(&self.next().to_le_bytes());
        key.0[8..].copy_from_slice(&self.next().to_le_bytes());
        key
    }
}
