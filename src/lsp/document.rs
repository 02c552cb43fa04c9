//! One open text with what the checker found in it. Knows which address stands for which file; opens none.

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
}

impl Document {
    /// Checks a text.
    #[must_use]
    pub fn new(uri: Uri, text: &str, encoding: Encoding) -> Document {
        let mut sources = Sources::default();
        let file = sources.add(name(&uri), text);
        let mut diags = Vec::new();
        let analysis = hir::analyse(&mut sources, file, &mut diags);
        Document { uri, sources, file, analysis, diags, encoding }
    }

    /// A file of the embedded library, if there is one with this address.
    #[must_use]
    pub fn library(uri: &Uri, encoding: Encoding) -> Option<Document> {
        let name = format!("<std>/{}", uri.as_str().strip_prefix(LIBRARY_SHORT)?.trim_start_matches('/'));
        let empty = Document::new(uri.clone(), "", encoding);
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
            None => return None,
        };
        Some(Location::new(uri, Lines::new(&source.text, self.encoding).range(span)))
    }
}

/// What a file is called in messages: the last part of its address.
fn name(uri: &Uri) -> String {
    let path = uri.path().as_estr().decode().into_string_lossy();
    path.rsplit('/').next().unwrap_or_default().to_string()
}
