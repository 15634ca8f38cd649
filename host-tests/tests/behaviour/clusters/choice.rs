//! Sick members beside a well one: the well one is chosen, in whatever order they
//! are typed.

use super::{VERSION, endpoints, fill, from, text};
use host_tests::backup::BackedUp;
use host_tests::etcd::{Client, Cluster};
use serde_json::Value;
use std::sync::Mutex;

/// Every order in which these can be typed.
fn orders(members: &[usize]) -> Vec<Vec<usize>> {
    let beginning_with = |&first: &usize| {
        let others: Vec<usize> = members.iter().copied().filter(|&other| other != first).collect();
        let orders = orders(&others).into_iter();
        orders.map(move |order| [vec![first], order].concat()).collect::<Vec<_>>()
    };
    match members {
        [] => vec![Vec::new()],
        _ => members.iter().flat_map(beginning_with).collect(),
    }
}

/// Fails unless each backup from these members, in every order of typing, is one
/// of the well member; returns how many there were.
#[track_caller]
fn assert_chosen_in_every_order(cluster: &Cluster, well: usize, sick: &[usize]) -> usize {
    let orders = orders(&[&[well], sick].concat());
    let typed: Vec<Vec<String>> = orders.iter().map(|order| endpoints(cluster, order)).collect();
    let (count, well) = (typed.len(), cluster.endpoint(well));
    let (left, wrong) = (Mutex::new(typed), Mutex::new(Vec::new()));
    let next = || left.lock().expect("no holder panics").pop();
    std::thread::scope(|scope| {
        // A frozen member is mostly waited for.
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(typed) = next() {
                    let BackedUp { outcome, target } =
                        from(&typed).option("connect_timeout=2s").option("proof=off").run();
                    if outcome.code != 0 || target.manifest()["endpoint"] != well {
                        wrong.lock().expect("no holder panics").push(outcome.to_string());
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no holder panics");
    println!("{count} choices, {} false", wrong.len());
    assert!(wrong.is_empty(), "`{well}` was not chosen: {}", wrong[0]);
    count
}

#[test]
fn a_well_member_is_chosen_before_sick_ones_in_whatever_order_they_are_typed() {
    let mut cluster = Cluster::start(VERSION, 6);
    fill(&cluster);
    let learner = cluster.add_learner();
    let (leader, followers) = (cluster.leader(), cluster.followers());
    let [well, full, corrupt, dead, frozen] = followers[..] else {
        panic!("of six, five follow: {followers:?}")
    };
    cluster.kill(dead);
    cluster.freeze(frozen);
    cluster.raise(full, "NOSPACE");
    cluster.raise(corrupt, "CORRUPT");
    let choices = assert_chosen_in_every_order(&cluster, well, &[dead, frozen, corrupt])
        + assert_chosen_in_every_order(&cluster, well, &[corrupt, learner, full])
        + assert_chosen_in_every_order(&cluster, leader, &[corrupt, learner, full]);
    println!("{choices} choices in all");
}

/// A cluster was forced to go on with one member. Two others are left of the old
/// one: one knows no leader, the other has not even noticed, and responds as any
/// follower does that lags.
#[test]
fn what_is_left_of_a_cluster_that_was_given_up_is_not_chosen_in_whatever_order_it_is_typed() {
    let mut cluster = Cluster::start(VERSION, 4);
    fill(&cluster);
    let (well, followers) = (cluster.leader(), cluster.followers());
    let [lagging, leaderless, dead] = followers[..] else {
        panic!("of four, three follow: {followers:?}")
    };
    // It would take that long to miss its leader.
    cluster.restart(lagging, &["--election-timeout=50000"]);
    cluster.leader();
    cluster.kill(well);
    cluster.kill(dead);
    cluster.wait_until_leaderless(leaderless);
    cluster.force_new_cluster(well);
    put_more_than_a_follower_may_miss(&cluster.client(well));
    assert_chosen_in_every_order(&cluster, well, &[lagging, leaderless, dead]);

    let status = cluster.client(lagging).status();
    assert!(status["leader"].is_string() && status["errors"] == Value::Null, "{status}");
    let BackedUp { outcome, target } = from(&endpoints(&cluster, &[lagging, well])).run();
    outcome.assert_ok();
    let reported = format!("leader, preferred to {} (follower, ", cluster.endpoint(lagging));
    let manifest = target.manifest();
    let choice = text(&manifest["choice"]);
    assert!(choice.starts_with(&reported) && choice.ends_with(" entries behind)"), "{choice}");
}

fn put_more_than_a_follower_may_miss(member: &Client) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1300).map(|_| member.put("key", "value")).max());
        }
    });
}
