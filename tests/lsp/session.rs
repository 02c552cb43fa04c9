//! The life of a session, and what is published about texts.

use serde_json::json;

use crate::client::{Client, URI, piped, range};

const FINE: &str = "owners hospital, vendor;
entry f(x: fix from hospital, w: fix from vendor) -> fix to hospital {
    select(x * w > 0.5, x, w)
}
";

#[test]
fn a_session_in_order_ends_with_0() {
    let mut client = Client::start();
    let result = client.ask("initialize", json!({ "capabilities": {} }));
    let capabilities = &result["capabilities"];
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    assert_eq!(capabilities["textDocumentSync"], 1);
    assert_eq!(capabilities["completionProvider"]["triggerCharacters"], json!([".", ":"]));
    for offered in [
        "hoverProvider",
        "definitionProvider",
        "referencesProvider",
        "documentHighlightProvider",
        "documentSymbolProvider",
        "documentFormattingProvider",
    ] {
        assert_eq!(capabilities[offered], true, "{offered}");
    }
    assert_eq!(result["serverInfo"]["name"], "smlc");
    client.tell("initialized", json!({}));
    assert_eq!(client.ask("shutdown", json!(null)), json!(null));
    let refused = client.answer("textDocument/hover", json!({}));
    assert_eq!(refused["error"]["code"], -32600);
    client.tell("exit", json!(null));
    assert_eq!(client.exit_code(), Some(0));
}

#[test]
fn other_ends_are_1() {
    let mut client = Client::ready();
    client.tell("exit", json!(null));
    assert_eq!(client.exit_code(), Some(1), "exit without shutdown");
    let mut client = Client::start();
    client.tell("exit", json!(null));
    assert_eq!(client.exit_code(), Some(1), "exit before the session");
    let mut client = Client::ready();
    client.hang_up();
    assert_eq!(client.exit_code(), Some(1), "an editor that is gone");
}

/// Who starts the server by hand, or feeds it something else, is told what it is.
#[test]
fn what_is_no_editor_is_told() {
    let huge = "Content-Length: 999999999999\r\n\r\n";
    for (input, more) in [("", ""), ("hello\n", "Content-Length"), (huge, "999999999999")] {
        let (code, out, err) = piped(&["lsp"], input);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{input}");
        assert!(err.starts_with("error: `smlc lsp` is started by an editor and speaks the Language Server"), "{err}");
        assert!(err.contains(more), "{err}");
    }
}

#[test]
fn wrong_requests_are_refused() {
    let mut client = Client::start();
    let early = client.answer("textDocument/hover", json!({}));
    assert_eq!(early["error"]["code"], -32002);
    client.ask("initialize", json!({ "capabilities": {} }));
    assert_eq!(client.answer("initialize", json!({ "capabilities": {} }))["error"]["code"], -32600);
    let unknown = client.answer("textDocument/codeLens", json!({}));
    assert_eq!(unknown["error"]["code"], -32601);
    assert_eq!(unknown["error"]["message"], "`textDocument/codeLens` is not offered");
    let wrong = client.answer("textDocument/hover", json!({ "line": 3 }));
    assert_eq!(wrong["error"]["code"], -32602);
    let place = json!({ "textDocument": { "uri": URI }, "position": { "line": 0, "character": 0 } });
    assert_eq!(client.answer("textDocument/hover", place)["error"]["message"], format!("`{URI}` is not open"));
    client.tell("$/setTrace", json!({ "value": "off" }));
    client.tell("textDocument/didOpen", json!({ "nonsense": true }));
    assert_eq!(client.ask("shutdown", json!(null)), json!(null));
}

#[test]
fn messages_come_and_go() {
    let text = FINE.replace("select(x * w > 0.5, x, w)", "if x * w > 0.5 { x } else { w }");
    let mut client = Client::open(&text);
    let found = client.diagnostics(1);
    let [diagnostic] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(range(&diagnostic["range"]), "2:7-2:18");
    assert_eq!(diagnostic["code"], "E0401");
    assert_eq!(diagnostic["severity"], 1);
    assert_eq!(diagnostic["source"], "smlc");
    assert_eq!(
        diagnostic["message"],
        "a secret decides a branch\ndepends on hospital and vendor\n\
         help: compute both and choose: `select(x * w > 0.5, x, w)`"
    );
    let related = diagnostic["relatedInformation"].as_array().unwrap();
    let places: Vec<String> = related
        .iter()
        .map(|r| format!("{} {} {}", r["location"]["uri"], range(&r["location"]["range"]), r["message"]))
        .collect();
    assert_eq!(
        places,
        [
            format!("\"{URI}\" 1:8-1:28 \"hospital's part enters here\""),
            format!("\"{URI}\" 1:30-1:48 \"vendor's part enters here\""),
        ]
    );
    client.change(2, FINE);
    assert!(client.diagnostics(2).is_empty());
    client.change(3, &FINE.replace("select", "selekt"));
    assert_eq!(
        client.diagnostics(3)[0]["message"],
        "there is no function `selekt` in scope\nhelp: did you mean `select`?"
    );
    let range = json!({ "start": { "line": 2, "character": 4 }, "end": { "line": 2, "character": 10 } });
    let document = json!({ "uri": URI, "version": 4 });
    let changes = json!([{ "text": FINE.replace("select", "selekt") }, { "range": range, "text": "select" }]);
    client.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    assert!(client.diagnostics(4).is_empty(), "also a change of a part");
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } }));
    assert!(client.diagnostics(None).is_empty(), "a closed text has no messages");
}

#[test]
fn after_syntax_errors_nothing_else_is_said() {
    let mut client = Client::open("owners a;\nentry f(x: fix from a) -> fix to a { let = 3; y }\n");
    let found = client.diagnostics(1);
    let codes: Vec<_> = found.iter().map(|d| (d["code"].as_str().unwrap(), range(&d["range"]))).collect();
    assert_eq!(codes, [("E0102", "1:41-1:42".to_string())]);
}

/// What is wrong is a division in the library: shown at the call in the text, with a link to the library.
#[test]
fn mistakes_in_the_library_are_shown_at_the_call() {
    let text = "owners a, b;
use nn::{BatchNorm, batch_norm};
entry f(x: fix[1, 2, 3, 3] from a, p: BatchNorm[2] from a, q: fix[2] from b) -> fix[1, 2, 3, 3] to a {
    let mixed = BatchNorm { weight: q, bias: q, running_mean: q, running_var: p.bias * q };
    batch_norm(x, mixed)
}
";
    let mut client = Client::open(text);
    let found = client.diagnostics(1);
    assert!(!found.is_empty());
    for diagnostic in &found {
        assert_eq!((range(&diagnostic["range"]), &diagnostic["code"]), ("4:4-4:24".to_string(), &json!("E0307")));
        let message = diagnostic["message"].as_str().unwrap();
        assert!(message.starts_with("division by a value that no single owner knows\ndepends on a and b"), "{message}");
        let first = &diagnostic["relatedInformation"][0]["location"];
        assert!(first["uri"].as_str().unwrap().starts_with("smlc-std:///"), "{first}");
    }
}

/// Columns count UTF-16 units: the clef before the mistake is one character and two of them; lines end in CRLF.
#[test]
fn columns_behind_other_characters() {
    let text = "owners a;\r\n// \u{fc}\r\nentry f(x: fix from a) -> fix to a { /* */ y }\r\n";
    let text = text.replace("/* */", "// \u{1d11e}\u{e4}\r\n    ");
    let place = |client: &mut Client| {
        let found = client.diagnostics(1);
        let found: Vec<_> =
            found.iter().map(|d| (d["code"].as_str().unwrap().to_string(), range(&d["range"]))).collect();
        found
    };
    let mut client = Client::open(&text);
    assert_eq!(place(&mut client), [("E0201".to_string(), "3:5-3:6".to_string())]);
    // In one line: the character that cannot stand there is a clef itself.
    let text = "owners a;\r\nentry f(x: fix from a) -> fix to a { \u{1d11e} y }\r\n";
    let mut client = Client::open(text);
    assert_eq!(place(&mut client)[0], ("E0101".to_string(), "1:37-1:39".to_string()));
    let mut client = Client::start();
    let general = json!({ "general": { "positionEncodings": ["utf-8", "utf-16"] } });
    let result = client.ask("initialize", json!({ "capabilities": general }));
    assert_eq!(result["capabilities"]["positionEncoding"], "utf-8");
    let document = json!({ "uri": URI, "languageId": "sml-smlc", "version": 1, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    assert_eq!(place(&mut client)[0], ("E0101".to_string(), "1:37-1:41".to_string()));
}

/// Editors that show no related places get them in the message.
#[test]
fn plain_editors_get_the_places_in_words() {
    let mut client = Client::start();
    client.ask("initialize", json!({ "capabilities": {} }));
    let text = "owners a;\nentry f(x: fix from a) -> fix to a { x }\nfn f() -> fix { 1.0 }\n";
    let document = json!({ "uri": URI, "languageId": "sml-smlc", "version": 1, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let found = client.diagnostics(1);
    assert_eq!(found[0]["message"], "`f` is defined twice\nm\u{f6}del.sml:2:7: first here");
    assert!(found[0].get("relatedInformation").is_none());
}

/// Half of a word, nested too deeply, nothing at all: every text is answered, and the server lives on.
#[test]
fn no_text_kills_the_server() {
    let mut client = Client::open("");
    assert_eq!(client.diagnostics(1).len(), 0);
    let deep =
        |n: usize| format!("owners a;\nentry f(x: fix from a) -> fix to a {{ {}x{} }}\n", "(".repeat(n), ")".repeat(n));
    let texts = [
        deep(400),
        deep(100_000),
        format!("owners a;\nentry f(x: fix from a) -> fix to a {{ {} x }}\n", "-".repeat(480)),
        format!("owners a;\nentry f(x: fix from a) -> fix to a {{ x {} }}\n", "+ x".repeat(240)),
        format!("owners a;\nentry f(x: fix from a) -> fix to a {{ {} x {} }}\n", "{ ".repeat(240), "}".repeat(240)),
        format!(
            "owners a;\nentry f(x: fix from a) -> fix to a {{ if true {{ x }} {} else {{ x }} }}\n",
            "else if true { x } ".repeat(60)
        ),
        format!("owners a;\nentry f(x: {}fix{} from a) -> fix to a {{ x }}\n", "(".repeat(240), ",)".repeat(240)),
        format!("owners a;\nentry f(x: fix from a) -> fix to a {{ x{} }}\n", ".a".repeat(240)),
        format!("owners a;\nuse nn::relu;\nentry f(x: fix from a) -> fix to a {{ x {} }}\n", "|> relu ".repeat(200)),
        "owners a; entry f(x: fix from a) -> fix to a { f(x) } fn g() -> fix { g() } struct S { s: S }".to_string(),
        "fn f(x: fix[9223372036854775807 * 2]) -> fix { x[9223372036854775807..] }".to_string(),
        "owners a; entry e[N](x: fix[N] from a) -> fix to a { let n = N * 4611686018427387904 * 4; x[n] }".to_string(),
        "\u{feff}owners \u{e4};\r\r\n\0".to_string(),
        "use nn::{relu, relu}; use nn".to_string(),
    ];
    for (version, text) in (2..).zip(&texts) {
        client.change(version, text);
        client.diagnostics(version);
        for place in [(0, 0), (0, 50), (1, 40), (9, 9)] {
            client.at("textDocument/hover", place);
            client.at("textDocument/completion", place);
        }
        client.about("textDocument/formatting");
        client.about("textDocument/documentSymbol");
    }
    client.change(99, FINE);
    assert!(client.diagnostics(99).is_empty());
}
