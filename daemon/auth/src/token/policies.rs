//! Which policies a new token may have: pure rules over names.
use crate::token::records::TokenRole;
use coffer_room::Fault;

const MAX_NAME_BYTES: usize = 128;

/// Most policies of one token.
pub(crate) const MAX_POLICIES: usize = 256;

/// The one reader of policy names: every room that takes one calls this, so that no spelling of `root` slips past a
/// comparison. ASCII letters, digits and `-_.@:+/`, without empty or dotted segments; case is folded.
///
/// # Errors
/// 400 for any other name: one with space around it, too, is refused and not trimmed.
pub fn policy_name(text: &str) -> Result<String, Fault> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:+/".contains(&byte);
    let segments_stand = text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if text.len() > MAX_NAME_BYTES || !text.bytes().all(is_known) || !segments_stand {
        return Err(Fault::bad("a policy's name has at most 128 letters, digits and characters of -_.@:+/"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Names read one by one, sorted, each once.
///
/// # Errors
/// 400 for a name that is none, or too many.
pub fn policy_names<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Vec<String>, Fault> {
    let mut names =
        texts.into_iter().map(|text| policy_name(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    if names.len() > MAX_POLICIES { Err(Fault::bad("a token has at most 256 policies")) } else { Ok(names) }
}

/// What is asked for.
pub(crate) struct Wish {
    /// Read by [`policy_names`]; empty for "as the parent".
    pub(crate) policies: Vec<String>,
    pub(crate) no_default: bool,
}

/// The policies of a token that a holder of `parent` makes. With `is_free` (sudo) they need not be among the parent's.
///
/// # Errors
/// 400 for more than the parent, or the role, may give.
pub(crate) fn grant(
    parent: &[String],
    is_free: bool,
    role: Option<&TokenRole>,
    wish: Wish,
) -> Result<Vec<String>, Fault> {
    let has = |list: &[String], name: &str| list.iter().any(|own| own == name);
    let parent_is_root = has(parent, "root");
    let inherits = wish.policies.is_empty();
    let mut granted = match role {
        Some(role) if role.has_allow_list() => through(role, wish.policies)?,
        _ if inherits => parent.to_vec(),
        _ if is_free || parent_is_root || wish.policies.iter().all(|name| has(parent, name)) => wish.policies,
        _ => return Err(Fault::bad("child policies must be subset of parent")),
    };
    if has(&granted, "root") {
        if !parent_is_root {
            return Err(Fault::bad("root tokens may not be created without parent token being root"));
        }
        granted = vec!["root".to_owned()];
    }
    if role.is_some_and(|role| granted.iter().any(|name| role.disallows(name))) {
        return Err(Fault::bad("token policies must not have any policy that the role disallows"));
    }
    let may_have_default = match role {
        Some(role) if role.has_allow_list() => true,
        _ => is_free || parent_is_root || has(parent, "default"),
    };
    let without_default =
        wish.no_default || role.is_some_and(|role| role.no_default_policy || role.disallows("default"));
    if without_default {
        if inherits {
            granted.retain(|name| name != "default");
        }
    } else if may_have_default && !has(&granted, "root") && !has(&granted, "default") {
        granted.push("default".to_owned());
    }
    granted.sort_unstable();
    Ok(granted)
}

fn through(role: &TokenRole, wished: Vec<String>) -> Result<Vec<String>, Fault> {
    match wished.is_empty() {
        true => Ok(role.allowed.clone()),
        false if wished.iter().all(|name| name == "default" || role.allows(name)) => Ok(wished),
        false => {
            Err(Fault::bad("token policies must be subset of the role's allowed policies or glob policies"))
        }
    }
}

impl TokenRole {
    fn has_allow_list(&self) -> bool {
        !self.allowed.is_empty() || !self.allowed_globs.is_empty()
    }

    fn allows(&self, name: &str) -> bool {
        self.allowed.iter().any(|own| own == name)
            || self.allowed_globs.iter().any(|glob| matches_glob(glob, name))
    }

    fn disallows(&self, name: &str) -> bool {
        self.disallowed.iter().any(|own| own == name)
            || self.disallowed_globs.iter().any(|glob| matches_glob(glob, name))
    }
}

/// Whether `name` matches `glob`, in which every `*` stands for any run of characters.
pub(crate) fn matches_glob(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut tail = None;
    for part in parts {
        // The part before is no longer the last: it may stand anywhere.
        if let Some(middle) = tail.replace(part) {
            let Some((_, after)) = rest.split_once(middle) else { return false };
            rest = after;
        }
    }
    tail.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn granted(parent: &str, is_free: bool, wish: &str) -> Option<String> {
        let wish = Wish { policies: names(wish), no_default: false };
        grant(&names(parent), is_free, None, wish).ok().map(|list| list.join(" "))
    }

    #[test]
    fn every_spelling_of_root_is_root_or_refused() {
        for text in ["root", "ROOT", "Root", "rOOt"] {
            assert_eq!(policy_name(text).ok().as_deref(), Some("root"));
        }
        for text in [
            " root",
            "root ",
            "root\0",
            "root\n",
            "ro\u{f6}t",
            "\u{ff52}oot",
            "r\u{043e}ot",
            "./root",
            "a/../root",
            "root/",
            "/root",
            "",
        ] {
            assert!(policy_name(text).is_err(), "{text:?}");
        }
        assert!(policy_name(&"a".repeat(129)).is_err());
    }

    #[test]
    fn a_child_has_no_policy_that_its_parent_lacks() {
        assert_eq!(granted("a b default", false, "a").as_deref(), Some("a default"));
        assert_eq!(granted("a b", false, "").as_deref(), Some("a b"));
        assert_eq!(granted("a b", false, "c"), None);
        assert_eq!(granted("a b", false, "a root"), None);
    }

    #[test]
    fn default_comes_by_itself_only_where_the_parent_has_it() {
        assert_eq!(granted("a", false, "a").as_deref(), Some("a"));
        assert_eq!(granted("a", false, "default"), None);
        assert_eq!(granted("root", true, "a").as_deref(), Some("a default"));
    }

    #[test]
    fn only_root_makes_root_and_root_stands_alone() {
        assert_eq!(granted("admin", true, "root"), None);
        assert_eq!(granted("root", true, "a root").as_deref(), Some("root"));
        assert_eq!(granted("root", true, "").as_deref(), Some("root"));
    }

    #[test]
    fn what_a_role_forbids_no_grant_gives() {
        let role =
            TokenRole { allowed_globs: names("team-*"), disallowed: names("team-x"), ..TokenRole::default() };
        let through = |wish: &str| {
            grant(&names("a"), false, Some(&role), Wish { policies: names(wish), no_default: false })
        };
        assert_eq!(through("team-a").ok(), Some(names("default team-a")));
        assert!(through("team-x").is_err());
        assert!(through("other").is_err());
        assert!(through("root").is_err());
    }

    #[test]
    fn a_role_of_disallowed_names_alone_widens_nothing() {
        let role = TokenRole { disallowed: names("x"), ..TokenRole::default() };
        let wish = Wish { policies: names("y"), no_default: false };
        assert!(grant(&names("a"), false, Some(&role), wish).is_err());
    }

    #[test]
    fn globs_match_runs_of_any_length() {
        for (glob, name, wanted) in [
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abd", false),
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("aa*aa", "aaa", false),
            ("*a*", "bab", true),
        ] {
            assert_eq!(matches_glob(glob, name), wanted, "{glob} {name}");
        }
    }
}
