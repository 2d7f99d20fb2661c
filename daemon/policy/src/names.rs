//! Names that are the same in any case: of roles, users, policies and environments.
//!
//! Patterns and paths are folded by this one function before they meet, so that a stanza on `auth/cert/certs/Admin` and
//! a request for `auth/cert/certs/ADMIN` can't miss each other, whoever folded the request's path before.
use std::borrow::Cow;

/// Behind one of these segments below `auth/<mount>` stands a name that is the same in any case.
const FOLDED_BEHIND: [&str; 6] = ["certs", "crls", "users", "groups", "role", "roles"];

/// `path`, or the literal part of a pattern, with case-blind names in lower case. Without such a name nothing is allocated.
#[must_use]
pub fn fold_names(path: &str) -> Cow<'_, str> {
    let (is_auth, is_sys) = (path.starts_with("auth/"), path.starts_with("sys/"));
    if !(is_auth || is_sys) || !path.chars().any(|c| c.is_uppercase() || !c.is_ascii()) {
        return path.into();
    }
    let segments: Vec<&str> = path.split('/').collect();
    let is_folded = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| segments.get(before)).copied().unwrap_or_default();
        match segments.get(1).copied().unwrap_or_default() {
            _ if is_auth => at >= 3 && FOLDED_BEHIND.contains(&before),
            "policy" => at >= 2,
            "policies" => at >= 3,
            "namespaces" => at >= 2,
            _ => false,
        }
    };
    let folded = segments.iter().enumerate().map(|(at, segment)| match is_folded(at) {
        true => Cow::Owned(segment.to_lowercase()),
        false => Cow::Borrowed(*segment),
    });
    folded.collect::<Vec<_>>().join("/").into()
}

#[cfg(test)]
mod tests {
    use super::fold_names;

    #[test]
    fn only_names_that_are_the_same_in_any_case_are_folded() {
        for (path, folded) in [
            ("auth/Web/certs/AdMin", "auth/Web/certs/admin"),
            ("auth/a/B/users/Ann/Password", "auth/a/B/users/ann/Password"),
            ("sys/policies/acl/Ops", "sys/policies/acl/ops"),
            ("sys/policy/ÉTÉ", "sys/policy/été"),
            ("sys/namespaces/Acme/Prod", "sys/namespaces/acme/prod"),
            ("sys/mounts/Secret", "sys/mounts/Secret"),
            ("kv/certs/Admin", "kv/certs/Admin"),
        ] {
            assert_eq!(fold_names(path), folded);
        }
    }
}
