//! The facts about the chosen member, and what rules it out.

use super::probe::Survey;
use crate::error::{Result, Stage};
use crate::etcd::alarm::Troubles;
use crate::etcd::messages::{Member, MemberList, Status};
use crate::identity::Identity;
use crate::member::{self, Candidate};
use crate::proof::Found;
use crate::snapshot::stream::Sent;

/// The chosen member, and what it reported.
pub(crate) struct Chosen {
    /// The member.
    pub candidate: Candidate,
    /// Why this member was chosen.
    pub choice: String,
    /// The version of its binary; empty if it does not report it.
    pub version: String,
    /// All members; `None` if it does not report them.
    pub members: Option<Vec<Member>>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
    /// The alarms and errors in its statuses, before the snapshot and after it.
    pub troubles: Troubles,
    /// Its identity.
    pub identity: Identity,
}

impl Chosen {
    /// A member of which nothing is known yet except what all endpoints report of the cluster.
    pub(super) fn new(
        candidate: Candidate,
        choice: String,
        version: String,
        survey: &Survey,
    ) -> Self {
        Self {
            candidate,
            choice,
            version,
            members: None,
            warnings: Vec::new(),
            troubles: Troubles { alarms: survey.alarms.clone(), others: Vec::new() },
            identity: Identity::of_cluster(survey.cluster_id),
        }
    }

    /// The member's own entry in the member list.
    pub(crate) fn member(&self) -> Option<&Member> {
        let id = self.identity.member_id();
        self.members.as_ref()?.iter().find(|member| member.id == id)
    }

    /// Adds statuses that were requested at one time, each with the connection
    /// on which it arrived. Every status is checked here and by the same rules, before
    /// the snapshot and after it.
    pub(crate) fn add_statuses(
        &mut self,
        reported: Vec<(Status, Option<String>)>,
        warn: fn(&str),
    ) -> Result<()> {
        let endpoint = self.candidate.endpoint.clone();
        let statuses = reported.iter().map(|(status, connection)| (status, connection.as_deref()));
        self.identity.add_statuses(statuses).map_err(|error| error.at(&endpoint, Stage::Probe))?;
        for (status, _) in &reported {
            self.troubles.add(Troubles::of(status));
            for warning in member::warnings(status) {
                self.warn(warning, warn);
            }
        }
        if let Some(why) = self.identity.hidden() {
            self.warn(
                format!(
                    "it is unknown which member responds here ({why}): the snapshot is verified, \
                        but its member and its age are unknown; name the members one by one in \
                        `endpoints`"
                ),
                warn,
            );
        }
        match member::disqualified(&self.troubles, self.identity.member_id()) {
            Some(error) => Err(error.at(&endpoint, Stage::Probe)),
            None => Ok(()),
        }
    }

    /// Adds what the pages of the snapshot contain about the member that sent it.
    pub(crate) fn add_pages(&mut self, found: &Found, warn: impl Fn(&str)) -> Result<()> {
        for alarm in &found.alarms {
            self.warn(member::warning(alarm), &warn);
            self.troubles.add_alarm(alarm.clone());
        }
        match member::disqualified(&self.troubles, self.identity.member_id()) {
            Some(error) => Err(error.at(&self.candidate.endpoint, Stage::Proof)),
            None => Ok(()),
        }
    }

    /// Adds the member list, which arrived on this connection.
    pub(crate) fn add_members(&mut self, list: MemberList, connection: Option<&str>) -> Result<()> {
        let header = list.header.unwrap_or_default();
        let reported = self.identity.add(header, connection);
        reported.map_err(|error| error.at(&self.candidate.endpoint, Stage::Probe))?;
        match header.member_id {
            // Every etcd reports its member id. `grpc-proxy` lists itself as the only member.
            0 => self.identity.hide("an `etcd grpc-proxy` is in between"),
            _ => self.members = Some(list.members),
        }
        Ok(())
    }

    /// Adds what the snapshot shows of its sender, which may be another member
    /// than the one that was identified. `after_status` is the status after the snapshot.
    pub(crate) fn add_snapshot(&mut self, sent: &Sent, after_status: Option<&Status>) {
        // A proxy may pass each call to another member, by the call's name or
        // by weights, which no number of statuses detects for certain.
        let is_alone = self.members.as_ref().is_some_and(|members| members.len() == 1);
        if sent.is_proxied && !is_alone {
            self.identity.hide("an HTTP proxy is in between, which may lead to several members");
        }
        let size =
            |status: Option<&Status>| status.map_or(0, |s| u64::try_from(s.db_size).unwrap_or(0));
        let (before, after) = (size(self.candidate.status.as_ref()), size(after_status));
        // A database grows, or a defragmentation makes it smaller, which waits for the
        // end of a snapshot. Zero means that the size was not reported.
        let was_defragmented = after != 0 && after < before;
        let fits =
            |sent: u64| was_defragmented || (before <= sent && (after == 0 || sent <= after));
        if !sent.database.is_none_or(fits) {
            self.identity.hide(
                "the snapshot does not have the size that this member reported for its database",
            );
        }
        let revision = |status: Option<&Status>| status.map_or(0, |s| s.header().revision);
        let (before, after) = (revision(self.candidate.status.as_ref()), revision(after_status));
        // Zero means that it was not reported. A member's revision never decreases.
        if sent.revision.is_some_and(|sent| sent < before || (after != 0 && sent > after)) {
            self.identity.hide("the snapshot has a revision that this member did not have");
        }
        self.identity.sent_over(sent.connection.as_deref());
    }

    /// Adds and reports a warning, unless it is known already.
    pub(crate) fn warn(&mut self, warning: String, warn: impl Fn(&str)) {
        if !self.warnings.contains(&warning) {
            warn(&format!("`{}`: {warning}", self.candidate.endpoint));
            self.warnings.push(warning);
        }
    }
}
