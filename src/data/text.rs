//! Numbers and names as text: tables (`.csv`, `.txt`) and lists of labels.

use std::path::Path;

use crate::data::{Bytes, DataError, Tensor, read_file};

/// Reads a table of numbers, one row a line, separated by commas or spaces: `[rows, columns]`, or `[rows]` for one column.
/// Empty lines are skipped; there is no heading.
///
/// # Errors
/// [`DataError::Malformed`].
pub fn parse_table(file: &str, content: &[u8]) -> Result<Tensor, DataError> {
    let bytes = Bytes { file, format: "table", all: content };
    let text = utf8(bytes)?;
    let (mut numbers, mut rows, mut columns) = (Vec::new(), 0, None);
    for line in text.split('\n').filter(|line| !line.trim().is_empty()) {
        let before = numbers.len();
        for field in line.split([',', ' ', '\t', '\r', ';']).filter(|field| !field.is_empty()) {
            let number: f64 = field
                .parse()
                .map_err(|_| bytes.wrong(offset(text, field), "a number", format!("`{}`", field.escape_debug())))?;
            numbers.push(number);
        }
        let width = numbers.len() - before;
        let expected = *columns.get_or_insert(width);
        if width != expected {
            return Err(bytes.wrong(
                offset(text, line),
                format!("{expected} numbers as in the first row"),
                width.to_string(),
            ));
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

/// Where a part of the text begins.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
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
        assert!(message(b"1,2\n3,x").ends_with("at byte 6, expected a number, found `x`"));
        assert!(message(b"1,2\n3").ends_with("at byte 4, expected 2 numbers as in the first row, found 1"));
        assert!(message(b"1,\xff").ends_with("at byte 2, expected UTF-8 text, found byte 0xff"));
    }

    #[test]
    fn labels_are_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "cat\r\n\ndog on a mat\n").unwrap();
        assert_eq!(read_labels(file.path()).unwrap(), ["cat", "dog on a mat"]);
    }
}
