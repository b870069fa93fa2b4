//! What one probe costs: `cargo run --release -p capsuled --example probe_cost [PROBES]`.
//!
//! The prober runs on a thread of its own, as in the daemon, and its processor time is read with
//! `getrusage(RUSAGE_THREAD)`; the servers it asks run on another. What the kernel does on the other end of
//! loopback is partly charged to the sender, so the figures are an upper bound. Linux only.

fn main() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    return linux::run();
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!("needs Linux: a thread's own processor time and all of 127.0.0.0/8")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        net::{Ipv4Addr, SocketAddr},
        sync::{Arc, mpsc},
        time::{Duration, Instant},
    };

    use capsule_api::{CheckId, Outcome};
    use capsuled::{
        clock::Clock,
        model::{CheckKey, CheckLimits, CheckPlan, XNodeKey},
        probe::{Prober, ProberOptions},
    };
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::Semaphore,
        task::JoinSet,
    };

    /// Probes under way at a time, as the daemon's schedule would spread them.
    const AT_A_TIME: usize = 64;

    pub fn run() -> anyhow::Result<()> {
        let probes: usize = std::env::args().nth(1).map_or(Ok(3000), |count| count.parse())?;
        let ssh = serve(b"SSH-2.0-Example\r\n", false)?;
        let http = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let prober = runtime.block_on(async { Arc::new(Prober::new(ProberOptions::default())) });
        println!("icmp: {:?}", prober.icmp());
        let address = |number: usize| Ipv4Addr::from(0x7f64_0000 + u32::try_from(number).unwrap_or(0));
        let url = format!("http://127.0.0.1:{}/", http.port());
        let named = json!({"kind": "http", "url": format!("http://web.test:{}/", http.port()), "connect_to": "127.0.0.1"});
        for (what, spec) in [
            ("icmp", json!({"kind": "ping"})),
            ("tcp", json!({"kind": "tcp", "port": ssh.port()})),
            ("ssh banner", json!({"kind": "ssh", "port": ssh.port(), "host_key": false})),
            ("http, address in the URL", json!({"kind": "http", "url": url})),
            ("http, name in the URL", named),
        ] {
            let plans: Vec<_> = (0..probes).map(|number| plan(&address(number).to_string(), &spec)).collect();
            runtime.block_on(ask(&prober, plans.iter().take(200).cloned().collect()))?;
            let (began, used) = (Instant::now(), thread_time()?);
            runtime.block_on(ask(&prober, plans))?;
            let (took, used) = (began.elapsed(), thread_time()? - used);
            let each = used.as_secs_f64() * 1e6 / f64::from(u32::try_from(probes)?);
            println!("{what:26} {each:6.1} µs of processor time each, {probes} in {} ms", took.as_millis());
        }
        runtime.shutdown_background();
        Ok(())
    }

    async fn ask(prober: &Arc<Prober>, plans: Vec<CheckPlan>) -> anyhow::Result<()> {
        let at = Clock::system().now();
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let mut probes = JoinSet::new();
        for plan in plans {
            let place = Arc::clone(&places).acquire_owned().await?;
            let prober = Arc::clone(prober);
            probes.spawn(async move {
                let finding = prober.probe(&plan, at).await;
                drop(place);
                finding
            });
        }
        for finding in probes.join_all().await {
            anyhow::ensure!(finding.outcome == Outcome::Up, "not up: {}", finding.detail);
        }
        Ok(())
    }

    fn thread_time() -> anyhow::Result<Duration> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Ok(Duration::from_micros(u64::try_from(micros)?))
    }

    /// A server on every loopback address, on a thread of its own, that says `words` to everybody, after
    /// having heard something if it `listens` first.
    fn serve(words: &'static [u8], listens: bool) -> anyhow::Result<SocketAddr> {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind("0.0.0.0:0").await?;
                sender.send(listener.local_addr()?)?;
                loop {
                    let (mut stream, _) = listener.accept().await?;
                    tokio::spawn(async move {
                        let mut heard = [0; 1024];
                        if !listens || stream.read(&mut heard).await.is_ok_and(|length| length > 0) {
                            let _ = stream.write_all(words).await;
                        }
                        while !listens && stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
                    });
                }
            })
        });
        Ok(receiver.recv()?)
    }

    fn plan(address: &str, spec: &Value) -> CheckPlan {
        CheckPlan {
            key: CheckKey(1),
            id: CheckId(uuid::Uuid::nil()),
            xnode: XNodeKey(1),
            name: "check".parse().expect("a name"),
            address: address.parse().expect("an address"),
            ssh_port: 22,
            host_key: None,
            probe: serde_json::from_value(spec.clone()).expect("a spec"),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            confirm_interval: Duration::from_secs(5),
            limits: CheckLimits { down_after: 2, up_after: 1 },
        }
    }
}
