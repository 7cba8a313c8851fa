//! The playground: one page, made once at start.

use bytes::Bytes;

use crate::config::{Config, RedisAddress};
use crate::wire::http;

const PAGE: &str = include_str!("../playground.html");

/// Scripts and styles stand in the page itself; it may speak to this host alone. Nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page as a whole answer.
pub(crate) fn render(config: &Config) -> Bytes {
    let port = match &config.redis.address {
        RedisAddress::Tcp { port, .. } => port.to_string(),
        RedisAddress::Unix(_) => String::new(),
    };
    let body = PAGE
        .replace("{{websocket_url}}", &escaped(&config.websocket_url))
        .replace("{{redis_port}}", &port)
        .replace("{{prefix}}", &escaped(&config.prefix))
        .replace(
            "{{heartbeat}}",
            &escaped(config.heartbeat.as_deref().unwrap_or_default()),
        );
    let fields = [
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    ];
    http::response(
        (200, "OK"),
        "text/html; charset=utf-8",
        &fields,
        body.as_bytes(),
    )
}

/// For an attribute in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
