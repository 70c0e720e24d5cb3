//! The policies in force: built in, brought along by platforms, replaced by the deployer.

use std::path::{Path, PathBuf};

use transom_desk::Registry;
use transom_windows::{Policies, PolicyError};

/// Policies that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// A file is wrong: every problem with file, line and reason.
    #[error(transparent)]
    Wrong(#[from] PolicyError),
    /// A file or the folder can't be read.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A folder without any policy is a typing error.
    #[error("{}: there is no policy file (*.toml) in this folder", .0.display())]
    Empty(PathBuf),
}

/// Built-in policies, those of the platforms, and those of `folder`, which replace others of their name.
///
/// # Errors
/// [`PoliciesError`] for the first file that is wrong.
pub fn load(registry: &Registry, folder: Option<&Path>) -> Result<Policies, PoliciesError> {
    let mut policies = Policies::builtin()?;
    for platform in registry.iter() {
        for (file, text) in platform.policies() {
            policies.add(file, text)?;
        }
    }
    let Some(folder) = folder else { return Ok(policies) };
    let files = files_in(folder).map_err(|error| PoliciesError::Unreadable { path: folder.to_owned(), error })?;
    if files.is_empty() {
        return Err(PoliciesError::Empty(folder.to_owned()));
    }
    for file in files {
        let text = std::fs::read_to_string(&file);
        let text = text.map_err(|error| PoliciesError::Unreadable { path: file.clone(), error })?;
        policies.add(&file.display().to_string(), &text)?;
    }
    Ok(policies)
}

/// The policy files of a folder, in order.
fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_built_in_policy_of_its_name() {
        let registry = crate::registry::registry();
        let folder = tempfile::tempdir().unwrap();
        let own = load(&registry, None).unwrap();
        let text = own.get("whatsapp").unwrap().text().replacen("version", "# ours\nversion", 1);
        std::fs::write(folder.path().join("whatsapp.toml"), &text).unwrap();
        let loaded = load(&registry, Some(folder.path())).unwrap();
        assert_eq!(loaded.get("whatsapp").unwrap().text(), text);
        assert!(loaded.get("telegram").is_some(), "the others stay");
    }

    #[test]
    fn a_wrong_file_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "name = 12\n").unwrap();
        let error = load(&crate::registry::registry(), Some(folder.path())).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:1: ", path.display())), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(load(&crate::registry::registry(), Some(folder.path())), Err(PoliciesError::Empty(_))));
    }
}
