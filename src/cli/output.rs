//! The one way to stdout and stderr. A reader that has seen enough is no fault, a full disk is.

use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

use super::{Failure, Outcome};

/// Writes data to stdout, at once.
pub(super) fn print(text: impl AsRef<str>) -> Outcome {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_ref().as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Unread),
        other => other.context("cannot write to standard output").map_err(Failure::Other),
    }
}

/// Writes a line of data to stdout.
pub(super) fn line(text: impl std::fmt::Display) -> Outcome {
    print(format!("{text}\n"))
}

/// Says a line on stderr. When nobody listens there, there is nobody to tell.
pub(super) fn say(text: impl std::fmt::Display) {
    let _unheard = writeln!(std::io::stderr(), "{text}");
}

/// `1 row`, `2 rows`.
pub(super) fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Four digits that count.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".to_string()
    } else if (0.001..1e6).contains(&magnitude) {
        let decimals = (3 - magnitude.log10().floor() as i32).clamp(0, 6) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}
