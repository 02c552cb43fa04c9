//! `smlc lsp`: the language server on stdin and stdout.

use std::io::{BufRead, IsTerminal as _, Read as _};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use lsp_server::{Connection, Message};

use super::{Failure, Outcome, Talk};
use crate::lsp;

/// Answer an editor: a language server on stdin and stdout
#[derive(Debug, Args)]
pub(super) struct LspCommand {
    /// What editors pass to say that stdin and stdout are used; they always are
    #[arg(long, hide = true)]
    stdio: bool,
}

/// Bytes of the stack on which programs are checked.
const STACK: usize = 64 << 20;

/// Files as they lie on disk.
struct Disk;

impl lsp::Files for Disk {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }
}

/// Said to those who start the server by hand.
const STARTED_BY: &str = "`smlc lsp` is started by an editor and speaks the Language Server Protocol";

/// Bytes of the longest message: far more than a text that anyone edits.
const LONGEST: usize = 64 << 20;

/// Bytes of the longest line of a message's header.
const LONGEST_LINE: u64 = 4096;

impl LspCommand {
    pub fn run(&self, talk: Talk) -> Outcome {
        if std::io::stdin().is_terminal() {
            return Err(anyhow!(STARTED_BY).into());
        }
        let (server, editor) = Connection::memory();
        let Connection { sender, receiver } = editor;
        let reader = std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut number = 0;
            while let Some(message) =
                read(&mut stdin).context(if number == 0 { STARTED_BY } else { "from the editor" })?
            {
                number += 1;
                let last = matches!(&message, Message::Notification(n) if n.method == "exit");
                if sender.send(message).is_err() || last {
                    break;
                }
            }
            if number == 0 { Err(anyhow!(STARTED_BY)) } else { Ok(()) }
        });
        let writer = std::thread::spawn(move || {
            let mut stdout = std::io::stdout().lock();
            receiver.into_iter().try_for_each(|message| message.write(&mut stdout))
        });
        // Trees are walked recursively, and a stack that is too small could not be answered with an error.
        let served = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK);
            let thread = thread.spawn_scoped(scope, || lsp::serve(&server, &Disk))?;
            Ok::<_, std::io::Error>(thread.join())
        })?;
        // The writer ends when nobody can send any more.
        drop(server);
        // After a panic the reader still waits for the editor.
        let Ok(in_order) = served else { return Err(Failure::Said(1)) };
        if let Ok(Err(error)) = reader.join() {
            talk.error(&error);
        }
        if !in_order {
            return Err(Failure::Said(1));
        }
        writer
            .join()
            .map_err(|_| anyhow!("the thread that writes ended early"))?
            .context("cannot write to the editor")?;
        Ok(())
    }
}

/// Reads a message; `None` at the end of the stream. No more is allocated than has come.
fn read(input: &mut impl BufRead) -> anyhow::Result<Option<Message>> {
    let mut length = None;
    loop {
        let mut line = Vec::new();
        if input.take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let Some(line) = line.strip_suffix('\n') else { bail!("a message starts with `Content-Length: `") };
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { bail!("a message starts with `Content-Length: `") };
        if name.eq_ignore_ascii_case("Content-Length") {
            let value = value.trim();
            length = Some(value.parse::<usize>().with_context(|| format!("`Content-Length: {value}`"))?);
        }
    }
    let length = length.context("a message without `Content-Length`")?;
    if length > LONGEST {
        bail!("a message of {length} bytes; {LONGEST} are the most");
    }
    let mut body = Vec::new();
    if input.take(length as u64).read_to_end(&mut body)? < length {
        bail!("a message of {} bytes where {length} were announced", body.len());
    }
    serde_json::from_slice(&body).context("a message that is not JSON-RPC").map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_one_by_one() {
        let exit = r#"{"jsonrpc":"2.0","method":"exit"}"#;
        let text = format!("Content-Length: {0}\r\n\r\n{exit}content-length:{0}\r\nX: y\r\n\r\n{exit}", exit.len());
        let mut input = text.as_bytes();
        for _ in 0..2 {
            assert!(matches!(read(&mut input).unwrap(), Some(Message::Notification(n)) if n.method == "exit"));
        }
        assert!(read(&mut input).unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases = [
            ("hello\n", "a message starts with `Content-Length: `"),
            ("hello", "a message starts with `Content-Length: `"),
            ("A: b\r\n\r\n", "a message without `Content-Length`"),
            ("Content-Length: 999999999999\r\n\r\n", "a message of 999999999999 bytes; 67108864 are the most"),
            ("Content-Length: 9\r\n\r\n{}", "a message of 2 bytes where 9 were announced"),
            ("Content-Length: 2\r\n\r\n{}", "a message that is not JSON-RPC"),
            ("Content-Length: -2\r\n\r\n{}", "`Content-Length: -2`"),
        ];
        for (text, message) in cases {
            assert_eq!(read(&mut text.as_bytes()).unwrap_err().to_string(), message, "{text}");
        }
        let long = "a".repeat(1 << 16);
        assert!(read(&mut long.as_bytes()).is_err());
    }
}
