//! Files that a user names are opened only if they are regular: reading a pipe would wait for ever.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

/// Which file it is and when it was last changed: equal stamps mean the same bytes, but for a
/// change within the clock's tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    /// Device, number on it, and nanoseconds of the last change.
    identity: (u64, u64, i128),
}

impl Stamp {
    /// Of an open file, or of what a path leads to.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            identity: identity(metadata),
        }
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64, i128) {
    use std::os::unix::fs::MetadataExt as _;
    // The time of the last change of contents or name; programs cannot set it back.
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    (metadata.dev(), metadata.ino(), changed)
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> (u64, u64, i128) {
    let changed = metadata.modified().ok();
    let since = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    (0, 0, since.map_or(0, |since| since.as_nanos() as i128))
}

/// Whether this process has mapped a file of this name from the same device, but another one than
/// this: what was loaded is not what was opened. False where the system does not tell.
#[cfg(target_os = "linux")]
pub fn is_other_mapped(name: &std::ffi::OsStr, file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = (
        rustix::fs::major(file.dev()).into(),
        rustix::fs::minor(file.dev()).into(),
    );
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    let maps = String::from_utf8_lossy(&maps).into_owned();
    let mut of_name = maps.lines().filter_map(Mapping::parse).filter(|mapping| {
        mapping.device == device && Path::new(&mapping.path).file_name() == Some(name)
    });
    let numbers: Vec<u64> = of_name.by_ref().map(|mapping| mapping.inode).collect();
    !numbers.is_empty() && !numbers.contains(&file.ino())
}

/// A line of `/proc/self/maps` (proc(5)).
#[cfg(target_os = "linux")]
struct Mapping {
    /// Major and minor number.
    device: (u64, u64),
    inode: u64,
    path: String,
}

#[cfg(target_os = "linux")]
impl Mapping {
    /// `ADDRESS PERMISSIONS OFFSET DEVICE INODE PATH`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().skip(3);
        let (major, minor) = words.next()?.split_once(':')?;
        let inode = words.next()?.parse().ok()?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(Self {
            device: (number(major)?, number(minor)?),
            inode,
            path: line.get(line.find('/')?..)?.to_owned(),
        })
    }
}

#[cfg(not(target_os = "linux"))]
pub fn is_other_mapped(_: &std::ffi::OsStr, _: &Metadata) -> bool {
    false
}

/// Opens a regular file for reading; anything else is an error.
pub fn open(path: &Path) -> io::Result<File> {
    // What is opened is looked at, not what the path led to before; and opening does not wait.
    let file = open_at_once(path)?;
    match file.metadata()? {
        metadata if metadata.is_file() => Ok(file),
        metadata if metadata.is_dir() => Err(io::Error::other("a folder, expected a file")),
        _ => Err(io::Error::other("not a regular file")),
    }
}

/// Opens anything, also a pipe into which nobody writes; reading a regular file waits as usual.
#[cfg(unix)]
fn open_at_once(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Reads a regular file; an error if it was changed meanwhile, which would give a mixture.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let before = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    check_unchanged(&file, before)?;
    Ok(bytes)
}

/// Refuses a file that was changed since it had this stamp: what was read is a mixture.
pub fn check_unchanged(file: &File, before: Stamp) -> io::Result<()> {
    match Stamp::of(&file.metadata()?) == before {
        true => Ok(()),
        false => Err(io::Error::other("it was changed while it was read")),
    }
}

/// A path as text in a record: what is not UTF-8 in it is replaced by `U+FFFD`.
pub fn path_as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
