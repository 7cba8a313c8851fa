//! Heartbeats, pings, and clients that answer none.

use ws4redis::close::Close;
use ws4redis::hub::{Action, Cork};
use ws4redis::peer::PeerId;

use crate::frames::{FINAL, PING, PONG, frame};
use crate::world::client::Frame;
use crate::world::{World, ms};

const PING_FRAME: [u8; 2] = [0x89, 0];

#[test]
fn a_client_gets_the_heartbeat_every_four_seconds_at_least() {
    let mut world = World::new(|config| config.heartbeat = Some("--beat--".to_owned()));
    let ann = world.join("/ws/f");
    let joined = world.now;
    world.advance(ms(60_000));
    let is_beat = |frame: &Frame| *frame == Frame::Text("--beat--".to_owned());
    let beats = world.clients[ann].times(is_beat);
    assert!(beats[0].since(joined) <= ms(4_000));
    assert!(world.clients[ann].longest_silence(is_beat) <= Some(ms(4_000)));
    // Nor much more often.
    assert!(beats.len() <= 17, "{}", beats.len());
}

#[test]
fn without_a_heartbeat_there_is_none() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f");
    world.advance(ms(20_000));
    assert!(world.messages(ann).is_empty());
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f");
    world.clients[ann].send(&frame(FINAL | PING, b"are you there"));
    world.clients[ann].send(&frame(FINAL | PONG, b"unasked"));
    world.run();
    let pongs = &world.clients[ann].heard;
    assert_eq!(pongs.len(), 1);
    assert_eq!(pongs[0].frame, Frame::Pong(b"are you there".to_vec()));
}

#[test]
fn a_client_that_answers_pings_stays_and_one_that_does_not_is_closed() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f");
    let bob = world.join("/ws/f");
    world.clients[bob].pongs = false;
    world.advance(ms(29_999));
    assert_eq!(
        world.clients[bob]
            .times(|frame| *frame == Frame::Ping)
            .len(),
        1
    );
    let pinged = world.clients[bob].times(|frame| *frame == Frame::Ping)[0];
    world.now = world.now.max(pinged + ms(9_999));
    world.run();
    world.advance(ms(10_000));
    assert_eq!(world.ending(bob), Some(Close::Idle));
    let Some(at) = world.clients[bob].heard.last().map(|heard| heard.at) else {
        panic!("it is told");
    };
    assert!(at >= pinged + ms(10_000));
    world.advance(ms(600_000));
    assert_eq!(world.ending(ann), None);
    assert_eq!(
        world.clients[ann]
            .times(|frame| *frame == Frame::Ping)
            .len(),
        21
    );
}

/// A message has come for everybody, and nothing of it is written yet.
fn in_a_fan_out(world: &mut World) {
    world.redis.publish("broadcast:f", "news");
    while world.hear_redis() {}
    assert!(world.hub.has_writes());
}

#[test]
fn a_ping_waits_for_the_end_of_a_fan_out() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast");
    let is_ping = |frame: &Frame| *frame == Frame::Ping;
    world.advance(ms(40_000));
    let pinged = world.clients[ann].times(is_ping)[0];
    world.now = world.now.max(pinged + ms(30_000));
    in_a_fan_out(&mut world);
    world.elapsed();
    world.write();
    world.read();
    assert_eq!(world.clients[ann].times(is_ping).len(), 1, "not yet");
    assert_eq!(world.messages(ann), ["news"]);
    world.run();
    assert_eq!(world.clients[ann].times(is_ping).len(), 2);
}

#[test]
fn a_ping_does_not_wait_long_where_one_fan_out_follows_the_other() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast");
    let begun = world.now;
    let is_ping = |frame: &Frame| *frame == Frame::Ping;
    world.is_punctual = false;
    while world.now < begun + ms(95_000) {
        world.now += ms(10);
        world.redis.elapsed(world.now);
        in_a_fan_out(&mut world);
        world.elapsed();
        world.run();
    }
    let pings = world.clients[ann].times(is_ping);
    assert_eq!(pings.len(), 3);
    for pair in pings.windows(2) {
        assert!(pair[1].since(pair[0]) <= ms(30_200), "{pings:?}");
    }
}

#[test]
fn any_word_of_a_client_is_as_good_as_a_pong() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f");
    world.clients[ann].pongs = false;
    for _ in 0..60 {
        world.advance(ms(9_000));
        world.clients[ann].say("");
        world.run();
    }
    assert_eq!(world.ending(ann), None);
}

/// Ten thousand clients that joined at the same moment. `says`: what each says then.
fn crowd(heartbeat: bool, says: &[u8]) -> World {
    let mut world = World::new(|config| {
        config.limits.pending_max = 10_000;
        config.limits.sessions_max = 10_000;
        config.heartbeat = heartbeat.then(|| "--beat--".to_owned());
    });
    for _ in 0..10_000 {
        let who = world.connect("/ws/f");
        world.clients[who].send(says);
    }
    world.run();
    world
}

/// How many of these frames the hub sends in each tenth of a second, for so long. Pings are answered at once.
fn histogram(world: &mut World, expected: &[u8], tenths: usize) -> Vec<usize> {
    let tenths = (0..tenths).map(|_| {
        world.now += ms(100);
        sent_now(world, expected)
    });
    tenths.collect()
}

/// How many of these frames the hub sends at this moment.
fn sent_now(world: &mut World, expected: &[u8]) -> usize {
    let mut cork = Cork::default();
    world.elapsed();
    while !matches!(world.hub.next_action(), None | Some(Action::Connect(..))) {}
    let mut pinged: Vec<PeerId> = Vec::new();
    let mut count = 0;
    while let Some(id) = world.hub.next_write() {
        let bytes = world.hub.pending(id, &mut cork).to_vec();
        world.hub.sent(id, bytes.len());
        count += bytes
            .windows(expected.len())
            .filter(|part| *part == expected)
            .count();
        if bytes.windows(2).any(|part| part == PING_FRAME) {
            pinged.push(id);
        }
    }
    for id in pinged {
        world
            .hub
            .received(world.now, id, &mut frame(FINAL | PONG, b""));
    }
    count
}

#[test]
fn pings_of_ten_thousand_clients_are_spread_evenly() {
    for says in [Vec::new(), frame(FINAL | PONG, b"hello")] {
        let mut world = crowd(false, &says);
        let counts = histogram(&mut world, &PING_FRAME, 1_200);
        let share = 10_000 / 300;
        assert!(counts.iter().max() <= Some(&(3 * share)), "{counts:?}");
        assert!(counts.iter().sum::<usize>() >= 35_000);
        assert_eq!(world.hub.tally().sessions, 10_000);
    }
}

#[test]
fn pings_and_heartbeats_of_ten_thousand_clients_go_out_ten_times_a_second() {
    for (heartbeat, expected) in [(false, &PING_FRAME[..]), (true, b"--beat--")] {
        let mut world = crowd(heartbeat, b"");
        // Not in steps of a tenth, but whenever something is due; and pongs may not move them out of step.
        let (last_second, end) = (world.now + ms(69_000), world.now + ms(70_000));
        let mut times = 0;
        while let Some(due) = world.hub.deadline().filter(|due| *due <= end) {
            world.now = due;
            let sent = sent_now(&mut world, expected);
            times += usize::from(sent > 0 && due > last_second);
        }
        assert!((9..=11).contains(&times), "{times}");
    }
}

#[test]
fn heartbeats_of_ten_thousand_clients_are_spread_evenly() {
    let mut world = crowd(true, b"");
    let counts = histogram(&mut world, b"--beat--", 200);
    let share = 10_000 / 37;
    assert!(counts.iter().max() <= Some(&(2 * share)), "{counts:?}");
    assert!(counts.iter().sum::<usize>() >= 49_000);
}

#[test]
fn those_who_were_late_together_do_not_stay_together() {
    for (heartbeat, expected, period) in [(false, &PING_FRAME[..], 300), (true, b"--beat--", 37)] {
        let mut world = crowd(heartbeat, b"");
        // Behind fan-outs of all lengths, and once the machine stood still.
        let late = [350, 50, 410, 190].into_iter().cycle().take(160);
        for late in late.chain([61_000]) {
            world.now += ms(late);
            sent_now(&mut world, expected);
        }
        let counts = histogram(&mut world, expected, period);
        let share = 10_000 / period;
        assert!(counts.iter().max() <= Some(&(3 * share)), "{counts:?}");
        assert!(counts.iter().sum::<usize>() >= 9_900);
    }
}
