//! Messages to answers: the life of a session and the table of what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response, ResponseError};
use lsp_types::notification::{self as note, Notification as _};
use lsp_types::request::{self, Request as _};
use lsp_types::{
    CompletionOptions, CompletionResponse, DocumentSymbolResponse, GotoDefinitionResponse, HoverProviderCapability,
    InitializeParams, InitializeResult, MessageType, OneOf, PublishDiagnosticsParams, RenameOptions,
    ServerCapabilities, ServerInfo, ShowMessageParams, SignatureHelpOptions, TextDocumentPositionParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, Uri, WorkDoneProgressOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{Document, beside, stem};
use super::position::{Encoding, Lines};
use super::{completion, diagnostics, formatting, hover, names, signature, symbols};
use crate::hir::Modules;

/// The text of a file of the embedded library: `{"uri": "smlc-std:///nn.sml"}` to a string.
const SOURCE: &str = "smlc/source";

/// Where the texts of files come from that the editor has not opened.
pub trait Files {
    /// The text of a file, or `None` when there is no such file.
    ///
    /// # Errors
    /// Says why a file that is there cannot be read.
    fn read(&self, path: &str) -> Result<Option<String>, String>;
}

/// Answers messages until the editor ends the session. True when it ended it in order: `shutdown`, then `exit`.
#[must_use]
pub fn serve(connection: &Connection, files: &dyn Files) -> bool {
    let mut server = Server {
        connection,
        files,
        phase: Phase::New,
        encoding: Encoding::default(),
        related: false,
        open: BTreeMap::new(),
        checked: BTreeMap::new(),
        changed: BTreeSet::new(),
    };
    loop {
        // Checking waits until the editor does, so that a fast writer gets one answer for several changes.
        let message = match connection.receiver.try_recv() {
            Ok(message) => message,
            Err(_) => {
                server.publish();
                match connection.receiver.recv() {
                    Ok(message) => message,
                    Err(_) => return false,
                }
            }
        };
        match message {
            Message::Request(request) => server.request(request),
            Message::Notification(notification) if notification.method == note::Exit::METHOD => {
                return server.phase == Phase::ShutDown;
            }
            Message::Notification(notification) => server.notification(notification),
            Message::Response(_) => {}
        }
    }
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Ready,
    ShutDown,
}

/// An open text.
struct Open {
    uri: Uri,
    version: i32,
    text: String,
}

/// The modules beside a program: as the editor has them open, or from files.
struct Beside<'a> {
    program: &'a Uri,
    open: &'a BTreeMap<String, Open>,
    files: &'a dyn Files,
}

impl Modules for Beside<'_> {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let Some(uri) = beside(self.program, name) else { return Ok(None) };
        let shown = format!("{name}.sml");
        if let Some(open) = self.open.get(uri.as_str()) {
            return Ok(Some((shown, open.text.clone())));
        }
        if uri.scheme().is_none_or(|scheme| scheme.as_str() != "file") {
            return Ok(None);
        }
        let path = uri.path().as_estr().decode().into_string_lossy();
        // `/c:/models` is `c:/models`.
        let drive = path.as_bytes().get(2) == Some(&b':');
        Ok(self.files.read(if drive { &path[1..] } else { &path })?.map(|text| (shown, text)))
    }
}

struct Server<'a> {
    connection: &'a Connection,
    files: &'a dyn Files,
    phase: Phase,
    encoding: Encoding,
    /// Whether the editor shows the other places of a message.
    related: bool,
    /// By address.
    open: BTreeMap<String, Open>,
    /// What is known about them, since something was asked.
    checked: BTreeMap<String, Document>,
    /// Addresses of the texts whose messages are not published yet.
    changed: BTreeSet<String>,
}

type Answer = Result<Value, ResponseError>;

impl Server<'_> {
    fn send(&self, message: impl Into<Message>) {
        // When the editor is gone, the next receive ends the session.
        let _ = self.connection.sender.send(message.into());
    }

    fn notify<N: note::Notification>(&self, params: N::Params) {
        self.send(Notification::new(N::METHOD.to_string(), params));
    }

    fn request(&mut self, request: Request) {
        let Request { id, method, params } = request;
        let answer = match (self.phase, method.as_str()) {
            (Phase::New, request::Initialize::METHOD) => self.initialize(params),
            (Phase::New, _) => failure(ErrorCode::ServerNotInitialized, "`initialize` comes first"),
            (Phase::ShutDown, _) => failure(ErrorCode::InvalidRequest, "the session is shut down"),
            (Phase::Ready, request::Initialize::METHOD) => {
                failure(ErrorCode::InvalidRequest, "the session is initialized already")
            }
            (Phase::Ready, request::Shutdown::METHOD) => {
                self.phase = Phase::ShutDown;
                Ok(Value::Null)
            }
            (Phase::Ready, _) => catch_unwind(AssertUnwindSafe(|| self.answer(&method, params)))
                .unwrap_or_else(|_| failure(ErrorCode::InternalError, &format!("mistake in smlc: `{method}` failed"))),
        };
        self.send(Response { id, response_result: answer });
    }

    fn initialize(&mut self, params: Value) -> Answer {
        let params: InitializeParams = parse(params)?;
        let general = params.capabilities.general.as_ref();
        self.encoding = Encoding::choose(general.and_then(|g| g.position_encodings.as_deref()));
        let documents = params.capabilities.text_document.as_ref();
        let shown = documents.and_then(|d| d.publish_diagnostics.as_ref());
        self.related = shown.and_then(|p| p.related_information).unwrap_or(false);
        self.phase = Phase::Ready;
        give(InitializeResult {
            capabilities: ServerCapabilities {
                position_encoding: Some(self.encoding.kind()),
                text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
                hover_provider: Some(HoverProviderCapability::Simple(true)),
                definition_provider: Some(OneOf::Left(true)),
                references_provider: Some(OneOf::Left(true)),
                document_highlight_provider: Some(OneOf::Left(true)),
                rename_provider: Some(OneOf::Right(RenameOptions {
                    prepare_provider: Some(true),
                    work_done_progress_options: WorkDoneProgressOptions::default(),
                })),
                signature_help_provider: Some(SignatureHelpOptions {
                    trigger_characters: Some(vec!["(".to_string(), ",".to_string()]),
                    ..SignatureHelpOptions::default()
                }),
                document_symbol_provider: Some(OneOf::Left(true)),
                document_formatting_provider: Some(OneOf::Left(true)),
                completion_provider: Some(CompletionOptions {
                    trigger_characters: Some(vec![".".to_string(), ":".to_string()]),
                    ..CompletionOptions::default()
                }),
                ..ServerCapabilities::default()
            },
            server_info: Some(ServerInfo {
                name: "smlc".to_string(),
                version: Some(env!("CARGO_PKG_VERSION").to_string()),
            }),
        })
    }

    fn answer(&mut self, method: &str, params: Value) -> Answer {
        match method {
            request::HoverRequest::METHOD => {
                let params: lsp_types::HoverParams = parse(params)?;
                self.at(&params.text_document_position_params, hover::hover)
            }
            request::GotoDefinition::METHOD => {
                let params: lsp_types::GotoDefinitionParams = parse(params)?;
                self.at(&params.text_document_position_params, |document, offset| {
                    let reference = document.analysis.references.at(document.file, offset)?;
                    Some(GotoDefinitionResponse::Scalar(document.location(reference.definition)?))
                })
            }
            request::Completion::METHOD => {
                let params: lsp_types::CompletionParams = parse(params)?;
                self.at(&params.text_document_position, |document, offset| {
                    CompletionResponse::Array(completion::completion(document, offset))
                })
            }
            request::References::METHOD => {
                let params: lsp_types::ReferenceParams = parse(params)?;
                let definition = params.context.include_declaration;
                self.at(&params.text_document_position, |document, offset| {
                    names::references(document, offset, definition)
                })
            }
            request::DocumentHighlightRequest::METHOD => {
                let params: lsp_types::DocumentHighlightParams = parse(params)?;
                self.at(&params.text_document_position_params, names::highlights)
            }
            request::PrepareRenameRequest::METHOD => {
                let params: TextDocumentPositionParams = parse(params)?;
                let found = self.ask(&params, |document, offset| {
                    names::renamed(document, offset).map(|span| document.lines().range(span))
                })?;
                give(found.map_err(|why| error(ErrorCode::RequestFailed, &why))?)
            }
            request::Rename::METHOD => {
                let params: lsp_types::RenameParams = parse(params)?;
                let place = &params.text_document_position;
                let found = self.ask(place, |document, offset| names::rename(document, offset, &params.new_name))?;
                let edits = found.map_err(|why| error(ErrorCode::RequestFailed, &why))?;
                // The protocol's map from addresses to changes.
                give(serde_json::json!({ "changes": { place.text_document.uri.as_str(): edits } }))
            }
            request::SignatureHelpRequest::METHOD => {
                let params: lsp_types::SignatureHelpParams = parse(params)?;
                self.at(&params.text_document_position_params, signature::signature_help)
            }
            request::DocumentSymbolRequest::METHOD => {
                let params: lsp_types::DocumentSymbolParams = parse(params)?;
                self.with(&params.text_document.uri, |document| {
                    DocumentSymbolResponse::Nested(symbols::symbols(document))
                })
            }
            request::Formatting::METHOD => {
                let params: lsp_types::DocumentFormattingParams = parse(params)?;
                self.with(&params.text_document.uri, formatting::formatting)
            }
            SOURCE => {
                let params: lsp_types::TextDocumentIdentifier = parse(params)?;
                match Document::library(&params.uri, self.encoding) {
                    Some(document) => give(document.text()),
                    None => {
                        failure(ErrorCode::InvalidParams, &format!("the library has no file `{}`", params.uri.as_str()))
                    }
                }
            }
            _ => failure(ErrorCode::MethodNotFound, &format!("`{method}` is not offered")),
        }
    }

    /// What a document says about a place.
    fn at<T: Serialize>(
        &mut self,
        place: &TextDocumentPositionParams,
        ask: impl FnOnce(&Document, u32) -> T,
    ) -> Answer {
        give(self.ask(place, ask)?)
    }

    /// What a document says.
    fn with<T: Serialize>(&mut self, uri: &Uri, ask: impl FnOnce(&Document) -> T) -> Answer {
        give(self.document(uri, ask)?)
    }

    fn ask<T>(
        &mut self,
        place: &TextDocumentPositionParams,
        ask: impl FnOnce(&Document, u32) -> T,
    ) -> Result<T, ResponseError> {
        self.document(&place.text_document.uri, |document| {
            let offset = document.lines().offset(place.position);
            ask(document, offset)
        })
    }

    fn document<T>(&mut self, uri: &Uri, ask: impl FnOnce(&Document) -> T) -> Result<T, ResponseError> {
        if let Some(document) = self.check(uri.as_str()) {
            return Ok(ask(document));
        }
        match Document::library(uri, self.encoding) {
            Some(document) => Ok(ask(&document)),
            None => Err(error(ErrorCode::InvalidParams, &format!("`{}` is not open", uri.as_str()))),
        }
    }

    /// What is known about an open text.
    fn check(&mut self, key: &str) -> Option<&Document> {
        let Server { open, files, encoding, checked, .. } = self;
        let Open { uri, text, .. } = open.get(key)?;
        let document = checked.entry(key.to_string()).or_insert_with(|| {
            let mut modules = Beside { program: uri, open, files: *files };
            Document::new(uri.clone(), text, *encoding, &mut modules)
        });
        Some(document)
    }

    fn notification(&mut self, notification: Notification) {
        if self.phase != Phase::Ready {
            return;
        }
        let Notification { method, params } = notification;
        match method.as_str() {
            note::DidOpenTextDocument::METHOD => {
                if let Ok(params) = parse::<lsp_types::DidOpenTextDocumentParams>(params) {
                    let document = params.text_document;
                    self.set(document.uri, document.version, document.text);
                }
            }
            note::DidChangeTextDocument::METHOD => {
                if let Ok(params) = parse::<lsp_types::DidChangeTextDocumentParams>(params)
                    && let Some(open) = self.open.get(params.text_document.uri.as_str())
                {
                    let encoding = self.encoding;
                    let text = params.content_changes.into_iter().fold(open.text.clone(), |old, change| {
                        let Some(range) = change.range else { return change.text };
                        // Not asked for, but said by some editors all the same.
                        let lines = Lines::new(&old, encoding);
                        let (start, end) = (lines.offset(range.start), lines.offset(range.end));
                        let (before, after) = (&old[..start as usize], &old[end.max(start) as usize..]);
                        format!("{before}{}{after}", change.text)
                    });
                    self.set(params.text_document.uri, params.text_document.version, text);
                }
            }
            note::DidCloseTextDocument::METHOD => {
                if let Ok(params) = parse::<lsp_types::DidCloseTextDocumentParams>(params) {
                    let uri = params.text_document.uri;
                    self.open.remove(uri.as_str());
                    self.forget(&uri);
                    self.changed.remove(uri.as_str());
                    self.notify::<note::PublishDiagnostics>(PublishDiagnosticsParams::new(uri, Vec::new(), None));
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, uri: Uri, version: i32, text: String) {
        // The library has no mistakes, and is no program by itself.
        if Document::library(&uri, self.encoding).is_none() {
            self.forget(&uri);
            self.open.insert(uri.as_str().to_string(), Open { uri, version, text });
        }
    }

    /// What was known about a text and about those that use it as a module is to be found out again.
    fn forget(&mut self, uri: &Uri) {
        let depends = |document: &Document| document.uri == *uri || stem(uri).is_some_and(|name| document.uses(name));
        self.changed.insert(uri.as_str().to_string());
        self.changed.extend(self.checked.iter().filter(|(_, d)| depends(d)).map(|(key, _)| key.clone()));
        self.checked.retain(|_, document| !depends(document));
    }

    /// Tells the editor what is wrong with the texts that changed.
    fn publish(&mut self) {
        for key in std::mem::take(&mut self.changed) {
            let Some(Open { uri, version, .. }) = self.open.get(&key) else { continue };
            let (uri, version, related) = (uri.clone(), Some(*version), self.related);
            let found = catch_unwind(AssertUnwindSafe(|| {
                self.check(&key).map(|document| diagnostics::diagnostics(document, related)).unwrap_or_default()
            }));
            match found {
                Ok(found) => {
                    self.notify::<note::PublishDiagnostics>(PublishDiagnosticsParams::new(uri, found, version));
                }
                Err(_) => self.notify::<note::ShowMessage>(ShowMessageParams {
                    typ: MessageType::ERROR,
                    message: format!("mistake in smlc: `{}` cannot be checked", uri.as_str()),
                }),
            }
        }
    }
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T, ResponseError> {
    serde_json::from_value(params).map_err(|e| error(ErrorCode::InvalidParams, &e.to_string()))
}

fn give(result: impl Serialize) -> Answer {
    serde_json::to_value(result).map_err(|e| error(ErrorCode::InternalError, &e.to_string()))
}

fn failure(code: ErrorCode, message: &str) -> Answer {
    Err(error(code, message))
}

fn error(code: ErrorCode, message: &str) -> ResponseError {
    ResponseError { code: code as i32, message: message.to_string(), data: None }
}
