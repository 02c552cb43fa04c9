//! Panels of a right factor as a register tile reads them.

use super::simd::Group;

/// Panels of `G` groups.
pub(super) trait Right<const G: usize>: Copy {
    /// The rows of a panel.
    fn rows(&self, panel: usize) -> &[[Group; G]];

    /// What closes it.
    fn closing(&self, panel: usize) -> &[[Group; G]];
}

/// Panels of a block, each with what closes it behind it.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a, const G: usize> {
    pub rows: &'a [[Group; G]],
    pub depth: usize,
    pub closing: usize,
}

impl<const G: usize> Right<G> for Packed<'_, G> {
    #[inline(always)]
    fn rows(&self, panel: usize) -> &[[Group; G]] {
        &self.rows[panel * (self.depth + self.closing)..][..self.depth]
    }

    #[inline(always)]
    fn closing(&self, panel: usize) -> &[[Group; G]] {
        &self.rows[panel * (self.depth + self.closing) + self.depth..][..self.closing]
    }
}
