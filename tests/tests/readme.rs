//! The commands of a bundle's README.

use std::fs;
use std::path::Path;

use tests::{
    Program, bundle, export_command, fresh_weights, polygraphy, python_command,
    python_with_pytorch, run, scratch, utf8,
};

/// The blocks of a language in a Markdown text, with a place of the test's own for what they put
/// into /tmp.
fn code_blocks(text: &str, language: &str, own: &Path) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .map(|block| block.replace("/tmp/", &format!("{}/", own.display())))
        .collect()
}

#[test]
fn the_readmes_commands_work() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 12);
    let text = fs::read_to_string(bundle.join("README.md")).expect("read");
    let blocks = code_blocks(&text, "python", folder.path());
    assert_eq!(blocks.len(), 6);
    let script = folder.path().join("block.py");
    // PyTorch and trtexec are below.
    let has_tools = |block: &&String| !block.contains("torch") && !block.contains("trtexec");
    for block in blocks.iter().filter(has_tools) {
        fs::write(&script, block).expect("write");
        let ended = run(python_command().current_dir(&bundle).arg(&script)).expect_status(0);
        let compares = block.contains("print");
        assert!(
            !compares || ended.stdout.contains("within tolerance True"),
            "{ended}"
        );
    }
    let raw = fs::read(folder.path().join("submodel_input.bin")).expect("read");
    let input = fs::read(bundle.join("npy/submodel_input.npy")).expect("read");
    assert!(raw == input[input.len() - raw.len()..] && raw.len() == 12 * 65 * 96 * 4);

    let shell = code_blocks(&text, "sh", folder.path());
    let starts = |block: &&String| block.starts_with("polygraphy");
    let words = shell.iter().find(starts).expect("a command");
    let words: Vec<&str> = words.split_whitespace().collect();
    polygraphy(&bundle, &words[1..])
        .expect_status(0)
        .says("PASSED");
    let with_tensorrt = shell
        .iter()
        .filter(|block| block.contains("submodel_input:"));
    assert_eq!(with_tensorrt.count(), 2, "{text}");
    let sums = "sha256sum --check";
    assert!(shell.iter().any(|block| block.contains(sums)), "{text}");
}

#[test]
fn what_trtexec_leaves_is_compared() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 12);
    let text = fs::read_to_string(bundle.join("README.md")).expect("read");
    let script = folder.path().join("block.py");
    let blocks = code_blocks(&text, "python", folder.path());
    let reads_it = |block: &&String| block.contains("trtexec.json");
    fs::write(&script, blocks.iter().find(reads_it).expect("a block")).expect("write");
    let outputs = folder.path().join("trtexec.json");
    let command = "verifier check . --outputs /tmp/trtexec.json --range 0 12";
    assert!(text.contains(command), "{text}");
    let command = command.replace("/tmp/trtexec.json", utf8(&outputs));
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    for (change, is_within, status) in [(0.0, "True", 0), (1e-3, "False", 1)] {
        write_like_trtexec(&bundle, change, &outputs);
        run(python_command().current_dir(&bundle).arg(&script))
            .expect_status(0)
            .says(&format!("within tolerance {is_within}"));
        let mut verifier = Program::Verifier.command();
        run(verifier.current_dir(&bundle).args(&words)).expect_status(status);
    }
}

#[test]
fn the_lines_for_pytorch_compute_the_golden_of_every_kind_of_module() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let script = folder.path().join("block.py");
    for kind in [".0.fn", ".0", ".1.fn", ".1", ""] {
        let module = format!("transformer.layers.1{kind}");
        let bundle = folder.path().join(&module);
        let mut command = export_command(&weights, &bundle);
        run(command.args(["--samples", "4", "--module", &module])).expect_status(0);
        let text = fs::read_to_string(bundle.join("README.md")).expect("read");
        let blocks = code_blocks(&text, "python", folder.path());
        let reads_weights = |block: &&String| block.contains("safetensors");
        fs::write(&script, blocks.iter().find(reads_weights).expect("a block")).expect("write");
        match python_with_pytorch() {
            Some(mut command) => {
                run(command.current_dir(&bundle).arg(&script))
                    .expect_status(0)
                    .says("within tolerance True");
            }
            None => {
                run(python_command().args(["-m", "py_compile"]).arg(&script)).expect_status(0);
                eprintln!("skipped: the README's lines for PyTorch, which `make bench` installs");
            }
        }
    }
}

/// Writes the golden as `trtexec --exportOutput` writes outputs, the first number changed by some.
fn write_like_trtexec(bundle: &Path, change: f32, file: &Path) {
    let bytes = fs::read(bundle.join("npy/submodel_output.npy")).expect("read");
    let numbers = bytes[128..].chunks_exact(4);
    let mut values: Vec<f32> = numbers
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
        .collect();
    values[0] += change;
    let tensor = serde_json::json!({
        "name": "submodel_output",
        "dimensions": "12x65x96",
        "values": values,
    });
    fs::write(file, serde_json::json!([tensor]).to_string()).expect("write");
}
