//! HTTP/1.1 as a client speaks it: requests out, responses in (httparse).
//!
//! Where a response ends must be beyond doubt, since the next one on the same connection decides about
//! somebody else. So whatever two readers of RFC 9112 6.3 could take differently is refused.

mod chunked;
mod request;
mod response;

pub use request::{Request, forwardable};
pub use response::{Malformed, Response, ResponseLimits, ResponseReader};
