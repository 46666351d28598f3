//! Prompt templates by the name of their set, or from a file.
use std::path::Path;

use super::ZeroShotError;
use crate::evaluate::files::{FileError, each_line};

/// Sets as sections `[name]`.
const SETS: &str = include_str!("templates.txt");
/// The set of data sets that have none of their own.
const GENERAL: &str = "openai";
/// What stands for the name of the class.
const CLASS: &str = "{c}";

/// Sentences with a place for the name of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates(Vec<String>);

impl Templates {
    /// A set by its name: openai, imagenet, aircraft, flower, food, eurosat, country211 and others.
    pub fn named(name: &str) -> Result<Self, ZeroShotError> {
        let known = || SETS.lines().filter_map(section).collect::<Vec<_>>().join(", ");
        let mut lines = SETS.lines().skip_while(|line| section(line) != Some(name));
        lines.next().ok_or_else(|| ZeroShotError::UnknownTemplates { name: name.to_owned(), known: known() })?;
        let set = lines.take_while(|line| section(line).is_none()).filter(|line| !line.is_empty());
        Ok(Self(set.map(str::to_owned).collect()))
    }

    /// The set that the reference uses for a data set by the name that ELEVATER gives it.
    pub fn of_dataset(dataset: &str) -> Result<Self, ZeroShotError> {
        Self::named(match dataset {
            "fgvc-aircraft-2013b-variants102" => "aircraft",
            "food-101" => "food",
            "oxford-flower-102" => "flower",
            "eurosat_clip" | "resisc45_clip" => "eurosat",
            "country211" => "country211",
            _ => GENERAL,
        })
    }

    /// A file with a template a line, each with `{c}` for the name of the class; lines that start with # are left out.
    pub fn read(path: &Path) -> Result<Self, ZeroShotError> {
        let mut templates = Vec::new();
        each_line(path, |_, line| {
            let line = str::from_utf8(line).map_err(|_| "not UTF-8; convert the file".to_owned())?;
            if line.starts_with('#') {
                return Ok(());
            }
            if !line.contains(CLASS) {
                return Err(format!("a template without {CLASS}; put it where the name of the class belongs"));
            }
            templates.push(line.to_owned());
            Ok(())
        })?;
        if templates.is_empty() {
            return Err(FileError::Empty { path: path.to_owned() }.into());
        }
        Ok(Self(templates))
    }

    /// One prompt for each template.
    pub fn prompts(&self, class: &str) -> Vec<String> {
        self.0.iter().map(|template| template.replace(CLASS, class)).collect()
    }
}

/// The name in a line `[name]`.
fn section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_templates_with_a_place_for_the_class() {
        let mut sizes = Vec::new();
        for name in SETS.lines().filter_map(section) {
            let Templates(set) = Templates::named(name).unwrap();
            assert!(set.iter().all(|template| template.matches(CLASS).count() == 1), "{name}");
            sizes.push((name, set.len()));
        }
        for size in [
            ("openai", 183),
            ("imagenet", 80),
            ("aircraft", 100),
            ("flower", 32),
            ("eurosat", 24),
            ("food", 21),
            ("country211", 4),
        ] {
            assert!(sizes.contains(&size), "{size:?}");
        }
    }

    #[test]
    fn an_unknown_set_is_told_the_known_ones_and_an_unknown_data_set_gets_the_general_one() {
        let message = Templates::named("dogs").unwrap_err().to_string();
        assert!(message.contains("openai, imagenet") && message.contains("eurosat"), "{message}");
        assert_eq!(Templates::of_dataset("dogs").unwrap(), Templates::named("openai").unwrap());
    }

    #[test]
    fn a_file_of_templates_without_a_place_for_the_class_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# mine\n{c}的图\n").unwrap();
        assert_eq!(Templates::read(file.path()).unwrap().prompts("猫"), ["猫的图"]);
        std::fs::write(file.path(), "猫的图\n").unwrap();
        assert!(Templates::read(file.path()).unwrap_err().to_string().contains(":1: a template without {c}"));
    }
}
