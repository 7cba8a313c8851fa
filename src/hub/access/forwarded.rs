//! Whose address is it? Behind a proxy every connection comes from the proxy, which says in `X-Forwarded-For`
//! from whom it has it.
//!
//! Each proxy adds the address of its own peer at the right end, so only what our own proxies added can be
//! believed: everything to the left came with the request, from anybody. The operator says how many there are.

use std::net::{IpAddr, SocketAddr};

use crate::peer::From;
use crate::wire::http::Head;

/// The client's address: the one `hops` from the right, if a trusted peer tells it. What cannot be understood
/// is no address, and the peer's own stands.
pub fn client_address(head: &Head<'_>, from: From, trusted: bool, hops: u8) -> From {
    if !trusted || hops == 0 {
        return from;
    }
    // Several lines are one list (RFC 9110 5.3); a proxy may add a line rather than an element.
    let elements: Vec<&[u8]> = head.list("x-forwarded-for").collect();
    elements
        .iter()
        .rev()
        .nth(usize::from(hops) - 1)
        .and_then(|element| address(element))
        .map_or(from, From::Ip)
}

/// An address as it is found there: bare, with a port, in brackets, or in quotes.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(element).ok()?;
    let bare = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let unbracketed = bare
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match unbracketed {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None => bare
            .parse()
            .or_else(|_| bare.parse::<SocketAddr>().map(|socket| socket.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::http;

    fn client(fields: &[&str], from: &str, trusted: bool, hops: u8) -> String {
        let mut text = String::from("GET / HTTP/1.1\r\nHost: h\r\n");
        for field in fields {
            text += &format!("X-Forwarded-For: {field}\r\n");
        }
        text += "\r\n";
        let from = from.parse().map_or(From::Unix, From::Ip);
        http::with_head(text.as_bytes(), 8_192, |head, _| {
            client_address(head, from, trusted, hops).to_string()
        })
        .unwrap()
        .unwrap()
    }

    #[test]
    fn a_trusted_peer_is_believed_and_nobody_else() {
        assert_eq!(client(&["192.0.2.1"], "10.0.0.1", true, 1), "192.0.2.1");
        assert_eq!(client(&["192.0.2.1"], "unix", true, 1), "192.0.2.1");
        assert_eq!(client(&["192.0.2.1"], "10.0.0.1", false, 1), "10.0.0.1");
        assert_eq!(client(&["192.0.2.1"], "10.0.0.1", true, 0), "10.0.0.1");
        assert_eq!(client(&[], "unix", true, 1), "unix");
    }

    #[test]
    fn what_a_client_wrote_itself_stands_further_left_than_anybody_looks() {
        let forged = &["203.0.113.9, 192.0.2.1"];
        assert_eq!(client(forged, "unix", true, 1), "192.0.2.1");
        let two_proxies = &["203.0.113.9, 192.0.2.1, 10.0.0.7"];
        assert_eq!(client(two_proxies, "unix", true, 2), "192.0.2.1");
        let two_lines = &["203.0.113.9", "192.0.2.1"];
        assert_eq!(client(two_lines, "unix", true, 1), "192.0.2.1");
        assert_eq!(
            client(&["203.0.113.9"], "unix", true, 2),
            "unix",
            "fewer than there are proxies"
        );
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        for (element, address) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("\"192.0.2.1:4711\"", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:DB8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1,", "192.0.2.1"),
        ] {
            assert_eq!(client(&[element], "unix", true, 1), address, "{element}");
        }
    }

    #[test]
    fn what_is_no_address_leaves_the_peers_own() {
        for element in [
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.1:x",
            "192.0.2.256",
            "[2001:db8::1",
            "2001:db8::1]",
            "[192.0.2.1]",
            "\"192.0.2.1",
            "fe80::1%eth0",
            "192.0.2.1 192.0.2.2",
            "\u{e9}",
            ",",
            "",
            "192.0.2.1, unknown",
        ] {
            assert_eq!(
                client(&[element], "10.0.0.1", true, 1),
                "10.0.0.1",
                "{element:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_that_a_client_writes_moves_what_our_proxies_add(written in "[ -~]{0,40}", bytes in "\\PC{0,20}") {
            let line = format!("{written}, 192.0.2.1");
            prop_assert_eq!(client(&[&line], "unix", true, 1), "192.0.2.1");
            prop_assert_eq!(client(&[&written, "192.0.2.1, 10.0.0.7"], "unix", true, 2), "192.0.2.1");
            client(&[&bytes], "unix", true, 1);
        }
    }
}
