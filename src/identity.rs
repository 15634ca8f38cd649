//! Which member responds at an endpoint, from everything that was reported there.
//!
//! A snapshot does not name its sender. The responses before and after it do: by
//! the ids in their headers, and by the connections on which they arrived, if the
//! host numbers those. Behind one name there may be several members: then the
//! responses disagree sooner or later, and that is an error. If the member cannot be
//! determined, it is recorded as unknown; it is never guessed.

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
    /// The highest values that the member reported; none of them ever decreases.
    progress: [u64; 3],
    /// The connections on which it reported its id.
    connections: Vec<String>,
    hidden: Option<&'static str>,
}

/// The names of the values in [`Identity::progress`], in its order.
const PROGRESS: [&str; 3] = ["revision", "raft term", "applied index"];

impl Identity {
    /// An identity of which only the cluster is known, from the responses of other
    /// endpoints; zero if that is unknown too.
    pub(crate) fn of_cluster(cluster_id: u64) -> Self {
        Self { cluster_id, ..Self::default() }
    }

    /// Adds a response that arrived on this connection. Fails if it is from another
    /// member or another cluster.
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

    /// Adds statuses that were requested at one time. Fails if one is from another
    /// member, or if the member is behind what it reported before: then it
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

    /// Records that it cannot be determined which member responds here, and why.
    pub(crate) fn hide(&mut self, why: &'static str) {
        self.hidden.get_or_insert(why);
    }

    /// Adds the connection on which the snapshot arrived: if no id was reported on it,
    /// neither before nor after, it may be another member's.
    pub(crate) fn sent_over(&mut self, connection: Option<&str>) {
        let vouched = |connection| self.connections.iter().any(|known| known == connection);
        if self.member_id != 0 && connection.is_some_and(|connection| !vouched(connection)) {
            self.hide("the connection of the snapshot was used for no other request");
        }
    }

    /// Why it cannot be determined which member responds here; `None` if it can.
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
    fn an_id_that_is_missing_first_is_filled_in_later_without_an_error() {
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
    fn an_endpoint_must_be_of_the_same_cluster_as_the_others() {
        assert_eq!(Identity::of_cluster(7).cluster_id(), 7);
        let text = refused(&mut Identity::of_cluster(7), header(8, 2));
        assert!(text.contains("cluster 7"), "{text}");
    }

    #[test]
    fn a_member_must_not_go_back() {
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
    fn statuses_requested_together_may_arrive_in_any_order() {
        let (early, late) = (status(42, 3, 100), status(43, 4, 101));
        let mut identity = Identity::default();
        identity.add_statuses([(&late, None), (&early, None)]).expect("one moment");
        identity.add_statuses([(&status(0, 0, 0), None)]).expect("zero is not reported");
        assert!(identity.add_statuses([(&early, None)]).is_err(), "another moment");
    }

    #[test]
    fn a_snapshot_is_from_the_member_on_whose_connection_it_arrived() {
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
