//! The stable diagnostic codes: one table from which `smlc explain` and the docs are made.

/// What `smlc explain` prints for a code.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Stable spelling, `E0401`.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why the rule exists and how to satisfy it.
    pub text: &'static str,
}

macro_rules! codes {
    ($($variant:ident $code:literal $title:literal $text:literal)*) => {
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
                    $(Code::$variant => Entry { code: $code, title: $title, text: $text },)*
                }
            }
        }
    };
}

codes! {
    UnknownCharacter "E0101" "a character that starts no token"
        "Source is ASCII outside of comments and strings. Remove the character or put it in a comment."
    Syntax "E0102" "a token where the grammar does not allow it"
        "The message lists what could stand there. A file is a header (`owners`, `fixed`), `use` lines and items: `struct`, `fn`, `entry`."
    BadNumber "E0103" "a number that cannot be read"
        "Integers are decimal and below 2^63; fixed-point numbers have a point with digits on both sides (`0.5`, `1e-3`)."
    Header "E0104" "a header line that is missing, repeated or out of place"
        "A program starts with `owners a, b;` and `fixed(int = 16, frac = 16);`, once each. A library file has neither."
    UnknownName "E0201" "a name that nothing defines"
        "A value is a parameter, a `let` or a loop variable in scope; a function is defined in the file or brought in by `use module::{name};`."
    UnknownField "E0202" "a field that the struct does not have"
        "Fields are listed in the struct's definition. Elements of tuples and arrays are `.0`, `.1` and so on."
    UnknownModule "E0203" "a module, or an item of a module, that does not exist"
        "`use nn::{relu};` takes `relu` from the standard library's `nn`. The message lists what the module offers."
    DefinedTwice "E0204" "two definitions of one name"
        "Items of a file, fields of a struct, parameters and sizes of a function each need names of their own."
    UnknownType "E0205" "a type that nothing defines"
        "Types are `fix`, `int`, `bool` with a shape, `nat`, tuples, arrays `[T; D]` and the structs in scope."
    TypeMismatch "E0301" "a value of another type than the place asks for"
        "`fix`, `int` and `bool` do not convert into one another silently. Write `1.0` for a fixed-point constant and `1` for an integer."
    ShapeMismatch "E0302" "a shape other than the place asks for"
        "Shapes are compared at compile time, symbolically where sizes are open. Only axes of size 1 and scalars broadcast."
    Arguments "E0303" "a call whose arguments do not fit the function's parameters"
        "Positional arguments come first and in order, named ones (`pad = 2`) after; parameters without a default are required."
    OpenSize "E0304" "a size that nothing determines"
        "Every size must follow from the arguments, from an input's shape, or be given with `--dim N=32`."
    NotAllowedHere "E0305" "an expression of a kind that is not allowed here"
        "For example a call of something that is no function, a field of a tensor, or an index into a number."
    Axis "E0306" "an axis that the shape does not have"
        "Axes count from 0; negative ones from the end, so `-1` is the last."
    Unsupported "E0307" "a construct that this version does not compile"
        "The language defines it; this version of the compiler does not translate it yet. The message says what to write instead."
    BadSize "E0308" "a size that comes out negative, zero or fractional"
        "For example a convolution whose kernel is larger than the padded image. The message shows the arithmetic."
    Derivative "E0309" "a derivative of something that has none"
        "`grad(loss, net)` differentiates a single `fix` number by tensors of `fix` numbers. A function's own rule, `derivative { x => ... }`, names one of its parameters and gives the derivative of its result, a single `fix`, by that parameter."
    SecretBranch "E0401" "a secret decides a branch"
        "Which branch runs is visible to everybody, so the condition must be public. Compute both sides and choose with `select(c, a, b)`: it costs one comparison and one multiplication and reveals nothing."
    SecretPosition "E0402" "a secret where a public value is needed"
        "Loop bounds, indices, sizes and axes are visible in what the parties do, so they must be public."
    RevealOutsideEntry "E0404" "a library function that opens a secret"
        "Opening happens only in an `entry`: in its result (`-> T to hospital`) or by `reveal e to vendor` in its body."
    Format "E0501" "a number format that does not fit the ring"
        "A product of two numbers has `int + 2 * frac` bits before truncation, which must stay below `ring`. Lower `frac` or `int`, or use `ring = 64`."
    Vanishes "E0502" "a constant that rounds to zero"
        "The smallest step of the format is 2^-frac; a smaller constant becomes 0. Raise `frac`, or scale the computation."
    TooLarge "E0503" "a constant outside of the number format"
        "`fixed(int = 16, ..)` holds magnitudes below 2^15. Raise `int`, or scale the computation."
    MayLeave "E0504" "a value that may leave the number format"
        "`smlc check --ranges` follows the ranges that inputs declare (`x: fix[N] in 0.0..255.0 from hospital`). A value outside of the format is compared wrongly, without notice. Raise `int`, declare narrower ranges, or scale the computation."
    UnknownOwner "E0601" "an owner that the header does not name"
        "Owners are declared once: `owners hospital, vendor;`."
    EntryParameter "E0602" "an entry parameter without a source"
        "Each parameter of an `entry` says where it comes from: `x: T from hospital`, `x: public T`, or `x: T from shares`."
    EntryResult "E0603" "an entry result that goes to nobody"
        "Each result of an `entry` says who learns it: `-> T to hospital`, `to all`, or `to shares`."
    NoEntry "E0604" "no entry to run"
        "A program to run needs an `entry`. With several, choose with `--entry NAME`."
    CannotRead "E0701" "a file that cannot be read"
        "The operating system refused; the message repeats its reason."
    MalformedFile "E0702" "a data file that is damaged or of another format"
        "The message says at which byte and what was expected there. Formats: .npy, IDX (also .gz), PNG, JPEG, .safetensors."
    Tensors "E0703" "tensors that do not match the struct"
        "Parameter names are field paths (`conv1.weight`). Missing, extra and mis-shaped tensors are listed together."
    InputShape "E0704" "data of another shape than the entry declares"
        "The array's shape must equal the parameter's; open sizes such as `N` are bound by it, consistently over all inputs."
    InputName "E0705" "an input that is missing or unknown"
        "Give each parameter of the entry: `--in image=x.npy`, or in the `[inputs]` table of the `.toml` file beside the model."
    DataType "E0706" "an element type that cannot be converted"
        "Readable: u8, i8, i16, u16, i32, i64, f16, bf16, f32, f64."
    DataRange "E0707" "data outside of the number format"
        "A value must satisfy |x| < 2^(int-1) and be a number. The message names the first element."
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
}
