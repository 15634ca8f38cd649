//! Which records are let in.

use super::limits::{NAMES, PATHNAME, RECORDS};
use crate::Error;
use std::collections::{HashMap, HashSet};

/// The records of one import so far.
#[derive(Debug, Default)]
pub struct Admitted {
    ids: HashSet<u64>,
    /// Each pathname, and whether it is a directory.
    pathnames: HashMap<String, bool>,
    /// Bytes of all pathnames.
    bytes: usize,
}

impl Admitted {
    /// Lets a record in, or refuses it: before anything of it is read or written.
    pub fn admit(&mut self, id: u64, pathname: &str, directory: bool) -> Result<(), Error> {
        let shown = || pathname.chars().take(200).collect::<String>().escape_debug().to_string();
        check_pathname(pathname)?;
        if pathname == "/" && !directory {
            return Err(Error::broke("the root `/` is not a directory"));
        }
        if self.ids.len() == RECORDS {
            return Err(Error::component(format!(
                "the component has more than {RECORDS} records, the most that this host keeps account of"
            )));
        }
        self.bytes += pathname.len();
        if self.bytes > NAMES {
            return Err(Error::component(format!(
                "the pathnames of the component's records have more than {NAMES} bytes together, the \
                 most that this host keeps account of"
            )));
        }
        if !self.ids.insert(id) {
            return Err(Error::broke(format!(
                "the record id {id} occurs twice (the second is `{}`)",
                shown()
            )));
        }
        if let Some(file) = ancestors(pathname).find(|a| self.pathnames.get(*a) == Some(&false)) {
            return Err(Error::broke(format!("`{}` lies in `{file}`, which is a file", shown())));
        }
        if self.pathnames.insert(pathname.to_owned(), directory).is_some() {
            return Err(Error::broke(format!("the pathname `{}` occurs twice", shown())));
        }
        Ok(())
    }
}

/// Refuses a pathname that is not absolute and clean.
pub fn check_pathname(pathname: &str) -> Result<(), Error> {
    match unclean(pathname) {
        None => Ok(()),
        Some(fault) => {
            let shown: String = pathname.chars().take(200).collect();
            Err(Error::broke(format!("the pathname `{}` {fault}", shown.escape_debug())))
        }
    }
}

/// What is wrong with a pathname, if anything. A backslash is a letter.
fn unclean(pathname: &str) -> Option<&'static str> {
    if pathname == "/" {
        return None;
    }
    let Some(rest) = pathname.strip_prefix('/') else { return Some("is not absolute") };
    if pathname.len() > PATHNAME {
        return Some("is too long");
    }
    if pathname.contains('\0') {
        return Some("holds a NUL");
    }
    rest.split('/').find_map(|component| match component {
        "" => Some("has an empty component"),
        "." | ".." => Some("has a component `.` or `..`"),
        long if long.len() > 255 => Some("has a component longer than 255 bytes"),
        _ => None,
    })
}

/// The directories above a clean pathname, the root left out.
fn ancestors(pathname: &str) -> impl Iterator<Item = &str> {
    pathname.match_indices('/').skip(1).map(|(at, _)| &pathname[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_pathnames_are_admitted() {
        let mut admitted = Admitted::default();
        for (id, (pathname, directory)) in
            [("/", true), ("/a", true), ("/a/b c", false), ("/a\\b", false), ("/...", false)]
                .into_iter()
                .enumerate()
        {
            admitted.admit(id as u64, pathname, directory).expect(pathname);
        }
    }

    #[test]
    fn unclean_pathnames_are_refused() {
        let long = format!("/{}", "x".repeat(256));
        let longer = "/xxx".repeat(1025);
        for pathname in [
            "", "a", "./a", "/a/", "//", "//a", "/a//b", "/.", "/../a", "/a/..", "/a\0b", &long,
            &longer,
        ] {
            assert!(Admitted::default().admit(1, pathname, false).is_err(), "{pathname:?}");
        }
        assert!(Admitted::default().admit(1, "/", false).is_err());
    }

    #[test]
    fn ids_and_pathnames_occur_once() {
        let mut admitted = Admitted::default();
        admitted.admit(1, "/a", false).expect("new");
        assert!(admitted.admit(1, "/b", false).expect_err("id").to_string().contains("id 1"));
        assert!(
            admitted.admit(2, "/a", true).expect_err("path").to_string().contains("`/a` occurs")
        );
    }

    #[test]
    fn long_names_do_not_add_up_without_end() {
        let mut admitted = Admitted::default();
        let long = "/x".repeat(PATHNAME / 2 - 4);
        let mut admit = |id| admitted.admit(id, &format!("{long}/{id:06}"), false);
        let most = (NAMES / (PATHNAME - 1)) as u64;
        for id in 0..most {
            admit(id).expect("there is room");
        }
        assert!(admit(most).expect_err("full").to_string().contains("bytes together"));
    }

    #[test]
    fn nothing_lies_in_a_file() {
        let mut admitted = Admitted::default();
        admitted.admit(1, "/a", false).expect("new");
        let error = admitted.admit(2, "/a/b/c", false).expect_err("in a file").to_string();
        assert!(error.contains("lies in `/a`"), "{error}");
    }
}
