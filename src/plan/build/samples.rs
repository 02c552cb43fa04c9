//! Steps for tests, of names that no protocol has.

use super::Builder;
use crate::plan::{BufId, Operand};

/// Twice a ring buffer, by an element program.
pub(crate) fn twice(b: &mut Builder, x: BufId) -> BufId {
    let (name, party, len) = ("twice", b.bufs[x.index()].party, b.len(x));
    let mut m = b.ring_map(party, name, len);
    let x = m.read(x);
    let sum = m.add(x, x);
    let sum = m.write(sum, 64);
    m.finish();
    sum
}

/// Bits 3 to 6 of a ring buffer's words plus 1, the first with a plane added if there is one.
pub(crate) fn take(b: &mut Builder, x: BufId, plane: Option<BufId>) -> BufId {
    let (name, party, len) = ("take", b.bufs[x.index()].party, b.len(x));
    let mut m = b.plane_map(party, name, len);
    let mut bits: Vec<_> = (0..4).map(|at| m.read_plane(Operand::bits(x, 1, 3), at)).collect();
    if let Some(plane) = plane {
        let plane = m.read_plane(plane, 0);
        bits[0] = m.xor(bits[0], plane);
    }
    let bits = m.write_planes(&bits);
    m.finish();
    bits
}
