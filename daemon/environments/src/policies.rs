//! An environment's policies, parsed, and the merged rules of those who hold them.
use crate::environment::OpenError;
use arc_swap::ArcSwap;
use coffer_barrier::View;
use coffer_policy::{Acl, DEFAULT_POLICY, Policy};
use coffer_types::{CanonicalPath, Kind};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// Merged rules kept for this many different sets of policy names; then all are forgotten and made again.
const MAX_MERGED: usize = 4096;

/// The policies in force.
pub(crate) struct Policies {
    current: ArcSwap<PolicySet>,
}

/// One state of all policies, with the rules merged from it: a change replaces both together.
#[derive(Default)]
pub(crate) struct PolicySet {
    parsed: BTreeMap<String, Arc<Policy>>,
    merged: RwLock<HashMap<Arc<[String]>, Arc<Acl>>>,
}

impl Policies {
    /// Loads and parses all policies: an environment does not open with one that can't be read.
    pub(crate) async fn load(view: &View) -> Result<Self, OpenError> {
        let mut parsed = BTreeMap::new();
        for listed in view.list(Kind::Policy, &CanonicalPath::default()).await? {
            let path = CanonicalPath::parse(&listed.name).map_err(|_| OpenError::Damaged("policy"))?;
            let record = view.get(Kind::Policy, &path, None).await?.ok_or(OpenError::Damaged("policy"))?;
            let text = std::str::from_utf8(&record.bytes).map_err(|_| OpenError::Damaged("policy"))?;
            let policy = Policy::parse(text).map_err(|_| OpenError::Damaged("policy"))?;
            parsed.insert(listed.name, Arc::new(policy));
        }
        if !parsed.contains_key("default") {
            let default = Policy::parse(DEFAULT_POLICY).map_err(|_| OpenError::Damaged("default policy"))?;
            parsed.insert("default".into(), Arc::new(default));
        }
        Ok(Self { current: ArcSwap::from_pointee(PolicySet { parsed, merged: RwLock::default() }) })
    }

    /// The rules of one who holds the policies of these names. A name without a policy grants nothing.
    pub(crate) fn acl(&self, names: &Arc<[String]>) -> Arc<Acl> {
        self.current.load().acl(names)
    }

    /// Sets or removes one policy, after the commit that did so.
    pub(crate) fn replace(&self, name: &str, policy: Option<Arc<Policy>>) {
        self.current.rcu(|set| {
            let mut parsed = set.parsed.clone();
            match &policy {
                Some(policy) => parsed.insert(name.to_owned(), Arc::clone(policy)),
                None => parsed.remove(name),
            };
            PolicySet { parsed, merged: RwLock::default() }
        });
    }

    /// All names, `root` too.
    pub(crate) fn names(&self) -> Vec<String> {
        let set = self.current.load();
        let mut names: Vec<String> = set.parsed.keys().cloned().chain(["root".to_owned()]).collect();
        names.sort();
        names
    }
}

impl PolicySet {
    fn acl(&self, names: &Arc<[String]>) -> Arc<Acl> {
        if let Some(acl) = self.merged.read().unwrap_or_else(PoisonError::into_inner).get(names) {
            return Arc::clone(acl);
        }
        let held = names.iter().filter_map(|name| match name.as_str() {
            "root" => Some(Arc::new(Policy::root())),
            name => self.parsed.get(name).cloned(),
        });
        let acl = Arc::new(Acl::new(&held.collect::<Vec<_>>()));
        let mut merged = self.merged.write().unwrap_or_else(PoisonError::into_inner);
        if merged.len() >= MAX_MERGED {
            merged.clear();
        }
        merged.insert(Arc::clone(names), Arc::clone(&acl));
        acl
    }
}
