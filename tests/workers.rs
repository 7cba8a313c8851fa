//! Several workers in one process: to whoever is outside, one gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use ws4redis::config::Listen;
use ws4redis::net::{Handle, ServeError};
use ws4redis::{Ask, Config, Gateway as Library, RedisSubscriber, Subscriber, SubscriberChannels};

use crate::cli::run_in;
use crate::support::client::Client;
use crate::support::gateway::{Gateway, free_address};
use crate::support::http;
use crate::support::redis::Redis;
use crate::support::resp::Reply;
use crate::support::stream::{Address, Stream};
use crate::support::wait::{self, Deadline, PATIENCE};

/// How many sessions each of the two has.
fn each(gateway: &Gateway) -> [f64; 2] {
    [0, 1].map(|worker| {
        let name = format!("ws4redis_worker_sessions{{worker=\"{worker}\"}}");
        gateway.metric(&name).unwrap()
    })
}

/// Clients, until both workers have three. Where the kernel sends them is chance.
fn spread(gateway: &Gateway, connect: impl Fn() -> Client) -> Vec<Client> {
    let mut clients = Vec::new();
    wait::until("both workers have clients", || {
        clients.push(connect());
        each(gateway).iter().all(|n| *n >= 3.0).then_some(())
    });
    wait::until("all are counted", || {
        (each(gateway).iter().sum::<f64>() == clients.len() as f64).then_some(())
    });
    clients
}

#[test]
fn each_message_comes_once_and_in_order_to_the_clients_of_every_worker() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--workers", "2"]);
    let mut clients = spread(&gateway, || gateway.client("news?subscribe-broadcast"));
    let mut publisher = redis.connect();
    for n in 0..300 {
        let text = n.to_string();
        let heard = publisher.call(&["PUBLISH", "broadcast:news", &text]);
        assert_eq!(heard, Reply::Integer(2), "each worker has a link");
    }
    redis.publish("broadcast:news", "that was all");
    for client in &mut clients {
        for n in 0..300 {
            client.expect(&n.to_string());
        }
        client.expect("that was all");
    }
    let deliveries = clients.len() as f64 * 301.0;
    wait::until("all is counted", || {
        (gateway.metric("ws4redis_deliveries_total") == Some(deliveries)).then_some(())
    });
    assert_eq!(gateway.metric("ws4redis_messages_in_total"), Some(602.0));
    assert_eq!(
        gateway.metric("ws4redis_sessions"),
        Some(clients.len() as f64)
    );
    assert_eq!(gateway.metric("ws4redis_channels"), Some(2.0));
}

#[test]
fn what_a_client_says_is_heard_at_every_worker_with_the_embedded_redis_too() {
    let gateway = Gateway::start_embedded(&["--workers", "2"]);
    let flags = "f?subscribe-broadcast&publish-broadcast&echo";
    let mut clients = spread(&gateway, || gateway.client(flags));
    for n in 0..clients.len() {
        let text = format!("by {n}");
        clients[n].send(&text);
        for client in &mut clients {
            client.expect(&text);
        }
    }
    // Who comes later finds the last word, wherever it was said.
    let last = format!("by {}", clients.len() - 1);
    for _ in 0..10 {
        gateway.client("f?subscribe-broadcast").expect(&last);
    }
}

#[test]
fn the_clients_of_one_unix_socket_are_dealt_out_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.sock");
    let listen = format!("unix:{}", path.display());
    let mut gateway = Gateway::start_embedded(&["--workers", "2", "--listen", &listen]);
    let mut clients: Vec<Client> = (0..10)
        .map(|_| gateway.client("f?subscribe-broadcast"))
        .collect();
    wait::until("each has half of them", || {
        (each(&gateway) == [5.0, 5.0]).then_some(())
    });
    // Whoever may open the socket is trusted, at whichever worker.
    let john = [("X-Ws4redis-User", "john")];
    let johns = (0..2).map(|_| gateway.client_with("f?subscribe-user", &john).unwrap());
    let johns: Vec<Client> = johns.collect();
    let mut redis = gateway.embedded_redis();
    redis.call(&["PUBLISH", "broadcast:f", "to all"]);
    redis.call(&["PUBLISH", "user:john:f", "to john"]);
    for client in &mut clients {
        client.expect("to all");
    }
    for mut client in johns {
        client.expect("to john");
    }
    gateway.terminate();
    drop(clients);
    assert!(gateway.end(PATIENCE).success());
    assert!(!Path::new(&path).exists());
}

#[test]
fn sigterm_drains_all_workers_at_the_pace_of_one_gateway() {
    let gateway = &mut Gateway::start_embedded(&["--workers", "2", "--drain-per-second", "20"]);
    let mut clients = spread(gateway, || gateway.client("f?subscribe-broadcast"));
    while clients.len() < 60 {
        clients.push(gateway.client("f?subscribe-broadcast"));
    }
    // All of them at once at each worker's pace would take half of what is asked for.
    let early = Deadline::after(Duration::from_millis(1_800));
    gateway.terminate();
    wait::until("readiness is false", || (!gateway.is_ready()).then_some(()));
    // Who comes now is told to come back, by either.
    for _ in 0..10 {
        assert_eq!(gateway.client_with("f", &[]).unwrap_err().status, 503);
    }
    for mut client in clients {
        assert_eq!(client.closed(), (1012, "drain".to_owned()));
    }
    assert!(gateway.end(PATIENCE).success());
    assert!(early.left().is_none(), "it was faster than asked for");
}

#[test]
fn a_second_signal_ends_all_workers_at_once() {
    let more = ["--drain-per-second", "2", "--drain-timeout", "1h"];
    let mut gateway = Gateway::start_embedded(&[&["--workers", "2"], &more[..]].concat());
    let _clients: Vec<Client> = (0..100).map(|_| gateway.client("f")).collect();
    gateway.terminate();
    wait::until("it drains", || {
        gateway.log_text().contains("draining").then_some(())
    });
    gateway.signal(Signal::INT);
    gateway.end(Duration::from_secs(5));
}

#[test]
fn sighup_reaches_every_worker_and_is_one_line_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ws4redis.toml");
    std::fs::write(&file, "workers = 2\nfacilities = ['chat']\n").unwrap();
    let gateway = Gateway::start_embedded(&["--config", file.to_str().unwrap()]);
    let mut clients = spread(&gateway, || gateway.client("chat?subscribe-broadcast"));
    std::fs::write(&file, "workers = 3\nfacilities = ['news']\n").unwrap();
    gateway.signal(Signal::HUP);
    let ok = "ws4redis_reloads_total{result=\"ok\"}";
    wait::until("it is reloaded", || {
        (gateway.metric(ok) == Some(1.0)).then_some(())
    });
    let status = |facility: &str| match gateway.client_with(facility, &[]) {
        Ok(_) => 101,
        Err(refused) => refused.status,
    };
    // The others take it in the same moment, about.
    wait::until("both have it", || {
        (0..20).all(|_| status("chat") == 404).then_some(())
    });
    assert!((0..20).all(|_| status("news") == 101));
    gateway
        .embedded_redis()
        .call(&["PUBLISH", "broadcast:chat", "still here"]);
    for client in &mut clients {
        client.expect("still here");
    }
    let log = gateway.log_text();
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines("configuration reloaded: facilities changed"), 1);
    assert_eq!(lines("workers: changed, but only a restart takes them"), 1);
}

#[test]
fn it_is_ready_only_while_every_worker_has_its_link() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--workers", "2"]);
    let mut clients = spread(&gateway, || gateway.client("f?subscribe-broadcast"));
    for at in [0, 1] {
        wait::until("readiness is false", || {
            let Reply::Bulk(list) = redis.call(&["CLIENT", "LIST"]) else {
                panic!("no list")
            };
            let list = String::from_utf8(list).unwrap();
            let mut links = list.lines().filter(|line| line.contains("name=ws4redis"));
            let id = links.nth(at)?.split([' ', '=']).nth(1)?.to_owned();
            redis.call(&["CLIENT", "KILL", "ID", &id]);
            let up = gateway.metric("ws4redis_link_up") == Some(1.0);
            (!up && !gateway.is_ready()).then_some(())
        });
        gateway.wait_ready();
    }
    assert!(gateway.metric("ws4redis_link_losses_total") >= Some(2.0));
    redis.publish("broadcast:f", "all are there");
    for client in &mut clients {
        client.expect("all are there");
    }
    let log = gateway.log_text();
    assert!(log.contains("\"number\":0") && log.contains("\"number\":1"));
}

#[test]
fn an_order_meets_the_sessions_of_all_workers() {
    let redis = Redis::start();
    let arguments = [
        "--workers=2",
        "--control-unsigned",
        "--trusted=127.0.0.1/32",
    ];
    let gateway = Gateway::start(&redis, &arguments);
    let john = [("X-Ws4redis-User", "john")];
    let clients = spread(&gateway, || gateway.client_with("f", &john).unwrap());
    let url = redis.unix_url();
    let environment = [("WS4REDIS_CONNECTION", url.as_str())];
    let arguments = ["disconnect", "--control-unsigned", "--user", "john"];
    let done = run_in(&environment, &arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let heard = "disconnect published to ws4redis:control: 2 gateways or workers heard it\n";
    assert_eq!(done.stdout, heard);
    for mut client in clients {
        assert_eq!(client.closed(), (4403, "revoked".to_owned()));
    }
    wait::until("it is counted once", || {
        (gateway.metric("ws4redis_orders_total") == Some(1.0)).then_some(())
    });
}

#[test]
fn bounds_are_for_all_workers_together() {
    let (application, most) = slow_application();
    let url = format!("http://{application}/may");
    let gateway = Gateway::start_embedded(&[
        "--workers=2",
        "--sessions-max=8",
        "--identity=callback",
        "--callback-connections-max=2",
        "--callback-url",
        &url,
    ]);
    let address = gateway.address();
    let comers: Vec<_> = (0..32)
        .map(|_| {
            let address = address.clone();
            thread::spawn(move || Client::connect_with(&address, "/ws/f", &[]).ok())
        })
        .collect();
    let comers = comers.into_iter().map(|comer| comer.join().unwrap());
    let let_in: Vec<Client> = comers.flatten().collect();
    assert_eq!(let_in.len(), 8, "half of the places at each worker");
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// An application that says yes after a while, and how many questions it had before it at most.
fn slow_application() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            thread::spawn(move || {
                let mut bytes = [0; 4_096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let calls = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(calls, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                }
            });
        }
    });
    (address, counted)
}

#[test]
fn a_second_gateway_is_refused_an_address_that_workers_share() {
    let address = free_address().to_string();
    let gateway = Gateway::start_embedded(&["--workers", "2", "--listen", &address]);
    for workers in ["1", "2"] {
        let arguments = ["--embedded=127.0.0.1:0", "--listen", &address];
        let why = Gateway::refused(&[&arguments, &["--workers", workers][..]].concat());
        assert!(
            why.contains(&format!("cannot listen on {address}")),
            "{why}"
        );
    }
    drop(gateway);
}

/// Whoever asks for `bomb` at a further worker brings it down.
struct Bomb;

impl Subscriber for Bomb {
    fn channels(&self, ask: &Ask) -> SubscriberChannels {
        let worker = thread::current().name().map(str::to_owned);
        assert!(
            ask.facility != "bomb" || worker.as_deref() != Some("worker-1"),
            "asked to"
        );
        RedisSubscriber.channels(ask)
    }
}

/// Whoever asks for `mud` at a further worker is never answered, nor is anybody else there.
struct Mud;

impl Subscriber for Mud {
    fn channels(&self, ask: &Ask) -> SubscriberChannels {
        let worker = thread::current().name().map(str::to_owned);
        while ask.facility == "mud" && worker.as_deref() == Some("worker-1") {
            thread::park();
        }
        RedisSubscriber.channels(ask)
    }
}

/// A gateway in this process, and what became of it.
struct Serving {
    clients: Address,
    admin: Address,
    handle: Handle,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Serving {
    /// Starts it with three workers, and waits until it is ready.
    fn start(subscriber: impl Subscriber + 'static) -> Serving {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let config = Config {
            listen: vec![Listen::Tcp(any)],
            admin: Some(any),
            embedded: Some(any),
            workers: 3,
            ..Config::default()
        };
        let gateway = Library::bind(config, Box::new(subscriber)).unwrap();
        let bound = gateway.bound().clone();
        let Listen::Tcp(clients) = bound.clients[0] else {
            panic!("a TCP address was asked for")
        };
        let admin = Address::Tcp(bound.admin.unwrap());
        let handle = gateway.handle();
        let thread = thread::spawn(move || gateway.run());
        wait::until("it is ready", || {
            let ready = http::get(&admin, "/readyz").ok()?;
            (ready.status == 200).then_some(())
        });
        Serving {
            clients: Address::Tcp(clients),
            admin,
            handle,
            thread,
        }
    }

    /// Asks for a facility and does not wait for the answer. The connection is whoever's chance gives it to.
    fn ask_for(&self, facility: &str) -> Option<Stream> {
        let mut stream = Stream::connect(&self.clients).ok()?;
        let request = format!(
            "GET /ws/{facility} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        Some(stream)
    }
}

#[test]
fn a_worker_that_dies_ends_the_gateway_with_an_error() {
    let gateway = Serving::start(Bomb);
    wait::until("it has ended", || {
        gateway.ask_for("bomb");
        gateway.thread.is_finished().then_some(())
    });
    let error = gateway.thread.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "worker 1 is gone: it panicked");
    // The healthy ones end too.
    wait::until("nobody listens any more", || {
        Stream::connect(&gateway.clients).err()
    });
}

#[test]
fn a_worker_that_is_stuck_is_told_of_and_keeps_nobody_from_ending() {
    let gateway = Serving::start(Mud);
    let mut asked = Vec::new();
    let told = wait::until("it is told of", || {
        if asked.len() < 50 {
            asked.push(gateway.ask_for("mud"));
        }
        let told = http::get(&gateway.admin, "/healthz").ok()?;
        (told.status == 503).then_some(told)
    });
    assert_eq!(told.body, "a worker's loop does not turn\n");
    drop(asked);
    gateway.handle.drain();
    wait::until("it has ended", || {
        gateway.thread.is_finished().then_some(())
    });
    let error = gateway.thread.join().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker 1 is gone: its loop does not turn"
    );
}

#[test]
fn what_a_second_worker_brings_is_measured_by_a_script_that_runs() {
    let binary = env!("CARGO_BIN_EXE_ws4redis");
    let brief = ["--rounds=1", "--clients=20", "--messages=5"];
    for more in [&[][..], &["--unix"]] {
        let mut script = Command::new("python3");
        script.args(["-B", "benches/workers.py", binary]);
        let output = script.args(brief).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(said.contains("\n2 over 1, round by round: "), "{said}");
    }
}
