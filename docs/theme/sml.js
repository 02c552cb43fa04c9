// Colours for .sml, which mdBook's highlighter does not know. The words are those of src/syntax/token.rs; a test compares.
(function () {
    const keywords =
        "approx derivative else entry fixed fn for from if in intrinsic let owners public reveal struct to use var";
    hljs.registerLanguage("sml", (hljs) => ({
        keywords: { keyword: keywords, literal: "true false", type: "fix int bool nat" },
        contains: [
            hljs.C_LINE_COMMENT_MODE,
            { className: "number", begin: "\\b[0-9]+(\\.[0-9]+)?(e-?[0-9]+)?\\b" },
            { className: "title", begin: "\\b[a-z_][a-z0-9_]*(?=(\\[[^\\]]*\\])?\\()", relevance: 0 },
        ],
    }));
    document.querySelectorAll("code.language-sml").forEach((block) => hljs.highlightBlock(block));
})();
