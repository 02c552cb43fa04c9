//! What parties do without a word: sums, public factors, rearrangement. Linear in each share, so each party works on its own two.

use super::{Additive, BitShares, BitSource, Shares};
use crate::plan::build::{Builder, Map};
use crate::plan::{Access, BufId, Kernel, Operand, Party, Product, Reg, View};

/// The operand in a dense buffer of `len` elements, expanded if it was a broadcast.
pub fn dense(b: &mut Builder, operand: Operand, party: Party, len: usize) -> BufId {
    if operand.access == Access::Dense {
        return operand.buf;
    }
    let ring = b.ring();
    let mut m = b.ring_map(party, "broadcast", len);
    let word = m.read(operand);
    let out = m.write(word, ring);
    m.finish();
    out
}

/// All six parts in dense buffers.
pub fn dense_shares(b: &mut Builder, x: &Shares, len: usize) -> Shares {
    let part = |b: &mut Builder, row: usize| Party::ALL.map(|p| dense(b, x.at[row][p.index()], p, len));
    let at = [part(b, 0), part(b, 1)];
    Shares::dense(at)
}

/// Applies an element formula to shares: `formula(map, share number, operand registers)`, for both shares of each party.
pub fn each_share(
    b: &mut Builder,
    name: &str,
    len: usize,
    operands: &[&Shares],
    mut formula: impl FnMut(&mut Map<'_>, u8, &[Reg]) -> Reg,
) -> Shares {
    let ring = b.ring();
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        let mut m = b.ring_map(party, name, len);
        for part in 0..2u8 {
            let j = party.plus(part).0;
            let regs: Vec<Reg> = operands.iter().map(|x| m.read(x.at[part as usize][party.index()])).collect();
            let value = formula(&mut m, j, &regs);
            at[part as usize][party.index()] = m.write(value, ring);
        }
        m.finish();
    }
    Shares::dense(at)
}

/// Applies an element formula to the summands of additive values and shares: `z_i` from `a_i` and share i.
pub fn each_summand(
    b: &mut Builder,
    name: &str,
    len: usize,
    operands: &[[Operand; 3]],
    mut formula: impl FnMut(&mut Map<'_>, u8, &[Reg]) -> Reg,
) -> Additive {
    let ring = b.ring();
    Additive(Party::ALL.map(|party| {
        let mut m = b.ring_map(party, name, len);
        let regs: Vec<Reg> = operands.iter().map(|x| m.read(x[party.index()])).collect();
        let value = formula(&mut m, party.0, &regs);
        let out = m.write(value, ring);
        m.finish();
        out
    }))
}

/// Elements `start..start + len` of dense shares, where they are: [`Builder::part`].
pub fn part(b: &mut Builder, x: &Shares, start: usize, len: usize, later: u32) -> Shares {
    Shares::dense(x.at.map(|row| row.map(|share| b.part(share.buf, start, len, later))))
}

/// One tensor of several, each with its elements: [`Builder::join`].
pub fn join(b: &mut Builder, parts: &[(Shares, usize)]) -> Shares {
    let mut at = [[BufId(0); 3]; 2];
    for (part, row) in at.iter_mut().enumerate() {
        for (party, whole) in Party::ALL.into_iter().zip(row) {
            let dense = |(x, len): &(Shares, usize)| dense(b, x.at[part][party.index()], party, *len);
            let bufs: Vec<BufId> = parts.iter().map(dense).collect();
            *whole = b.join(&bufs);
        }
    }
    Shares::dense(at)
}

/// Launches a kernel that is linear in its operands on both shares of each party.
pub fn launch_shares(b: &mut Builder, operands: &[Shares], len: usize, kernel: impl Fn(u8) -> Kernel) -> Shares {
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        for part in 0..2u8 {
            let ins: Vec<BufId> = operands.iter().map(|x| x.at[part as usize][party.index()].buf).collect();
            at[part as usize][party.index()] = b.launch(party, kernel(party.plus(part).0), &ins, len);
        }
    }
    Shares::dense(at)
}

/// A linear kernel on the summands of additive values.
pub fn launch_summands(b: &mut Builder, x: &Additive, len: usize, kernel: &Kernel) -> Additive {
    Additive(Party::ALL.map(|party| b.launch(party, kernel.clone(), &[x.0[party.index()]], len)))
}

/// A strided view of shares; elements outside of the view's bounds read `view.fill` (as a public value: share 0).
pub fn copy(b: &mut Builder, x: &Shares, view: &View) -> Shares {
    let len = view.shape.iter().product();
    launch_shares(b, &[*x], len, |j| {
        let fill = if j == 0 { view.fill } else { 0 };
        Kernel::Copy(View { fill, ..view.clone() })
    })
}

/// A product with a public operand: one product a share, no message.
pub fn product_public(
    b: &mut Builder,
    product: &Product,
    x: &Shares,
    public: [BufId; 3],
    x_left: bool,
    len: usize,
) -> Shares {
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        for (part, row) in at.iter_mut().enumerate() {
            let (x, y) = (x.at[part][party.index()].buf, public[party.index()]);
            let ins = if x_left { [x, y] } else { [y, x] };
            row[party.index()] = b.launch(party, Kernel::Product(product.clone()), &ins, len);
        }
    }
    Shares::dense(at)
}

/// A public constant as shares: share 0 is the constant, the others are 0.
pub fn constant(b: &mut Builder, word: u64, len: usize) -> Shares {
    each_share(b, "constant", len, &[], |m, j, _| m.imm(if j == 0 { word } else { 0 }))
}

/// Moves bits: a kernel that takes the elements of its operands to other places, on each share. The second of each pair
/// is the operand's length.
pub fn move_bits(b: &mut Builder, operands: &[(BitShares, usize)], len: usize, kernel: &Kernel) -> BitShares {
    let mut at = [[BufId(0); 3]; 2];
    for (part, row) in at.iter_mut().enumerate() {
        for party in Party::ALL {
            let ins: Vec<BufId> = operands.iter().map(|(bit, len)| plane(b, bit, part, party, *len)).collect();
            row[party.index()] = b.launch_bits(party, kernel.clone(), &ins, len);
        }
    }
    BitShares { at: at.map(|row| row.map(|buf| BitSource::Plane(buf, 0))) }
}

/// A party's share of a bit in a buffer of its own.
fn plane(b: &mut Builder, bit: &BitShares, part: usize, party: Party, len: usize) -> BufId {
    match bit.at[part][party.index()] {
        BitSource::Plane(buf, 0) if b.planes(buf) == 1 => buf,
        BitSource::Plane(..) | BitSource::Stream(..) => {
            let mut m = b.plane_map(party, "bit", len);
            let share = m.bits(bit)[part];
            let out = m.write_planes(&[share]);
            m.finish();
            out
        }
    }
}
