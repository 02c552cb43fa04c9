//! One open text with what the checker found in it. Knows which address stands for which file; opens none.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use lsp_types::{Location, Uri};

use super::position::{Encoding, Lines};
use crate::diag::Diagnostic;
use crate::hir::{self, Analysis};
use crate::span::{FileId, Sources, Span};
use crate::syntax::ast;

/// The start of the addresses of files that are built into the program. Some editors need the empty host.
const LIBRARY: &str = "smlc-std:///";
/// The same as other editors normalise it.
const LIBRARY_SHORT: &str = "smlc-std:/";

/// Texts by their addresses: what is open in the editor, else what a file holds.
pub type Texts<'t> = &'t dyn Fn(&str) -> Option<String>;

/// The modules of a document: name to address and text; `None` where there is none.
#[derive(Clone, Debug, Default)]
struct Beside(BTreeMap<String, Option<(String, String)>>);

impl hir::Modules for Beside {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        Ok(self.0.get(name).cloned().flatten())
    }
}

/// Looks modules up beside a document and remembers them.
struct LookUp<'t> {
    uri: &'t str,
    texts: Texts<'t>,
    found: Beside,
}

impl hir::Modules for LookUp<'_> {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let folder = self.uri.rsplit_once('/').map_or("", |(folder, _)| folder);
        let uri = format!("{folder}/{name}.sml");
        let found = (self.texts)(&uri).map(|text| (uri, text));
        self.found.0.insert(name.to_string(), found.clone());
        Ok(found)
    }
}

/// A text with its analysis.
#[derive(Debug)]
pub struct Document {
    /// Its address.
    pub uri: Uri,
    /// Its text and those of the library.
    pub sources: Sources,
    /// The text in them.
    pub file: FileId,
    /// What is known about its names.
    pub analysis: Analysis,
    /// What is wrong with it.
    pub diags: Vec<Diagnostic>,
    /// How its columns are counted.
    pub encoding: Encoding,
    modules: Beside,
}

impl Document {
    /// Checks a text with the modules beside it.
    #[must_use]
    pub fn new(uri: Uri, text: &str, encoding: Encoding, texts: Texts<'_>) -> Document {
        let address = uri.as_str().to_string();
        let mut modules = LookUp { uri: &address, texts, found: Beside::default() };
        let checked = check(&uri, text, &mut modules);
        Document::of(uri, checked, encoding, modules.found)
    }

    /// The same document with another text and the same modules.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Document {
        let mut modules = self.modules.clone();
        let checked = check(&self.uri, text, &mut modules);
        Document::of(self.uri.clone(), checked, self.encoding, modules)
    }

    fn of(uri: Uri, checked: Checked, encoding: Encoding, modules: Beside) -> Document {
        let Checked { sources, file, analysis, diags } = checked;
        Document { uri, sources, file, analysis, diags, encoding, modules }
    }

    /// A file of the embedded library, if there is one with this address.
    #[must_use]
    pub fn library(uri: &Uri, encoding: Encoding) -> Option<Document> {
        let name = format!("<std>/{}", uri.as_str().strip_prefix(LIBRARY_SHORT)?.trim_start_matches('/'));
        let empty = Document::new(uri.clone(), "", encoding, &|_| None);
        let (file, _) = empty.sources.iter().find(|(_, file)| file.name == name)?;
        Some(Document { file, diags: Vec::new(), ..empty })
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.sources.file(self.file).text
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(self.text(), self.encoding)
    }

    /// Its tree.
    #[must_use]
    pub fn tree(&self) -> Option<&ast::File> {
        self.analysis.modules.iter().find(|m| m.file == self.file).map(|m| &m.tree)
    }

    /// Where a span lies, as an editor finds it.
    #[must_use]
    pub fn location(&self, span: Span) -> Option<Location> {
        let source = self.sources.file(span.file);
        let uri = match source.name.strip_prefix("<std>/") {
            _ if span.file == self.file => self.uri.clone(),
            Some(name) => Uri::from_str(&format!("{LIBRARY}{name}")).ok()?,
            // Modules are shown by their addresses.
            None => Uri::from_str(&source.name).ok()?,
        };
        Some(Location::new(uri, Lines::new(&source.text, self.encoding).range(span)))
    }
}

struct Checked {
    sources: Sources,
    file: FileId,
    analysis: Analysis,
    diags: Vec<Diagnostic>,
}

fn check(uri: &Uri, text: &str, modules: &mut dyn hir::Modules) -> Checked {
    let mut sources = Sources::default();
    let file = sources.add(name(uri), text);
    let mut diags = Vec::new();
    let analysis = hir::analyse(&mut sources, file, modules, &mut diags);
    Checked { sources, file, analysis, diags }
}

/// What a file is called in messages: the last part of its address.
fn name(uri: &Uri) -> String {
    let path = uri.path().as_estr().decode().into_string_lossy();
    path.rsplit('/').next().unwrap_or_default().to_string()
}
