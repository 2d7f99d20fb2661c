//! JSON merge patch (RFC 7396) over text: what the patch does not name keeps its bytes, numbers too.
use crate::names::{decoded, repeat};
use crate::scan::{Limits, ScanError, Visit, scan_with};
use crate::text::push;
use core::ops::Range;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// `target` changed by `patch`, both JSON text. Members keep their order; new ones follow in the patch's order.
///
/// # Errors
/// Where either is not JSON, a name stands twice in an object, or the result is over [`Limits::REQUEST`].
pub fn merge_patch(target: &[u8], patch: &[u8]) -> Result<Zeroizing<Vec<u8>>, ScanError> {
    let patch = Tree::read(patch, Limits::REQUEST)?;
    let target = Tree::read(target, Limits { values: usize::MAX, ..Limits::REQUEST })?;
    let mut out = Zeroizing::new(Vec::with_capacity(target.text.len() + patch.text.len() + 2));
    merge(Some((&target, 0)), &patch, 0, &mut out);
    crate::scan::scan(&out, Limits::REQUEST)?;
    Ok(out)
}

/// As deep as the patch, which the scan has limited.
fn merge(target: Option<(&Tree<'_>, usize)>, patch: &Tree<'_>, at: usize, out: &mut Zeroizing<Vec<u8>>) {
    if !patch.is_object(at) {
        push(out, patch.value(at));
        return;
    }
    let mut changes: HashMap<_, _> =
        patch.members(at).map(|member| (decoded(patch.name(member)), member)).collect();
    let mut is_first = true;
    let mut begin = |out: &mut Zeroizing<Vec<u8>>, name: &[u8]| {
        push(out, if core::mem::take(&mut is_first) { b"" } else { b"," });
        push(out, name);
        push(out, b":");
    };
    push(out, b"{");
    if let Some((tree, object)) = target.filter(|(tree, object)| tree.is_object(*object)) {
        for member in tree.members(object) {
            match changes.remove(&decoded(tree.name(member))) {
                Some(change) if patch.value(change) == b"null" => {}
                Some(change) => {
                    begin(out, tree.name(member));
                    merge(Some((tree, member)), patch, change, out);
                }
                None => {
                    begin(out, tree.name(member));
                    push(out, tree.value(member));
                }
            }
        }
    }
    for member in patch.members(at) {
        if patch.value(member) != b"null" && changes.contains_key(&decoded(patch.name(member))) {
            begin(out, patch.name(member));
            merge(None, patch, member, out);
        }
    }
    push(out, b"}");
}

/// A text's values in the order they begin, the first being the whole.
struct Tree<'a> {
    text: &'a [u8],
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    name: Range<usize>,
    value: Range<usize>,
    /// Index of the first node that does not lie within this one.
    next: usize,
}

impl<'a> Tree<'a> {
    fn read(text: &'a [u8], limits: Limits) -> Result<Self, ScanError> {
        let mut builder = Builder::default();
        scan_with(text, limits, &mut builder)?;
        if repeat(text, &builder.names) {
            return Err(ScanError::DuplicateName);
        }
        Ok(Self { text, nodes: builder.nodes })
    }

    fn cut(&self, range: Option<&Range<usize>>) -> &'a [u8] {
        range.and_then(|range| self.text.get(range.clone())).unwrap_or_default()
    }

    fn name(&self, node: usize) -> &'a [u8] {
        self.cut(self.nodes.get(node).map(|node| &node.name))
    }

    fn value(&self, node: usize) -> &'a [u8] {
        self.cut(self.nodes.get(node).map(|node| &node.value))
    }

    fn is_object(&self, node: usize) -> bool {
        self.value(node).first() == Some(&b'{')
    }

    fn members(&self, node: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes.get(node).map_or(0, |node| node.next);
        let mut at = node + 1;
        core::iter::from_fn(move || {
            let member = (at < end).then_some(at)?;
            at = self.nodes.get(member)?.next;
            Some(member)
        })
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    names: Vec<(u32, Range<usize>)>,
    open: Vec<usize>,
    name: Range<usize>,
}

impl Visit for Builder {
    fn name(&mut self, object: u32, text: Range<usize>) {
        self.names.push((object, text.clone()));
        self.name = text;
    }
    fn begin(&mut self, at: usize, _depth: usize) {
        self.open.push(self.nodes.len());
        self.nodes.push(Node { name: core::mem::take(&mut self.name), value: at..at, next: 0 });
    }
    fn end(&mut self, at: usize, _depth: usize) {
        let next = self.nodes.len();
        if let Some(node) = self.open.pop().and_then(|open| self.nodes.get_mut(open)) {
            node.value.end = at;
            node.next = next;
        }
    }
}
