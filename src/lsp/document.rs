//! One open text with what the checker found in it. Knows which address stands for which file; opens none.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use lsp_types::{Location, Uri};

use super::position::{Encoding, Lines};
use crate::diag::Diagnostic;
use crate::hir::{self, Analysis, Modules, NoModules};
use crate::span::{FileId, Sources, Span};
use crate::syntax::ast;

/// The start of the addresses of files that are built into the program. Some editors need the empty host.
const LIBRARY: &str = "smlc-std:///";
/// The same as other editors normalise it.
const LIBRARY_SHORT: &str = "smlc-std:/";

/// What is known of a module: the name to show for its file and its text, that there is none, or why it cannot be read.
type Found = Result<Option<(String, String)>, String>;

/// Modules as they were found once.
#[derive(Clone, Debug, Default)]
struct Texts(BTreeMap<String, Found>);

impl Modules for Texts {
    fn module(&mut self, name: &str) -> Found {
        self.0.get(name).cloned().unwrap_or(Ok(None))
    }
}

/// Finds modules and remembers them.
struct Finding<'a> {
    modules: &'a mut dyn Modules,
    texts: Texts,
}

impl Modules for Finding<'_> {
    fn module(&mut self, name: &str) -> Found {
        let found = self.modules.module(name);
        self.texts.0.insert(name.to_string(), found.clone());
        found
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
    texts: Texts,
}

impl Document {
    /// Checks a text with the modules it uses.
    #[must_use]
    pub fn new(uri: Uri, text: &str, encoding: Encoding, modules: &mut dyn Modules) -> Document {
        let mut sources = Sources::default();
        let file = sources.add(name(&uri), text);
        let mut diags = Vec::new();
        let mut finding = Finding { modules, texts: Texts::default() };
        let analysis = hir::analyse(&mut sources, file, &mut finding, &mut diags);
        Document { uri, sources, file, analysis, diags, encoding, texts: finding.texts }
    }

    /// Checks another text in its place, with the modules that were found for this one.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Document {
        Document::new(self.uri.clone(), text, self.encoding, &mut self.texts.clone())
    }

    /// Whether it, or a module it uses, names a module.
    #[must_use]
    pub fn uses(&self, module: &str) -> bool {
        self.analysis.modules.iter().flat_map(|m| &m.tree.uses).any(|line| line.module.name == module)
    }

    /// A file of the embedded library, if there is one with this address.
    #[must_use]
    pub fn library(uri: &Uri, encoding: Encoding) -> Option<Document> {
        let name = format!("<std>/{}", uri.as_str().strip_prefix(LIBRARY_SHORT)?.trim_start_matches('/'));
        let empty = Document::new(uri.clone(), "", encoding, &mut NoModules);
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
        let module = self.analysis.modules.iter().find(|m| m.file == span.file)?;
        let uri = match module.library {
            _ if span.file == self.file && !self.uri.as_str().starts_with(LIBRARY_SHORT) => self.uri.clone(),
            true => Uri::from_str(&format!("{LIBRARY}{}.sml", module.name)).ok()?,
            false => beside(&self.uri, &module.name)?,
        };
        Some(Location::new(uri, Lines::new(&source.text, self.encoding).range(span)))
    }
}

/// The address of a module: a file of its name in the same folder.
#[must_use]
pub fn beside(program: &Uri, module: &str) -> Option<Uri> {
    let (folder, _) = program.as_str().rsplit_once('/')?;
    Uri::from_str(&format!("{folder}/{module}.sml")).ok()
}

/// The module that a file can be used as by those beside it.
#[must_use]
pub fn stem(uri: &Uri) -> Option<&str> {
    uri.as_str().rsplit('/').next()?.strip_suffix(".sml")
}

/// What a file is called in messages: the last part of its address.
fn name(uri: &Uri) -> String {
    let path = uri.path().as_estr().decode().into_string_lossy();
    path.rsplit('/').next().unwrap_or_default().to_string()
}
