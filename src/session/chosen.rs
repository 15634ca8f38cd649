//! What is believed of the member that is asked.

use crate::alarm::Troubles;
use crate::error::{Result, Stage};
use crate::etcd::messages::{Member, MemberList, Status};
use crate::identity::Identity;
use crate::member::{self, Candidate};

/// The member that is asked, and what it told.
pub struct Chosen {
    /// The member.
    pub candidate: Candidate,
    /// Why it, in words.
    pub choice: String,
    /// The version of its binary; empty where it does not tell.
    pub version: String,
    /// All members; `None` where it does not tell.
    pub members: Option<Vec<Member>>,
    /// What an operator must know.
    pub warnings: Vec<String>,
    /// What its statuses list, before the snapshot and after it.
    pub troubles: Troubles,
    /// Who it is.
    pub identity: Identity,
}

impl Chosen {
    /// A member of which nothing is believed yet, in this cluster; zero where that is
    /// unknown.
    pub fn new(candidate: Candidate, choice: String, version: String, cluster_id: u64) -> Self {
        Self {
            candidate,
            choice,
            version,
            members: None,
            warnings: Vec::new(),
            troubles: Troubles::default(),
            identity: Identity::of_cluster(cluster_id),
        }
    }

    /// The member's own entry in the member list.
    pub fn member(&self) -> Option<&Member> {
        let id = self.identity.member_id();
        self.members.as_ref()?.iter().find(|member| member.id == id)
    }

    /// Takes in statuses that were asked for at one time, each with the connection
    /// that it came over. Every status is judged here and by the same rules, before
    /// the snapshot and after it.
    pub fn believe(&mut self, told: Vec<(Status, Option<String>)>, warn: fn(&str)) -> Result<()> {
        let endpoint = self.candidate.endpoint.clone();
        let statuses = told.iter().map(|(status, connection)| (status, connection.as_deref()));
        self.identity
            .told_by_statuses(statuses)
            .map_err(|error| error.at(&endpoint, Stage::Probe))?;
        for (status, _) in &told {
            self.troubles.add(Troubles::of(status));
            for warning in member::warnings(status) {
                self.warn(warning, warn);
            }
        }
        if let Some(why) = self.identity.hidden() {
            self.warn(
                format!(
                    "which member answers here is unknown ({why}): the snapshot is proven, but not \
                     whose it is nor how fresh; name the members one by one in `endpoints`"
                ),
                warn,
            );
        }
        match member::disqualified(&self.troubles, self.identity.member_id()) {
            Some(error) => Err(error.at(&endpoint, Stage::Probe)),
            None => Ok(()),
        }
    }

    /// Takes in the member list, which came over this connection.
    pub fn told_members(&mut self, list: MemberList, connection: Option<&str>) -> Result<()> {
        let header = list.header.unwrap_or_default();
        let told = self.identity.told(header, connection);
        told.map_err(|error| error.at(&self.candidate.endpoint, Stage::Probe))?;
        match header.member_id {
            // Every etcd says who answers. Its proxy lists itself as the one member.
            0 => self.identity.hide("an `etcd grpc-proxy` stands between"),
            _ => self.members = Some(list.members),
        }
        Ok(())
    }

    /// Takes in the connection that the snapshot came over, where the host tells.
    pub fn sent_over(&mut self, connection: Option<&str>) {
        self.identity.sent_over(connection);
    }

    /// Warns of something, once.
    pub fn warn(&mut self, warning: String, warn: fn(&str)) {
        if !self.warnings.contains(&warning) {
            warn(&format!("`{}`: {warning}", self.candidate.endpoint));
            self.warnings.push(warning);
        }
    }
}
