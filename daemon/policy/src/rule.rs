//! What a stanza grants, and under which conditions.
use crate::capabilities::Capabilities;
use crate::pattern::Pattern;
use crate::syntax::Value;
use std::collections::BTreeMap;

/// Values by the name of a parameter, names in lower case. No values: any.
pub(crate) type Parameters = BTreeMap<String, Vec<Value>>;

/// The decision on every path that `pattern` is the most specific one for.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) capabilities: Capabilities,
    /// Most stanzas have none.
    pub(crate) conditions: Option<Box<Conditions>>,
}

/// What must hold besides the capability.
#[derive(Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) allowed: Parameters,
    pub(crate) denied: Parameters,
    /// In lower case.
    pub(crate) required: Vec<String>,
    pub(crate) min_wrapping_seconds: Option<u64>,
    pub(crate) max_wrapping_seconds: Option<u64>,
    /// Greatest page of a listing.
    pub(crate) page_limit: Option<u64>,
}

impl Rule {
    /// Adds another stanza on the same pattern: capabilities together, a denial above all, and of two limits the smaller.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.capabilities = self.capabilities.and(other.capabilities);
        if self.capabilities.is_denial() {
            self.conditions = None;
            return;
        }
        let Some(theirs) = &other.conditions else { return };
        match &mut self.conditions {
            None => self.conditions = Some(theirs.clone()),
            Some(ours) => ours.merge(theirs),
        }
    }
}

impl Conditions {
    pub(crate) fn is_empty(&self) -> bool {
        let are_parameters_free =
            self.allowed.is_empty() && self.denied.is_empty() && self.required.is_empty();
        let is_wrapping_free = self.min_wrapping_seconds.is_none() && self.max_wrapping_seconds.is_none();
        are_parameters_free && is_wrapping_free && self.page_limit.is_none()
    }

    fn merge(&mut self, other: &Self) {
        merge_parameters(&mut self.allowed, &other.allowed);
        merge_parameters(&mut self.denied, &other.denied);
        for name in &other.required {
            if !self.required.contains(name) {
                self.required.push(name.clone());
            }
        }
        let smaller = |ours: Option<u64>, theirs: Option<u64>| match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.min_wrapping_seconds = smaller(self.min_wrapping_seconds, other.min_wrapping_seconds);
        self.max_wrapping_seconds = smaller(self.max_wrapping_seconds, other.max_wrapping_seconds);
        self.page_limit = smaller(self.page_limit, other.page_limit);
    }
}

/// Values of both; where either takes any value, the two together do.
fn merge_parameters(ours: &mut Parameters, theirs: &Parameters) {
    for (name, values) in theirs {
        match ours.get_mut(name) {
            None => {
                ours.insert(name.clone(), values.clone());
            }
            Some(known) if known.is_empty() || values.is_empty() => known.clear(),
            Some(known) => known.extend(values.iter().cloned()),
        }
    }
}
