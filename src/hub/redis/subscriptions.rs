//! What Redis knows of our interest in a channel.
//!
//! A live message counts only once the SUBSCRIBE of *this* membership is confirmed. A channel may be left and
//! joined again within one write (UNSUBSCRIBE c, SUBSCRIBE c, GET c), and another publisher's message may fall
//! between the two: we do not hear it, but the GET sees it. A message of the earlier subscription that is still
//! on its way must then not count as news, or it would stand against the newer snapshot.

/// Our interest in one channel, as Redis knows it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Not said since the link came up.
    #[default]
    Unasked,
    /// SUBSCRIBE is on its way.
    Asked,
    /// Redis confirmed it: messages are ours.
    Confirmed,
}
