//! Where S3 is, by the SDK's configuration, and whether Amazon runs it. [`super::bucket`] addresses buckets by it.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// The domains of Amazon's endpoints in all partitions.
const AMAZON: [&str; 11] = [
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

/// The endpoint that a client of S3 with this configuration uses, if one is set: by the program, or else for S3 alone
/// (`AWS_ENDPOINT_URL_S3`, or the profile's `services` section), or else for all services (`AWS_ENDPOINT_URL`).
pub(super) fn of_s3(config: &SdkConfig) -> Option<String> {
    let of_all = config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return of_all;
    }
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let of_s3 =
        config.service_config().zip(key.build().ok()).and_then(|(service, key)| service.load_config(key));
    of_s3.or(of_all)
}

/// Whether the URL is that of an endpoint of Amazon's, VPC endpoints included.
pub(super) fn is_amazons(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    AMAZON
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    /// What an environment sets for S3 alone.
    #[derive(Debug)]
    struct ForS3(&'static str);

    impl LoadServiceConfig for ForS3 {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            let asked = (key.service_id(), key.env(), key.profile());
            (asked == ("S3", "AWS_ENDPOINT_URL", "endpoint_url")).then(|| self.0.to_owned())
        }
    }

    #[test]
    fn an_endpoint_for_s3_alone_counts_before_that_for_all_services() {
        let none = SdkConfig::builder().build();
        let all = SdkConfig::builder().endpoint_url("http://all").build();
        let s3 = SdkConfig::builder().service_config(ForS3("http://s3")).build();
        let both = SdkConfig::builder().endpoint_url("http://all").service_config(ForS3("http://s3")).build();
        let found = [&none, &all, &s3, &both].map(of_s3);
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [None, Some("http://all"), Some("http://s3"), Some("http://s3")]);
    }

    #[test]
    fn amazons_endpoints_are_told_from_others_in_every_partition() {
        for amazons in [
            "https://s3.eu-central-1.amazonaws.com",
            "https://s3.dualstack.eu-west-1.api.aws/",
            "https://s3.cn-north-1.amazonaws.com.cn",
            "https://s3.us-gov-west-1.amazonaws.com:443",
            "https://S3.EUSC-DE-EAST-1.amazonaws.eu",
            "https://bucket.vpce-0a1b-c2d3.s3.us-east-1.vpce.amazonaws.com",
            "https://s3.us-iso-east-1.c2s.ic.gov.",
        ] {
            assert!(is_amazons(amazons), "{amazons}");
        }
        for other in [
            "http://127.0.0.1:4566",
            "http://[::1]:4566",
            "http://minio:9000/amazonaws.com",
            "https://notamazonaws.com",
            "https://amazonaws.com.example",
            "https://amazonaws.com@minio.example",
        ] {
            assert!(!is_amazons(other), "{other}");
        }
    }
}
