//! Finds the S3 endpoint in the SDK's configuration, and decides whether Amazon runs that endpoint. [`super::bucket`]
//! chooses the address style of a bucket by this decision.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// The domains of AWS endpoints in all partitions.
const AWS_DOMAINS: [&str; 11] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "aws.hci.ic.gov",
];

/// The endpoint that an S3 client with the configuration uses, or `None` for the default endpoint. An endpoint that the
/// program sets takes precedence, then the endpoint for S3 (`AWS_ENDPOINT_URL_S3` or the profile's `services` section),
/// then the endpoint for all services (`AWS_ENDPOINT_URL`).
pub(super) fn s3_endpoint(config: &SdkConfig) -> Option<String> {
    let for_all = config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return for_all;
    }
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let for_s3 =
        config.service_config().zip(key.build().ok()).and_then(|(service, key)| service.load_config(key));
    for_s3.or(for_all)
}

/// Whether the URL is an AWS endpoint. VPC endpoints count too.
pub(super) fn is_aws(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    AWS_DOMAINS
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    /// An environment that sets an endpoint only for S3.
    #[derive(Debug)]
    struct S3EndpointOverride(&'static str);

    impl LoadServiceConfig for S3EndpointOverride {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            let query = (key.service_id(), key.env(), key.profile());
            (query == ("S3", "AWS_ENDPOINT_URL", "endpoint_url")).then(|| self.0.to_owned())
        }
    }

    #[test]
    fn an_endpoint_for_s3_takes_precedence_over_one_for_all_services() {
        let none = SdkConfig::builder().build();
        let all = SdkConfig::builder().endpoint_url("http://all").build();
        let s3 = SdkConfig::builder().service_config(S3EndpointOverride("http://s3")).build();
        let both = SdkConfig::builder()
            .endpoint_url("http://all")
            .service_config(S3EndpointOverride("http://s3"))
            .build();
        let found = [&none, &all, &s3, &both].map(s3_endpoint);
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [None, Some("http://all"), Some("http://s3"), Some("http://s3")]);
    }

    #[test]
    fn aws_endpoints_are_recognised_in_every_partition() {
        for aws in [
            "https://s3.eu-central-1.amazonaws.com",
            "https://s3.dualstack.eu-west-1.api.aws/",
            "https://s3.cn-north-1.amazonaws.com.cn",
            "https://s3.us-gov-west-1.amazonaws.com:443",
            "https://S3.EUSC-DE-EAST-1.amazonaws.eu",
            "https://bucket.vpce-0a1b-c2d3.s3.us-east-1.vpce.amazonaws.com",
            "https://s3.us-iso-east-1.c2s.ic.gov.",
        ] {
            assert!(is_aws(aws), "{aws}");
        }
        for other in [
            "http://127.0.0.1:4566",
            "http://[::1]:4566",
            "http://minio:9000/amazonaws.com",
            "https://notamazonaws.com",
            "https://amazonaws.com.example",
            "https://amazonaws.com@minio.example",
        ] {
            assert!(!is_aws(other), "{other}");
        }
    }
}
