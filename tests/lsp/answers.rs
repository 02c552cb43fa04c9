//! Hover, definitions, formatting and the outline.

use serde_json::{Value, json};

use crate::client::{Client, cursor, range};

/// Two owners, a struct with a comment, a function, an entry; `^` is put in by the tests.
const TEXT: &str = "owners hospital, vendor; // \u{c4}hnlich

use nn::{Linear, linear};

/// One layer and a factor.
struct Net[C] {
    fc: Linear[C, 2],
    /// Scales the result.
    scale: fix,
}

/// Twice, \u{1d11e}.
fn twice[..S](x: fix[..S], n: nat = 2) -> fix[..S] {
    let m = n + 1;
    x * n + x * m
}

entry run[N](x: fix[N, 3] from hospital, net: Net[3] from vendor) -> fix[N, 2] to hospital {
    let y = x |> linear(net.fc) |> twice(n = 4);
    var z = y * net.scale;
    for i in 0..3 { z = z + x[0, i]; }
    z / 2.0 // ende
}
";

/// The text with a cursor behind the first `before`.
fn at(before: &str) -> (Client, (u32, u32)) {
    let offset = TEXT.find(before).expect(before) + before.len();
    let (_, place) = cursor(&format!("{}^{}", &TEXT[..offset], &TEXT[offset..]));
    (Client::open(TEXT), place)
}

fn hover(before: &str) -> Option<String> {
    let (mut client, place) = at(before);
    let found = client.at("textDocument/hover", place);
    assert!(found.is_null() || found["contents"]["kind"] == "markdown", "{found}");
    found["contents"]["value"]
        .as_str()
        .map(|text| text.replace("```sml\n", "").replace("\n```", "").replace("\n\n", " | "))
}

#[test]
fn hover_tells_types_and_owners() {
    let cases = [
        ("let y = ", "x: fix[N, 3] | clear at hospital"),
        ("    let ", "m: nat = n + 1 | a compile-time number"),
        ("let y", "y: fix[N, 2] | shared: depends on hospital and vendor"),
        ("    var z = y * n", "net: Net[3] | clear at vendor"),
        ("y * net.sc", "scale: fix | field of `Net` | clear at vendor | Scales the result."),
        ("linear(net.f", "fc: Linear[3, 2] | field of `Net` | clear at vendor"),
        ("    /// Scales the result.\n    sc", "scale: fix | field of `Net` | Scales the result."),
        ("for i in 0..3 { z", "var z: fix[N, 2] | shared: depends on hospital and vendor"),
        ("x[0, i", "i: nat | a compile-time number"),
        ("var z = y ", "fix[N, 2] | shared: depends on hospital and vendor"),
        ("z / ", "fix | public"),
        ("    x * n + ", "x: fix[..S] | shared: depends on hospital and vendor (all calls from entries together)"),
        ("x * n", "n: nat | a compile-time number"),
        ("|> twice(", "n: nat = 2 | parameter of `twice`"),
        ("-> fix[..", "..S | any number of leading axes"),
        ("fix[N, 3] from h", "owners hospital | a data owner"),
        ("use n", "use nn | offers `BatchNorm`, `Conv`"),
    ];
    for (before, expected) in cases {
        let found = hover(before).unwrap_or_default();
        let alike = if before == "use n" { found.starts_with(expected) } else { found == expected };
        assert!(alike, "{before}: {found}");
    }
}

#[test]
fn hover_tells_signatures_and_comments() {
    let twice = "fn twice[..S](x: fix[..S], n: nat = 2) -> fix[..S]";
    assert_eq!(hover("fn tw").unwrap(), format!("{twice} | Twice, \u{1d11e}."));
    assert_eq!(
        hover("|> twi").unwrap(),
        format!("{twice} | gives `fix[N, 2]` here, shared: depends on hospital and vendor | Twice, \u{1d11e}.")
    );
    assert_eq!(
        hover("|> lin").unwrap(),
        "fn linear[N, I, O](x: fix[N, I], p: Linear[I, O]) -> fix[N, O] \
         | gives `fix[N, 2]` here, shared: depends on hospital and vendor \
         | x W^T + b, with PyTorch's `[out, in]` weights."
    );
    assert_eq!(hover("net: N").unwrap(), hover("struct N").unwrap());
    assert!(hover("struct N").unwrap().starts_with("struct Net[C] {\n    fc: Linear[C, 2],"));
    assert!(hover("struct N").unwrap().ends_with("} | One layer and a factor."));
    assert_eq!(
        hover("entry r").unwrap(),
        "entry run[N](x: fix[N, 3] from hospital, net: Net[3] from vendor) -> fix[N, 2] to hospital \
         | hospital learns `out: fix[N, 2]`, computed from the inputs of hospital and vendor"
    );
}

#[test]
fn hover_says_nothing_without_a_subject() {
    for before in ["    l", "// e", "own", "fo", "entry run[N](x: f", "let y = x |> linear(net.fc) |> twice(n = 4);"] {
        assert_eq!(hover(before), None, "{before}");
    }
}

/// What docs/src/editor.md says about its program.
#[test]
fn hover_tells_what_the_manual_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/editor.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let program = manual.split("```sml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let text = format!("owners hospital, vendor;\n{program}");
    for (before, told) in [
        ("    cent", vec!["centred: fix[N, 4]", "clear at hospital"]),
        ("|> lin", vec!["fn linear[", "x W^T + b", "gives `fix[N, 2]` here, shared: depends on hospital and vendor"]),
    ] {
        let offset = text.find(before).unwrap() + before.len();
        let (text, place) = cursor(&format!("{}^{}", &text[..offset], &text[offset..]));
        let found = Client::open(&text).at("textDocument/hover", place)["contents"]["value"].to_string();
        for part in told {
            assert!(found.contains(part), "{part}: {found}");
        }
    }
    for told in ["`centred: fix[N, 4]` and \"clear at hospital\"", "\"gives `fix[N, 2]` here, shared: depends on"] {
        assert!(manual.contains(told), "{told}");
    }
}

#[test]
fn hover_marks_the_name() {
    let (mut client, place) = at("y * net.sc");
    assert_eq!(range(&client.at("textDocument/hover", place)["range"]), "19:20-19:25");
}

/// `line:column` of the definition, with the name of the file if it is another.
fn definition(before: &str) -> String {
    let (mut client, place) = at(before);
    let found = client.at("textDocument/definition", place);
    let uri = found["uri"].as_str().unwrap_or_default();
    let file = uri.strip_prefix("smlc-std:///").map(|name| format!("{name} ")).unwrap_or_default();
    if found.is_null() { "nowhere".to_string() } else { format!("{file}{}", range(&found["range"])) }
}

#[test]
fn definitions() {
    for (before, expected) in [
        ("z + ", "17:13-17:14"),
        ("let y = ", "17:13-17:14"),
        ("    z /", "nowhere"),
        ("    z", "19:8-19:9"),
        ("for i in 0..3 { z", "19:8-19:9"),
        ("x[0, i", "20:8-20:9"),
        ("x * m", "13:8-13:9"),
        ("x * n", "12:27-12:28"),
        ("|> twice(n", "12:27-12:28"),
        ("|> tw", "12:3-12:8"),
        ("net: N", "5:7-5:10"),
        ("y * net.sc", "8:4-8:9"),
        ("fix[N, 3] from hosp", "0:7-0:15"),
        ("fix[N, 2] to hosp", "0:7-0:15"),
        ("fix[N", "17:10-17:11"),
        ("own", "nowhere"),
    ] {
        assert_eq!(definition(before), expected, "{before}");
    }
    assert_eq!(definition("use n"), "nn.sml 0:0-0:0");
}

/// A definition in the library has an address that no disk knows; the server tells its text, and answers questions
/// about it.
#[test]
fn definitions_in_the_library() {
    for before in ["fc: Lin", "use nn::{Lin"] {
        let (mut client, place) = at(before);
        let found = client.at("textDocument/definition", place);
        assert_eq!(found["uri"], "smlc-std:///nn.sml");
        let text = client.ask("smlc/source", json!({ "uri": found["uri"] }));
        assert_eq!(client.ask("smlc/source", json!({ "uri": "smlc-std:/nn.sml" })), text, "as VS Code writes it");
        let line = found["range"]["start"]["line"].as_u64().unwrap() as usize;
        assert!(text.as_str().unwrap().lines().nth(line).unwrap().starts_with("struct Linear[I, O]"));
        let hover = json!({ "textDocument": { "uri": found["uri"] }, "position": found["range"]["start"] });
        let told = client.ask("textDocument/hover", hover);
        assert!(told["contents"]["value"].as_str().unwrap().contains("`torch.nn.Linear(I, O)`."), "{told}");
    }
    let mut client = Client::ready();
    let unknown = client.answer("smlc/source", json!({ "uri": "smlc-std:/attic.sml" }));
    assert_eq!(unknown["error"]["message"], "the library has no file `smlc-std:/attic.sml`");
}

#[test]
fn the_outline() {
    let mut client = Client::open(TEXT);
    let found = client.about("textDocument/documentSymbol");
    let line = |s: &Value| format!("{} {} {} {}", s["name"], s["detail"], s["kind"], range(&s["selectionRange"]));
    let lines: Vec<String> = found.as_array().unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        ["\"Net\" \"struct\" 23 5:7-5:10", "\"twice\" \"fn\" 12 12:3-12:8", "\"run\" \"entry\" 12 17:6-17:9",]
    );
    assert_eq!(range(&found[0]["range"]), "5:0-9:1");
    let fields: Vec<String> = found[0]["children"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(fields, ["\"fc\" \"Linear[C, 2]\" 8 6:4-6:6", "\"scale\" \"fix\" 8 8:4-8:9"]);
}

#[test]
fn formatting_changes_only_the_lines_that_need_it() {
    let mut client = Client::open(TEXT);
    assert_eq!(client.about("textDocument/formatting"), json!([]));
    client.change(2, &TEXT.replace("    x * n + x * m", "x*n+ x *m  "));
    let edits = client.about("textDocument/formatting");
    assert_eq!(edits.as_array().unwrap().len(), 1);
    assert_eq!(range(&edits[0]["range"]), "14:0-15:0");
    assert_eq!(edits[0]["newText"], "    x * n + x * m\n");
    client.change(3, &TEXT.replace('\n', "\r\n").replace("    x * n + x * m", "x*n+ x *m  "));
    let edits = client.about("textDocument/formatting");
    assert_eq!(edits[0]["newText"], "    x * n + x * m\r\n");
    client.change(4, TEXT.trim_end());
    let edits = client.about("textDocument/formatting");
    assert_eq!((range(&edits[0]["range"]), &edits[0]["newText"]), ("22:0-22:1".to_string(), &json!("}\n")));
    client.change(5, "fn f( -> fix {");
    assert_eq!(client.about("textDocument/formatting"), json!([]), "what cannot be read is not touched");
}

/// What stands before and behind a mistake is still known.
#[test]
fn answers_around_mistakes() {
    let text = "owners a, b;
entry f(x: fix[3] from a, y: fix from b) -> fix[3] to a {
    let z = x * y; let = 4; let u = missing(z);
    z + u
}
";
    let mut client = Client::open(text);
    let hover = |client: &mut Client, place| client.at("textDocument/hover", place)["contents"]["value"].clone();
    assert_eq!(hover(&mut client, (3, 4)), "```sml\nz: fix[3]\n```\n\nshared: depends on a and b");
    assert_eq!(hover(&mut client, (3, 8)), "```sml\nu: ?\n```");
    assert_eq!(range(&client.at("textDocument/definition", (3, 8))["range"]), "2:32-2:33");
    assert_eq!(client.about("textDocument/documentSymbol")[0]["name"], "f");
}
