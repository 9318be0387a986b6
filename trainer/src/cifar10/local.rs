//! CIFAR-10 in the forms in which it lies on people's disks.

use std::io;
use std::path::{Path, PathBuf};

use proto::regular_file;

use super::archive::{ARCHIVE, unpack};
use super::files::{TEST_FILE, TRAIN_FILES};
use super::python::{self, PICKLES_ARCHIVE, PICKLES_FOLDER};

/// A form that the official binary files can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    /// The folder or archive.
    pub(super) path: PathBuf,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Archive,
    Pickles,
    PicklesArchive,
}

impl Local {
    /// Those in a folder, and the folder itself if it has files of torchvision; what is read
    /// fastest first.
    pub(super) fn all_in(data: &Path) -> Vec<Self> {
        let mut found = Vec::new();
        for folder in [data.to_owned(), data.join(PICKLES_FOLDER)] {
            if python::is_one_in(&folder) {
                found.push(Self {
                    path: folder,
                    form: Form::Pickles,
                });
            }
        }
        for (name, form) in [
            (ARCHIVE, Form::Archive),
            (PICKLES_ARCHIVE, Form::PicklesArchive),
        ] {
            let path = data.join(name);
            if path.is_file() {
                found.push(Self { path, form });
            }
        }
        found
    }

    /// Writes the official binary files into a folder, all of them; not checked yet.
    pub(super) fn write_into(&self, folder: &Path) -> io::Result<()> {
        match self.form {
            Form::Pickles => python::from_folder(&self.path, folder)?,
            Form::Archive => unpack(regular_file::open(&self.path)?, folder)?,
            Form::PicklesArchive => python::from_archive(regular_file::open(&self.path)?, folder)?,
        }
        let files = TRAIN_FILES.into_iter().chain([TEST_FILE]);
        let absent = files.filter(|file| !folder.join(file).is_file());
        let absent: Vec<String> = absent.map(|file| self.name_of(file)).collect();
        match absent.is_empty() {
            true => Ok(()),
            false => Err(io::Error::other(format!("it has no {}", absent.join(", ")))),
        }
    }

    /// What a binary file is called in this form.
    fn name_of(&self, file: &str) -> String {
        let name = match self.form {
            Form::Archive => file,
            Form::Pickles | Form::PicklesArchive => file.trim_end_matches(".bin"),
        };
        format!("`{name}`")
    }
}
