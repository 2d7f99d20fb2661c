//! Where shares are given to several daemons and environments at once: from `--target`, or from a file of TOML.
use crate::files;
use crate::words::{Failure, TargetFault};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One daemon, or one environment in it that has shares of its own.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// For people.
    pub(crate) name: String,
    /// `https://host:port`.
    pub(crate) address: String,
    /// The environment; none for the daemon itself.
    pub(crate) environment: Option<String>,
    /// Where they differ from those of all others.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
}

impl Target {
    /// The environment above the one that is meant; the root's name is empty.
    pub(crate) fn above(&self) -> &str {
        let path = self.environment.as_deref().unwrap_or_default();
        path.rsplit_once('/').map_or("", |(above, _)| above)
    }

    /// Where it is asked, by the last word of a path: `unseal` or `seal-status`.
    pub(crate) fn path(&self, word: &str) -> String {
        match self.environment.as_deref().and_then(|path| path.rsplit('/').next()) {
            Some(name) => format!("sys/namespaces/{name}/{word}"),
            None => format!("sys/{word}"),
        }
    }
}

/// `NAME=https://host:port`, and behind it `/ENVIRONMENT` where that is meant.
impl FromStr for Target {
    type Err = TargetFault;

    fn from_str(text: &str) -> Result<Self, TargetFault> {
        let (name, address) = text.split_once('=').ok_or(TargetFault::Shape)?;
        let rest = address.strip_prefix("https://").ok_or(TargetFault::Shape)?;
        let (host, environment) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() || host.is_empty() {
            return Err(TargetFault::Shape);
        }
        let environment = environment.trim_matches('/');
        Ok(Self {
            name: name.to_owned(),
            address: format!("https://{host}"),
            environment: (!environment.is_empty()).then(|| environment.to_owned()),
            ..Self::default()
        })
    }
}

/// The targets of the command line and of the file, each under a name of its own.
pub(crate) fn all(given: &[Target], file: Option<&Path>) -> Result<Vec<Target>, Failure> {
    let mut all = given.to_vec();
    if let Some(path) = file {
        let text = files::text(path)?;
        let at = |fault| Failure::Target { path: path.to_owned(), fault };
        let folder = path.parent().unwrap_or(Path::new(""));
        all.extend(read(&text, folder).map_err(at)?);
    }
    for (at, one) in all.iter().enumerate() {
        if all.iter().skip(at + 1).any(|other| other.name == one.name) {
            let path = file.unwrap_or(Path::new("--target")).to_owned();
            return Err(Failure::Target { path, fault: TargetFault::SameName(one.name.clone()) });
        }
    }
    Ok(all)
}

/// Reads `[[target]]` tables; files are looked for from `folder` on.
fn read(text: &str, folder: &Path) -> Result<Vec<Target>, TargetFault> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        TargetFault::NotToml { line: before.matches('\n').count() + 1 }
    })?;
    let unknown = |name: &str| TargetFault::Unknown(name.to_owned());
    let mut targets = Vec::new();
    for (name, value) in &table {
        let tables = value.as_array().filter(|_| name == "target").ok_or_else(|| unknown(name))?;
        for table in tables {
            targets.push(target(table.as_table().ok_or_else(|| unknown(name))?, folder)?);
        }
    }
    Ok(targets)
}

fn target(table: &toml::Table, folder: &Path) -> Result<Target, TargetFault> {
    let mut target = Target::default();
    let (mut certificate, mut key) = (None, None);
    for (name, value) in table {
        let text = value.as_str().ok_or_else(|| TargetFault::NoText(name.clone()))?.to_owned();
        match name.as_str() {
            "name" => target.name = text,
            "address" => target.address = text,
            "environment" => target.environment = Some(text.trim_matches('/').to_owned()),
            "ca" => target.ca = Some(folder.join(text)),
            "certificate" => certificate = Some(folder.join(text)),
            "key" => key = Some(folder.join(text)),
            "server_name" => target.server_name = Some(text),
            other => return Err(TargetFault::Unknown(other.to_owned())),
        }
    }
    target.environment = target.environment.filter(|environment| !environment.is_empty());
    target.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(TargetFault::HalfIdentity(target.name)),
    };
    if target.name.is_empty() || target.address.is_empty() {
        return Err(TargetFault::Incomplete);
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_an_address_and_perhaps_an_environment() {
        let target = |text: &str| text.parse::<Target>();
        let one = target("a=https://10.0.0.1:8200").unwrap();
        assert_eq!((one.address.as_str(), one.environment), ("https://10.0.0.1:8200", None));
        let one = target("a=https://coffer:8200/acme/prod/").unwrap();
        assert_eq!(
            (one.address.as_str(), one.environment.as_deref()),
            ("https://coffer:8200", Some("acme/prod"))
        );
        for wrong in
            ["https://coffer:8200", "a=coffer:8200", "a=http://coffer:8200", "=https://c:1", "a=https://"]
        {
            assert_eq!(target(wrong), Err(TargetFault::Shape), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_targets_is_read_strictly_and_its_paths_are_beside_it() {
        let read = |text: &str| read(text, Path::new("ceremony"));
        let text = "[[target]]\nname = \"a\"\naddress = \"https://a:1\"\nca = \"ca.pem\"\ncertificate = \"/me.pem\"\nkey = \"me.key\"\nserver_name = \"coffer\"\nenvironment = \"acme/prod\"\n\n[[target]]\nname = \"b\"\naddress = \"https://b:1\"\n";
        let all = read(text).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].ca.as_deref(), Some(Path::new("ceremony/ca.pem")));
        assert_eq!(all[0].identity, Some(("/me.pem".into(), "ceremony/me.key".into())));
        assert_eq!(all[0].environment.as_deref(), Some("acme/prod"));
        assert_eq!(read("[[target]]\nname = 3\n"), Err(TargetFault::NoText("name".into())));
        assert_eq!(read("[[target]]\nadress = \"x\"\n"), Err(TargetFault::Unknown("adress".into())));
        assert_eq!(read("[targets]\n"), Err(TargetFault::Unknown("targets".into())));
        assert_eq!(read("[[target]]\nname = \"a\"\n"), Err(TargetFault::Incomplete));
        let half = "[[target]]\nname = \"a\"\naddress = \"https://a:1\"\nkey = \"k\"\n";
        assert_eq!(read(half), Err(TargetFault::HalfIdentity("a".into())));
        assert_eq!(read("[[target]]\nname = \"a\n"), Err(TargetFault::NotToml { line: 2 }));
    }
}
