use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

/// The public keys from appendices A.2 and A.3 of RFC 7515, and from appendix A.2 of RFC 8037.
fn published() -> [Value; 3] {
    [
        json!({ "kty": "RSA", "kid": "a", "n": MODULUS, "e": "AQAB" }),
        json!({ "kty": "EC", "kid": "b", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }),
        json!({ "kty": "OKP", "kid": "c", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
    ]
}

fn set(keys: &[Value]) -> anyhow::Result<KeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

#[test]
fn only_the_signatures_of_the_rfcs_are_valid() {
    let keys = set(&published()).unwrap();
    for (token, algorithm) in [
        (RS256, SignatureAlgorithm::Rs256),
        (ES256, SignatureAlgorithm::Es256),
        (EDDSA, SignatureAlgorithm::EdDsa),
    ] {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = keys.find(algorithm, None).unwrap();
        key.verify(signed.as_bytes(), &signature).unwrap();
        assert_eq!(key.verify(&signed.as_bytes()[1..], &signature), Err(AuthRefusal::Signature));
        signature[20] ^= 1;
        assert_eq!(key.verify(signed.as_bytes(), &signature), Err(AuthRefusal::Signature));
        assert_eq!(key.verify(signed.as_bytes(), &[]), Err(AuthRefusal::Signature));
    }
}

#[test]
fn a_key_is_found_by_its_id_and_its_own_algorithm() {
    let [rsa, ec, ed] = published();
    let keys = set(&[rsa, ec.clone(), ed]).unwrap();
    let outcome =
        |keys: &KeySet, algorithm, kid| keys.find(algorithm, kid).map(|key| key.id.clone().unwrap());
    assert_eq!(outcome(&keys, SignatureAlgorithm::Es256, Some("b")).as_deref(), Ok("b"));
    assert_eq!(outcome(&keys, SignatureAlgorithm::Es256, None).as_deref(), Ok("b"));
    assert_eq!(outcome(&keys, SignatureAlgorithm::Rs256, Some("b")), Err(AuthRefusal::OtherAlgorithm));
    assert_eq!(outcome(&keys, SignatureAlgorithm::Rs256, Some("z")), Err(AuthRefusal::UnknownKey));
    // The EC key from appendix A.1 of RFC 7517.
    let second = json!({ "kty": "EC", "kid": "d", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" });
    let keys = set(&[ec, second]).unwrap();
    assert_eq!(outcome(&keys, SignatureAlgorithm::Es256, None), Err(AuthRefusal::AmbiguousKey));
    assert_eq!(outcome(&keys, SignatureAlgorithm::Es256, Some("d")).as_deref(), Ok("d"));
    assert_eq!(outcome(&keys, SignatureAlgorithm::EdDsa, None), Err(AuthRefusal::UnknownKey));
}

#[test]
fn unusable_keys_are_ignored() {
    let [rsa, ec, ed] = published();
    let with = |key: &Value, member: &str, value: Value| {
        let mut key = key.clone();
        key[member] = value;
        key
    };
    // Moduli of 1024 and 2047 bits, which are too short. A modulus of 2047 bits has as many bytes as a modulus of 2048
    // bits.
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let just_short = URL_SAFE_NO_PAD.encode([[0x7f; 1].as_slice(), &[0xff; 255]].concat());
    let refused = [
        with(&rsa, "n", json!(short)),
        with(&rsa, "n", json!(just_short)),
        with(&rsa, "n", json!(URL_SAFE_NO_PAD.encode([0xff; 1025]))),
        with(&rsa, "n", json!("")),
        with(&rsa, "n", json!("+/")),
        with(&rsa, "e", Value::Null),
        with(&rsa, "use", json!("enc")),
        with(&rsa, "alg", json!("RS512")),
        with(&rsa, "alg", json!("HS256")),
        with(&rsa, "key_ops", json!(["encrypt"])),
        with(&ec, "crv", json!("P-384")),
        with(&ec, "crv", Value::Null),
        with(&ec, "y", json!("AA")),
        with(&ec, "d", json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")),
        with(&ec, "alg", json!("EdDSA")),
        with(&ed, "crv", json!("X25519")),
        json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256" }),
        json!({ "kid": "nothing" }),
        json!("text"),
    ];
    for key in refused {
        assert_eq!(set(std::slice::from_ref(&key)).unwrap().len(), 0, "{key}");
        let beside_another = if key["kty"] == "OKP" { &ec } else { &ed };
        assert_eq!(set(&[key.clone(), beside_another.clone()]).unwrap().0.len(), 1, "{key}");
    }
    for key in [
        with(&rsa, "alg", json!("RS256")),
        with(&ed, "alg", json!("Ed25519")),
        with(&ec, "use", json!("sig")),
    ] {
        assert_eq!(set(std::slice::from_ref(&key)).unwrap().len(), 1, "{key}");
    }
    assert_eq!(set(&[]).unwrap().len(), 0);
    assert!(KeySet::parse(b"[]").is_err() && KeySet::parse(b"").is_err() && set(&vec![ed; 101]).is_err());
}

#[test]
fn a_key_may_occur_twice_and_be_padded() {
    let [rsa, ec, ed] = published();
    for key in [&rsa, &ec, &ed] {
        let mut again = key.clone();
        again["kid"] = json!("again");
        let keys = set(&[key.clone(), key.clone(), again]).unwrap();
        let algorithm = keys.0[0].algorithm();
        for kid in [key["kid"].as_str(), Some("again"), None] {
            assert!(keys.find(algorithm, kid).is_ok(), "{key} {kid:?}");
        }
    }
    let mut padded = ec.clone();
    for member in ["x", "y"] {
        padded[member] = json!(format!("{}=", ec[member].as_str().unwrap()));
    }
    let keys = set(&[padded, ec]).unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.find(SignatureAlgorithm::Es256, None).is_ok(), "both entries of the set are the same key");
}
