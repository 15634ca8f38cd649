//! The members of the new cluster, with their names and addresses.
//!
//! The names of the members of a restored cluster are arbitrary. So a name is kept only if
//! it is plain and unique; a URL only if it has the one form that etcd accepts
//! (`client/pkg/types/urls.go`) and nothing else in it.

use super::code;
use crate::etcd::messages::Id;
use std::net::{IpAddr, Ipv6Addr};

/// A member as the cluster reported it.
pub(super) struct Reported {
    pub(super) id: u64,
    /// Empty if it never started.
    pub(super) name: String,
    pub(super) is_learner: bool,
    pub(super) peer_urls: Vec<String>,
    pub(super) client_urls: Vec<String>,
}

/// A member of the new cluster. URLs are separated by commas.
#[derive(Debug, PartialEq)]
pub(super) struct Voter {
    pub(super) name: String,
    pub(super) peer_urls: String,
    pub(super) client_urls: String,
    pub(super) listen_peer: String,
    pub(super) listen_client: String,
}

/// The members of the new cluster, and remarks about the old ones.
pub(super) struct Members {
    pub(super) voters: Vec<Voter>,
    pub(super) remarks: Vec<String>,
    /// The wildcard address, for all addresses of a host.
    pub(super) wildcard: &'static str,
}

impl Members {
    /// Takes the voters in the order of the list.
    pub(super) fn of(list: &[Reported]) -> Members {
        let mut remarks = Vec::new();
        let kept: Vec<Kept> = list.iter().filter_map(|m| Kept::of(m, &mut remarks)).collect();
        let kept = without_doubles(kept, &mut remarks);
        let names = names(&kept, &mut remarks);
        let urls = || kept.iter().flat_map(|m| m.peers.iter().chain(&m.clients));
        let wildcard = if urls().any(|url| matches!(url.ip(), Some(IpAddr::V6(_)))) {
            "[::]"
        } else {
            "0.0.0.0"
        };
        let mut voters: Vec<Voter> = kept
            .iter()
            .zip(names)
            .map(|(member, name)| Voter {
                name,
                peer_urls: joined(&member.peers),
                client_urls: joined(&member.clients),
                listen_peer: listen(&member.peers, wildcard),
                listen_client: if member.clients.is_empty() {
                    format!("{}://localhost:2379", member.peers[0].scheme)
                } else {
                    listen(&member.clients, wildcard)
                },
            })
            .collect();
        if are_kubeadms(&voters) {
            // The API server and the probes of the host use this address.
            for voter in &mut voters {
                voter.listen_client.insert_str(0, "https://127.0.0.1:2379,");
            }
        }
        Members { voters, remarks, wildcard }
    }
}

/// Whether these look like members that kubeadm sets up: each has one peer URL, `https` at
/// an address and port 2380, and one client URL, `https` at the same address and port
/// 2379. The address is not a loopback address.
pub(super) fn are_kubeadms(voters: &[Voter]) -> bool {
    let is = |voter: &Voter| {
        let (Some(peer), Some(client)) =
            (Url::parse(&voter.peer_urls), Url::parse(&voter.client_urls))
        else {
            return false;
        };
        (peer.scheme.as_str(), peer.port, client.scheme.as_str(), client.port)
            == ("https", 2380, "https", 2379)
            && peer.host == client.host
            && peer.ip().is_some_and(|ip| !ip.is_loopback() && !ip.is_unspecified())
    };
    !voters.is_empty() && voters.iter().all(is)
}

/// The value of `--initial-cluster`.
pub(super) fn initial_cluster(voters: &[Voter]) -> String {
    let pairs = voters.iter().flat_map(|voter| {
        voter.peer_urls.split(',').map(move |url| format!("{}={url}", voter.name))
    });
    pairs.collect::<Vec<_>>().join(",")
}

/// A voter that can be restored; its name is not decided yet.
struct Kept<'a> {
    reported: &'a Reported,
    peers: Vec<Url>,
    clients: Vec<Url>,
}

impl<'a> Kept<'a> {
    fn of(member: &'a Reported, remarks: &mut Vec<String>) -> Option<Self> {
        let who = described(member);
        let urls = |list: &[String]| -> Vec<Url> {
            let first = |&(place, url): &(usize, &String)| !list[..place].contains(url);
            list.iter().enumerate().filter(first).filter_map(|(_, url)| Url::parse(url)).collect()
        };
        let (peers, clients) = (urls(&member.peer_urls), urls(&member.client_urls));
        let odd = member
            .peer_urls
            .iter()
            .chain(&member.client_urls)
            .find(|url| Url::parse(url).is_none());
        if member.is_learner {
            remarks.push(format!("Left out: {who}, a learner. Add it again afterwards."));
        } else if member.name.is_empty() {
            remarks.push(format!(
                "Left out: {who}, which was added but never started. Add it again afterwards."
            ));
        } else if let (true, odd) = (peers.is_empty(), odd) {
            remarks.push(match odd {
                Some(url) => format!(
                    "Left out: {who}, whose peer URL {} does not have the form that etcd accepts. \
                     Add it again afterwards.",
                    code(url)
                ),
                None => format!("Left out: {who}, which has no peer URL. Add it again afterwards."),
            });
        } else {
            if let Some(url) = odd {
                remarks.push(format!(
                    "Left out: the URL {} of {who}, which does not have the form that etcd \
                        accepts.",
                    code(url)
                ));
            }
            return Some(Kept { reported: member, peers, clients });
        }
        None
    }
}

fn described(member: &Reported) -> String {
    match member.name.as_str() {
        "" => format!("member `{}`", Id(member.id)),
        name => format!("{} (member `{}`)", code(name), Id(member.id)),
    }
}

/// Removes members that share a peer URL with another one: in a cluster each is unique.
fn without_doubles<'a>(kept: Vec<Kept<'a>>, remarks: &mut Vec<String>) -> Vec<Kept<'a>> {
    let mut single: Vec<Kept<'a>> = Vec::new();
    for member in kept {
        let is_taken = |url: &Url| single.iter().any(|other| other.peers.contains(url));
        if !member.peers.iter().any(is_taken) {
            single.push(member)
        } else {
            remarks.push(format!(
                "Left out: {}, whose peer URL is that of another member.",
                described(member.reported)
            ))
        }
    }
    single
}

/// Returns a plain and unique name for each.
fn names(kept: &[Kept], remarks: &mut Vec<String>) -> Vec<String> {
    let has = |name: &str| kept.iter().filter(|member| member.reported.name == name).count();
    let keeps = |name: &str| is_plain(name) && has(name) == 1;
    let mut given: Vec<String> = Vec::new();
    kept.iter()
        .map(|member| {
            let old = &member.reported.name;
            if keeps(old) {
                return old.clone();
            }
            let mut name = format!("member-{}", Id(member.reported.id));
            while given.contains(&name) || has(&name) > 0 {
                name.push_str("-2");
            }
            given.push(name.clone());
            let why = if is_plain(old) {
                "because another member has the same name"
            } else {
                "which some tools do not accept"
            };
            remarks.push(format!(
                "`{name}` was called {}, {why}. Its unit may keep its `--name`.",
                code(old)
            ));
            name
        })
        .collect()
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('-')
}

/// A URL of the form that etcd accepts: a scheme, a host and a port, and no more.
#[derive(Debug, PartialEq)]
struct Url {
    text: String,
    scheme: String,
    /// IPv6 addresses in brackets.
    host: String,
    port: u16,
}

impl Url {
    fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        if !["http", "https", "unix", "unixs"].contains(&scheme) || text.len() > 256 {
            return None;
        }
        let (host, port) = rest.rsplit_once(':')?;
        let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|&port: &u16| digits && port != 0)?;
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                !host.is_empty() && host.chars().all(plain) && !host.starts_with('-')
            }
        };
        is_host.then(|| Url { text: text.into(), scheme: scheme.into(), host: host.into(), port })
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.trim_matches(['[', ']']).parse().ok()
    }

    /// The address that etcd binds for it; `None` if it would not bind it.
    fn binds(&self) -> Option<IpAddr> {
        match self.ip() {
            None if self.host == "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
            ip => ip.filter(|ip| !ip.is_unspecified()),
        }
    }

    fn is_socket(&self) -> bool {
        self.scheme.starts_with("unix")
    }
}

fn joined(urls: &[Url]) -> String {
    urls.iter().map(|url| url.text.as_str()).collect::<Vec<_>>().join(",")
}

/// The URLs on which a member with these URLs listens. etcd binds addresses and
/// `localhost`, but not names; for a URL with a name, all addresses of the host are
/// bound at its port, once.
fn listen(urls: &[Url], wildcard: &str) -> String {
    let (mut bound, mut listen) = (Vec::new(), Vec::new());
    for url in urls {
        let at_port = || urls.iter().filter(|other| !other.is_socket() && other.port == url.port);
        let address =
            if at_port().all(|other| other.binds().is_some()) { url.binds() } else { None };
        if url.is_socket() {
            listen.push(url.text.clone());
        } else if !bound.contains(&(url.port, address)) {
            bound.push((url.port, address));
            listen.push(match address {
                Some(_) => url.text.clone(),
                None => format!("{}://{wildcard}:{}", url.scheme, url.port),
            });
        }
    }
    listen.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_accepted_only_in_the_form_that_etcd_accepts() {
        for text in [
            "http://10.0.0.1:2380",
            "https://m1.example_x:1",
            "http://[fd00::1]:2380",
            "unix://localhost:25089",
            "http://localhost:65535",
        ] {
            assert_eq!(Url::parse(text).map(|url| url.text).as_deref(), Some(text));
        }
        for text in [
            "",
            "m1:2380",
            "http://m1",
            "http://:2380",
            "http://m1:0",
            "http://m1:65536",
            "http://m1:+1",
            "http://m1:2380/",
            "http://m1:2380,m2=http://10.6.6.6:2380",
            "http://a=b:2380",
            "http://-m1:2380",
            "http://[fe80::1%25eth0]:2380",
            "http://[m1]:2380",
            "http://u:p@m1:2380",
            "http://$(id):2380",
            "http://m1\n:2380",
            "http://m'1:2380",
            "HTTP://m1:2380",
            "ftp://m1:2380",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_kept_only_if_they_are_plain() {
        for name in ["m1", "a.b_c-1", "default", "esac"] {
            assert!(is_plain(name), "{name}");
        }
        let long = "a".repeat(65);
        for name in ["", "-m1", "a b", "m9=http://10.6.6.6:2380,m2", "a\n```", "$(id)", "ü", &long]
        {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn listen_addresses_can_be_bound() {
        for (urls, wildcard, expected) in [
            (&["http://10.0.0.1:2380"][..], "0.0.0.0", "http://10.0.0.1:2380"),
            (&["http://m1:2380"], "0.0.0.0", "http://0.0.0.0:2380"),
            (&["https://m1:2380"], "[::]", "https://[::]:2380"),
            // A pod's name and its service's.
            (&["http://m1.a:2379", "http://a:2379"], "0.0.0.0", "http://0.0.0.0:2379"),
            (&["http://10.0.0.1:2379", "http://m1:2379"], "0.0.0.0", "http://0.0.0.0:2379"),
            (
                &["http://m1:2379", "http://10.0.0.1:4001"],
                "0.0.0.0",
                "http://0.0.0.0:2379,http://10.0.0.1:4001",
            ),
            (
                &["http://localhost:2379", "http://127.0.0.1:2379"],
                "0.0.0.0",
                "http://localhost:2379",
            ),
            (
                &["https://127.0.0.1:2379", "https://10.0.0.1:2379"],
                "0.0.0.0",
                "https://127.0.0.1:2379,https://10.0.0.1:2379",
            ),
            (&["http://0.0.0.0:2379", "http://10.0.0.1:2379"], "0.0.0.0", "http://0.0.0.0:2379"),
            (
                &["unix://localhost:2379", "http://m1:2379"],
                "0.0.0.0",
                "unix://localhost:2379,http://0.0.0.0:2379",
            ),
        ] {
            let urls: Vec<Url> = urls.iter().map(|url| Url::parse(url).expect("a URL")).collect();
            assert_eq!(listen(&urls, wildcard), expected);
        }
    }
}
