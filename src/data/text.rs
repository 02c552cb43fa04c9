//! Numbers and names as text: tables (`.csv`, `.txt`) and lists of labels.

use std::path::Path;

use crate::data::{Bytes, DataError, Tensor, read_file};

/// Reads a table of numbers, one row a line, separated by commas or spaces: `[rows, columns]`, or `[rows]` for one column.
/// Empty lines are skipped; there is no heading.
///
/// # Errors
/// [`DataError::Table`] names the line and the field; [`DataError::Malformed`] where it is no text.
pub fn parse_table(file: &str, content: &[u8]) -> Result<Tensor, DataError> {
    let bytes = Bytes { file, format: "table", all: content };
    let text = utf8(bytes)?;
    let (mut numbers, mut rows, mut columns) = (Vec::new(), 0, None);
    for (number, line) in text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |field, found, heading| {
            let line = number + 1;
            Err(DataError::Table { file: file.to_owned(), line, field, found, heading })
        };
        let before = numbers.len();
        let fields = || line.split([',', ' ', '\t', '\r', ';']).filter(|field| !field.is_empty());
        for (at, field) in fields().enumerate() {
            let Ok(value) = field.parse::<f64>() else {
                let heading = rows == 0 && fields().all(|field| field.parse::<f64>().is_err());
                return wrong(Some(at + 1), format!("`{}` is no number", field.escape_debug()), heading);
            };
            numbers.push(value);
        }
        let width = numbers.len() - before;
        let expected = *columns.get_or_insert(width);
        if width != expected {
            return wrong(None, format!("{width} numbers, where the first row has {expected}"), false);
        }
        rows += 1;
    }
    let shape = match columns {
        Some(1) | None => vec![rows],
        Some(columns) => vec![rows, columns],
    };
    Ok(Tensor::from_f64(shape, numbers))
}

/// Reads a list of names, one a line.
///
/// # Errors
/// [`DataError::Read`] and [`DataError::Malformed`].
pub fn read_labels(path: &Path) -> Result<Vec<String>, DataError> {
    let content = read_file(path)?;
    let file = path.display().to_string();
    let text = utf8(Bytes { file: &file, format: "text", all: &content })?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn utf8(bytes: Bytes<'_>) -> Result<&str, DataError> {
    std::str::from_utf8(bytes.all).map_err(|e| {
        let at = e.valid_up_to();
        bytes.wrong(at, "UTF-8 text", format!("byte {:#04x}", bytes.all[at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_columns() {
        let table = parse_table("x.csv", b"1, 2.5,-3\r\n\n4 5e-1 6\n").unwrap();
        assert_eq!(table, Tensor::from_f64(vec![2, 3], vec![1.0, 2.5, -3.0, 4.0, 0.5, 6.0]));
        assert_eq!(parse_table("x.csv", b"7\n8\n9").unwrap().shape(), [3]);
        assert_eq!(parse_table("x.csv", b"").unwrap().shape(), [0]);
    }

    #[test]
    fn faults_have_their_place() {
        let message = |text: &[u8]| parse_table("x.csv", text).unwrap_err().to_string();
        let ends = |text: &[u8], end: &str| assert!(message(text).ends_with(end), "{}", message(text));
        ends(b"1,2\n\n3,x", ": line 3, field 2: `x` is no number");
        ends(b"1,2\n3", ": line 2: 1 numbers, where the first row has 2");
        assert!(message(b"1,\xff").ends_with("at byte 2, expected UTF-8 text, found byte 0xff"));
    }

    #[test]
    fn a_heading_is_told() {
        let help = |text: &[u8]| parse_table("x.csv", text).unwrap_err().to_diagnostic().help;
        assert_eq!(help(b"\nage,height\n1,2\n").as_deref(), Some("a table has no heading: remove that line"));
        assert_eq!(help(b"1,height\n1,2\n"), None);
        assert_eq!(help(b"1,2\nage,height\n"), None);
    }

    #[test]
    fn labels_are_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "cat\r\n\ndog on a mat\n").unwrap();
        assert_eq!(read_labels(file.path()).unwrap(), ["cat", "dog on a mat"]);
    }
}
