//! The JSON of Django's `JSONSerializer`, and of django-redis' one.

use serde::Deserialize;

use super::{Bad, GROUPS, Session, USER_ID, USERNAME};

/// Reads the JSON of a session. Everything but the three fields is skipped without being kept.
pub(super) fn session(json: &[u8]) -> Result<Session, Bad> {
    if json.starts_with(b"\x80") {
        return Err(Bad::Pickled);
    }
    let stored: Stored = serde_json::from_slice(json).map_err(|_| Bad::NotASession)?;
    let groups = match stored.groups {
        None => Vec::new(),
        Some(Value::Many(names)) => names
            .into_iter()
            .map(|name| name.text(GROUPS))
            .collect::<Result<_, Bad>>()?,
        Some(_) => return Err(Bad::NotAName(GROUPS)),
    };
    let one = |value: Option<Value>, field| value.map(|value| value.text(field)).transpose();
    Session::checked(
        one(stored.user_id, USER_ID)?,
        one(stored.username, USERNAME)?,
        groups,
    )
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "_auth_user_id")]
    user_id: Option<Value>,
    #[serde(rename = "ws4redis:username")]
    username: Option<Value>,
    #[serde(rename = "ws4redis:memberof")]
    groups: Option<Value>,
}

/// What one of the fields may be. An application that logs users in by itself may store a number as user.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Integer(i64),
    Many(Vec<Value>),
    Other(serde::de::IgnoredAny),
}

impl Value {
    fn text(self, field: &'static str) -> Result<String, Bad> {
        match self {
            Value::Text(text) => Ok(text),
            Value::Integer(integer) => Ok(integer.to_string()),
            Value::Many(_) | Value::Other(_) => Err(Bad::NotAName(field)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_names_and_anything_else_is_not() {
        let read = session(br#"{"_auth_user_id":7,"ws4redis:memberof":["a",8],"x":[{}]}"#).unwrap();
        assert_eq!(read.user_id.as_deref(), Some("7"));
        assert_eq!(read.groups, ["a", "8"]);
        for (json, field) in [
            (r#"{"_auth_user_id":["7"]}"#, USER_ID),
            (r#"{"ws4redis:username":{"a":1}}"#, USERNAME),
            (r#"{"ws4redis:username":1.5}"#, USERNAME),
            (r#"{"ws4redis:memberof":"staff"}"#, GROUPS),
            (r#"{"ws4redis:memberof":[["staff"]]}"#, GROUPS),
            (r#"{"ws4redis:memberof":[null]}"#, GROUPS),
        ] {
            assert_eq!(
                session(json.as_bytes()),
                Err(Bad::NotAName(field)),
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_absent_or_null_is_nobody() {
        let null = br#"{"_auth_user_id":null,"ws4redis:username":null,"ws4redis:memberof":null}"#;
        assert_eq!(session(null), Ok(Session::default()));
        assert_eq!(session(b"{}"), Ok(Session::default()));
        for none in ["", "[]", "null", "7", "\"_auth_user_id\"", "{", "{}{}"] {
            assert_eq!(session(none.as_bytes()), Err(Bad::NotASession), "{none}");
        }
    }

    #[test]
    fn nesting_is_refused_and_does_not_exhaust_the_stack() {
        for field in ["ws4redis:memberof", "cart"] {
            let deep = "[".repeat(500_000);
            let said = session(format!("{{\"{field}\":{deep}").as_bytes());
            assert_eq!(said, Err(Bad::NotASession));
        }
    }

    #[test]
    fn a_pickle_inside_is_named() {
        assert_eq!(session(b"\x80\x05}."), Err(Bad::Pickled));
    }
}
