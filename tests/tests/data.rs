//! `trainer data` takes CIFAR-10 as it lies on people's disks, without a network.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::{Ended, Program, images, python, run, scratch};

/// torchvision's folder, and both archives in a folder of their own.
fn forms() -> TempDir {
    let folder = scratch();
    python("torchvision_pickles", &[&images(), folder.path()]).expect_status(0);
    folder
}

/// Runs `trainer data` where nothing can be fetched.
fn trainer_data(data: &Path) -> Ended {
    let mut command = Program::Trainer.command();
    command
        .args(["data", "--data"])
        .arg(data)
        .env("PATH", "/nonexistent")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    run(&mut command)
}

/// Moves something into a folder of its own.
fn alone(folder: &Path, source: &Path) -> PathBuf {
    let name = source.file_name().expect("a name");
    let data = folder.join(format!("with_{}", name.display()));
    fs::create_dir(&data).expect("make");
    fs::rename(source, data.join(name)).expect("move");
    data
}

fn has_the_files(folder: &Path) {
    let folder = folder.join("cifar-10-batches-bin");
    for file in ["data_batch_1.bin", "data_batch_5.bin", "test_batch.bin"] {
        let found = fs::read(folder.join(file)).expect("read");
        assert!(
            found == fs::read(images().join(file)).expect("read"),
            "{file}"
        );
    }
    fs::remove_dir_all(folder).expect("remove");
}

#[test]
fn torchvisions_folder_and_both_archives_are_taken() {
    let forms = forms();
    let folder = forms.path();
    let made_from = |data: &Path, source: &Path| {
        trainer_data(data)
            .expect_status(0)
            .says(&format!("(made from {})", source.display()))
            .says("SHA-256 of every file");
        has_the_files(data);
    };
    for archive in ["cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"] {
        let data = alone(folder, &folder.join("archives").join(archive));
        made_from(&data, &data.join(archive));
    }
    let pickles = alone(folder, &folder.join("cifar-10-batches-py"));
    let folder_itself = pickles.join("cifar-10-batches-py");
    made_from(&pickles, &folder_itself);
    made_from(&folder_itself, &folder_itself);

    // One label differs: these are other images, or none.
    let file = pickles.join("cifar-10-batches-py/data_batch_2");
    let mut bytes = fs::read(&file).expect("read");
    let label = 1
        + bytes
            .windows(2)
            .position(|two| two == b"](")
            .expect("labels")
        + 2;
    bytes[label] = (bytes[label] + 1) % 10;
    fs::write(&file, &bytes).expect("write");
    let not_cifar = "cifar-10-batches-py is not used: ";
    let other = format!("{not_cifar}data_batch_2.bin: SHA-256 is");
    trainer_data(&pickles).refuses(&[&other, "could not be"]);
    fs::write(&file, &bytes[..1000]).expect("write");
    trainer_data(&pickles).refuses(&[not_cifar, "`data_batch_2`: ", "could not be fetched"]);
    fs::remove_file(&file).expect("remove");
    let absent = format!("{not_cifar}it has no `data_batch_2`");
    trainer_data(&pickles).refuses(&[&absent, "could not be fetched"]);
    assert!(!pickles.join("cifar-10-batches-bin").exists());
}

#[test]
fn an_archive_without_some_of_the_files_says_which() {
    let folder = scratch();
    python("partial_archives", &[folder.path()]).expect_status(0);
    let refused = |case: &str, why: &str| {
        let data = folder.path().join(case);
        let why = format!("cifar-10-python.tar.gz is not used: {why}");
        let ended = trainer_data(&data);
        ended.refuses(&[&why, "could not be fetched"]);
    };
    let all = "it has no `data_batch_1`, `data_batch_2`, `data_batch_3`, `data_batch_4`, \
               `data_batch_5`, `test_batch`";
    refused("without_any", all);
    refused("archive_in_archive", all);
    // A link is no file, wherever it leads.
    refused("links", all);
    refused("broken", "`test_batch`: its pickle ends");
}

#[test]
fn the_binary_files_are_taken_as_they_are_by_the_folder_that_they_are_in() {
    trainer_data(&images())
        .expect_status(0)
        .says("was there already");
}

#[test]
fn a_damaged_archive_is_named() {
    let folder = scratch();
    for archive in ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"] {
        fs::write(folder.path().join(archive), "<html>").expect("write");
    }
    trainer_data(folder.path()).refuses(&[
        "cifar-10-binary.tar.gz is not used: ",
        "cifar-10-python.tar.gz is not used: ",
        "hint: ",
    ]);
}
