//! From the request to the 101 and the persisted messages.

use crate::world::World;

#[test]
fn a_message_published_after_the_101_arrives() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast");
    world.redis.publish("broadcast:f", "hello");
    world.run();
    assert_eq!(world.messages(ann), ["hello"]);
}
