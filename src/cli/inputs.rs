//! The inputs of a run: files named on the command line or in the `.toml` beside the model, paired with the entry's
//! parameters; open sizes follow from their shapes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use itertools::Itertools as _;
use serde::Deserialize;

use super::Failure;
use super::compile::Checked;
use super::output::plural;
use crate::data::names::{self, Size, Wanted};
use crate::data::{self, Loaded, Tensor};
use crate::diag::{Code, Diagnostic, list, nearest};
use crate::hir::{Entry, Leaf, Source};
use crate::shape::Dim;

/// The `.toml` beside a model: `digits.sml` has `digits.toml`. Paths are relative to it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Beside {
    /// Parameter -> file.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Result -> file of labels.
    pub labels: BTreeMap<String, PathBuf>,
    /// Defaults of `smlc run`.
    pub run: Defaults,
}

/// Defaults of `smlc run`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Defaults {
    /// Rows to take of the inputs that are batched.
    pub take: Option<Take>,
    /// Rows of one run.
    batch: Option<Rows>,
}

impl Defaults {
    /// Rows of one run.
    pub fn batch(&self) -> Option<usize> {
        self.batch.map(|rows| rows.0)
    }
}

/// How many rows to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) enum Take {
    All,
    Rows(usize),
}

/// A number of rows, at least 1.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "i64")]
struct Rows(usize);

/// How [`Take`] stands in a `.toml`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of rows, at least 1, or `all`")]
enum Written {
    Rows(i64),
    Word(String),
}

impl TryFrom<i64> for Rows {
    type Error = &'static str;

    fn try_from(rows: i64) -> Result<Rows, &'static str> {
        usize::try_from(rows).ok().filter(|rows| *rows > 0).map(Rows).ok_or("write a number of rows, at least 1")
    }
}

impl TryFrom<Written> for Take {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Take, &'static str> {
        match written {
            Written::Rows(rows) => Rows::try_from(rows).map(|rows| Take::Rows(rows.0)).map_err(|_| TAKE),
            Written::Word(word) if word == "all" => Ok(Take::All),
            Written::Word(_) => Err(TAKE),
        }
    }
}

const TAKE: &str = "write a number of rows, at least 1, or `all`";

impl FromStr for Take {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Take, &'static str> {
        Take::try_from(text.parse().map_or_else(|_| Written::Word(text.to_string()), Written::Rows))
    }
}

impl Beside {
    /// Reads the file beside `model`; an empty one when there is none.
    pub fn read(model: &Path) -> anyhow::Result<Beside> {
        let path = model.with_extension("toml");
        if !path.exists() {
            return Ok(Beside::default());
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let mut beside: Beside = toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let numbers = |file: &&mut PathBuf| number(file).is_none();
        for file in beside.inputs.values_mut().filter(numbers).chain(beside.labels.values_mut()) {
            *file = folder.join(&file);
        }
        Ok(beside)
    }
}

/// One parameter's tensor.
struct Given {
    leaf: Leaf,
    tensor: Tensor,
    /// Whether its first axis is the batched size.
    batched: bool,
}

/// All inputs of an entry.
pub(super) struct Inputs {
    given: Vec<Given>,
    /// Open sizes, as the shapes say.
    pub dims: BTreeMap<String, usize>,
    /// The size over which runs are batched: the first axis of some input.
    pub batched: Option<String>,
}

impl Inputs {
    /// Loads the files of all parameters. `dims` are sizes given by flags.
    pub fn load(
        checked: &Checked,
        entry: &Entry,
        files: &BTreeMap<String, PathBuf>,
        dims: BTreeMap<String, usize>,
    ) -> Result<Inputs, Failure> {
        let mut diags = Vec::new();
        for name in files.keys().filter(|n| entry.params.iter().all(|p| p.name != **n)) {
            let known = entry.params.iter().map(|p| p.name.as_str());
            let message = format!("`{}` has no parameter `{name}`", entry.name);
            let mut diag = Diagnostic::global(Code::InputName, message);
            diag = diag.help(match nearest(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", list(known)),
            });
            diags.push(diag);
        }
        let leaves = checked.program.leaves(entry);
        let mut given = Vec::new();
        let mut sizes = dims;
        for param in &entry.params {
            let Some(path) = files.get(&param.name) else {
                let message = format!("no data for the parameter `{}` of `{}`", param.name, entry.name);
                let help = format!("add `--in {}=FILE`", param.name);
                diags.push(Diagnostic::error(Code::InputName, param.span, message).help(help));
                continue;
            };
            let wanted: Vec<&Leaf> = leaves.iter().filter(|l| l.param == param.name).collect();
            match pair(&param.name, path, &wanted) {
                Ok(tensors) => {
                    for (leaf, tensor) in wanted.into_iter().zip(tensors) {
                        match fit(leaf, tensor, path, &mut sizes) {
                            Ok(tensor) => given.push(Given { leaf: leaf.clone(), tensor, batched: false }),
                            Err(diag) => diags.push(*diag),
                        }
                    }
                }
                Err(error) => diags.push(*error),
            }
        }
        if !diags.is_empty() {
            return Err(Failure::Data(diags, checked.sources.clone()));
        }
        let leading = |g: &Given| g.leaf.shape.first().and_then(Dim::as_var).map(str::to_string);
        let batched = given.iter().filter_map(leading).next();
        for g in &mut given {
            g.batched = batched.is_some() && leading(g) == batched;
        }
        Ok(Inputs { given, dims: sizes, batched })
    }

    /// Rows of the batched inputs; 1 when nothing is batched.
    pub fn rows(&self) -> usize {
        self.batched.as_ref().map_or(1, |name| self.dims[name])
    }

    /// The data of some rows: path -> values.
    pub fn rows_of(&self, rows: &Range<usize>) -> anyhow::Result<BTreeMap<String, Vec<f64>>> {
        let mut data = BTreeMap::new();
        for g in &self.given {
            let values = if g.batched {
                let part =
                    g.tensor.rows(rows.clone()).ok_or_else(|| anyhow!("`{}` has no rows {rows:?}", g.leaf.path))?;
                part.iter().collect()
            } else {
                g.tensor.iter().collect()
            };
            data.insert(g.leaf.path.clone(), values);
        }
        Ok(data)
    }

    /// Whether some of an owner's data (`None`: of the public ones) are other ones for other rows.
    pub fn changes(&self, owner: Option<u32>) -> bool {
        self.given.iter().filter(|g| g.batched).any(|g| match g.leaf.source {
            Source::Owner(of) => owner == Some(of.0),
            Source::Public | Source::Shares => owner.is_none(),
        })
    }

    /// The row ranges of the runs that `take` rows make in batches of `batch`, and what they leave out.
    pub fn batches(&self, take: Take, batch: Option<usize>) -> Vec<Range<usize>> {
        let rows = match take {
            Take::All => self.rows(),
            Take::Rows(rows) => rows.min(self.rows()),
        };
        let batch = batch.unwrap_or(rows).clamp(1, rows.max(1));
        (0..rows).step_by(batch).map(|start| start..rows.min(start + batch)).collect()
    }

    /// The open sizes of a run over some rows.
    pub fn sizes(&self, rows: &Range<usize>) -> BTreeMap<String, usize> {
        let mut dims = self.dims.clone();
        if let Some(name) = &self.batched {
            dims.insert(name.clone(), rows.len());
        }
        dims
    }
}

/// The number that stands in the place of a file's name.
fn number(path: &Path) -> Option<f64> {
    let value: f64 = path.to_str()?.parse().ok()?;
    (value.is_finite() && !path.exists()).then_some(value)
}

/// The tensors of one file in the order of the parameter's leaves.
fn pair(param: &str, path: &Path, leaves: &[&Leaf]) -> Result<Vec<Tensor>, Box<Diagnostic>> {
    if let ([leaf], Some(value)) = (leaves, number(path))
        && leaf.path == param
        && leaf.shape.is_empty()
    {
        return Ok(vec![Tensor::from_f64(Vec::new(), vec![value])]);
    }
    let loaded = data::load(path).map_err(|e| Box::new(e.to_diagnostic()))?;
    match (loaded, leaves) {
        (Loaded::One(tensor), [leaf]) if leaf.path == param => Ok(vec![tensor]),
        (Loaded::One(_), _) => {
            let message =
                format!("`{}` holds one array, but `{param}` is a struct of {}", path.display(), leaves.len());
            Err(Box::new(Diagnostic::global(Code::Tensors, message).help("give a .safetensors or .npz file")))
        }
        (Loaded::Named(mut tensors), leaves) => {
            let inside =
                |leaf: &Leaf| leaf.path.strip_prefix(param).and_then(|p| p.strip_prefix('.')).map(str::to_string);
            let wanted: Vec<Wanted> = leaves
                .iter()
                .map(|leaf| Wanted {
                    path: inside(leaf).unwrap_or_else(|| leaf.path.clone()),
                    shape: leaf.shape.iter().map(size).collect(),
                })
                .collect();
            let found = tensors.iter().map(|(name, t)| (name.clone(), t.shape().to_vec())).collect();
            let several = format!(
                "`{}` holds {} by name, and `{param}` is one array",
                path.display(),
                plural(tensors.len(), "tensor")
            );
            let names = names::pair(&path.display().to_string(), &wanted, &found).map_err(|e| {
                Box::new(match leaves {
                    [leaf] if leaf.path == param => Diagnostic::global(Code::Tensors, several).help(format!(
                        "give a file of one array, such as a .npy file, or name a tensor `{param}` in it"
                    )),
                    _ => e.to_diagnostic(),
                })
            })?;
            Ok(names.iter().filter_map(|name| tensors.remove(name)).collect())
        }
    }
}

fn size(dim: &Dim) -> Size {
    match dim.as_constant() {
        Some(n) => Size::Known(usize::try_from(n).unwrap_or(0)),
        None => Size::Open(dim.to_string()),
    }
}

/// Binds open sizes to the tensor's shape. Axes that the model declares as 1 may be missing in the file, and leading
/// axes of 1 in the file may be missing in the model: a table of one row is a vector.
fn fit(
    leaf: &Leaf,
    tensor: Tensor,
    path: &Path,
    sizes: &mut BTreeMap<String, usize>,
) -> Result<Tensor, Box<Diagnostic>> {
    let refuse = |found: &[usize], why: String| {
        let declared = leaf.shape.iter().map(ToString::to_string).join(", ");
        let message = format!("`{}` is {found:?}, but `{}` is declared [{declared}]", path.display(), leaf.path);
        let diag = Diagnostic::error(Code::InputShape, leaf.span, message).here("declared here");
        Box::new(if why.is_empty() { diag } else { diag.note(why) })
    };
    let found = tensor.shape().to_vec();
    let Some(aligned) = align(&leaf.shape, &found) else { return Err(refuse(&found, String::new())) };
    for (dim, n) in leaf.shape.iter().zip(&aligned) {
        if let Some(name) = dim.as_var() {
            let known = *sizes.entry(name.to_string()).or_insert(*n);
            if known != *n {
                return Err(refuse(&found, format!("`{name}` is {known} elsewhere")));
            }
        }
    }
    for (axis, (dim, n)) in leaf.shape.iter().zip(&aligned).enumerate() {
        let value = dim.evaluate(sizes);
        if let Ok(value) = value
            && value != *n as i64
        {
            let is = if dim.as_constant().is_some() { String::new() } else { format!(" (`{dim}`)") };
            return Err(refuse(&found, format!("axis {axis} has {n} elements where {value}{is} belong")));
        }
    }
    if let Some((low, high)) = leaf.range
        && let Some((index, value)) = tensor.iter().enumerate().find(|(_, v)| !(low..=high).contains(v))
    {
        let message = format!("element {index} of `{}` is {value}, outside of its declared range", leaf.path);
        let diag = Diagnostic::error(Code::DataRange, leaf.span, message).here(format!("between {low} and {high}"));
        let missing = "replace missing values: NaN is no number";
        let help = if value.is_nan() { missing } else { "declare the range that the data have, or scale the data" };
        return Err(Box::new(diag.help(help)));
    }
    tensor.reshape(aligned).ok_or_else(|| refuse(&found, String::new()))
}

/// The file's shape with the model's axes of size 1 put in where they are missing, and without leading ones that the
/// model has not.
fn align(declared: &[Dim], found: &[usize]) -> Option<Vec<usize>> {
    if let Some(surplus) = found.len().checked_sub(declared.len())
        && found[..surplus].iter().all(|n| *n == 1)
    {
        return Some(found[surplus..].to_vec());
    }
    let missing = declared.len().checked_sub(found.len())?;
    let ones = declared.iter().filter(|d| d.as_constant() == Some(1)).count();
    if missing != ones {
        return None;
    }
    let mut rest = found.iter();
    declared.iter().map(|d| if d.as_constant() == Some(1) { Some(1) } else { rest.next().copied() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_one_come_and_go() {
        let declared = |sizes: &[i64]| sizes.iter().map(|n| Dim::constant(*n)).collect::<Vec<_>>();
        let check = |wanted: &[i64], found: &[usize], aligned: Option<&[usize]>| {
            assert_eq!(align(&declared(wanted), found).as_deref(), aligned, "{wanted:?} {found:?}");
        };
        check(&[2, 3], &[2, 3], Some(&[2, 3]));
        check(&[2, 1, 3], &[2, 3], Some(&[2, 1, 3]));
        check(&[3], &[1, 3], Some(&[3]));
        check(&[], &[1], Some(&[]));
        check(&[], &[1, 1], Some(&[]));
        check(&[], &[2], None);
        check(&[3], &[3, 1], None);
        check(&[2, 3], &[6], None);
    }

    #[test]
    fn rows_to_take() {
        let take = |text: &str| toml::from_str::<Defaults>(text).map(|d| d.take).map_err(|e| e.message().to_string());
        assert_eq!(take("take = 3"), Ok(Some(Take::Rows(3))));
        assert_eq!(take("take = \"all\""), Ok(Some(Take::All)));
        for wrong in ["take = 0", "take = -1", "take = \"some\""] {
            assert_eq!(take(wrong), Err(TAKE.to_string()), "{wrong}");
        }
        assert!(take("take = 1.5").is_err());
        assert_eq!(take("batch = 0"), Err("write a number of rows, at least 1".to_string()));
        assert_eq!(("all".parse(), "7".parse()), (Ok(Take::All), Ok(Take::Rows(7))));
        assert_eq!("0".parse::<Take>(), Err(TAKE));
    }
}
