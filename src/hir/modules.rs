//! Which files make up a program: the program itself, the standard library, and the modules that `use` lines name.
//! Does no IO: the caller hands in the texts of modules.

use std::collections::BTreeSet;

use crate::diag::{Code, Diagnostic};
use crate::span::{FileId, Sources};
use crate::syntax::{ast, parser};

/// The embedded standard library.
pub(super) const LIBRARY: &[(&str, &str)] = &[
    ("prelude", include_str!("../../stdlib/prelude.sml")),
    ("nn", include_str!("../../stdlib/nn.sml")),
    ("math", include_str!("../../stdlib/math.sml")),
    ("loss", include_str!("../../stdlib/loss.sml")),
    ("metrics", include_str!("../../stdlib/metrics.sml")),
    ("optim", include_str!("../../stdlib/optim.sml")),
];

/// Where modules come from that are not in the standard library.
pub trait Modules {
    /// The module of a name (an identifier): the name to show for its file and its text, or `None` when there is no
    /// such module.
    ///
    /// # Errors
    /// Says why a module that is there cannot be read.
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String>;
}

/// A program without modules of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoModules;

impl Modules for NoModules {
    fn module(&mut self, _name: &str) -> Result<Option<(String, String)>, String> {
        Ok(None)
    }
}

/// What a file is to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The program: header and entries.
    Program,
    /// A module of the standard library.
    Library,
    /// A module of the user's.
    Module,
}

/// A parsed file.
pub(super) struct File {
    /// The module's name.
    pub name: String,
    pub id: FileId,
    pub origin: Origin,
    pub ast: ast::File,
}

/// The program's file and all modules that it needs, directly or through others, each once: the program first, then
/// the standard library.
pub(super) fn load(
    sources: &mut Sources,
    program: FileId,
    tree: ast::File,
    modules: &mut dyn Modules,
    diags: &mut Vec<Diagnostic>,
) -> Vec<File> {
    let mut files = vec![File { name: String::new(), id: program, origin: Origin::Program, ast: tree }];
    for (name, text) in LIBRARY {
        let id = sources.add(format!("<std>/{name}.sml"), *text);
        let ast = parser::parse(id, text, diags);
        files.push(File { name: (*name).to_string(), id, origin: Origin::Library, ast });
    }
    let mut known: BTreeSet<String> = files.iter().map(|f| f.name.clone()).collect();
    let mut next = 0;
    while next < files.len() {
        for line in files[next].ast.uses.clone() {
            let name = line.module.name;
            if known.contains(&name) {
                continue;
            }
            match modules.module(&name) {
                Ok(Some((shown, text))) => {
                    let id = sources.add(shown, text.as_str());
                    let ast = parser::parse(id, &text, diags);
                    refuse_program_parts(&ast, &name, diags);
                    files.push(File { name: name.clone(), id, origin: Origin::Module, ast });
                }
                Ok(None) => continue,
                Err(reason) => {
                    let message = format!("module `{name}` cannot be read");
                    diags.push(Diagnostic::error(Code::CannotRead, line.module.span, message).note(reason));
                    // An empty module in its place keeps later stages from reporting it again.
                    let id = sources.add(format!("{name}.sml"), "");
                    files.push(File { name: name.clone(), id, origin: Origin::Module, ast: ast::File::default() });
                }
            }
            known.insert(name);
        }
        next += 1;
    }
    files
}

/// Headers and entries belong to the program.
fn refuse_program_parts(file: &ast::File, name: &str, diags: &mut Vec<Diagnostic>) {
    for header in &file.headers {
        let (ast::Header::Owners { span, .. } | ast::Header::Fixed { span, .. }) = header;
        let message = format!("module `{name}` has a header line");
        diags.push(
            Diagnostic::error(Code::Header, *span, message)
                .help("owners and the number format are the program's: remove the line here"),
        );
    }
    for item in &file.items {
        if let ast::Item::Entry(entry) = item {
            let message = format!("module `{name}` has an entry");
            let error = Diagnostic::error(Code::NotAllowedHere, entry.name.span, message);
            diags.push(error.help("entries are the program's: make it a `fn`, and call that from an entry"));
        }
    }
}
