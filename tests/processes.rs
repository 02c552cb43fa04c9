//! Three processes over TCP on loopback: results as in one process, and what happens when one is killed, stopped or wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SMLC: &str = env!("CARGO_BIN_EXE_smlc");

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/digits.sml")
}

fn smlc(arguments: &[&str]) -> Output {
    Command::new(SMLC).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A plan file for `n` images.
fn plan(folder: &Path, n: usize) -> PathBuf {
    let path = folder.join(format!("digits-{n}.plan"));
    let out = smlc(&["build", model().to_str().unwrap(), "--dim", &format!("N={n}"), "-o", path.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    path
}

fn addresses() -> String {
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|s| s.local_addr().unwrap().to_string()).join(",")
}

/// A process that does not outlive its test.
struct Process(Option<Child>);

impl Process {
    fn start(arguments: &[&str]) -> Process {
        let mut command = Command::new(SMLC);
        command.args(arguments).env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Process(Some(command.spawn().unwrap()))
    }

    fn party(plan: &Path, id: u8, addresses: &str, more: &[&str]) -> Process {
        let id = id.to_string();
        let mut all = vec!["party", plan.to_str().unwrap(), "--id", &id, "--addresses", addresses];
        all.extend(more);
        Process::start(&all)
    }

    fn client(addresses: &str, more: &[&str]) -> Process {
        let model = model();
        let mut all =
            vec!["run", model.to_str().unwrap(), "--transport", "tcp", "--parties", addresses, "--session", "session"];
        all.extend(more);
        Process::start(&all)
    }

    fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn running(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits for the end: exit code, stdout, stderr.
    fn end(mut self, within: Duration) -> (Option<i32>, String, String) {
        let deadline = Instant::now() + within;
        while self.running() {
            assert!(Instant::now() < deadline, "still running after {within:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let out = self.0.take().unwrap().wait_with_output().unwrap();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

fn json(output: &str) -> serde_json::Value {
    serde_json::from_str(output).unwrap()
}

const PATIENT: Duration = Duration::from_secs(60);

/// The slack over the five seconds that a loaded machine may need to schedule the others.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn parties_serve_as_many_runs_as_agreed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);
    let served = |runs: &str, rows: &str| {
        let addresses = addresses();
        let parties: Vec<Process> =
            (0..3).map(|id| Process::party(&plan, id, &addresses, &["--runs", runs, "--threads", "2"])).collect();
        let asked = ["--take", rows, "--batch", "2", "--format", "json"];
        let (code, out, err) = Process::client(&addresses, &asked).end(PATIENT);
        (code, out, err, parties.into_iter().map(|party| party.end(PATIENT)).collect::<Vec<_>>())
    };
    // Three batches, of which the last two are shared without the weights.
    let (code, out, err, parties) = served("3", "6");
    assert_eq!(code, Some(0), "{err}");
    assert!(parties.iter().all(|(code, ..)| *code == Some(0)), "{parties:?}");
    let together = smlc(&["run", model().to_str().unwrap(), "--take", "6", "--format", "json"]);
    let (found, wanted) = (json(&out), json(&text(&together.stdout)));
    assert_eq!(found["runs"], 3);
    let values = |run: &serde_json::Value| -> Vec<f64> {
        run["outputs"]["out"]["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (found, wanted) = (values(&found), values(&wanted));
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 0.01), "{found:?} for {wanted:?}");
    // More runs than the parties serve, and fewer.
    let (code, _, err, parties) = served("1", "4");
    assert_ne!(code, Some(0));
    assert!(err.contains("start the parties with `--runs 2`"), "{err}");
    assert!(parties.iter().all(|(code, ..)| *code == Some(0)), "{parties:?}");
    let (code, _, err, parties) = served("3", "4");
    assert_eq!(code, Some(0), "{err}");
    assert!(parties.iter().all(|(code, _, err)| *code != Some(0) && err.contains("after 2 of 3 runs")), "{parties:?}");
}

#[test]
fn three_processes_compute_what_three_threads_do() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, addresses) = (plan(folder.path(), 3), addresses());
    let parties: Vec<Process> = (0..3).map(|id| Process::party(&plan, id, &addresses, &[])).collect();
    let (code, out, err) = Process::client(&addresses, &["--take", "3", "--format", "json"]).end(PATIENT);
    assert_eq!(code, Some(0), "{err}");
    for party in parties {
        assert_eq!(party.end(PATIENT), (Some(0), String::new(), String::new()));
    }
    let memory = smlc(&["run", model().to_str().unwrap(), "--take", "3", "--format", "json"]);
    let spawned = smlc(&["run", model().to_str().unwrap(), "--take", "3", "--format", "json", "--transport", "tcp"]);
    let (tcp, memory, spawned) = (json(&out), json(&text(&memory.stdout)), json(&text(&spawned.stdout)));
    for other in [&memory, &spawned] {
        for field in ["rounds", "bytes_total", "bytes_per_party", "rows"] {
            assert_eq!(tcp[field], other[field], "{field}");
        }
        assert_eq!(tcp["scores"]["out"]["predictions"], other["scores"]["out"]["predictions"]);
        let values = |v: &serde_json::Value| v["outputs"]["out"]["values"].as_array().unwrap().clone();
        for (a, b) in values(&tcp).iter().zip(values(other)) {
            assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1.0 / 128.0);
        }
    }
    for field in ["compile", "share", "run"] {
        assert!(tcp["seconds"][field].is_number());
    }
}

/// Starts a slow run and returns its processes once it is under way.
fn slow_run(folder: &Path) -> (Vec<Process>, Process) {
    let (plan, addresses) = (plan(folder, 2), addresses());
    let parties: Vec<Process> =
        (0..3).map(|id| Process::party(&plan, id, &addresses, &["--net", "1s,100Mb"])).collect();
    let mut client = Process::client(&addresses, &["--take", "2"]);
    // 39 rounds of half a second: after three the run is well under way, and far from its end.
    std::thread::sleep(Duration::from_secs(3));
    assert!(client.running(), "the run ended too soon");
    (parties, client)
}

#[test]
fn a_killed_party_ends_the_run_with_its_name_and_the_line() {
    let folder = tempfile::tempdir().unwrap();
    for victim in 0..3usize {
        let (mut parties, client) = slow_run(folder.path());
        let killed = parties.remove(victim);
        killed.signal("-KILL");
        let start = Instant::now();
        for party in parties {
            let (code, _, err) = party.end(AT_ONCE);
            assert_eq!(code, Some(2), "{err}");
            assert!(err.contains(&format!("lost P{victim}")) || err.contains(&format!("it lost P{victim}")), "{err}");
            assert!(err.contains("digits.sml:"), "no line: {err}");
        }
        let (code, _, err) = client.end(AT_ONCE);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(&format!("P{victim}")), "{err}");
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    }
}

#[test]
fn a_frozen_party_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut parties, _client) = slow_run(folder.path());
    let frozen = parties.remove(1);
    frozen.signal("-STOP");
    for party in parties {
        let (code, _, err) = party.end(Duration::from_secs(10));
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("P1"), "{err}");
    }
    frozen.signal("-CONT");
}

#[test]
fn another_plan_is_refused_in_the_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong, addresses) = (plan(folder.path(), 2), plan(folder.path(), 3), addresses());
    let parties = [(0, &right), (1, &right), (2, &wrong)]
        .map(|(id, plan)| Process::party(plan, id, &addresses, &["--patience", "20"]));
    let mut all = String::new();
    for party in parties {
        let (code, _, err) = party.end(Duration::from_secs(15));
        assert_eq!(code, Some(2), "{err}");
        all += &err;
    }
    assert!(all.contains("plan"), "{all}");
    assert!(all.contains("P2"), "{all}");
    assert!(all.contains("all ends need the same program under the same path, and `--dim`"), "{all}");
}

#[test]
fn another_session_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, addresses) = (plan(folder.path(), 2), addresses());
    let parties = [(0, "one"), (1, "one"), (2, "two")]
        .map(|(id, session)| Process::party(&plan, id, &addresses, &["--session", session, "--patience", "20"]));
    for party in parties {
        let (code, _, err) = party.end(Duration::from_secs(15));
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("session"), "{err}");
    }
}

#[test]
fn strangers_do_not_disturb_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, addresses) = (plan(folder.path(), 2), addresses());
    let parties: Vec<Process> = (0..3).map(|id| Process::party(&plan, id, &addresses, &[])).collect();
    for address in addresses.split(',') {
        let deadline = Instant::now() + PATIENT;
        let mut stranger = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        stranger.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let _sent = stranger.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = [0; 64];
        let _read = stranger.read(&mut answer);
    }
    let (code, _, err) = Process::client(&addresses, &["--take", "2"]).end(PATIENT);
    assert_eq!(code, Some(0), "{err}");
    for party in parties {
        assert_eq!(party.end(PATIENT).0, Some(0));
    }
}

#[test]
fn bad_plans_and_addresses_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = plan(folder.path(), 1);
    let content = std::fs::read_to_string(&good).unwrap();
    let addresses = addresses();
    let truncated = &content[..content.len() / 2];
    // P0 would draw from a key that it does not hold.
    let foreign = content.replacen("{\"key\":0,", "{\"key\":2,", 1);
    let newer = content.replacen("smlc plan 2", "smlc plan 3", 1);
    for (name, damaged) in [("truncated", truncated), ("foreign key", &foreign), ("newer", &newer), ("text", "hello\n")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, damaged).unwrap();
        let (code, _, err) = Process::party(&path, 0, &addresses, &["--patience", "5"]).end(PATIENT);
        assert_eq!(code, Some(2), "{name}: {err}");
        assert!(err.contains("plan") && err.contains(name), "{name}: {err}");
    }
    let (code, _, err) = Process::party(&good, 0, "127.0.0.1:1,192.0.2.1:2,127.0.0.1:3", &[]).end(PATIENT);
    assert_eq!(code, Some(2));
    assert!(err.contains("192.0.2.1:2"), "{err}");
    let (code, _, err) = Process::party(&good, 0, &addresses, &["--patience", "1"]).end(Duration::from_secs(10));
    assert_eq!(code, Some(2));
    assert!(err.contains("P1") || err.contains("P2"), "{err}");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("{},127.0.0.1:2,127.0.0.1:3", socket.local_addr().unwrap());
    let (code, _, err) = Process::party(&good, 0, &taken, &[]).end(PATIENT);
    assert_eq!(code, Some(2));
    assert!(err.contains("cannot listen"), "{err}");
}
