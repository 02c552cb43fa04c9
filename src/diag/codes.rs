//! The stable diagnostic codes: one table from which `smlc explain` and the manual's error index are made. What is to
//! be said about a code stands in `explain/CODE.md`, with a wrong and a right example, both of which are tested.

/// What `smlc explain` prints for a code.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Stable spelling, `E0401`.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why the rule exists and how to satisfy it, in Markdown: a block that is wrong, then one that is right.
    pub text: &'static str,
}

/// What the first digits of a code stand for.
pub const GROUPS: &[(&str, &str)] = &[
    ("E01", "syntax"),
    ("E02", "names"),
    ("E03", "types and shapes"),
    ("E04", "secrecy"),
    ("E05", "precision and range"),
    ("E06", "owners and entries"),
    ("E07", "data files"),
];

macro_rules! codes {
    ($($variant:ident $code:literal $title:literal)*) => {
        /// A stable diagnostic code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All codes in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The code's entry in the table.
            #[must_use]
            pub fn entry(self) -> Entry {
                match self {
                    $(Code::$variant => Entry {
                        code: $code,
                        title: $title,
                        text: include_str!(concat!("explain/", $code, ".md")),
                    },)*
                }
            }
        }
    };
}

codes! {
    UnknownCharacter "E0101" "a character that starts no token"
    Syntax "E0102" "a token where the grammar does not allow it"
    BadNumber "E0103" "a number that cannot be read"
    Header "E0104" "a header line that is repeated, out of place or unknown"
    UnknownName "E0201" "a name that nothing defines"
    UnknownField "E0202" "a field that the struct does not have"
    UnknownModule "E0203" "a module, or an item of a module, that does not exist"
    DefinedTwice "E0204" "two definitions of one name"
    UnknownType "E0205" "a type that nothing defines"
    TypeMismatch "E0301" "a value of another type than the place asks for"
    ShapeMismatch "E0302" "a shape other than the place asks for"
    Arguments "E0303" "a call whose arguments do not fit the function's parameters"
    OpenSize "E0304" "a size that nothing determines"
    NotAllowedHere "E0305" "an expression of a kind that is not allowed here"
    Axis "E0306" "an axis that the shape does not have"
    Unsupported "E0307" "a construct that this version does not compile"
    BadSize "E0308" "a size that comes out negative, zero or fractional"
    Derivative "E0309" "a derivative of something that has none"
    SecretBranch "E0401" "a secret decides a branch"
    SecretPosition "E0402" "a secret where a public value is needed"
    RevealOutsideEntry "E0404" "a function that opens a secret"
    Format "E0501" "a number format that does not fit the ring"
    Vanishes "E0502" "a constant that rounds to zero"
    TooLarge "E0503" "a constant outside of the number format"
    MayLeave "E0504" "a value that may leave the number format"
    Parts "E0505" "a run that parts from the plaintext"
    UnknownOwner "E0601" "an owner that the header does not name"
    EntryParameter "E0602" "an entry parameter without a source"
    EntryResult "E0603" "an entry result that goes to nobody"
    NoEntry "E0604" "no entry to run"
    CannotRead "E0701" "a file that cannot be read"
    MalformedFile "E0702" "a data file that is damaged or of another format"
    Tensors "E0703" "tensors that do not match the struct"
    InputShape "E0704" "data of another shape than the entry declares"
    InputName "E0705" "an input that is missing or unknown"
    DataType "E0706" "an element type that cannot be converted"
    DataRange "E0707" "data outside of the number format"
}

impl Code {
    /// Finds a code by its spelling, in any case.
    #[must_use]
    pub fn find(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|c| c.entry().code.eq_ignore_ascii_case(text))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.entry().code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_sorted() {
        let all: Vec<&str> = Code::ALL.iter().map(|c| c.entry().code).collect();
        assert!(all.windows(2).all(|w| w[0] < w[1]), "{all:?}");
        assert_eq!(Code::find("e0401"), Some(Code::SecretBranch));
        assert_eq!(Code::find("E9999"), None);
    }

    #[test]
    fn every_code_has_a_group_and_every_group_a_code() {
        for code in Code::ALL {
            assert!(GROUPS.iter().any(|(start, _)| code.entry().code.starts_with(start)), "{code}");
        }
        for (start, name) in GROUPS {
            assert!(Code::ALL.iter().any(|c| c.entry().code.starts_with(start)), "{name}");
        }
    }
}
