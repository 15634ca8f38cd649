//! Kubernetes on a restored etcd: what its API servers serve, and what their
//! clients see.

mod api_server;
mod kubeadm;

use host_tests::kubernetes::Lists;
use host_tests::run::Run;
use serde_json::Value;

/// By so much the guide raises the revision.
const BUMP: u64 = 1_000_000_000;

/// Creates one object of each kind that a cluster is likely to hold.
#[track_caller]
fn populate(kubectl: impl Fn(&[&str]) -> Run) {
    let create = |objects: &str| {
        kubectl(&["create", "-f", "-"]).input(objects).wait().assert_ok();
    };
    create(include_str!("definition.yaml"));
    let name = "crd/backups.example.com";
    let wait = ["wait", "--for", "condition=Established", "--timeout", "60s", name];
    kubectl(&wait).wait().assert_ok();
    create(include_str!("objects.yaml"));
}

/// Does what happens between a backup and the bad day.
#[track_caller]
fn change(kubectl: impl Fn(&[&str]) -> Run) {
    let run = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        kubectl(&arguments).wait().assert_ok();
    };
    run("--namespace shop label --all configmap,secret,deployment,backup changed=yes");
    run("--namespace shop scale deployment/web --replicas 9");
    run("--namespace shop delete service/web statefulset/database lease/leader backup/nightly");
    run("--namespace shop create configmap later --from-literal a=b");
    run("create namespace later");
    run("delete clusterrole/shop-viewer priorityclass/urgent");
}

#[track_caller]
fn assert_same(restored: &Lists, expected: &Lists) {
    assert!(restored.keys().eq(expected.keys()), "{:?}", restored.keys());
    for (list, objects) in expected {
        assert_eq!(restored[list], *objects, "`{list}`");
    }
}

fn resource_version(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().expect("it has a resource version");
    text.parse().expect("etcd's revision")
}

/// The blocks below a heading, which is given with those above it.
#[track_caller]
fn blocks<'a>(guide: &'a str, headings: &[&str]) -> Vec<&'a str> {
    let below = |text: &'a str, heading: &&str| {
        let found = text.split_once(&format!("\n{heading}\n"));
        found.unwrap_or_else(|| panic!("the guide has no {headings:?}:\n{guide}")).1
    };
    let section = headings.iter().fold(guide, below);
    let section = section.split_once("\n#").map_or(section, |(section, _)| section);
    let blocks = section.split("```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split_once("```").map(|(block, _)| block)).collect()
}
