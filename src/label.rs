//! Data owners and secrecy labels. A label is the set of owners a value depends on; join is union.

use serde::{Deserialize, Serialize};

crate::id! {
    /// A data owner, an index into the program's `owners` header.
    OwnerId, "owner"
}

/// A set of owners; the empty set is `public`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label(u64);

impl Label {
    /// Known to everybody.
    pub const PUBLIC: Label = Label(0);
    /// More owners than this are refused by the checker.
    pub const MAX_OWNERS: usize = 64;

    /// The data of one owner.
    #[must_use]
    pub fn of(owner: OwnerId) -> Label {
        Label(1 << owner.0)
    }

    /// Depends on whatever either depends on.
    #[must_use]
    pub fn join(self, other: Label) -> Label {
        Label(self.0 | other.0)
    }

    /// True when no owner's data is in it.
    #[must_use]
    pub fn is_public(self) -> bool {
        self.0 == 0
    }

    /// The owner, when the value depends on exactly one.
    #[must_use]
    pub fn single(self) -> Option<OwnerId> {
        (self.0.count_ones() == 1).then(|| OwnerId(self.0.trailing_zeros()))
    }

    /// The owners in the set, in order of declaration.
    pub fn owners(self) -> impl Iterator<Item = OwnerId> {
        (0..64).filter(move |i| self.0 >> i & 1 == 1).map(OwnerId)
    }

    /// `hospital and vendor`, or `public`.
    #[must_use]
    pub fn describe(self, names: &[String]) -> String {
        let names: Vec<&str> = self.owners().map(|o| names[o.index()].as_str()).collect();
        match names.as_slice() {
            [] => "public".to_string(),
            [one] => (*one).to_string(),
            [init @ .., last] => format!("{} and {last}", init.join(", ")),
        }
    }
}
