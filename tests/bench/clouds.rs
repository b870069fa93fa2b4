//! A large inventory and a large catalogue: what the costs, the exports and the plans of 10,000 servers take.

use std::{fmt::Write as _, fs, net::Ipv4Addr, process::Command, time::Instant};

use axum::{Json, Router, routing::get};
use capsule_tests::daemon::{Daemon, binary};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::process::{memory_kib, percentile};

const SERVERS: u32 = 10_000;
/// 500 plans in 20 regions are 10,000 offers.
const PLANS: u32 = 500;
const REGIONS: u32 = 20;
const RUNS: usize = 11;

/// Vultr's lists as a vendor of [`PLANS`] plans would answer them, each on one page.
async fn large_vendor() -> String {
    let regions: Vec<String> = (0..REGIONS).map(|n| format!("r{n:02}")).collect();
    let places: Vec<Value> =
        regions.iter().map(|id| json!({ "id": id, "city": id, "country": "US" })).collect();
    let plan = |n: u32| {
        let (cpus, hourly) = (1 + n % 64, 0.004 + f64::from(n) / 1_000.0);
        json!({
            "id": format!("vc2-{cpus}c-{n}"), "vcpu_count": cpus, "ram": 1_024 * (1 + n % 256), "disk": 25 + n,
            "disk_count": 1, "bandwidth": 1_024, "monthly_cost": hourly * 672.0, "hourly_cost": hourly,
            "locations": regions, "location_cost": {}, "deploy_ondemand": true,
        })
    };
    let plans: Vec<Value> = (0..PLANS).map(plan).collect();
    let page = |name: &str, items: Vec<Value>| json!({ name: items, "meta": { "links": { "next": "" } } });
    let answers = [
        ("/v2/account", json!({ "account": { "name": "large", "email": "large@example.org" } })),
        ("/v2/plans", page("plans", plans)),
        ("/v2/plans-metal", page("plans_metal", Vec::new())),
        ("/v2/regions", page("regions", places)),
        ("/v2/instances", page("instances", Vec::new())),
        ("/v2/bare-metals", page("bare_metals", Vec::new())),
    ];
    let router = answers.into_iter().fold(Router::new(), |router, (path, answer)| {
        router.route(path, get(move || async move { Json(answer) }))
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://127.0.0.1:{port}")
}

/// One server a row, on loopback addresses, each a member of one of ten tags.
fn rows() -> String {
    let mut csv = "name,provider,status,ip_address,region,cost_hourly,tags\n".to_owned();
    for n in 0..SERVERS {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 65, 0, 1)) + n);
        let tag = n % 10;
        writeln!(csv, "n-{n},vultr,running,{address},r{:02},0.0{},\"fleet,t{tag}\"", n % REGIONS, 1 + n % 9)
            .expect("a text takes every line");
    }
    csv
}

/// Wall time of one command line in milliseconds.
fn once(daemon: &Daemon, line: &str) -> f64 {
    let begun = Instant::now();
    let output = Command::new(binary("capsulectl"))
        .arg("--socket")
        .arg(daemon.socket())
        .args(line.split_whitespace())
        .output()
        .expect("the client runs");
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    took
}

/// Import, export, costs, catalogue and plans.
pub async fn clouds() {
    let daemon = Daemon::start_with(&[("RUST_LOG", "warn")]).await;
    let vendor = large_vendor().await;
    once(&daemon, &format!("provider configure vultr --field api_key=bench --endpoint {vendor}"));
    let refresh = once(&daemon, "templates refresh");
    println!("clouds: refresh of {} offers {refresh:.0} ms", PLANS * REGIONS);

    let file = daemon.path("fleet.csv");
    fs::write(&file, rows()).expect("the file is written");
    let import = format!("import {} --yes", file.display());
    let (first, second) = (once(&daemon, &import), once(&daemon, &import));
    println!("clouds: import of {SERVERS} rows {first:.0} ms, again without a change {second:.0} ms");

    for line in [
        "cost-report",
        "cost-report --by xnode -o json",
        "export - --format csv",
        "export - --format json",
        "export - --format ansible",
        "export - --format ssh-config",
        "export - --format prometheus",
        "providers",
        "templates",
        "templates -o json",
        "templates plan --min-cpu 4 --min-memory 8 -o json",
    ] {
        let mut times: Vec<f64> = (0..RUNS).map(|_| once(&daemon, line)).collect();
        println!("clouds: `{line}` {:.0} ms", percentile(&mut times, 0.5));
    }
    let (now, peak) = memory_kib(daemon.pid());
    println!("clouds: RSS {} MiB (peak {} MiB)", now / 1_024, peak / 1_024);
}
