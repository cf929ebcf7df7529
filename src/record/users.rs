//! Users by their numbers, each looked up once: who called, who logged in, who we are and whom a session runs as are mostly one or two.
//!
//! Refuses to go without an answer, however long that takes: who a session is of is never guessed. Nor to know a user by name: two may
//! share a number, and the directory says which of them it is of.

use crate::sys::ids::{self, User};
use crate::sys::{Error, Result};
use std::collections::BTreeMap;
use std::io;

/// What was found of users the first time: one, none, or an error of the kernel.
#[derive(Default)]
pub struct Users(BTreeMap<u32, std::result::Result<Option<User>, i32>>);

impl Users {
    /// The user with that number, if there is one.
    ///
    /// # Errors
    /// When the user database could not be asked: it is not asked again.
    pub fn by_uid(&mut self, uid: u32) -> Result<Option<User>> {
        self.by(uid, ids::user_by_uid)
    }

    fn by(&mut self, uid: u32, look_up: impl FnOnce(u32) -> Result<Option<User>>) -> Result<Option<User>> {
        let code = |error: Error| error.source.raw_os_error().unwrap_or_default();
        let found = self.0.entry(uid).or_insert_with(|| look_up(uid).map_err(code));
        let told =
            |code: &i32| Error::new("look up user", uid.to_string(), io::Error::from_raw_os_error(*code));
        found.as_ref().map(Option::clone).map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_looked_up_once_be_there_one_or_none_or_no_answer() {
        let (mut users, mut asked) = (Users::default(), Vec::new());
        let root = ids::user_by_uid(0).unwrap().unwrap();
        let mut told = |uid| {
            let look_up = |uid| {
                asked.push(uid);
                match uid {
                    0 => Ok(Some(root.clone())),
                    7 => Ok(None),
                    _ => Err(Error::new("look up user", "9", io::Error::from_raw_os_error(5))),
                }
            };
            users.by(uid, look_up).map_err(|error| format!("{error}: {}", error.source))
        };
        for _ in 0..2 {
            assert_eq!(told(0), Ok(Some(root.clone())));
            assert_eq!(told(7), Ok(None));
            let why = io::Error::from_raw_os_error(5);
            assert_eq!(told(9), Err(format!("cannot look up user 9: {why}")));
        }
        assert_eq!(asked, [0, 7, 9]);
    }
}
