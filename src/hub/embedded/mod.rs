//! stub
use crate::peer::PeerId;
use crate::tick::Tick;
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Embedded;
#[allow(missing_docs)]
impl Embedded {
    pub fn new() -> Embedded { Embedded }
    pub fn accepted(&mut self, _id: PeerId) -> bool { true }
    pub fn received(&mut self, _now: Tick, _id: PeerId, _bytes: &[u8]) {}
    pub fn lost(&mut self, _id: PeerId) {}
    pub fn has_dirty(&self) -> bool { false }
    pub fn next_dirty(&mut self) -> Option<PeerId> { None }
    pub fn pending(&self, _id: PeerId) -> &[u8] { &[] }
    pub fn sent(&mut self, _id: PeerId, _n: usize) {}
    pub fn finished(&self, _id: PeerId) -> bool { false }
    pub fn deadline(&self) -> Option<Tick> { None }
    pub fn elapsed(&mut self, _now: Tick) {}
    pub fn check(&self) {}
}
