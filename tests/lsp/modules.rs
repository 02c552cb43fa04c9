//! Programs of several files: modules on disk, and as the editor has them open.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, range};

const PROGRAM: &str = "owners a, b;
use layers::{Layer, apply};

entry f[N](x: fix[N, 3] from a, p: Layer[3] from b) -> fix[N, 3] to a { apply(x, p) }
";
const MODULE: &str = "/// One factor a column.
struct Layer[C] { scale: fix[1, C] }

/// Scales.
fn apply[N, C](x: fix[N, C], p: Layer[C]) -> fix[N, C] { x * p.scale }
";

fn uri(folder: &Path, name: &str) -> String {
    format!("file://{}/{name}", folder.display())
}

fn open(client: &mut Client, uri: &str, text: &str) {
    let document = json!({ "uri": uri, "languageId": "sml-smlc", "version": 1, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
}

fn at(client: &mut Client, method: &str, uri: &str, line: u32, character: u32) -> Value {
    let position = json!({ "line": line, "character": character });
    client.ask(method, json!({ "textDocument": { "uri": uri }, "position": position }))
}

/// Code, range and message of all that is published next for a text.
fn published(client: &mut Client, uri: &str) -> Vec<(String, String, String)> {
    let line = |d: &Value| {
        let text = |field: &str| d[field].as_str().unwrap_or_default().to_string();
        (text("code"), range(&d["range"]), text("message"))
    };
    client.published(uri).iter().map(line).collect()
}

#[test]
fn modules_come_from_disk_and_from_the_editor() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("layers.sml"), MODULE).unwrap();
    let (program, module) = (uri(folder.path(), "model.sml"), uri(folder.path(), "layers.sml"));
    let mut client = Client::ready();
    open(&mut client, &program, PROGRAM);
    assert_eq!(published(&mut client, &program), []);

    let found = at(&mut client, "textDocument/definition", &program, 3, 73);
    assert_eq!((&found["uri"], range(&found["range"])), (&json!(module), "4:3-4:8".to_string()));
    let found = at(&mut client, "textDocument/definition", &program, 1, 6);
    assert_eq!((&found["uri"], range(&found["range"])), (&json!(module), "0:0-0:0".to_string()));
    let told = at(&mut client, "textDocument/hover", &program, 3, 73)["contents"]["value"].to_string();
    for part in ["fn apply[N, C]", "gives `fix[N, 3]` here, shared: depends on a and b", "Scales."] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let offered = at(&mut client, "textDocument/completion", &program, 1, 13);
    let labels: Vec<&str> = offered.as_array().unwrap().iter().map(|i| i["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["Layer", "apply"]);

    // What is open counts, not what lies on disk; the program is told again when its module changes.
    open(&mut client, &module, &MODULE.replace("apply", "use_it"));
    assert_eq!(published(&mut client, &module), []);
    let [(code, place, message)] = &published(&mut client, &program)[..] else { panic!("one message") };
    assert_eq!((code.as_str(), place.as_str()), ("E0203", "1:20-1:25"));
    assert!(message.starts_with("module `layers` has no `apply`"), "{message}");

    let rename = json!({
        "textDocument": { "uri": module }, "position": { "line": 4, "character": 4 }, "newName": "other",
    });
    let refused = client.answer("textDocument/rename", rename);
    assert_eq!(refused["error"]["message"], "other files may use this name of a module");

    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": module } }));
    assert_eq!(published(&mut client, &module), []);
    assert_eq!(published(&mut client, &program), []);
}

#[test]
fn a_mistake_in_a_module_is_shown_where_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("layers.sml"), MODULE.replace("x * p.scale", "x * ")).unwrap();
    let (program, module) = (uri(folder.path(), "model.sml"), uri(folder.path(), "layers.sml"));
    let mut client = Client::ready();
    open(&mut client, &program, PROGRAM);
    let found = client.published(&program);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["code"], range(&found[0]["range"])), (&json!("E0102"), "1:4-1:10".to_string()));
    assert_eq!(found[0]["relatedInformation"][0]["location"]["uri"], json!(module));
    assert_eq!(range(&found[0]["relatedInformation"][0]["location"]["range"]), "4:62-4:63");
}

#[test]
fn texts_without_a_folder_have_no_modules() {
    let mut client = Client::ready();
    open(&mut client, "untitled:Untitled-1", PROGRAM);
    let found = published(&mut client, "untitled:Untitled-1");
    assert_eq!(found[0].0, "E0203", "{found:?}");
}
