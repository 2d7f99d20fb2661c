//! The bytes of KV v2's records, inside the barrier: version, then fields in a fixed order, integers big-endian, texts
//! with a length before them. A version's own record is its value as JSON text and nothing else. Version 1 is never
//! changed, only added to.
use coffer_barrier::BarrierError;
use coffer_types::{Kind, Timestamp};
use keystore_format::error::{Fault, FormatError};
use keystore_format::fields::{Writer, flag, text};
use keystore_format::reader::Reader;
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// How many versions are kept where nobody says otherwise.
const DEFAULT_MAX_VERSIONS: u64 = 10;

/// A mount's settings.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Config {
    /// 0 for the default.
    pub(crate) max_versions: u64,
    pub(crate) cas_required: bool,
    /// 0 for never.
    pub(crate) delete_after_seconds: u64,
    /// Set while secrets of version 1 may still wait to be taken over.
    pub(crate) upgrading_since: Option<Timestamp>,
}

/// What is known of a secret beside its values.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Metadata {
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// The newest version's number; 0 before there is one.
    pub(crate) current: u64,
    /// The oldest version that was not pruned; 0 before anything was.
    pub(crate) oldest: u64,
    /// 0 for the mount's.
    pub(crate) max_versions: u64,
    pub(crate) cas_required: bool,
    /// 0 for the mount's.
    pub(crate) delete_after_seconds: u64,
    /// Counts the changes of these settings.
    pub(crate) metadata_version: u64,
    pub(crate) custom: Vec<(String, String)>,
    /// In the order of their numbers.
    pub(crate) versions: Vec<Version>,
}

/// One version of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) created: Timestamp,
    /// When it was, or will be, deleted.
    pub(crate) deleted: Option<Timestamp>,
    pub(crate) is_destroyed: bool,
    /// The revision its value was first sealed at; re-encryption raises it. An older record in its place was put back.
    pub(crate) revision: u64,
}

impl Version {
    pub(crate) fn is_readable(&self, now: Timestamp) -> bool {
        !self.is_destroyed && self.deleted.is_none_or(|deleted| now < deleted)
    }
}

impl Metadata {
    /// The version asked for; 0 is the newest.
    pub(crate) fn version(&self, number: u64) -> Option<&Version> {
        let number = if number == 0 { self.current } else { number };
        let at = self.versions.binary_search_by_key(&number, |version| version.number).ok()?;
        self.versions.get(at)
    }

    /// How many versions are kept.
    pub(crate) fn kept(&self, config: &Config) -> usize {
        let kept = match self.max_versions.max(config.max_versions) {
            0 => DEFAULT_MAX_VERSIONS,
            said => said,
        };
        usize::try_from(kept).unwrap_or(usize::MAX)
    }

    /// When a version made `now` will be deleted: the sooner of what mount and secret say.
    pub(crate) fn deletion_of(&self, config: &Config, now: Timestamp) -> Option<Timestamp> {
        let said = [self.delete_after_seconds, config.delete_after_seconds];
        said.into_iter().filter(|seconds| *seconds > 0).min().map(|seconds| now.plus_seconds(seconds))
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new(VERSION);
        for number in [
            self.created.0,
            self.updated.0,
            self.current,
            self.oldest,
            self.max_versions,
            self.delete_after_seconds,
        ] {
            out.number(number);
        }
        out.number(self.metadata_version);
        out.bytes(&[u8::from(self.cas_required)]);
        out.count(self.custom.len());
        for (name, value) in &self.custom {
            out.text(name);
            out.text(value);
        }
        out.count(self.versions.len());
        for version in &self.versions {
            out.number(version.number);
            out.number(version.created.0);
            out.number(version.deleted.map_or(0, |deleted| deleted.0));
            out.bytes(&[u8::from(version.is_destroyed)]);
            out.number(version.revision);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        Self::read(bytes).map_err(|_| BarrierError::Damaged(Kind::KvV2Metadata))
    }

    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let from = &mut reader;
        from.version(VERSION)?;
        let mut metadata = Self {
            created: Timestamp(from.u64("created")?),
            updated: Timestamp(from.u64("updated")?),
            current: from.u64("current")?,
            oldest: from.u64("oldest")?,
            max_versions: from.u64("max versions")?,
            delete_after_seconds: from.u64("delete after")?,
            metadata_version: from.u64("metadata version")?,
            cas_required: flag(from)?,
            ..Self::default()
        };
        // Nothing is allocated on the word of a count.
        for _ in 0..from.u32("count")? {
            metadata.custom.push((text(from)?, text(from)?));
        }
        let mut last = 0;
        for _ in 0..from.u32("count")? {
            let version = Version {
                number: from.u64("number")?,
                created: Timestamp(from.u64("created")?),
                deleted: Some(from.u64("deleted")?).filter(|time| *time > 0).map(Timestamp),
                is_destroyed: flag(from)?,
                revision: from.u64("revision")?,
            };
            if version.number <= last || version.number > metadata.current {
                return Err(from.fault("number", Fault::Invalid));
            }
            last = version.number;
            metadata.versions.push(version);
        }
        reader.end("metadata")?;
        Ok(metadata)
    }
}

impl Config {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new(VERSION);
        out.number(self.max_versions);
        out.bytes(&[u8::from(self.cas_required)]);
        out.number(self.delete_after_seconds);
        out.number(self.upgrading_since.map_or(0, |since| since.0));
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        Self::read(bytes).map_err(|_| BarrierError::Damaged(Kind::KvV2Config))
    }

    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let from = &mut reader;
        from.version(VERSION)?;
        let config = Self {
            max_versions: from.u64("max versions")?,
            cas_required: flag(from)?,
            delete_after_seconds: from.u64("delete after")?,
            upgrading_since: Some(from.u64("upgrading since")?).filter(|time| *time > 0).map(Timestamp),
        };
        reader.end("config")?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let version = |number| Version {
            number,
            created: Timestamp(number),
            deleted: (number == 4).then_some(Timestamp(9)),
            is_destroyed: number == 5,
            revision: 100 + number,
        };
        Metadata {
            created: Timestamp(1),
            updated: Timestamp(2),
            current: 6,
            oldest: 3,
            max_versions: 4,
            cas_required: true,
            delete_after_seconds: 5,
            metadata_version: 6,
            custom: vec![("owner".into(), "é".into()), (String::new(), String::new())],
            versions: (3..=6).map(version).collect(),
        }
    }

    #[test]
    fn metadata_comes_back_as_it_was_written() {
        assert_eq!(Metadata::decode(&metadata().encode()).unwrap(), metadata());
        assert_eq!(Metadata::decode(&Metadata::default().encode()).unwrap(), Metadata::default());
    }

    #[test]
    fn settings_come_back_as_they_were_written() {
        let config = Config {
            max_versions: 7,
            cas_required: true,
            delete_after_seconds: 8,
            upgrading_since: Some(Timestamp(9)),
        };
        assert_eq!(Config::decode(&config.encode()).unwrap(), config);
        assert_eq!(Config::decode(&Config::default().encode()).unwrap(), Config::default());
    }

    #[test]
    fn altered_bytes_never_panic_and_mean_one_thing_only() {
        check(&metadata().encode(), |bytes| Metadata::decode(bytes).ok().map(|read| read.encode().to_vec()));
        check(&Config::default().encode(), |bytes| {
            Config::decode(bytes).ok().map(|read| read.encode().to_vec())
        });
    }

    /// What is read is what would be written.
    fn check(written: &[u8], again: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        for cut in 0..written.len() {
            assert_eq!(again(&written[..cut]), None);
        }
        assert_eq!(again(&[written, &[0]].concat()), None);
        for at in 0..written.len() {
            for bit in 0..8 {
                let mut altered = written.to_vec();
                altered[at] ^= 1 << bit;
                if let Some(read) = again(&altered) {
                    assert_eq!(read, altered, "{at}.{bit}");
                }
            }
        }
    }

    #[test]
    fn versions_out_of_order_are_damage() {
        let mut swapped = metadata();
        swapped.versions.swap(0, 1);
        assert!(Metadata::decode(&swapped.encode()).is_err());
        let mut beyond = metadata();
        beyond.current = 5;
        assert!(Metadata::decode(&beyond.encode()).is_err());
    }

    #[test]
    fn the_sooner_deletion_wins_and_zero_says_nothing() {
        let at = |mount, own| {
            let config = Config { delete_after_seconds: mount, ..Config::default() };
            Metadata { delete_after_seconds: own, ..Metadata::default() }.deletion_of(&config, Timestamp(0))
        };
        assert_eq!(at(0, 0), None);
        assert_eq!(at(5, 0), Some(Timestamp(5000)));
        assert_eq!(at(0, 6), Some(Timestamp(6000)));
        assert_eq!(at(5, 6), Some(Timestamp(5000)));
    }
}
