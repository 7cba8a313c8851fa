//! The environment: `WEBSOCKET_URL` and all that begins with `WS4REDIS_`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::keys::{KEYS, Key};
use super::load::{ConfigError, Origin, Setting};
use super::suggest::nearest;

/// What the environment says.
#[derive(Debug)]
pub(super) struct Environment {
    /// `WS4REDIS_CONFIG`.
    pub(super) file: Option<PathBuf>,
    /// The settings.
    pub(super) settings: Vec<Setting>,
}

/// The variable that names the file.
pub(super) const CONFIG: &str = "WS4REDIS_CONFIG";
const PREFIX: &str = "WS4REDIS_";

/// Settings of the original that name Python code. One of them we have too, and it names flags.
const PYTHON: [&str; 3] = [
    "WS4REDIS_SUBSCRIBER",
    "WS4REDIS_ALLOWED_CHANNELS",
    "WS4REDIS_PROCESS_REQUEST",
];

/// Picks out what is ours, in the order of the names, so that of two errors always the same one is told.
pub(super) fn read(mut variables: Vec<(OsString, OsString)>) -> Result<Environment, ConfigError> {
    variables.sort();
    let mut environment = Environment {
        file: None,
        settings: Vec::new(),
    };
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else {
            continue;
        };
        if name == CONFIG {
            environment.file = Some(PathBuf::from(value));
        } else {
            environment.settings.push(setting(name, value)?);
        }
    }
    Ok(environment)
}

fn setting(name: &str, value: OsString) -> Result<Setting, ConfigError> {
    let named = KEYS.iter().find(|key| key.variable() == name);
    let secret = || {
        KEYS.iter()
            .find(|key| key.secret_variable().as_deref() == Some(name))
    };
    let Some(key) = named.or_else(secret) else {
        return Err(unknown(name));
    };
    let Ok(value) = value.into_string() else {
        return Err(ConfigError::Invalid {
            subject: name.to_owned(),
            must: "must be UTF-8".to_owned(),
        });
    };
    if named.is_none() {
        return Ok(Setting {
            key,
            words: vec![value],
            origin: Origin::Secret(name.to_owned()),
        });
    }
    // Our flags have no dots, and names of Python functions have one.
    if PYTHON.contains(&name) && value.contains('.') {
        return Err(ConfigError::Python(name.to_owned()));
    }
    Ok(Setting {
        key,
        words: key.words(&value),
        origin: Origin::Variable(name.to_owned()),
    })
}

fn unknown(name: &str) -> ConfigError {
    if PYTHON.contains(&name) {
        return ConfigError::Python(name.to_owned());
    }
    let variables: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let names = variables.iter().map(String::as_str).chain([CONFIG]);
    // The prefix is right or we would not be here: the rest alone says how near two names are.
    let nearest = nearest(
        name.trim_start_matches(PREFIX),
        names.map(|name| name.trim_start_matches(PREFIX)),
    );
    ConfigError::UnknownVariable {
        name: name.to_owned(),
        nearest: nearest.map(|rest| match rest {
            "WEBSOCKET_URL" => rest.to_owned(),
            rest => format!("{PREFIX}{rest}"),
        }),
    }
}

/// Kubernetes gives every pod variables about each service beside it. For a service that is called
/// `ws4redis` they begin like ours, and nobody wrote them.
fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return name == "WEBSOCKET_URL";
    };
    let of_kubernetes = rest == "PORT"
        || rest.starts_with("PORT_")
        || rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT");
    !of_kubernetes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Environment, String> {
        read(
            variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn an_unknown_variable_suggests_the_nearest() {
        for (name, error) in [
            (
                "WS4REDIS_HARTBEAT",
                "WS4REDIS_HARTBEAT: unknown variable: did you mean WS4REDIS_HEARTBEAT?",
            ),
            (
                "WS4REDIS_WEBSOCKET_URL",
                "WS4REDIS_WEBSOCKET_URL: unknown variable: did you mean WEBSOCKET_URL?",
            ),
            ("WS4REDIS_COLOUR", "WS4REDIS_COLOUR: unknown variable"),
        ] {
            assert_eq!(environment(&[(name, "x")]).unwrap_err(), error);
        }
    }

    #[test]
    fn settings_that_name_python_code_say_so() {
        let error = environment(&[("WS4REDIS_ALLOWED_CHANNELS", "a.b")]).unwrap_err();
        assert!(error.contains("Python"), "{error}");
        let error = environment(&[("WS4REDIS_PROCESS_REQUEST", "x")]).unwrap_err();
        assert!(error.contains("Python"), "{error}");
        let ours = environment(&[("WS4REDIS_ALLOWED_CHANNELS", "subscribe-user,publish-user")]);
        assert_eq!(ours.unwrap().settings[0].words.len(), 2);
    }

    #[test]
    fn a_key_is_named_by_its_file_or_said_as_it_is() {
        let environment = environment(&[
            ("WS4REDIS_DJANGO_SECRET_KEY", "a,b"),
            ("WS4REDIS_JWT_KEY_FILE", "/run/key"),
        ])
        .unwrap();
        let [secret, file] = &environment.settings[..] else {
            panic!("{:?}", environment.settings);
        };
        assert_eq!(secret.key.name, "django_secret_key_file");
        assert!(matches!(secret.origin, Origin::Secret(_)));
        assert_eq!(secret.words, ["a,b"]);
        assert!(matches!(file.origin, Origin::Variable(_)));
    }

    #[test]
    fn others_variables_are_passed_over_those_of_kubernetes_too() {
        let environment = environment(&[
            ("PATH", "/bin"),
            ("REDIS_URL", "x"),
            ("WS4REDIS_PORT", "tcp://10.0.0.1:8000"),
            ("WS4REDIS_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("WS4REDIS_SERVICE_HOST", "10.0.0.1"),
            ("WS4REDIS_SERVICE_PORT_HTTP", "8000"),
        ])
        .unwrap();
        assert!(environment.settings.is_empty());
    }

    #[test]
    fn the_file_and_lists_are_read() {
        let environment = environment(&[
            ("WS4REDIS_CONFIG", "/etc/ws4redis.toml"),
            ("WS4REDIS_TRUSTED", "10.0.0.0/8, ::1,"),
        ])
        .unwrap();
        assert_eq!(environment.file, Some("/etc/ws4redis.toml".into()));
        assert_eq!(environment.settings[0].words, ["10.0.0.0/8", "::1"]);
    }
}
