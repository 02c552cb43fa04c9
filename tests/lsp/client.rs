//! A language client for tests: it starts `smlc lsp` and speaks the protocol with it over stdin and stdout.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A server that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
pub const URI: &str = "file:///models/m%C3%B6del.sml";

/// Runs `smlc` on an input to its end: exit code, stdout, stderr.
pub fn piped(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smlc"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.env("NO_COLOR", "1").spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

/// A server with its client.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// Notifications that came while an answer was awaited.
    notices: Vec<Value>,
    next: i64,
}

impl Client {
    /// Starts a server.
    pub fn start() -> Client {
        let mut child = Command::new(env!("CARGO_BIN_EXE_smlc"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            loop {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if out.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    if let Some(number) = line.strip_prefix("Content-Length: ") {
                        length = number.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                out.read_exact(&mut body).unwrap();
                if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
            }
        });
        Client { stdin: child.stdin.take(), child, messages, notices: Vec::new(), next: 0 }
    }

    /// Starts a server and a session.
    pub fn ready() -> Client {
        let mut client = Client::start();
        let related = json!({ "publishDiagnostics": { "relatedInformation": true } });
        client.ask("initialize", json!({ "capabilities": { "textDocument": related } }));
        client.tell("initialized", json!({}));
        client
    }

    /// Starts a session with an open text.
    pub fn open(text: &str) -> Client {
        let mut client = Client::ready();
        let document = json!({ "uri": URI, "languageId": "sml-smlc", "version": 1, "text": text });
        client.tell("textDocument/didOpen", json!({ "textDocument": document }));
        client
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        let stdin = self.stdin.as_mut().unwrap();
        write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a notification.
    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Replaces the open text.
    pub fn change(&mut self, version: i64, text: &str) {
        let document = json!({ "uri": URI, "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [{ "text": text }] }));
    }

    fn receive(&mut self) -> Value {
        self.messages.recv_timeout(PATIENCE).expect("the server answers")
    }

    /// Sends a request and waits for the whole answer.
    pub fn answer(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == json!(self.next) {
                return message;
            }
            self.notices.push(message);
        }
    }

    /// Sends a request and waits for its result.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Sends a request about the open text.
    pub fn about(&mut self, method: &str) -> Value {
        self.ask(method, json!({ "textDocument": { "uri": URI }, "options": { "tabSize": 4, "insertSpaces": true } }))
    }

    /// Sends a request about a place in the open text.
    pub fn at(&mut self, method: &str, (line, character): (u32, u32)) -> Value {
        let position = json!({ "line": line, "character": character });
        self.ask(method, json!({ "textDocument": { "uri": URI }, "position": position }))
    }

    /// The messages published for a version of the open text, or after it was closed.
    pub fn diagnostics(&mut self, version: impl Into<Option<i64>>) -> Vec<Value> {
        let version = json!(version.into());
        loop {
            let message = if self.notices.is_empty() { self.receive() } else { self.notices.remove(0) };
            if message["method"] == "textDocument/publishDiagnostics" && message["params"]["version"] == version {
                assert_eq!(message["params"]["uri"], URI);
                return message["params"]["diagnostics"].as_array().unwrap().clone();
            }
        }
    }

    /// The messages published next for a text.
    pub fn published(&mut self, uri: &str) -> Vec<Value> {
        let wanted = |m: &Value| m["method"] == "textDocument/publishDiagnostics" && m["params"]["uri"] == uri;
        let at = loop {
            if let Some(at) = self.notices.iter().position(wanted) {
                break at;
            }
            let message = self.receive();
            self.notices.push(message);
        };
        self.notices.remove(at)["params"]["diagnostics"].as_array().unwrap().clone()
    }

    /// Closes stdin.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The exit code of the server, which must end by itself.
    pub fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server does not end");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `1:2-3:4` of a range.
pub fn range(value: &Value) -> String {
    let place = |end: &str| format!("{}:{}", value[end]["line"], value[end]["character"]);
    format!("{}-{}", place("start"), place("end"))
}

/// The text without its `^`, and the place where it stood, in UTF-16 units.
pub fn cursor(text: &str) -> (String, (u32, u32)) {
    let at = text.find('^').expect("the text has a cursor");
    let line = text[..at].matches('\n').count() as u32;
    let column = text[..at].rsplit('\n').next().unwrap().encode_utf16().count() as u32;
    (text.replacen('^', "", 1), (line, column))
}
