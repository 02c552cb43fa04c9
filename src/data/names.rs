//! Pairing the tensors of a file with the fields of a struct.
//!
//! Names are field paths, `features.0.weight`, which is how torch spells the keys of a state_dict; such files work unchanged:
//! a prefix that all names of the file share and no field has (`module.`, `model.`) is dropped, and the counters of batch
//! normalisation (`num_batches_tracked`), which play no part in inference, are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::data::DataError;
use crate::diag::{Code, Diagnostic, nearest};

/// A size that a field declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// Exactly that.
    Known(usize),
    /// Any; the name is shown. Whether all uses of the name agree is not checked here.
    Open(String),
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Known(size) => write!(f, "{size}"),
            Size::Open(name) => f.write_str(name),
        }
    }
}

/// A tensor that the struct wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The field's path: `conv1.weight`.
    pub path: String,
    /// The sizes of its axes.
    pub shape: Vec<Size>,
}

impl Wanted {
    fn fits(&self, shape: &[usize]) -> bool {
        self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(|(wanted, found)| match wanted {
                Size::Known(size) => size == found,
                Size::Open(_) => true,
            })
    }
}

/// All that differs between a file and a struct.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the tensors of `{file}` do not match the struct: {}", self.summary())]
pub struct Mismatch {
    /// The file.
    pub file: String,
    /// Fields without a tensor, and the name in the file that may be meant.
    pub missing: Vec<(String, Option<String>)>,
    /// Tensors without a field, and the field that may be meant.
    pub extra: Vec<(String, Option<String>)>,
    /// Fields whose tensor has another shape: path, wanted, found.
    pub shapes: Vec<(String, Vec<Size>, Vec<usize>)>,
}

impl Mismatch {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.shapes.is_empty()
    }

    fn summary(&self) -> String {
        let counts =
            [(self.missing.len(), "missing"), (self.extra.len(), "extra"), (self.shapes.len(), "of another shape")];
        let parts: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        parts.join(", ")
    }

    /// One diagnostic that names every difference.
    #[must_use]
    pub fn to_diagnostic(&self) -> Diagnostic {
        let mut out = Diagnostic::global(Code::Tensors, self.to_string());
        for (path, near) in &self.missing {
            let hint = near.as_ref().map_or_else(String::new, |near| format!("; the file has `{near}`"));
            out = out.note(format!("missing: `{path}`{hint}"));
        }
        for (name, near) in &self.extra {
            let hint = near.as_ref().map_or_else(String::new, |near| format!("; the struct has `{near}`"));
            out = out.note(format!("extra: `{name}`{hint}"));
        }
        for (path, wanted, found) in &self.shapes {
            let wanted: Vec<String> = wanted.iter().map(Size::to_string).collect();
            out = out.note(format!("`{path}` is {found:?}, the struct wants [{}]", wanted.join(", ")));
        }
        out
    }
}

/// Finds each wanted tensor's name in the file. `found` lists names and shapes. The result has the order of `wanted`.
///
/// # Errors
/// [`DataError::Names`] with everything that is missing, extra or of another shape.
pub fn pair(file: &str, wanted: &[Wanted], found: &BTreeMap<String, Vec<usize>>) -> Result<Vec<String>, DataError> {
    let names: Vec<&str> = found.keys().map(String::as_str).filter(|name| !is_counter(name)).collect();
    let paths: BTreeSet<&str> = wanted.iter().map(|w| w.path.as_str()).collect();
    let prefix = shared_prefix(&names, &paths);

    let mut mismatch = Mismatch { file: file.to_owned(), ..Mismatch::default() };
    let mut pairs = Vec::with_capacity(wanted.len());
    let strip = |name: &&str| name.strip_prefix(prefix).is_none_or(|rest| !paths.contains(rest));
    let extra: Vec<&str> = names.iter().copied().filter(strip).collect();
    for want in wanted {
        let name = format!("{prefix}{}", want.path);
        match found.get(&name) {
            None => {
                let near = nearest(&name, extra.iter().copied()).map(str::to_owned);
                mismatch.missing.push((want.path.clone(), near));
            }
            Some(shape) if !want.fits(shape) => {
                mismatch.shapes.push((want.path.clone(), want.shape.clone(), shape.clone()));
            }
            Some(_) => pairs.push(name),
        }
    }
    let missing: Vec<&str> = mismatch.missing.iter().map(|(path, _)| path.as_str()).collect();
    mismatch.extra = extra
        .iter()
        .map(|name| {
            let rest = name.strip_prefix(prefix).unwrap_or(name);
            ((*name).to_owned(), nearest(rest, missing.iter().copied()).map(str::to_owned))
        })
        .collect();
    if mismatch.is_empty() { Ok(pairs) } else { Err(DataError::Names(Box::new(mismatch))) }
}

/// torch's batch normalisation counts its training batches.
fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some("num_batches_tracked")
}

/// The leading `a.b.` of all names that no field path begins with; empty when there is none.
fn shared_prefix<'a>(names: &[&'a str], paths: &BTreeSet<&str>) -> &'a str {
    let Some(first) = names.first() else { return "" };
    let ends = first.match_indices('.').map(|(at, _)| &first[..=at]);
    let foreign = |prefix: &&str| {
        names.iter().all(|name| name.starts_with(*prefix)) && !paths.iter().any(|path| path.starts_with(*prefix))
    };
    ends.filter(foreign).find(|prefix| names.iter().any(|name| paths.contains(&name[prefix.len()..]))).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(list: &[(&str, &[usize])]) -> Vec<Wanted> {
        let size = |&n: &usize| if n == 0 { Size::Open("N".to_owned()) } else { Size::Known(n) };
        list.iter()
            .map(|(path, shape)| Wanted { path: (*path).to_owned(), shape: shape.iter().map(size).collect() })
            .collect()
    }

    fn found(list: &[(&str, &[usize])]) -> BTreeMap<String, Vec<usize>> {
        list.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect()
    }

    #[test]
    fn a_state_dict_pairs_unchanged() {
        let fields = wanted(&[("bn.weight", &[4]), ("fc.weight", &[0, 4])]);
        let plain = found(&[("bn.num_batches_tracked", &[]), ("bn.weight", &[4]), ("fc.weight", &[10, 4])]);
        assert_eq!(pair("w", &fields, &plain).unwrap(), ["bn.weight", "fc.weight"]);
        let wrapped = found(&[("module.bn.weight", &[4]), ("module.fc.weight", &[10, 4])]);
        assert_eq!(pair("w", &fields, &wrapped).unwrap(), ["module.bn.weight", "module.fc.weight"]);
    }

    #[test]
    fn a_field_may_be_called_like_a_prefix() {
        let fields = wanted(&[("model.weight", &[4])]);
        assert_eq!(pair("w", &fields, &found(&[("model.weight", &[4])])).unwrap(), ["model.weight"]);
    }

    #[test]
    fn all_differences_in_one_error() {
        let fields = wanted(&[("conv1.weight", &[8, 1, 3, 3]), ("conv1.bias", &[8]), ("fc.weight", &[0, 4])]);
        let file =
            found(&[("conv1.wieght", &[8, 1, 3, 3]), ("conv1.bias", &[9]), ("fc.weight", &[10, 5]), ("z", &[1])]);
        let DataError::Names(mismatch) = pair("w.safetensors", &fields, &file).unwrap_err() else { panic!("names") };
        let diagnostic = mismatch.to_diagnostic();
        assert_eq!(diagnostic.code, Code::Tensors);
        assert_eq!(
            diagnostic.message,
            "the tensors of `w.safetensors` do not match the struct: 1 missing, 2 extra, 2 of another shape"
        );
        assert_eq!(
            diagnostic.notes,
            [
                "missing: `conv1.weight`; the file has `conv1.wieght`",
                "extra: `conv1.wieght`; the struct has `conv1.weight`",
                "extra: `z`",
                "`conv1.bias` is [9], the struct wants [8]",
                "`fc.weight` is [10, 5], the struct wants [N, 4]",
            ]
        );
    }

    #[test]
    fn an_empty_file_misses_everything() {
        let error = pair("w", &wanted(&[("a", &[1])]), &found(&[])).unwrap_err();
        assert_eq!(error.to_string(), "the tensors of `w` do not match the struct: 1 missing");
    }
}
