//! Who responds at an endpoint, by everything that was reported there.
//!
//! A snapshot does not name its sender. The responses around it do: by
//! the ids in their headers, and by the connections that they came over, where the
//! host numbers those. Behind one name there may be several members: then the
//! responses disagree sooner or later, and that is refused. Where it cannot be determined,
//! the member is recorded as unknown; it is never guessed.

use crate::error::{Error, Result};
use crate::etcd::messages::{Header, Id, Status};
use plakar_connector::ErrorKind;

/// What is known of the server at one endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// Zero if it was not reported.
    cluster_id: u64,
    /// Zero if it was not reported.
    member_id: u64,
    /// How far the member was at most; none of it ever goes back.
    progress: [u64; 3],
    /// The connections over which it said who it is.
    connections: Vec<String>,
    hidden: Option<&'static str>,
}

/// What [`Identity::progress`] holds, in its order.
const PROGRESS: [&str; 3] = ["revision", "raft term", "applied index"];

impl Identity {
    /// An identity of which nothing is known but the cluster, by the responses of other
    /// endpoints; zero if not even that is.
    pub(crate) fn of_cluster(cluster_id: u64) -> Self {
        Self { cluster_id, ..Self::default() }
    }

    /// Takes in a response that came over this connection. An error if another
    /// member or another cluster gave it.
    pub(crate) fn add(&mut self, header: Header, connection: Option<&str>) -> Result<()> {
        agree("cluster", &mut self.cluster_id, header.cluster_id)?;
        agree("member", &mut self.member_id, header.member_id)?;
        if let (1.., Some(connection)) = (header.member_id, connection)
            && !self.connections.iter().any(|known| known == connection)
        {
            self.connections.push(connection.into());
        }
        Ok(())
    }

    /// Takes in statuses that were asked for at one time. An error if another
    /// member gave one of them, or the member is not as far as it was before: then it
    /// was created again, or its data was rolled back.
    pub(crate) fn add_statuses<'a>(
        &mut self,
        statuses: impl IntoIterator<Item = (&'a Status, Option<&'a str>)>,
    ) -> Result<()> {
        let mut furthest = self.progress;
        for (status, connection) in statuses {
            let header = status.header();
            self.add(header, connection)?;
            let revision = u64::try_from(header.revision).unwrap_or(0);
            let now = [revision, header.raft_term, status.raft_applied_index];
            for (index, what) in PROGRESS.iter().enumerate() {
                // Zero is not reported.
                if now[index] != 0 && now[index] < self.progress[index] {
                    return Err(Error::new(
                        ErrorKind::Other,
                        format!(
                            "the {what} of this member went back from {} to {}",
                            self.progress[index], now[index]
                        ),
                    )
                    .remedy(
                        "it was restarted, restored or replaced during the backup, or this name \
                            leads to several members: check its log, and run the backup again",
                    ));
                }
                furthest[index] = furthest[index].max(now[index]);
            }
        }
        self.progress = furthest;
        Ok(())
    }

    /// Says that it cannot be determined which member responds here, and why.
    pub(crate) fn hide(&mut self, why: &'static str) {
        self.hidden.get_or_insert(why);
    }

    /// Takes in the connection that the snapshot came over: one on which nobody said
    /// who it is, neither before nor after, may be another member's.
    pub(crate) fn sent_over(&mut self, connection: Option<&str>) {
        let vouched = |connection| self.connections.iter().any(|known| known == connection);
        if self.member_id != 0 && connection.is_some_and(|connection| !vouched(connection)) {
            self.hide("the connection of the snapshot was used for no other request");
        }
    }

    /// Why it cannot be determined which member responds here, where that is so.
    pub(crate) fn hidden(&self) -> Option<&'static str> {
        self.hidden
    }

    /// The id of the member that responds here; zero if it is unknown.
    pub(crate) fn member_id(&self) -> u64 {
        if self.hidden.is_some() { 0 } else { self.member_id }
    }

    /// The cluster's id; zero if it is unknown.
    pub(crate) fn cluster_id(&self) -> u64 {
        self.cluster_id
    }
}

/// Keeps the first reported id; an error if another one follows.
fn agree(what: &str, known: &mut u64, now: u64) -> Result<()> {
    match (*known, now) {
        (_, 0) => {}
        (0, _) => *known = now,
        (known, now) if known == now => {}
        (known, now) => {
            let what = format!(
                "this endpoint is of {what} {} now, but of {what} {} before",
                Id(now),
                Id(known)
            );
            return Err(Error::new(ErrorKind::Other, what).remedy(
                "if this name leads to several members, name them one by one in `endpoints`",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cluster_id: u64, member_id: u64) -> Header {
        Header { cluster_id, member_id, ..Header::default() }
    }

    fn status(revision: i64, raft_term: u64, raft_applied_index: u64) -> Status {
        let header = Some(Header { revision, raft_term, ..header(1, 2) });
        Status { header, raft_applied_index, ..Status::default() }
    }

    fn refused(identity: &mut Identity, header: Header) -> String {
        identity.add(header, None).expect_err("another one").to_string()
    }

    #[test]
    fn another_member_or_cluster_at_the_same_place_is_refused() {
        let mut identity = Identity::default();
        identity.add(header(1, 2), None).expect("the first response");
        identity.add(header(1, 2), None).expect("the same");
        let text = refused(&mut identity, header(1, 255));
        assert!(text.starts_with(
            "this endpoint is of member ff now, but of member 2 before; if this name leads"
        ));
        let text = refused(&mut identity, header(9, 2));
        assert!(text.contains("of cluster 9 now, but of cluster 1 before"), "{text}");
        assert_eq!((identity.cluster_id(), identity.member_id()), (1, 2));
    }

    #[test]
    fn what_is_missing_first_is_filled_in_later_and_contradicts_nothing() {
        let mut identity = Identity::of_cluster(0);
        identity.add(header(0, 0), Some("1")).expect("a response without ids");
        identity.add(header(1, 0), None).expect("the cluster");
        identity.add(header(0, 2), None).expect("the member");
        assert_eq!((identity.cluster_id(), identity.member_id()), (1, 2));
        identity.sent_over(Some("1"));
        assert!(identity.hidden().is_some(), "nobody said who it is over that connection");
        let mut unknown = Identity::default();
        unknown.sent_over(Some("1"));
        assert_eq!(unknown.hidden(), None, "nobody said who it is anywhere: nothing is hidden");
    }

    #[test]
    fn the_cluster_of_the_other_endpoints_is_this_ones_too() {
        assert_eq!(Identity::of_cluster(7).cluster_id(), 7);
        let text = refused(&mut Identity::of_cluster(7), header(8, 2));
        assert!(text.contains("cluster 7"), "{text}");
    }

    #[test]
    fn a_member_may_not_go_back() {
        for (index, (before, after)) in [
            (status(42, 3, 100), status(41, 3, 100)),
            (status(42, 3, 100), status(42, 2, 100)),
            (status(42, 3, 100), status(42, 3, 99)),
        ]
        .iter()
        .enumerate()
        {
            let mut identity = Identity::default();
            identity.add_statuses([(before, None)]).expect("the first status");
            identity.add_statuses([(before, None)]).expect("the same again");
            let error = identity.add_statuses([(after, None)]).expect_err("it went back");
            assert!(error.to_string().contains(PROGRESS[index]), "{error}");
            assert!(error.to_string().contains("went back from"), "{error}");
        }
    }

    #[test]
    fn statuses_of_one_moment_come_in_any_order() {
        let (early, late) = (status(42, 3, 100), status(43, 4, 101));
        let mut identity = Identity::default();
        identity.add_statuses([(&late, None), (&early, None)]).expect("one moment");
        identity.add_statuses([(&status(0, 0, 0), None)]).expect("zero is not reported");
        assert!(identity.add_statuses([(&early, None)]).is_err(), "another moment");
    }

    #[test]
    fn a_snapshot_is_the_members_whose_connection_it_came_over() {
        let mut identity = Identity::default();
        identity.add(header(1, 2), Some("1")).expect("a response");
        identity.add(header(1, 2), Some("2")).expect("a response");
        for connection in [None, Some("1"), Some("2")] {
            let mut identity = identity.clone();
            identity.sent_over(connection);
            assert_eq!((identity.hidden(), identity.member_id()), (None, 2), "{connection:?}");
        }
        identity.sent_over(Some("3"));
        assert!(identity.hidden().is_some());
        assert_eq!((identity.cluster_id(), identity.member_id()), (1, 0));
    }

    #[test]
    fn the_first_reason_why_a_member_is_hidden_is_reported() {
        let mut identity = Identity::default();
        identity.hide("one");
        identity.hide("two");
        assert_eq!(identity.hidden(), Some("one"));
    }
}
