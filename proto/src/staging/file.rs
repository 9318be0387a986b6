//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Begins the name of a file that is being written.
const PARTIAL_PREFIX: &str = ".partial-";

/// Writes a file through a temporary sibling; on any error the old file, if there was one, is left
/// as it was.
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
    Ok(())
}

/// As [`write_file`], for writers that want a path and may replace the file there; the file is
/// synced before it appears.
pub fn write_by_path(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let (file, temporary) = temporary_beside(path)?.into_parts();
    let permissions = file.metadata()?.permissions();
    write(&temporary)?;
    let file = File::open(&temporary)?;
    file.set_permissions(permissions)?;
    file.sync_all()?;
    temporary.persist(path).map_err(|error| error.error)
}

/// Removes what writers that were killed have left in a folder. Nobody else may be writing there.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(PARTIAL_PREFIX)
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."))
}

/// Temporary files are private by default; this one gets the usual permissions, less the umask.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder_of(path))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_writer_that_replaces_the_path_it_is_given_still_leaves_one_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights");
        let write = |temporary: &Path| {
            fs::remove_file(temporary)?;
            fs::write(temporary, "new")
        };
        write_by_path(&path, write).expect("write");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert!(write_by_path(&path, |_| Err(io::Error::other("disk full"))).is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
