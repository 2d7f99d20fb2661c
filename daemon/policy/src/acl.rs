//! A caller's policies, compiled: which rule decides a path.
//!
//! The most specific pattern decides alone, as in Vault; stanzas on the same pattern are one rule, in which a denial
//! overrules every grant. A decision allocates nothing.
//!
//! A directory can be listed as `x/r` and as `x/r/`, so a stanza may be written for either. LIST and SCAN are decided
//! over both spellings at once (CVE-2026-12624): the most specific pattern that covers one of them.
use crate::capabilities::Capabilities;
use crate::names::fold_names;
use crate::pattern::Rank;
use crate::policy::Policy;
use crate::rule::Rule;
use coffer_types::{CanonicalPath, EnvironmentPath, Operation};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The compiled policies of one caller. Make it once, keep it with the caller's policy names.
pub struct Acl {
    is_root: bool,
    home: Table,
    /// Other environments, by the stanzas that name them.
    named: Vec<(EnvironmentPath, Table)>,
}

/// The rules of one environment.
#[derive(Default)]
struct Table {
    exact: HashMap<Box<str>, Rule>,
    /// Patterns with a slash at their end and no wildcard, without that slash: they cover listings only.
    directories: HashMap<Box<str>, Rule>,
    /// Patterns with `*` and no `+`, in the order of their bytes.
    prefixes: Vec<(Rank, Rule)>,
    /// Patterns with `+`, the most specific first.
    wildcards: Vec<(Rank, Rule)>,
}

impl Acl {
    /// Compiles policies. The order does not matter.
    #[must_use]
    pub fn new(policies: &[Arc<Policy>]) -> Self {
        let mut acl = Self { is_root: false, home: Table::default(), named: Vec::new() };
        for policy in policies {
            acl.is_root |= policy.is_root;
            for stanza in &policy.stanzas {
                if stanza.environments.is_empty() {
                    acl.home.add(&stanza.rule);
                }
                for path in &stanza.environments {
                    let at = acl.named.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
                        acl.named.push((path.clone(), Table::default()));
                        acl.named.len() - 1
                    });
                    if let Some((_, table)) = acl.named.get_mut(at) {
                        table.add(&stanza.rule);
                    }
                }
            }
        }
        acl.home.finish();
        acl.named.iter_mut().for_each(|(_, table)| table.finish());
        acl
    }

    /// Whether the root policy is among them.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// What is granted on `path` in the policies' own environment: names in order, `deny` alone, or `root` alone.
    #[must_use]
    pub fn capabilities(&self, path: &CanonicalPath) -> Vec<&'static str> {
        self.capabilities_within(None, path)
    }

    /// The same in `environment`, by the stanzas that name it; `None` is the policies' own.
    /// What it says of `list` and `scan` is what a LIST or SCAN of that path would meet.
    #[must_use]
    pub fn capabilities_within(
        &self,
        environment: Option<&EnvironmentPath>,
        path: &CanonicalPath,
    ) -> Vec<&'static str> {
        if self.is_root {
            return vec!["root"];
        }
        let of = |operation| {
            self.rule(environment, path.as_str(), operation)
                .map_or(Capabilities::NONE, |rule| rule.capabilities)
        };
        let listing = Capabilities::LIST.and(Capabilities::SCAN);
        let (here, below) = (of(Operation::Read), of(Operation::List));
        let here = if here.is_denial() { Capabilities::NONE } else { here };
        here.without(listing).and(below.common(listing)).names()
    }

    /// Whether any rule grants anything at or below `directory`: what lets a caller know of a mount.
    #[must_use]
    pub fn reaches(&self, environment: Option<&EnvironmentPath>, directory: &CanonicalPath) -> bool {
        let grants = |rule: &Rule| {
            !rule.capabilities.is_denial()
                && !rule.capabilities.is_empty()
                && rule.pattern.reaches(directory.as_str())
        };
        self.is_root || self.table(environment).is_some_and(|table| table.rules().any(grants))
    }

    /// Whether any stanza acts in `environment`.
    pub(crate) fn acts_in(&self, environment: Option<&EnvironmentPath>) -> bool {
        self.is_root || self.table(environment).is_some()
    }

    /// The rule that decides `operation` on `path`.
    pub(crate) fn rule(
        &self,
        environment: Option<&EnvironmentPath>,
        path: &str,
        operation: Operation,
    ) -> Option<&Rule> {
        let path = fold_names(path);
        let is_listing = matches!(operation, Operation::List | Operation::Scan);
        self.table(environment)?.rule(&path, is_listing && !path.is_empty())
    }

    fn table(&self, environment: Option<&EnvironmentPath>) -> Option<&Table> {
        match environment {
            None => Some(&self.home),
            Some(path) => self.named.iter().find(|(named, _)| named == path).map(|(_, table)| table),
        }
    }
}

impl Table {
    fn add(&mut self, rule: &Rule) {
        let pattern = &rule.pattern;
        let list = match (pattern.wildcards, pattern.is_prefix) {
            (0, false) => {
                let (map, key) = match pattern.literal.strip_suffix('/') {
                    Some(directory) => (&mut self.directories, directory),
                    None => (&mut self.exact, &*pattern.literal),
                };
                match map.get_mut(key) {
                    Some(known) => known.merge(rule),
                    None => drop(map.insert(key.into(), rule.clone())),
                }
                return;
            }
            (0, true) => &mut self.prefixes,
            _ => &mut self.wildcards,
        };
        list.push((pattern.rank(), rule.clone()));
    }

    fn finish(&mut self) {
        for list in [&mut self.prefixes, &mut self.wildcards] {
            list.sort_by(|(one, _), (other, _)| other.cmp(one));
            list.dedup_by(|(_, later), (_, known)| {
                let is_same = later.pattern == known.pattern;
                if is_same {
                    known.merge(later);
                }
                is_same
            });
        }
        self.prefixes.sort_by(|(_, one), (_, other)| one.pattern.literal.cmp(&other.pattern.literal));
        // `x/r/` speaks of the same directory as `x/r`; where that one is denied, a listing is.
        for (path, rule) in &mut self.directories {
            if let Some(bare) = self.exact.get(path).filter(|bare| bare.capabilities.is_denial()) {
                rule.merge(bare);
            }
        }
        let denied: HashSet<Box<str>> = self
            .wildcards
            .iter()
            .filter(|(_, rule)| !rule.pattern.is_prefix && rule.capabilities.is_denial())
            .map(|(_, rule)| rule.pattern.literal.clone())
            .collect();
        for (_, rule) in self.wildcards.iter_mut().filter(|(_, rule)| !rule.pattern.is_prefix) {
            let bare = rule.pattern.literal.strip_suffix('/');
            if bare.is_some_and(|bare| denied.contains(bare)) {
                rule.capabilities = Capabilities::DENY;
            }
        }
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        let ranked = self.prefixes.iter().chain(&self.wildcards).map(|(_, rule)| rule);
        self.exact.values().chain(self.directories.values()).chain(ranked)
    }

    fn rule(&self, path: &str, is_listing: bool) -> Option<&Rule> {
        if is_listing && let Some(rule) = self.directories.get(path) {
            return Some(rule);
        }
        if let Some(rule) = self.exact.get(path) {
            return Some(rule);
        }
        let bare = self.most_specific(path, false);
        let below = if is_listing { self.most_specific(path, true) } else { None };
        match (bare, below) {
            // What is denied below a directory is not listed, however specific a grant on the directory itself.
            (_, Some((_, rule))) if rule.capabilities.is_denial() => Some(rule),
            (Some((one, rule)), Some((other, _))) if one > other => Some(rule),
            (_, Some((_, rule))) | (Some((_, rule)), None) => Some(rule),
            (None, None) => None,
        }
    }

    /// The most specific pattern with wildcards that covers `path`, or with `as_directory` the path with a slash behind it.
    fn most_specific(&self, path: &str, as_directory: bool) -> Option<&(Rank, Rule)> {
        let prefix = self.longest_prefix(path, as_directory);
        let wildcard = self.wildcards.iter().find(|(_, rule)| rule.pattern.covers(path, as_directory));
        match (prefix, wildcard) {
            (Some(prefix), Some(wildcard)) if prefix.0 > wildcard.0 => Some(prefix),
            (prefix, wildcard) => wildcard.or(prefix),
        }
    }

    /// The longest pattern that `path` begins with; with `as_directory`, the path with a slash behind it.
    fn longest_prefix(&self, path: &str, as_directory: bool) -> Option<&(Rank, Rule)> {
        let path = path.as_bytes();
        if as_directory {
            let directory = || path.iter().chain(b"/");
            let found = self
                .prefixes
                .binary_search_by(|(_, rule)| rule.pattern.literal.as_bytes().iter().cmp(directory()));
            if let Some(entry) = found.ok().and_then(|at| self.prefixes.get(at)) {
                return Some(entry);
            }
        }
        let mut end = path.len();
        loop {
            let key = path.get(..end)?;
            let after = self.prefixes.partition_point(|(_, rule)| rule.pattern.literal.as_bytes() <= key);
            let entry = self.prefixes.get(after.checked_sub(1)?)?;
            let candidate = entry.1.pattern.literal.as_bytes();
            let common = candidate.iter().zip(key).take_while(|(one, other)| one == other).count();
            if common == candidate.len() {
                return Some(entry);
            }
            // Whatever is a prefix of the path and sorts before the candidate is a prefix of what the two share.
            end = common;
        }
    }
}
