//! Publishes a text to everybody on a facility: `cargo run --example publish -- chat "hello"`, with the Redis of
//! `REDIS_URL` or the one on this machine.

use std::error::Error;

use ws4redis::config::Redis;
use ws4redis::{RedisMessage, RedisPublisher, RedisStore};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(facility), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("say a facility and a text".into());
    };
    let redis: Redis = match std::env::var("REDIS_URL") {
        Ok(url) => url.parse()?,
        Err(_) => Redis::default(),
    };
    let message = RedisMessage::new(text, None).ok_or("the heartbeat is no message")?;
    let receivers = RedisPublisher::new(facility).broadcast().publish_message(
        &mut RedisStore::new(&redis),
        &message,
        None,
    )?;
    println!("heard by {receivers}");
    Ok(())
}
