//! What the hub promises, in a world without sockets.

mod access; // who is it, and what may they
mod admission; // from accept to the 101, or to a refusal
mod asking; // the application is asked
mod beats; // heartbeats and pings
mod control; // orders on the control channel
mod delivery; // live messages
mod django_redis; // sessions of Django in a Redis of their own
mod drain; // going down
mod endings; // the ways in which a session ends
mod identity; // tokens and signed headers
mod joining; // subscriptions, persisted messages and the second look
mod link; // the link to Redis comes and goes
mod operator; // the admin listener
mod publishing; // what clients say
mod reload; // another configuration
mod sessions; // sessions of Django
mod slow; // slow, greedy and broken clients
