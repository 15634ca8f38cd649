//! Which records are admitted.

use crate::Error;
use crate::limits::{PATHNAME, PATHNAMES, RECORDS};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The approximate cost of keeping one name, in bytes, without the name itself.
const EACH: usize = 64;

/// The records of one import so far.
#[derive(Debug, Default)]
pub struct Admitted {
    ids: HashSet<u64>,
    pathnames: HashMap<Arc<str>, Place>,
    /// The cost of all `pathnames`, in bytes.
    cost: usize,
}

/// What is known to be at a pathname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A file's record.
    File,
    /// A directory's record.
    Directory,
    /// A directory without a record so far: something is in it.
    Implied,
}

impl Admitted {
    /// Admits a record, or refuses it, before any of it is read or written.
    pub fn admit(&mut self, id: u64, pathname: &Arc<str>, directory: bool) -> Result<(), Error> {
        let shown = || shown(pathname);
        check_pathname(pathname)?;
        if self.ids.len() == RECORDS {
            return Err(Error::component(format!(
                "the component has more than {RECORDS} records, the maximum of this host"
            )));
        }
        if !self.ids.insert(id) {
            return Err(Error::broke(format!(
                "the record id {id} occurs twice (the second is `{}`)",
                shown()
            )));
        }
        for above in above(pathname) {
            match self.pathnames.get(above) {
                None => self.keep(above.into(), Place::Implied)?,
                Some(Place::Directory | Place::Implied) => {}
                Some(Place::File) => {
                    let file = self::shown(above);
                    return Err(Error::broke(format!(
                        "`{}` is inside `{file}`, which is a file",
                        shown()
                    )));
                }
            }
        }
        match (self.pathnames.get(pathname), directory) {
            (None, true) => self.keep(Arc::clone(pathname), Place::Directory),
            (None, false) if **pathname == *"/" => {
                Err(Error::broke("the root `/` is not a directory"))
            }
            (None, false) => self.keep(Arc::clone(pathname), Place::File),
            (Some(Place::Implied), true) => {
                Err(Error::broke(format!("the directory `{}` comes after its content", shown())))
            }
            (Some(Place::Implied), false) => Err(Error::broke(format!(
                "`{}` is a file, and another record is inside it",
                shown()
            ))),
            (Some(Place::File | Place::Directory), _) => {
                Err(Error::broke(format!("the pathname `{}` occurs twice", shown())))
            }
        }
    }

    fn keep(&mut self, pathname: Arc<str>, place: Place) -> Result<(), Error> {
        self.cost += pathname.len() + EACH;
        if self.cost > PATHNAMES {
            return Err(Error::component(format!(
                "the component's pathnames take more than {PATHNAMES} bytes, the maximum of this \
                    host"
            )));
        }
        self.pathnames.insert(pathname, place);
        Ok(())
    }
}

/// Returns a pathname in the form that a message shows.
fn shown(pathname: &str) -> String {
    pathname.chars().take(200).collect::<String>().escape_debug().to_string()
}

/// Checks that a mode has only permission bits, which are all that a store keeps of it.
pub fn mode(mode: u32) -> Result<u32, Error> {
    if mode <= 0o777 {
        Ok(mode)
    } else {
        Err(Error::broke(format!(
            "the mode {mode:#o} has more \
        than permission bits"
        )))
    }
}

/// Converts a time in seconds since 1970, and nanoseconds.
pub fn modified(seconds: i64, nanoseconds: u32) -> Result<SystemTime, Error> {
    if nanoseconds >= 1_000_000_000 {
        return Err(Error::broke("a timestamp has a second or more of nanoseconds"));
    }
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    whole
        .and_then(|whole| whole.checked_add(Duration::from_nanos(nanoseconds.into())))
        .ok_or_else(|| Error::broke("a timestamp is out of range"))
}

/// Refuses a pathname that is not absolute and clean.
fn check_pathname(pathname: &str) -> Result<(), Error> {
    match unclean(pathname) {
        None => Ok(()),
        Some(fault) => Err(Error::broke(format!("the pathname `{}` {fault}", shown(pathname)))),
    }
}

/// Returns what is wrong with a pathname, if anything. A backslash is an ordinary
/// character.
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

/// Iterates over the directories above a clean pathname, from the root on.
fn above(pathname: &str) -> impl Iterator<Item = &str> {
    let inner = pathname.match_indices('/').skip(1).map(|(at, _)| &pathname[..at]);
    Some("/").filter(|root| pathname != *root).into_iter().chain(inner)
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
            admitted.admit(id as u64, &pathname.into(), directory).expect(pathname);
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
            assert!(Admitted::default().admit(1, &pathname.into(), false).is_err(), "{pathname:?}");
        }
        assert!(Admitted::default().admit(1, &"/".into(), false).is_err());
    }

    /// Expects all records except the last to be admitted, and the last to be refused.
    #[track_caller]
    fn refused(records: &[(u64, &str, bool)], words: &str) {
        let mut admitted = Admitted::default();
        let mut admit = |&(id, pathname, directory): &(u64, &str, bool)| {
            admitted.admit(id, &pathname.into(), directory)
        };
        let (last, first) = records.split_last().expect("records");
        first.iter().for_each(|record| admit(record).expect("a good record"));
        let error = admit(last).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn ids_and_pathnames_occur_once() {
        refused(&[(1, "/a", false), (1, "/b", false)], "id 1");
        refused(&[(1, "/a", false), (2, "/a", true)], "`/a` occurs");
        refused(&[(1, "/a", true), (2, "/a", true)], "`/a` occurs");
    }

    #[test]
    fn no_record_is_inside_a_file_in_either_order() {
        refused(&[(1, "/a", false), (2, "/a/b/c", false)], "is inside `/a`");
        refused(
            &[(1, "/a/b", false), (2, "/a", false)],
            "`/a` is a file, and another record is inside it",
        );
        refused(&[(1, "/a/b/c", true), (2, "/a/b", false)], "`/a/b` is a file");
    }

    #[test]
    fn a_directory_comes_before_its_content() {
        refused(&[(1, "/a/b", false), (2, "/a", true)], "`/a` comes after");
        refused(&[(1, "/a", false), (2, "/", true)], "`/` comes after");
    }

    #[test]
    fn the_cost_of_all_names_is_bounded() {
        let mut admitted = Admitted::default();
        let long = "x".repeat(200);
        let name = |id: u64| format!("/{id}/{}", [long.as_str(); 19].join("/"));
        let refused =
            (0..RECORDS as u64).find_map(|id| admitted.admit(id, &name(id).into(), false).err());
        assert!(refused.expect("it is too much").to_string().contains("pathnames take more than"));
        assert!(admitted.cost < PATHNAMES + PATHNAME + EACH);
    }

    #[test]
    fn times_before_1970_are_accepted() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(modified(0, 5), Ok(epoch + Duration::from_nanos(5)));
        assert_eq!(modified(-1, 0), Ok(epoch - Duration::from_secs(1)));
        assert_eq!(modified(-2, 999_999_999), Ok(epoch - Duration::from_nanos(1_000_000_001)));
        assert!(modified(0, 1_000_000_000).is_err());
        // Whether these times exist depends on the system; neither may panic.
        let _ = (modified(i64::MIN, 0), modified(i64::MAX, 999_999_999));
    }

    #[test]
    fn a_mode_has_only_permission_bits() {
        assert_eq!(mode(0o777), Ok(0o777));
        assert!(mode(0o4755).expect_err("setuid").to_string().contains("0o4755"));
    }

    /// As the contract promises; each has a longer name than usual.
    #[test]
    fn the_promised_number_of_records_is_admitted() {
        let mut admitted = Admitted::default();
        let long = "x".repeat(160);
        for id in 0..RECORDS as u64 {
            admitted.admit(id, &format!("/{long}{id:06}").into(), false).expect("a good record");
        }
        assert!(admitted.admit(RECORDS as u64, &"/one-more".into(), false).is_err());
    }
}
