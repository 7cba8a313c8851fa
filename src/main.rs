//! x
fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter("debug")
        .init();
    let mut config = ws4redis::Config::default();
    config.redis.address = ws4redis::config::RedisAddress::Tcp {
        host: "127.0.0.1".into(),
        port: 6379,
    };
    if std::env::args().nth(1).as_deref() == Some("e") {
        config.embedded = Some("127.0.0.1:6380".parse().unwrap());
        config.playground = true;
    }
    let mut g = ws4redis::Gateway::bind(config, Box::new(ws4redis::RedisSubscriber)).unwrap();
    g.watch_signals().unwrap();
    g.run().unwrap();
}
