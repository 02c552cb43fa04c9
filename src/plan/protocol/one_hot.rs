//! A number's place in a row of M: role 0 makes the row of U modulo M and sends it masked, roles 1 and 2 turn it round by V, and
//! reshare what they have. 3K bits a place, 2 rounds, and no comparison.
//!
//! Security: role 2 receives words masked by k1 and k0, role 1 by k0; all masks are fresh, so a simulator draws them at random.

use super::{Assembly, Roles, Shares, TwoSummand};
use crate::plan::Kernel;
use crate::plan::build::Builder;

/// For each number x the M words `[x mod M = j]`; M is a power of two.
pub fn one_hot(b: &mut Builder, x: &Shares, places: usize, roles: Roles, len: usize) -> Shares {
    let x = TwoSummand::of_shares(b, x, roles, len);
    b.not_before(x.earliest(b));
    let ring = b.ring();
    let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
    let [k0, k1, k2] = [0, 1, 2].map(|j| roles.index(j));
    let (row, tau, all) = (b.stream(), b.stream(), len * places);
    let mut shares = Assembly::default();

    let own = b.launch(p0, Kernel::OneHot { add: 0, shift: 0, places }, &[x.u], all);
    let mut m = b.ring_map(p0, "one_hot.p0", all);
    let (word, mask) = (m.read(own), m.prf(k1, row, ring));
    let masked = m.sub(word, mask);
    let masked = m.write(masked, ring);
    let (tau0, tau1) = (m.prf(k0, tau, ring), m.prf(k1, tau, ring));
    shares.set(k0, p0, m.write(tau0, ring));
    shares.set(k1, p0, m.write(tau1, ring));
    m.finish();
    let masked = b.send(masked, p2, "places");
    let mut m = b.ring_map(p1, "one_hot.p1", all);
    let (mask, tau1) = (m.prf(k1, row, ring), m.prf(k1, tau, ring));
    let mask = m.write(mask, ring);
    shares.set(k1, p1, m.write(tau1, ring));
    m.finish();
    let mut m = b.ring_map(p2, "one_hot.p2", all);
    let tau0 = m.prf(k0, tau, ring);
    shares.set(k0, p2, m.write(tau0, ring));
    m.finish();

    let turned = [(p1, mask, x.v[0], k1), (p2, masked, x.v[1], k0)].map(|(party, row, v, key)| {
        let row = b.launch(party, Kernel::Rotate { shift: 0, places }, &[row, v], all);
        let mut m = b.ring_map(party, "one_hot.turned", all);
        let (word, mask) = (m.read(row), m.prf(key, tau, ring));
        let word = m.sub(word, mask);
        let word = m.write(word, ring);
        m.finish();
        word
    });
    let received = [b.send(turned[1], p1, "y2"), b.send(turned[0], p2, "y1")];
    for (i, party) in [p1, p2].into_iter().enumerate() {
        let mut m = b.ring_map(party, "one_hot.share2", all);
        let (own, other) = (m.read(turned[i]), m.read(received[i]));
        let sum = m.add(own, other);
        shares.set(k2, party, m.write(sum, ring));
        m.finish();
    }
    b.not_before(0);
    shares.finish()
}
