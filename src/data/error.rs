//! What can be wrong with a file, and how it is told to the user.

use crate::data::names::Mismatch;
use crate::diag::{Code, Diagnostic};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused to read.
    #[error("cannot read `{file}`: {reason}")]
    Read {
        /// As given by the user.
        file: String,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The operating system refused to write.
    #[error("cannot write `{file}`: {reason}")]
    Write {
        /// As given by the user.
        file: String,
        /// The system's words.
        reason: std::io::Error,
    },
    /// Neither content nor name tells the format.
    #[error("`{file}` is of no known format")]
    UnknownFormat {
        /// As given by the user.
        file: String,
    },
    /// The content contradicts the format.
    #[error("`{file}` is not a valid {format} file: at byte {at}, expected {expected}, found {found}")]
    Malformed {
        /// The file; for an archive's member, `archive:member`.
        file: String,
        /// What it was read as: `.npy`, `IDX`.
        format: &'static str,
        /// Offset in the file (decompressed, where it is compressed).
        at: u64,
        /// What the format asks for there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A line of a table that is no row of numbers.
    #[error("`{file}` is not a table of numbers: line {line}{}", in_field(field, found))]
    Table {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The field, from 1, where one is at fault.
        field: Option<usize>,
        /// What is there.
        found: String,
        /// Whether the line seems to name the columns.
        heading: bool,
    },
    /// A folder from which nothing can be read.
    #[error("the folder `{folder}` has no .png or .jpg files")]
    NoPictures {
        /// As given by the user.
        folder: String,
    },
    /// Elements of a type that is no number, or that 64-bit integers and floats do not hold.
    #[error("`{file}`{} has elements of type `{found}`", of_tensor(tensor))]
    ElementType {
        /// The file.
        file: String,
        /// The tensor, where the file has several.
        tensor: Option<String>,
        /// The type in the format's own words.
        found: String,
    },
    /// Pictures that do not fit into one array.
    #[error("`{file}` is {found:?}, but `{first}` is {expected:?}")]
    PictureSizes {
        /// The first picture of another size.
        file: String,
        /// Its shape.
        found: Vec<usize>,
        /// The first picture of all.
        first: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// The tensors of a file are not the fields of the struct.
    #[error(transparent)]
    Names(Box<Mismatch>),
}

fn of_tensor(tensor: &Option<String>) -> String {
    tensor.as_ref().map_or_else(String::new, |name| format!(": `{name}`"))
}

fn in_field(field: &Option<usize>, found: &str) -> String {
    match field {
        Some(field) => format!(", field {field}: {found}"),
        None => format!(": {found}"),
    }
}

impl DataError {
    /// The code under which `smlc explain` says more.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            DataError::Read { .. } | DataError::Write { .. } => Code::CannotRead,
            DataError::UnknownFormat { .. }
            | DataError::Malformed { .. }
            | DataError::Table { .. }
            | DataError::NoPictures { .. } => Code::MalformedFile,
            DataError::ElementType { .. } => Code::DataType,
            DataError::PictureSizes { .. } => Code::InputShape,
            DataError::Names(_) => Code::Tensors,
        }
    }

    /// The message for the user, with what helps to mend it.
    #[must_use]
    pub fn to_diagnostic(&self) -> Diagnostic {
        let plain = Diagnostic::global(self.code(), self.to_string());
        match self {
            DataError::Read { .. } | DataError::Write { .. } | DataError::Table { heading: false, .. } => plain,
            DataError::Table { heading: true, .. } => plain.help("a table has no heading: remove that line"),
            DataError::NoPictures { .. } => plain.help("give a file, or a folder of pictures of one size"),
            DataError::UnknownFormat { .. } => plain.help(
                "use .npy, .npz, IDX (also .gz), .png, .jpg, .safetensors, .csv, .txt, or a folder of pictures of one size",
            ),
            DataError::Malformed { file, format, at, expected, found } => {
                Diagnostic::global(self.code(), format!("`{file}` is not a valid {format} file"))
                    .note(format!("at byte {at}: expected {expected}, found {found}"))
            }
            DataError::ElementType { .. } => {
                plain.help("convert it to one of u8, i8, i16, u16, i32, u32, i64, f16, bf16, f32, f64")
            }
            DataError::PictureSizes { .. } => plain.help("bring all pictures of a folder to one size"),
            DataError::Names(mismatch) => mismatch.to_diagnostic(),
        }
    }
}
