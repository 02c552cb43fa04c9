// Starts `smlc lsp` for .sml files, and shows the files that are built into it under `smlc-std:/`.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
    const command = vscode.workspace.getConfiguration("smlc").get("path", "smlc");
    const languages = ["file", "untitled", "smlc-std"].map((scheme) => ({ scheme, language: "sml-smlc" }));
    client = new LanguageClient(
        "smlc",
        "smlc",
        { command, args: ["lsp"] },
        { documentSelector: languages },
    );
    try {
        await client.start();
    } catch (error) {
        client = undefined;
        vscode.window.showErrorMessage(
            `\`${command} lsp\` does not start (${error.message}); set \`smlc.path\` to the program`,
        );
    }
}

async function stop() {
    const old = client;
    client = undefined;
    await old?.stop();
}

exports.activate = async function (context) {
    const library = {
        provideTextDocumentContent: (uri) => client?.sendRequest("smlc/source", { uri: uri.toString() }),
    };
    context.subscriptions.push(
        vscode.workspace.registerTextDocumentContentProvider("smlc-std", library),
        vscode.commands.registerCommand("smlc.restart", async () => {
            await stop();
            await start();
        }),
        vscode.workspace.onDidChangeConfiguration(async (change) => {
            if (change.affectsConfiguration("smlc.path")) {
                await stop();
                await start();
            }
        }),
    );
    await start();
};

exports.deactivate = stop;
