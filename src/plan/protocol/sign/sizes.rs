//! How many bits each block of a comparison has.

/// Carry positions of a block at most: b of them take 2^b - 1 monomials.
const MAX_BLOCK: u32 = 10;

/// Sizes of the blocks, least significant first, that cover n carry positions: the cheapest whose tree is at most `depth`
/// deep (`None`: cheapest of all), and the bits an element they cost (without role 0's top bit). A depth that would need
/// blocks of more than 10 positions is refused: no sizes, although n > 0.
#[must_use]
pub fn sign_blocks(n: u32, depth: Option<u32>) -> (u32, Vec<u32>) {
    let mut best: Option<(u32, Vec<u32>)> = None;
    for count in 1..=n {
        let levels = count.next_power_of_two().trailing_zeros();
        if depth.is_some_and(|d| levels > d) {
            break;
        }
        let (q, r) = (n / count, n % count);
        let sizes: Vec<u32> = (0..count).map(|i| q + u32::from(i < r)).collect();
        if sizes[0] > MAX_BLOCK {
            continue;
        }
        let monomials: u32 = sizes.iter().map(|b| (1 << b) - 1).sum();
        let propagates = sizes[1..].iter().filter(|b| **b > 1).count() as u32;
        let cost = monomials + 2 * count + 2 * propagates + 3 * (count - 1) + 3 * (count - 1 - levels);
        if best.as_ref().is_none_or(|(c, _)| cost < *c) {
            best = Some((cost, sizes));
        }
    }
    best.unwrap_or((0, Vec::new()))
}

/// What a comparison should spare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// The fewest bytes.
    Bytes,
    /// One round less where it costs at most an eighth more bytes.
    #[default]
    Rounds,
    /// The least time over a network.
    Time {
        /// Bits that a link carries while a message is under way: its rate times half a round trip.
        bits: u64,
    },
}

impl Prefer {
    /// Sizes of the blocks for n carry positions of `len` elements, a slice of a tensor.
    #[must_use]
    pub fn blocks(self, n: u32, len: usize) -> Vec<u32> {
        let (cost, sizes) = sign_blocks(n, None);
        let depth = sizes.len().next_power_of_two().trailing_zeros();
        let flatter = || (0..depth).rev().map(|depth| sign_blocks(n, Some(depth))).filter(|(_, flat)| !flat.is_empty());
        match self {
            Prefer::Bytes => sizes,
            Prefer::Rounds => match flatter().next() {
                Some((flat_cost, flat)) if flat_cost <= cost + cost / 8 => flat,
                _ => sizes,
            },
            Prefer::Time { bits } => {
                // Nearly all of it is sent by role 0, on a link that is another one for the next slice.
                let time = |cost: u32, sizes: &[u32]| {
                    let levels = u64::from(sizes.len().next_power_of_two().trailing_zeros());
                    (u64::from(cost) * len as u64).saturating_add(bits.saturating_mul(levels))
                };
                let all = std::iter::once((cost, sizes)).chain(flatter());
                all.min_by_key(|(cost, sizes)| time(*cost, sizes)).map_or_else(Vec::new, |(_, sizes)| sizes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_costs_match_the_published_table() {
        // Bits with role 0's top bit, and tree depth.
        for (w, bits, depth) in [(8, 30, 2), (16, 69, 3), (22, 103, 3), (32, 159, 4), (48, 249, 4), (64, 335, 5)] {
            let (cost, sizes) = sign_blocks(w - 1, None);
            assert_eq!((cost + 1, (sizes.len() as u32).next_power_of_two().trailing_zeros()), (bits, depth), "w = {w}");
            assert_eq!(sizes.iter().sum::<u32>(), w - 1);
        }
        assert_eq!(sign_blocks(31, Some(3)).0 + 1, 176);
        assert_eq!(sign_blocks(0, None), (0, Vec::new()));
        // One level less is worth 17 bits of 158, but not 287 of 248.
        assert_eq!(Prefer::Rounds.blocks(31, 1), sign_blocks(31, Some(3)).1);
        assert_eq!(Prefer::Rounds.blocks(47, 1), sign_blocks(47, None).1);
        // A level less costs 17 bits, another one 743: for a level's time of 20 ms at 100 Mb/s, while there are few elements.
        let wan = Prefer::Time { bits: 2_000_000 };
        assert_eq!(wan.blocks(31, 2_500), sign_blocks(31, Some(2)).1);
        assert_eq!(wan.blocks(31, 3_000), sign_blocks(31, Some(3)).1);
        assert_eq!(wan.blocks(31, 120_000), sign_blocks(31, None).1);
        assert_eq!(Prefer::Time { bits: 0 }.blocks(31, 1000), sign_blocks(31, None).1);
    }
}
