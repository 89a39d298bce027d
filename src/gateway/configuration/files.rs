//! The files that a configuration leads to: vocabulary and device files.

use std::path::{Path, PathBuf};

use crate::profile::{Drafts, Profile};
use crate::vocabulary::Vocabulary;

/// Reads the vocabulary below a folder of device files.
///
/// # Errors
/// Which file and what is wrong with it.
pub fn load_vocabulary(device_profiles: &Path) -> Result<Vocabulary, String> {
    let folder = device_profiles.join("vocabulary");
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))
    };
    let (parameters, units) = (read("parameters.toml")?, read("units.toml")?);
    Vocabulary::parse(&parameters, &units).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Reads one device file.
///
/// # Errors
/// One text per problem, each with file, line and column.
pub fn load_profile(
    path: &Path,
    vocabulary: &Vocabulary,
    drafts: Drafts,
) -> Result<Profile, Vec<String>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
    Profile::read(&text, vocabulary, drafts)
        .map_err(|problems| problems.iter().map(|problem| problem.in_file(&name, &text)).collect())
}

/// All `maker/model` folders with a device file.
pub fn known_profiles(folder: &Path) -> Vec<String> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let mut known: Vec<String> = folders(folder)
        .iter()
        .flat_map(|maker| folders(maker))
        .filter(|model| model.join("profile.toml").exists())
        .filter_map(|model| Some(model.strip_prefix(folder).ok()?.display().to_string()))
        .collect();
    known.sort();
    known
}
