//! Names of groups, for what a recording says of its session: who called, whom it runs as and we ourselves are mostly in the same.
//!
//! Refuses to wait long for a directory that is asked over the network, and to ask it for one name twice.

use crate::sys::{clock, ids};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the names of the groups of one user are looked up: a directory that is asked over the network may be slow, or gone.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Names of groups by their numbers, as they were found the first time.
#[derive(Default)]
pub struct GroupNames(BTreeMap<u32, String>);

impl GroupNames {
    /// Names of groups; the number of one that has none, or could not be looked up in [`LOOK_UP`].
    pub(super) fn of(&mut self, groups: &[u32]) -> Vec<String> {
        let begun = clock::monotonic();
        self.by(groups, |gid| {
            let in_time = clock::monotonic().saturating_sub(begun) < LOOK_UP;
            let known = in_time.then(|| ids::group_by_gid(gid).ok().flatten()).flatten();
            known.map(|group| group.name)
        })
    }

    fn by(&mut self, groups: &[u32], mut look_up: impl FnMut(u32) -> Option<String>) -> Vec<String> {
        let name = |gid: &u32| {
            let known = self.0.entry(*gid);
            known.or_insert_with(|| look_up(*gid).unwrap_or_else(|| gid.to_string())).clone()
        };
        groups.iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_looked_up_once_however_many_are_in_it() {
        let (mut names, mut asked) = (GroupNames::default(), Vec::new());
        let mut told = |groups: &[u32]| {
            let look_up = |gid| {
                asked.push(gid);
                (gid != 7).then(|| format!("group-{gid}"))
            };
            names.by(groups, look_up).join(" ")
        };
        assert_eq!(told(&[4, 7, 27, 4]), "group-4 7 group-27 group-4");
        assert_eq!(told(&[7, 4, 100]), "7 group-4 group-100");
        assert_eq!(told(&[100, 27]), "group-100 group-27");
        assert_eq!(asked, [4, 7, 27, 100]);
    }
}
