//! Who is in which channel.
//!
//! Two tables that mirror each other: a channel's members, and a session's places. Only [`Channels::join`] and
//! [`Channels::leave`] change them, both at once, in constant time per channel: a member knows at which place of
//! its session it stands, a place knows at which member of its channel. A channel exists iff it has a member.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::quality::FixedState;
use slab::Slab;

use super::redis::snapshots::Snapshot;
use super::redis::subscriptions::Subscription;

/// One channel for as long as it has members. Like `PeerId`: places are used again, generations are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChannelId {
    index: u32,
    generation: u32,
}

/// A channel and all that is remembered of it.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Its name, which is also the key of its persisted message.
    pub(crate) name: Bytes,
    /// What Redis knows of our interest.
    pub(crate) subscription: Subscription,
    /// What we know of the persisted message, and who waits for it.
    pub(crate) snapshot: Snapshot,
    members: Vec<Member>,
    generation: u32,
}

impl Channel {
    /// The index in the session table of each member.
    pub(crate) fn members(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.iter().map(|member| member.session)
    }

    /// Has it one member only?
    pub(crate) fn is_alone(&self) -> bool {
        self.members.len() == 1
    }
}

/// How a session came into a channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It is the first: Redis must be told.
    First(ChannelId),
    /// Others are there.
    Further(ChannelId),
    /// It was there before: flags may name a channel twice.
    Already,
}

/// Both tables.
#[derive(Debug)]
pub(crate) struct Channels {
    by_name: HashMap<Bytes, u32, FixedState>,
    channels: Slab<Channel>,
    places: Vec<Places>,
    generations: u32,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    session: u32,
    place: u32,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    channel: u32,
    member: u32,
}

/// Most sessions hear one channel; that one costs no allocation.
#[derive(Debug, Default)]
enum Places {
    #[default]
    None,
    One(Place),
    #[expect(
        clippy::box_collection,
        reason = "a place table of 16 bytes a session instead of 24"
    )]
    Many(Box<Vec<Place>>),
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Places::None => &[],
            Places::One(place) => std::slice::from_ref(place),
            Places::Many(places) => places,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Place] {
        match self {
            Places::None => &mut [],
            Places::One(place) => std::slice::from_mut(place),
            Places::Many(places) => places,
        }
    }

    fn push(&mut self, place: Place) {
        match self {
            Places::None => *self = Places::One(place),
            Places::One(first) => *self = Places::Many(Box::new(vec![*first, place])),
            Places::Many(places) => places.push(place),
        }
    }
}

impl Channels {
    /// `seed` keeps clients from choosing names that collide: the words that would whatever the seed is (see
    /// `fingerprint`) are not UTF-8, as all names are.
    pub(crate) fn new(seed: u64) -> Channels {
        Channels {
            by_name: HashMap::with_hasher(FixedState::with_seed(seed)),
            channels: Slab::new(),
            places: Vec::new(),
            generations: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<ChannelId> {
        let index = *self.by_name.get(name)?;
        let generation = self.channels.get(index as usize)?.generation;
        Some(ChannelId { index, generation })
    }

    pub(crate) fn get(&self, id: ChannelId) -> Option<&Channel> {
        self.channels
            .get(id.index as usize)
            .filter(|channel| channel.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels
            .get_mut(id.index as usize)
            .filter(|channel| channel.generation == id.generation)
    }

    /// Every channel, for what must be said of all after an outage.
    pub(crate) fn ids(&self) -> Vec<ChannelId> {
        let id = |(index, channel): (usize, &Channel)| ChannelId {
            index: index as u32,
            generation: channel.generation,
        };
        self.channels.iter().map(id).collect()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.channels.iter_mut().map(|(_, channel)| channel)
    }

    /// How many channels a session hears.
    pub(crate) fn heard_by(&self, session: u32) -> usize {
        self.places
            .get(session as usize)
            .map_or(0, |places| places.as_slice().len())
    }

    /// Is this session a member?
    pub(crate) fn has(&self, id: ChannelId, session: u32) -> bool {
        self.get(id).is_some()
            && self.places.get(session as usize).is_some_and(|places| {
                places
                    .as_slice()
                    .iter()
                    .any(|place| place.channel == id.index)
            })
    }

    pub(crate) fn join(&mut self, session: u32, name: &[u8]) -> Joined {
        let known = self.find(name);
        if known.is_some_and(|id| self.has(id, session)) {
            return Joined::Already;
        }
        let id = known.unwrap_or_else(|| self.create(name));
        if self.places.len() <= session as usize {
            self.places
                .resize_with(session as usize + 1, Places::default);
        }
        let (Some(channel), Some(places)) = (
            self.channels.get_mut(id.index as usize),
            self.places.get_mut(session as usize),
        ) else {
            return Joined::Already;
        };
        let place = places.as_slice().len() as u32;
        places.push(Place {
            channel: id.index,
            member: channel.members.len() as u32,
        });
        channel.members.push(Member { session, place });
        if known.is_none() {
            Joined::First(id)
        } else {
            Joined::Further(id)
        }
    }

    /// Takes a session out of all its channels; returns those that nobody hears any more, which are gone.
    pub(crate) fn leave(&mut self, session: u32) -> Vec<Channel> {
        let mut last = Vec::new();
        let Some(places) = self.places.get_mut(session as usize) else {
            return last;
        };
        let places = std::mem::take(places);
        for place in places.as_slice() {
            let Some(channel) = self.channels.get_mut(place.channel as usize) else {
                continue;
            };
            channel.members.swap_remove(place.member as usize);
            if let Some(moved) = channel.members.get(place.member as usize).copied() {
                let theirs = self
                    .places
                    .get_mut(moved.session as usize)
                    .map(Places::as_mut_slice);
                if let Some(theirs) = theirs.and_then(|places| places.get_mut(moved.place as usize))
                {
                    theirs.member = place.member;
                }
            }
            if channel.members.is_empty() {
                let channel = self.channels.remove(place.channel as usize);
                self.by_name.remove(&channel.name);
                last.push(channel);
            } else if channel.members.len() * 4 < channel.members.capacity() {
                // A channel that ten thousand left must not keep their room.
                channel.members.shrink_to(channel.members.len() * 2);
            }
        }
        last
    }

    /// Panics unless the two tables mirror each other. For tests.
    pub(crate) fn check(&self) {
        assert_eq!(
            self.by_name.len(),
            self.channels.len(),
            "a name for each channel"
        );
        let mut memberships = 0;
        for (index, channel) in &self.channels {
            assert!(
                !channel.members.is_empty(),
                "a channel exists iff it has a member"
            );
            assert_eq!(self.by_name.get(&channel.name), Some(&(index as u32)));
            for (at, member) in channel.members.iter().enumerate() {
                let place = self.places[member.session as usize].as_slice()[member.place as usize];
                assert_eq!((place.channel as usize, place.member as usize), (index, at));
            }
            memberships += channel.members.len();
        }
        let places: usize = self
            .places
            .iter()
            .map(|places| places.as_slice().len())
            .sum();
        assert_eq!(memberships, places, "a place for each member");
    }

    fn create(&mut self, name: &[u8]) -> ChannelId {
        self.generations = self.generations.wrapping_add(1);
        let name = Bytes::copy_from_slice(name);
        let index = self.channels.insert(Channel {
            name: name.clone(),
            subscription: Subscription::default(),
            snapshot: Snapshot::default(),
            members: Vec::new(),
            generation: self.generations,
        }) as u32;
        self.by_name.insert(name, index);
        ChannelId {
            index,
            generation: self.generations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_member_makes_a_channel_and_the_last_unmakes_it() {
        let mut channels = Channels::new(1);
        assert!(matches!(channels.join(7, b"a"), Joined::First(_)));
        assert!(matches!(channels.join(8, b"a"), Joined::Further(_)));
        assert_eq!(channels.join(8, b"a"), Joined::Already);
        channels.check();
        assert!(channels.leave(7).is_empty());
        channels.check();
        assert_eq!(channels.leave(8)[0].name.as_ref(), b"a");
        assert_eq!(channels.find(b"a"), None);
        assert_eq!(channels.len(), 0);
    }

    #[test]
    fn the_tables_mirror_each_other_through_any_comings_and_goings() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut channels = Channels::new(1);
        for _ in 0..3_000 {
            let session = random.u32(0..20);
            if random.u8(0..4) == 0 {
                channels.leave(session);
                assert_eq!(channels.heard_by(session), 0);
            } else {
                channels.join(session, &[random.u8(0..9)]);
            }
            channels.check();
        }
    }

    #[test]
    fn an_id_of_a_channel_that_came_again_finds_nothing() {
        let mut channels = Channels::new(1);
        let Joined::First(old) = channels.join(1, b"a") else {
            panic!()
        };
        channels.leave(1);
        channels.join(1, b"a");
        assert!(channels.get(old).is_none());
    }
}
