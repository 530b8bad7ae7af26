use clap::Parser;

use super::*;

#[derive(Parser)]
struct AuthCommandLine {
    #[command(flatten)]
    auth: AuthArgs,
}

fn settings(origin: RequestOrigin, arguments: &[&str]) -> Result<AuthSettings, String> {
    let line = AuthCommandLine::try_parse_from([&["orders"], arguments].concat()).unwrap();
    line.auth.settings(origin).map_err(|problems| problems.join("\n"))
}

const JWKS: [&str; 6] =
    ["--jwks-url", "https://login.example/jwks", "--jwt-issuer", "i", "--jwt-audience", "a"];

#[test]
fn an_address_that_others_can_reach_needs_authentication() {
    for (address, exposed) in [
        ("127.0.0.1:0", false),
        ("127.9.9.9:80", false),
        ("[::1]:80", false),
        ("[::ffff:127.0.0.1]:80", false),
        ("0.0.0.0:80", true),
        ("[::]:80", true),
        ("10.0.0.1:80", true),
        ("[::ffff:10.0.0.1]:80", true),
    ] {
        let origin = RequestOrigin::Listening(address.parse().unwrap());
        let outcome = settings(origin, &[]);
        assert_eq!(outcome.is_err(), exposed, "{address}: {outcome:?}");
        if let Err(problem) = outcome {
            for name in ["--jwks-file", "--jwks-url", "--jwt-issuer", "--jwt-audience", "--insecure-no-auth"]
            {
                assert!(problem.contains(name), "{problem}");
            }
        }
        assert!(matches!(settings(origin, &JWKS), Ok(AuthSettings::Tokens(KeySource::Url(_), ..))));
        let insecure = settings(origin, &["--insecure-no-auth"]);
        let Ok(AuthSettings::Nobody { warn, hosts }) = insecure else { panic!("{insecure:?}") };
        assert_eq!((warn, hosts == Hosts::Any), (exposed, exposed), "{address}");
        let named = settings(origin, &["--insecure-no-auth", "--allowed-hosts", "orders.internal"]);
        let local = Hosts::Local("orders.internal".parse().unwrap());
        assert!(matches!(&named, Ok(AuthSettings::Nobody { hosts, .. }) if *hosts == local), "{named:?}");
    }
}

#[test]
fn all_contradictions_are_reported_together() {
    let origin = RequestOrigin::Listening("127.0.0.1:0".parse().unwrap());
    for (arguments, expected) in [
        (
            &["--jwks-file", "f", "--jwks-url", "u"][..],
            &["exclude each other", "--jwt-issuer", "--jwt-audience"][..],
        ),
        (&["--jwt-issuer", "i", "--jwt-audience", "a"], &["--jwt-issuer", "--jwt-audience", "--jwks-file"]),
        (&["--jwks-url", "http://login.example", "--jwt-leeway", "601"], &["https", "0–600", "--jwt-issuer"]),
        (
            &[&JWKS[..], &["--jwks-max-stale", "59", "--auth-failure-limit", "none"]].concat(),
            &["ORDERS_JWKS_MAX_STALE \"59\" is not 60–604800", "ORDERS_AUTH_FAILURE_LIMIT \"none\""],
        ),
        (&["--allowed-hosts", "http://orders"], &["ORDERS_ALLOWED_HOSTS"]),
        (&["--auth", "gateway"], &["for Lambda functions"]),
        (&["--jwt-scope-prefix", "orders/"], &["--jwt-scope-prefix", "--jwks-file"]),
        (
            &[&JWKS[..], &["--jwt-scope-prefix", "our orders/"]].concat(),
            &["ORDERS_JWT_SCOPE_PREFIX \"our orders/\"", "blanks"],
        ),
        (&["--auth", "none"], &["\"none\" is not supported"]),
        (&["--insecure-no-auth=perhaps"], &["ORDERS_INSECURE_NO_AUTH \"perhaps\""]),
        (
            &["--insecure-no-auth", "--jwks-file", "f", "--jwt-issuer", "i", "--jwt-audience", "a"],
            &["excludes"],
        ),
    ] {
        let problems = settings(origin, arguments).unwrap_err();
        for text in expected {
            assert!(problems.contains(text), "{arguments:?}: {problems}");
        }
    }
}

#[cfg(feature = "aws")]
#[test]
fn a_function_needs_tokens_or_a_gateway() {
    let problems = settings(RequestOrigin::Lambda, &[]).unwrap_err();
    assert!(
        problems.contains("ORDERS_AUTH=gateway") && problems.contains("ORDERS_INSECURE_NO_AUTH"),
        "{problems}"
    );
    assert!(matches!(
        settings(RequestOrigin::Lambda, &["--auth", "gateway"]),
        Ok(AuthSettings::Gateway { scope_prefix: None })
    ));
    let cognito = settings(RequestOrigin::Lambda, &["--auth", "gateway", "--jwt-scope-prefix", "orders/"]);
    assert!(
        matches!(cognito, Ok(AuthSettings::Gateway { scope_prefix: Some(prefix) }) if *prefix == *"orders/")
    );
    assert!(matches!(settings(RequestOrigin::Lambda, &JWKS), Ok(AuthSettings::Tokens(..))));
    assert!(settings(RequestOrigin::Lambda, &[&JWKS[..], &["--auth", "gateway"]].concat()).is_err());
    let insecure = settings(RequestOrigin::Lambda, &["--insecure-no-auth=true"]);
    assert!(matches!(insecure, Ok(AuthSettings::Nobody { warn: true, .. })));
    assert!(settings(RequestOrigin::Lambda, &["--insecure-no-auth=false"]).is_err());
}
