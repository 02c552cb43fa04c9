//! Builds the parser from `grammar/smlc.lalrpop` into Cargo's output directory.

fn main() {
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    lalrpop::Configuration::new()
        .set_in_dir("grammar")
        .set_out_dir(out)
        .emit_rerun_directives(true)
        .process()
        .expect("the grammar has no conflicts and the output directory is writable");
}
