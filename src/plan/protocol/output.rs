//! What an owner receives: `x0 + x1 + F(k_1)` from P0 and `x2 - F(k_1)` from P1. The sum, and nothing about shares.

use super::Shares;
use crate::plan::build::Builder;
use crate::plan::{BufId, Party};

/// The two buffers that go to one receiver; each receiver gets a stream of its own.
pub fn output(b: &mut Builder, x: &Shares, len: usize) -> [BufId; 2] {
    let (ring, id) = (b.ring(), b.stream());
    let [p0, p1] = [Party(0), Party(1)];
    let mut m = b.ring_map(p0, "output.p0", len);
    let (x0, x1, mask) = (m.read(x.share(0, p0)), m.read(x.share(1, p0)), m.prf(1, id, ring));
    let sum = m.add(x0, x1);
    let sum = m.add(sum, mask);
    let first = m.write(sum, ring);
    m.finish();
    let mut m = b.ring_map(p1, "output.p1", len);
    let (x2, mask) = (m.read(x.share(2, p1)), m.prf(1, id, ring));
    let rest = m.sub(x2, mask);
    let second = m.write(rest, ring);
    m.finish();
    [first, second]
}
