use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    auth: AuthArgs,
}

fn settings(origin: Origin, arguments: &[&str]) -> Result<Settings, String> {
    let line = Line::try_parse_from([&["orders"], arguments].concat()).unwrap();
    line.auth.settings(origin).map_err(|faults| faults.join("\n"))
}

const JWKS: [&str; 6] =
    ["--jwks-url", "https://login.example/jwks", "--jwt-issuer", "i", "--jwt-audience", "a"];

#[test]
fn nobody_listens_to_other_machines_by_accident() {
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
        let origin = Origin::Listening(address.parse().unwrap());
        let outcome = settings(origin, &[]);
        assert_eq!(outcome.is_err(), exposed, "{address}: {outcome:?}");
        if let Err(fault) = outcome {
            for name in ["--jwks-file", "--jwks-url", "--jwt-issuer", "--jwt-audience", "--insecure-no-auth"]
            {
                assert!(fault.contains(name), "{fault}");
            }
        }
        assert!(matches!(settings(origin, &JWKS), Ok(Settings::Tokens(KeySource::Url(_), ..))));
        let insecure = settings(origin, &["--insecure-no-auth"]);
        let Ok(Settings::Nobody { warn, hosts }) = insecure else { panic!("{insecure:?}") };
        assert_eq!((warn, hosts == Hosts::Any), (exposed, exposed), "{address}");
        let named = settings(origin, &["--insecure-no-auth", "--allowed-hosts", "orders.internal"]);
        let local = Hosts::Local("orders.internal".parse().unwrap());
        assert!(matches!(&named, Ok(Settings::Nobody { hosts, .. }) if *hosts == local), "{named:?}");
    }
}

#[test]
fn contradictions_are_told_all_at_once() {
    let origin = Origin::Listening("127.0.0.1:0".parse().unwrap());
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
        (&["--auth", "none"], &["\"none\" is not known"]),
        (&["--insecure-no-auth=perhaps"], &["ORDERS_INSECURE_NO_AUTH \"perhaps\""]),
        (
            &["--insecure-no-auth", "--jwks-file", "f", "--jwt-issuer", "i", "--jwt-audience", "a"],
            &["excludes"],
        ),
    ] {
        let faults = settings(origin, arguments).unwrap_err();
        for text in expected {
            assert!(faults.contains(text), "{arguments:?}: {faults}");
        }
    }
}

#[cfg(feature = "aws")]
#[test]
fn a_function_is_told_whom_to_trust() {
    let faults = settings(Origin::Lambda, &[]).unwrap_err();
    assert!(faults.contains("ORDERS_AUTH=gateway") && faults.contains("ORDERS_INSECURE_NO_AUTH"), "{faults}");
    assert!(matches!(
        settings(Origin::Lambda, &["--auth", "gateway"]),
        Ok(Settings::Gateway { scope_prefix: None })
    ));
    let cognito = settings(Origin::Lambda, &["--auth", "gateway", "--jwt-scope-prefix", "orders/"]);
    assert!(matches!(cognito, Ok(Settings::Gateway { scope_prefix: Some(prefix) }) if *prefix == *"orders/"));
    assert!(matches!(settings(Origin::Lambda, &JWKS), Ok(Settings::Tokens(..))));
    assert!(settings(Origin::Lambda, &[&JWKS[..], &["--auth", "gateway"]].concat()).is_err());
    let insecure = settings(Origin::Lambda, &["--insecure-no-auth=true"]);
    assert!(matches!(insecure, Ok(Settings::Nobody { warn: true, .. })));
    assert!(settings(Origin::Lambda, &["--insecure-no-auth=false"]).is_err());
}
