//! Names of the classes: a label file, and folders of images as torchvision's `ImageFolder` numbers them.
use std::path::Path;

use crate::evaluate::files::{FileError, each_line};

/// Reads a label file such as `label_cn.txt`: one name a line, in the order of the classes. A blank line would shift all
/// classes after it, so it is refused, save at the end.
pub fn read_labels(path: &Path) -> Result<Vec<String>, FileError> {
    let mut labels = Vec::new();
    each_line(path, |number, line| {
        if number != labels.len() as u64 + 1 {
            return Err("a blank line stands above; every line is the name of a class: take it out".to_owned());
        }
        let label = str::from_utf8(line).map_err(|_| "not UTF-8; convert the file".to_owned())?;
        labels.push(label.trim().to_owned());
        Ok(())
    })?;
    Ok(labels)
}

/// Names of the folders below `path`, sorted: the position of a name is the class of its images.
pub fn class_folders(path: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(FileError::io(path))? {
        let entry = entry.map_err(FileError::io(path))?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if names.is_empty() {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_line_between_names_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " 猫\r\n狗\n\n").unwrap();
        assert_eq!(read_labels(file.path()).unwrap(), ["猫", "狗"]);
        std::fs::write(file.path(), "猫\n\n狗\n").unwrap();
        assert!(read_labels(file.path()).unwrap_err().to_string().contains(":3: a blank line"));
    }

    #[test]
    fn classes_are_numbered_by_the_sorted_names_of_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a10", "a9", "B"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("a"), "").unwrap();
        assert_eq!(class_folders(folder.path()).unwrap(), ["B", "a10", "a9", "b"]);
    }
}
