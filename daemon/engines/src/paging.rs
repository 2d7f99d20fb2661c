//! Listings in pages: `after` and `limit`.
use coffer_barrier::Listed;
use coffer_room::Fault;
use coffer_wire::Params;

/// Most names in one answer, whatever is asked for.
pub(crate) const MAX_NAMES: usize = 100_000;

/// Which part of a listing is asked for.
pub(crate) struct Page {
    after: String,
    /// `None`: all of them, if these are not more than `MAX_NAMES`.
    limit: Option<usize>,
}

impl Page {
    /// As the field's clients mean it, a limit of zero or less asks for everything.
    ///
    /// # Errors
    /// 400 where `limit` is no whole number.
    pub(crate) fn read(params: &Params) -> Result<Self, Fault> {
        let after = params.string("after")?.map(|text| text.to_string()).unwrap_or_default();
        let limit = match params.string("limit")?.as_deref().map(|text| text.trim()) {
            None | Some("") => None,
            Some(text) => match text.parse::<i128>() {
                Ok(number) if number <= 0 => None,
                Ok(number) => Some(usize::try_from(number).unwrap_or(MAX_NAMES).min(MAX_NAMES)),
                Err(_) => return Err(Fault::bad("'limit' must be a whole number")),
            },
        };
        Ok(Self { after, limit })
    }

    /// What stands before the page: names are strictly greater.
    pub(crate) fn after(&self) -> Option<&str> {
        Some(self.after.as_str()).filter(|after| !after.is_empty())
    }

    /// How many names to fetch, so that too many are noticed.
    pub(crate) fn wanted(&self) -> usize {
        self.limit.unwrap_or(MAX_NAMES + 1)
    }

    /// The page of `names`, sorted here.
    ///
    /// # Errors
    /// 400 where everything is asked for and that is too much for one answer: nothing is left out silently.
    pub(crate) fn cut(&self, mut names: Vec<String>) -> Result<Vec<String>, Fault> {
        names.sort_unstable();
        names.dedup();
        if let Some(after) = self.after() {
            names.retain(|name| name.as_str() > after);
        }
        names.truncate(self.wanted());
        if names.len() > MAX_NAMES {
            return Err(Fault::bad(
                "there are more than 100000 names: ask for them in pages, with 'limit' and 'after'",
            ));
        }
        Ok(names)
    }
}

/// The names as a listing shows them: `a` for a record, `a/` for a directory, both for both.
pub(crate) fn shown(listed: Vec<Listed>) -> Vec<String> {
    let mut names = Vec::with_capacity(listed.len());
    for entry in listed {
        if entry.is_directory {
            names.push(format!("{}/", entry.name));
        }
        if entry.is_record {
            names.push(entry.name);
        }
    }
    names
}

/// Whatever part of a listing is asked for: it is of the names, in order, behind where it begins, and within bounds.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let (query, names) = text.split_once('\n').unwrap_or((text, ""));
    let mut params = Params::none();
    if params.add_query(query).is_err() {
        return;
    }
    let Ok(page) = Page::read(&params) else { return };
    assert!(page.wanted() <= MAX_NAMES + 1);
    let names: Vec<_> = names.split('\n').map(str::to_owned).collect();
    let Ok(cut) = page.cut(names.clone()) else { return };
    assert!(cut.len() <= page.wanted() && cut.is_sorted_by(|first, second| first < second));
    assert!(
        cut.iter().all(|name| names.contains(name) && page.after().is_none_or(|after| name.as_str() > after))
    );
    let behind = |name: &&String| {
        cut.last().is_none_or(|last| *name > last) && page.after().is_none_or(|after| name.as_str() > after)
    };
    assert!(cut.len() == page.wanted() || names.iter().find(behind).is_none(), "a name was left out");
}
