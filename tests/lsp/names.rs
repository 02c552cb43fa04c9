//! All places of a name, and the parameters of a call.

use serde_json::{Value, json};

use crate::client::{Client, URI, cursor, range};

const TEXT: &str = "owners a, b;
use nn::relu;
struct P[C] { w: fix[C], s: fix }
fn f[N](x: fix[N], k: nat = 1) -> fix[N] { let y = x * k; let v = { let y = y + x; relu(y) }; v + y }
entry e(x: fix[3] from a, p: P[3] from b) -> fix[3] to a { f(x, k = 2) + p.w * p.s }
";

fn place(text: &str) -> (Client, Value) {
    let (text, (line, character)) = cursor(text);
    let params = json!({ "textDocument": { "uri": URI }, "position": { "line": line, "character": character } });
    (Client::open(&text), params)
}

/// The text with a cursor before the first `word`.
fn before(word: &str) -> String {
    TEXT.replacen(word, &format!("^{word}"), 1)
}

fn ranges(found: &Value) -> Vec<String> {
    found.as_array().unwrap_or_else(|| panic!("{found}")).iter().map(|f| range(&f["range"])).collect()
}

#[test]
fn references_and_marks() {
    let ask = |text: &str, definition: bool| {
        let (mut client, mut params) = place(text);
        params["context"] = json!({ "includeDeclaration": definition });
        ranges(&client.ask("textDocument/references", params))
    };
    assert_eq!(ask(&before("k: nat"), true), ["3:19-3:20", "3:55-3:56", "4:64-4:65"]);
    assert_eq!(ask(&before("k: nat"), false), ["3:55-3:56", "4:64-4:65"]);
    assert_eq!(ask(&before("w: fix"), false), ["4:75-4:76"]);
    assert_eq!(ask(&before("y + x"), true), ["3:47-3:48", "3:76-3:77", "3:98-3:99"], "not the inner `y`");
    assert_eq!(ask(&before("relu;"), false), ["1:8-1:12", "3:83-3:87"]);
    let (mut client, params) = place(&before("y + x"));
    assert_eq!(ranges(&client.ask("textDocument/documentHighlight", params)), ["3:47-3:48", "3:76-3:77", "3:98-3:99"]);
    let (mut client, params) = place(&before("owners"));
    assert_eq!(client.ask("textDocument/documentHighlight", params), json!(null));
}

/// The whole text after a name is changed, or why it is not.
fn rename(text: &str, new: &str) -> Result<String, String> {
    let (mut client, mut params) = place(text);
    params["newName"] = json!(new);
    let answer = client.answer("textDocument/rename", params);
    if let Some(message) = answer["error"]["message"].as_str() {
        assert_eq!(answer["error"]["code"], -32803);
        return Err(message.to_string());
    }
    let mut lines: Vec<String> = text.replace('^', "").split('\n').map(str::to_string).collect();
    for edit in answer["result"]["changes"][URI].as_array().unwrap().iter().rev() {
        let at = |end: &str, what: &str| edit["range"][end][what].as_u64().unwrap() as usize;
        let line = at("start", "line");
        lines[line].replace_range(at("start", "character")..at("end", "character"), edit["newText"].as_str().unwrap());
    }
    Ok(lines.join("\n"))
}

#[test]
fn names_are_changed_together() {
    let steps = TEXT.replace("k: nat", "steps: nat").replace("x * k", "x * steps").replace("k = 2", "steps = 2");
    assert_eq!(rename(&before("k: nat"), "steps"), Ok(steps));
    let owner =
        TEXT.replace("owners a,", "owners clinic,").replace("from a", "from clinic").replace("to a", "to clinic");
    assert_eq!(rename(&before("a, b;"), "clinic"), Ok(owner));
    let inner = TEXT.replace("let y = y + x; relu(y)", "let z = y + x; relu(z)");
    assert_eq!(rename(&before("y = y + x"), "z"), Ok(inner));
}

#[test]
fn names_that_cannot_be_changed() {
    let means = |name: &str| Err(format!("`{name}` already means something where it would stand"));
    assert_eq!(rename(&before("k: nat"), "x"), means("x"));
    assert_eq!(rename(&before("y = x * k"), "x"), means("x"), "it would hide the parameter");
    assert_eq!(rename(&before("f[N]"), "relu"), means("relu"));
    assert_eq!(rename(&before("k: nat"), "for"), Err("`for` is no name".to_string()));
    assert_eq!(rename(&before("k: nat"), "a b"), Err("`a b` is no name".to_string()));
    assert_eq!(rename(&before("relu(y)"), "r"), Err("`relu` is defined in another file".to_string()));
    assert_eq!(rename(&before("owners"), "r"), Err("there is no name here".to_string()));
    let broken = before("k: nat").replace("let y = x", "let = x");
    assert_eq!(
        rename(&broken, "steps"),
        Err("first mend what cannot be read: names in it would be missed".to_string())
    );
    let (mut client, params) = place(&before("k: nat"));
    assert_eq!(range(&client.ask("textDocument/prepareRename", params)), "3:19-3:20");
}

#[test]
fn parameters_of_a_call() {
    let help = |text: &str| {
        let (mut client, params) = place(&TEXT.replace("f(x, k = 2)", text));
        let found = client.ask("textDocument/signatureHelp", params);
        let one = &found["signatures"][0];
        let active = found["activeParameter"].as_u64().map(|i| one["parameters"][i as usize]["label"].clone());
        (one["label"].as_str().unwrap_or_default().to_string(), active.unwrap_or_default())
    };
    let f = "fn f[N](x: fix[N], k: nat = 1) -> fix[N]".to_string();
    assert_eq!(help("f(^x, k = 2)"), (f.clone(), json!("x: fix[N]")));
    assert_eq!(help("f(x, ^)"), (f.clone(), json!("k: nat = 1")));
    assert_eq!(help("f(k = 2^, x = 1)"), (f.clone(), json!("k: nat = 1")));
    assert_eq!(help("x |> f(^)"), (f.clone(), json!("k: nat = 1")));
    assert_eq!(help("f(x, 2, ^)"), (f, json!(null)));
    assert_eq!(help("nn::relu(^x)").0, "intrinsic fn relu[..S](x: fix[..S]) -> fix[..S]");
    assert_eq!(help("f(x)^").0, "");
}
