//! Behind a real nginx, by the snippet of the README, word for word.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::stream::{Address, Stream};
use crate::support::wait;

#[test]
fn clients_are_served_through_the_readmes_nginx_and_cannot_claim_to_be_somebody() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    // nginx' workers have a user of their own.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = dir.path().join("gateway.sock").display().to_string();
    let gateway = Gateway::start(&redis, &["--listen", &format!("unix:{socket}?mode=0666")]);
    let (_nginx, front) = start_nginx(dir.path(), &socket);

    let fields = [
        ("X-Ws4redis-User", "root"),
        ("Origin", "http://localhost"),
        ("Cookie", "sessionid=k3y"),
    ];
    let flags = "/ws/f/%C3%A4%20b?subscribe-broadcast&subscribe-user&subscribe-session&publish-broadcast&echo";
    let mut client = Client::connect_with(&front, flags, &fields).unwrap();
    assert_eq!(redis.publish("broadcast:f/ä b", "through nginx"), 1);
    client.expect("through nginx");
    assert_eq!(redis.publish("user:root:f/ä b", "not for this one"), 0);
    assert_eq!(redis.publish("session:k3y:f/ä b", "for its session"), 1);
    client.expect("for its session");
    client.send("and back");
    client.expect("and back");

    let foreign = [("Origin", "https://evil.example")];
    assert_eq!(
        Client::connect_with(&front, flags, &foreign)
            .unwrap_err()
            .status,
        403
    );
    assert_eq!(gateway.metric("ws4redis_sessions"), Some(1.0));
}

fn start_nginx(dir: &std::path::Path, gateway: &str) -> (Process, Address) {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, snippet) = readme.split_once("```nginx\n").unwrap();
    let snippet = snippet.split("```").next().unwrap();
    let location = snippet.replace("/run/ws4redis/ws4redis.sock", gateway);
    let front = dir.join("nginx.sock");
    let configuration = format!(
        "daemon off; worker_processes 1; error_log stderr; pid {dir}/nginx.pid;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
         fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
         server {{ listen unix:{front};\n{location}}} }}\n",
        dir = dir.display(),
        front = front.display(),
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    // Debian keeps it in /usr/sbin, which is not on everybody's PATH.
    let installed = std::path::Path::new("/usr/sbin/nginx");
    let program = if installed.exists() {
        installed
    } else {
        std::path::Path::new("nginx")
    };
    let nginx = Process::start(
        Command::new(program)
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(&file),
    );
    let address = Address::Unix(front);
    wait::until("nginx listens", || Stream::connect(&address).ok());
    (nginx, address)
}
