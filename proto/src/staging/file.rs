//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

use super::leftovers::remove_by_name;
use super::name::{PARTIAL_SUFFIX, RANDOM, file_prefix, folder_of, is_partial_of};
use super::{lock, sync};

/// Writes a file through a temporary sibling; on any error the old file, if there was one, is left
/// as it was. What killed processes left of the same file is removed.
pub fn write_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut temporary = temporary_beside(path)?;
    let mut writer = io::BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync::folder(folder_of(path))?;
    Ok(())
}

/// Temporary files are private by default; this one gets the usual permissions, less the umask.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().ok_or_else(|| {
        let message = format!("{}: names no file", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    let (folder, prefix) = (folder_of(path), file_prefix(name));
    remove_by_name(folder, |name| is_partial_of(name, &prefix));
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(&prefix)
        .suffix(PARTIAL_SUFFIX)
        .rand_bytes(RANDOM)
        .permissions(fs::Permissions::from_mode(0o666));
    loop {
        let temporary = builder.tempfile_in(folder)?;
        if lock::keep(temporary.as_file(), temporary.path()) {
            return Ok(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("list");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("entry").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    fn write(path: &Path, text: &str) -> io::Result<()> {
        write_file(path, |writer| writer.write_all(text.as_bytes()))
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights");
        fs::write(&path, "old").expect("write");
        let failed = write_file(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn what_a_killed_writer_left_of_the_same_file_is_removed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights");
        let others = ".weights.x.Ab12z9.vit-part-partial";
        for name in [".weights.Ab12z9.vit-part-partial", others] {
            fs::write(folder.path().join(name), "half").expect("write");
        }
        write(&path, "new").expect("write");
        assert_eq!(names(folder.path()), [others, "weights"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
    }

    #[test]
    fn a_writer_at_work_is_respected() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights");
        write_file(&path, |writer| {
            writer.write_all(b"first")?;
            write(&path, "second")
        })
        .expect("write");
        assert_eq!(fs::read_to_string(&path).expect("read"), "first");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn a_link_that_looks_like_a_leftover_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let precious = folder.path().join("precious");
        fs::write(&precious, "mine").expect("write");
        let link = folder.path().join(".weights.Ab12z9.vit-part-partial");
        std::os::unix::fs::symlink(&precious, &link).expect("link");
        write(&folder.path().join("weights"), "new").expect("write");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&precious).expect("read"), "mine");
    }

    #[test]
    fn the_longest_name_is_written_with_the_usual_permissions() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, usual) = (
            folder.path().join("w".repeat(255)),
            folder.path().join("usual"),
        );
        write(&path, "new").expect("write");
        fs::write(&usual, "").expect("write");
        let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode(&path), mode(&usual));
        assert!(write(Path::new("/"), "new").is_err());
    }
}
