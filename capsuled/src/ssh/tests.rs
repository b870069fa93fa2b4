//! The promises of this module against real OpenSSH servers and against the worst servers one can meet.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command as Program, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    testing::{KeyFiles, Sshd, speaks},
    *,
};

const WAIT: Duration = Duration::from_secs(20);

/// Deadlines for servers that are expected to miss them.
const SHORT: Limits = Limits {
    connect: Duration::from_secs(2),
    handshake: Duration::from_millis(100),
    auth: Duration::from_millis(500),
};

async fn session(sshd: &Sshd) -> Session {
    connect(&sshd.destination(), Limits::default()).await.expect("a session")
}

async fn stdout(remote: &impl Remote, command: Command) -> String {
    let output = remote.run(command, WAIT).await.expect("output");
    assert!(output.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn to(address: SocketAddr) -> Destination {
    let host = address.ip().to_string().parse().expect("an address");
    let auth = Auth::Key(KeyFiles::generate("ed25519", "").private());
    Destination { host, port: address.port(), user: "ops".to_owned(), auth, pinned: None, jump: None }
}

#[tokio::test]
async fn the_first_contact_shows_the_key_to_pin_and_the_next_one_demands_it() {
    let (Some(sshd), Some(other)) = (Sshd::start(), Sshd::start()) else { return };
    let mut destination = sshd.destination();
    let first = connect(&destination, Limits::default()).await.expect("trust on first use");
    assert_eq!(first.host_key(), sshd.host_key());
    destination.pinned = Some(format!("{} a comment", first.host_key()));
    connect(&destination, Limits::default()).await.expect("the same key");
    destination.pinned = Some(other.host_key());
    let changed = connect(&destination, Limits::default()).await;
    let Err(SshError::HostKeyChanged { offered, pinned, offered_fingerprint }) = changed else {
        panic!("should be refused: {changed:?}");
    };
    assert_eq!((offered, pinned), (sshd.host_key(), other.host_key()));
    assert_eq!(offered_fingerprint, fingerprint(&sshd.host_key()).expect("a key"));
}

#[tokio::test]
async fn a_server_with_several_host_keys_is_asked_for_the_pinned_one() {
    if testing::missing("ssh-keygen") {
        return;
    }
    let (ecdsa, rsa) = (KeyFiles::generate("ecdsa", ""), KeyFiles::generate("rsa", ""));
    let more = format!("HostKey {}\nHostKey {}", ecdsa.path().display(), rsa.path().display());
    let Some(sshd) = Sshd::start_with(&more) else { return };
    assert_eq!(session(&sshd).await.host_key(), sshd.host_key(), "ed25519 without a pin");
    for key in [&ecdsa, &rsa] {
        let pinned = normalise_public_key(&key.public()).expect("a key");
        let destination = Destination { pinned: Some(pinned.clone()), ..sshd.destination() };
        let session = connect(&destination, Limits::default()).await.expect("the pinned key");
        assert_eq!(session.host_key(), pinned);
    }
}

#[tokio::test]
async fn a_key_the_server_does_not_know_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    let stranger = Auth::Key(KeyFiles::generate("ed25519", "").private());
    let destination = Destination { auth: stranger, ..sshd.destination() };
    let refused = connect(&destination, Limits::default()).await;
    assert!(matches!(refused, Err(SshError::AuthRefused { .. })), "{refused:?}");
    let encrypted = Auth::Key(KeyFiles::generate("ed25519", "secret").private());
    let destination = Destination { auth: encrypted, ..sshd.destination() };
    let bad = connect(&destination, Limits::default()).await.expect_err("no passphrase");
    assert!(matches!(bad, SshError::BadKey(KeyError::Encrypted)) && bad.is_local(), "{bad:?}");
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_the_nodes_trouble() {
    let refused = connect(&to(testing::free_address()), SHORT).await.expect_err("nobody there");
    assert!(matches!(refused, SshError::Unreachable { .. }) && !refused.is_local(), "{refused:?}");
}

#[tokio::test]
async fn output_status_and_input_pass_through() {
    let Some(sshd) = Sshd::start() else { return };
    let session = session(&sshd).await;
    let cat = Command::new("cat").stdin(vec![b'x'; 300_000]);
    assert_eq!(stdout(&session, cat).await.len(), 300_000);
    assert_eq!(stdout(&session, Command::new("cat")).await, "", "input is empty unless given");
    let script = Script::new("echo \"$1\"; echo oops >&2; exit 7\n").arg("it's; $HOME");
    let output = session.run(script, WAIT).await.expect("output");
    assert_eq!(
        (output.status, &output.stdout[..], &output.stderr[..]),
        (Some(7), &b"it's; $HOME\n"[..], &b"oops\n"[..])
    );
    let killed = session.run(Script::new("kill -9 $$\n"), WAIT).await.expect("output");
    assert_eq!(killed.status, None);
}

#[tokio::test]
async fn a_session_runs_more_commands_than_the_server_has_channels() {
    let Some(sshd) = Sshd::start_with("MaxSessions 2") else { return };
    let session = session(&sshd).await;
    for number in 0..10 {
        assert_eq!(
            stdout(&session, Command::new("echo").arg(number.to_string())).await,
            format!("{number}\n")
        );
    }
    let (a, b) =
        tokio::join!(stdout(&session, Command::new("hostname")), stdout(&session, Command::new("hostname")));
    assert_eq!(a, b);
}

#[tokio::test]
async fn a_command_that_prints_without_end_is_cut_off() {
    let Some(sshd) = Sshd::start() else { return };
    let session = session(&sshd).await;
    let flood = session.run(Command::new("yes"), WAIT).await;
    assert!(matches!(flood, Err(SshError::OutputTooLarge { limit: 1_048_576 })), "{flood:?}");
    assert!(!session.is_usable());
    let session = self::session(&sshd).await;
    let quiet_flood = session.run(Script::new("yes >&2\n"), WAIT).await;
    assert!(matches!(quiet_flood, Err(SshError::OutputTooLarge { .. })), "{quiet_flood:?}");
}

#[tokio::test]
async fn a_command_that_hangs_costs_its_deadline_and_its_session() {
    let Some(sshd) = Sshd::start() else { return };
    let session = session(&sshd).await;
    let hung = session.run(Command::new("sleep").arg("600"), Duration::from_millis(200)).await;
    assert!(matches!(hung, Err(SshError::TimedOut { stage: Stage::Command })), "{hung:?}");
    assert!(!session.is_usable());
}

#[tokio::test]
async fn hostile_servers_cost_at_most_one_deadline() {
    let begun = Instant::now();
    let silent = connect(&to(speaks(b"", b"").await), SHORT).await;
    assert!(matches!(silent, Err(SshError::TimedOut { stage: Stage::Banner })), "{silent:?}");
    let mute = connect(&to(speaks(b"SSH-2.0-mute\r\n", b"").await), SHORT).await;
    assert!(matches!(mute, Err(SshError::TimedOut { stage: Stage::KeyExchange })), "{mute:?}");
    let endless: [(&[u8], &[u8], Stage); 4] = [
        (b"", b"and another line\r\n", Stage::Banner),
        (b"", &[b'x'; 4096], Stage::Banner),
        // Read as a packet, its length makes no sense.
        (b"SSH-2.0-x\r\n", b"\xff\xfe\xfd\xfc garbage", Stage::KeyExchange),
        // Packets that mean nothing (SSH_MSG_IGNORE) but are valid: only the allowance ends them.
        (b"SSH-2.0-x\r\n", b"\0\0\0\x0c\x06\x02\0\0\0\0\0\0\0\0\0\0", Stage::KeyExchange),
    ];
    for (first, again, expected) in endless {
        let refused = connect(&to(speaks(first, again).await), Limits::default()).await;
        let Err(SshError::Protocol { stage, detail }) = refused else { panic!("{again:?}: {refused:?}") };
        assert_eq!(stage, expected, "{detail}");
    }
    assert!(begun.elapsed() < WAIT, "an endless server is refused long before its deadlines");
}

#[tokio::test]
async fn a_node_behind_two_jump_hosts_is_reached_with_every_key_checked() {
    let (Some(outer), Some(inner), Some(node)) = (Sshd::start(), Sshd::start(), Sshd::start()) else {
        return;
    };
    let middle = Destination { jump: Some(Box::new(outer.destination())), ..inner.destination() };
    let mut destination = Destination { jump: Some(Box::new(middle)), ..node.destination() };
    let session = connect(&destination, Limits::default()).await.expect("a session");
    assert_eq!(session.host_key(), node.host_key());
    let jump = session.via().expect("a jump host");
    assert_eq!(jump.host_key(), inner.host_key());
    assert_eq!(jump.via().map(Session::host_key), Some(outer.host_key().as_str()));
    let big = Command::new("head").args(["-c", "1000000", "/dev/zero"]);
    assert_eq!(session.run(big, WAIT).await.expect("output").stdout.len(), 1_000_000);
    session.close().await;

    let jump = destination.jump.as_mut().expect("a jump host");
    jump.pinned = Some(node.host_key());
    let error = connect(&destination, Limits::default()).await.expect_err("the jump host's key changed");
    let SshError::Jump { host, source } = error else { panic!("about the jump host: {error:?}") };
    assert_eq!(host, inner.destination().host);
    assert!(matches!(*source, SshError::HostKeyChanged { .. }), "{source:?}");
}

#[tokio::test]
async fn what_a_jump_host_cannot_reach_is_the_nodes_trouble_and_a_closed_one_its_own() {
    let (Some(jump), Some(closed)) = (Sshd::start(), Sshd::start_with("AllowTcpForwarding no")) else {
        return;
    };
    let nobody = to(testing::free_address());
    let through = |jump: &Sshd| Destination { jump: Some(Box::new(jump.destination())), ..nobody.clone() };
    let error = connect(&through(&jump), Limits::default()).await.expect_err("nobody there");
    assert!(matches!(error, SshError::Unreachable { .. }) && !error.is_local(), "{error:?}");
    let error = connect(&through(&closed), Limits::default()).await.expect_err("no forwarding");
    assert!(matches!(error, SshError::Protocol { stage: Stage::Connect, .. }), "{error:?}");
    let mut long = nobody.clone();
    for _ in 0..MAX_HOPS {
        long = Destination { jump: Some(Box::new(long)), ..nobody.clone() };
    }
    assert!(matches!(connect(&long, SHORT).await, Err(SshError::TooManyHops)));
}

/// An SSH agent that holds `key`; ends when dropped.
struct Agent {
    child: Child,
    folder: tempfile::TempDir,
}

impl Agent {
    async fn holding(key: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("agent");
        let child = Program::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
        let agent = Self { child: child.expect("ssh-agent starts"), folder };
        let until = Instant::now() + WAIT;
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            assert!(Instant::now() < until, "the agent does not listen");
            tokio::task::yield_now().await;
        }
        let added = Program::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status();
        assert!(added.expect("ssh-add runs").success());
        agent
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_agents_key_opens_the_door_and_a_missing_agent_is_our_trouble() {
    if testing::missing("ssh-agent") {
        return;
    }
    let Some(sshd) = Sshd::start() else { return };
    let agent = Agent::holding(sshd.client_key().path()).await;
    let mut destination = Destination { auth: Auth::Agent(agent.socket()), ..sshd.destination() };
    connect(&destination, Limits::default()).await.expect("a session");
    destination.auth = Auth::Agent("/nonexistent/agent".into());
    let error = connect(&destination, Limits::default()).await.expect_err("no agent");
    assert!(matches!(error, SshError::Agent(_)) && error.is_local(), "{error:?}");
}

#[tokio::test]
async fn an_rsa_key_opens_the_door() {
    if testing::missing("ssh-keygen") {
        return;
    }
    let rsa = KeyFiles::generate("rsa", "");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authorized = folder.path().join("keys");
    std::fs::write(&authorized, rsa.public()).expect("written");
    let config = format!("AuthorizedKeysFile {}", authorized.display());
    let Some(sshd) = Sshd::start_with(&config) else { return };
    let destination = Destination { auth: Auth::Key(rsa.private()), ..sshd.destination() };
    connect(&destination, Limits::default()).await.expect("a session");
}

#[tokio::test]
async fn a_pool_connects_once_for_all_who_ask_at_the_same_time() {
    let Some(sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits::default());
    let destination = sshd.destination();
    let (a, b) = tokio::join!(pool.session(1, &destination), pool.session(1, &destination));
    let (a, b) = (a.expect("a session"), b.expect("a session"));
    assert!(std::ptr::eq(a.session(), b.session()));
    drop((a, b));
    let again = pool.session(1, &destination).await.expect("a session");
    assert!(again.is_reused());
    assert_eq!(stdout(&again, Command::new("echo").arg("hi")).await, "hi\n");
    drop(again);
    pool.close().await;
    assert!(pool.is_empty());
    let after = pool.session(1, &destination).await.expect("a session");
    assert!(!after.is_reused() && pool.is_empty(), "a closed pool keeps nothing");
}

#[tokio::test]
async fn a_pool_replaces_a_session_when_its_destination_changes() {
    let Some(sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits::default());
    let mut destination = sshd.destination();
    let first = pool.session(1, &destination).await.expect("a session");
    destination.pinned = Some(first.host_key().to_owned());
    drop(first);
    assert!(pool.session(1, &destination).await.expect("a session").is_reused(), "pinning what was seen");
    destination.host = "localhost".parse().expect("a name");
    let moved = pool.session(1, &destination).await;
    assert!(moved.is_err() || moved.is_ok_and(|session| !session.is_reused()), "another address");
    let pinned = KeyFiles::generate("ed25519", "").public();
    let destination = Destination { pinned: Some(pinned), ..sshd.destination() };
    let changed = pool.session(1, &destination).await;
    assert!(matches!(changed, Err(SshError::HostKeyChanged { .. })), "another pin: {changed:?}");
}

#[tokio::test]
async fn a_pool_keeps_to_its_budget_by_giving_up_the_least_recently_used() {
    let Some(sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits { max_sessions: 2, protect: Duration::ZERO, ..PoolLimits::default() });
    let destination = sshd.destination();
    for key in [1, 2, 1, 3] {
        pool.session(key, &destination).await.expect("a session");
    }
    assert_eq!(pool.len(), 2);
    assert!(pool.session(1, &destination).await.expect("a session").is_reused());
    assert!(!pool.session(2, &destination).await.expect("a session").is_reused());
}

#[tokio::test]
async fn a_full_pool_does_not_give_up_what_was_just_used() {
    let Some(sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits { max_sessions: 1, ..PoolLimits::default() });
    let destination = sshd.destination();
    for (key, reused) in [(1, false), (2, false), (1, true), (2, false), (1, true)] {
        assert_eq!(pool.session(key, &destination).await.expect("a session").is_reused(), reused, "{key}");
    }
}

#[tokio::test]
async fn idle_sessions_end_and_used_ones_do_not() {
    let Some(sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits { idle: Duration::ZERO, ..PoolLimits::default() });
    let destination = sshd.destination();
    let used = pool.session(1, &destination).await.expect("a session");
    pool.sweep();
    assert_eq!(pool.len(), 1);
    drop(used);
    pool.sweep();
    assert_eq!(pool.len(), 0);
}

#[tokio::test]
async fn a_kept_session_that_died_is_replaced_without_anyone_noticing() {
    let Some(mut sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits::default());
    let destination = sshd.destination();
    drop(pool.session(1, &destination).await.expect("a session"));
    // Taken out before the death, so that the pool cannot have seen it yet.
    let kept = pool.session(1, &destination).await.expect("a session");
    assert!(kept.is_reused());
    sshd.restart();
    assert_eq!(stdout(&kept, Command::new("echo").arg("alive")).await, "alive\n");
}

#[tokio::test]
async fn a_replaced_session_must_have_the_same_host_key() {
    let Some(mut sshd) = Sshd::start() else { return };
    let pool = Pool::new(PoolLimits::default());
    let destination = sshd.destination();
    drop(pool.session(1, &destination).await.expect("a session"));
    let kept = pool.session(1, &destination).await.expect("a session");
    sshd.restart_with_another_host_key();
    let impostor = kept.run(Command::new("true"), WAIT).await;
    assert!(matches!(impostor, Err(SshError::HostKeyChanged { .. })), "{impostor:?}");
}
