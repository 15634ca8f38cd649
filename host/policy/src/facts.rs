//! Which facts are passed on.

use crate::limits::one_line;
use crate::{Error, Fact};
use std::collections::HashSet;

/// Refuses facts whose names break the rules of the contract or occur twice. Makes the
/// values safe to show.
pub fn checked(mut facts: Vec<Fact>) -> Result<Vec<Fact>, Error> {
    let mut names = HashSet::new();
    for Fact { name, value } in &mut facts {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(good) {
            return Err(Error::broke(format!(
                "the fact `{}` is not named in lower case with dashes",
                one_line(name)
            )));
        }
        if !names.insert(name.clone()) {
            return Err(Error::broke(format!("the fact `{}` occurs twice", one_line(name))));
        }
        *value = one_line(value);
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fact_names_are_valid_and_occur_once() {
        let fact = |name: &str| Fact { name: name.into(), value: "a\nb".into() };
        let good = checked(vec![fact("etcd-version"), fact("sha256")]).expect("good");
        assert_eq!(good[0].value, "a b");
        for bad in [vec![fact("a"), fact("a")], vec![fact("")], vec![fact("A b")]] {
            assert!(checked(bad).is_err());
        }
    }
}
