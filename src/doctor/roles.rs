//! Collects the policies of IAM roles: inline policies, attached ones, and those managed by AWS. `assemble` calls it.

use super::model::{Attribute, IamRole, PolicyStatement};
use super::references::ResourceReference;
use super::resources::{AttributeReader, TerraformResource, link};
use super::value::TerraformValue;

/// AWS managed policies that the roles of Lambda functions often have. Each entry lists the actions that the policy allows
/// on all resources.
const MANAGED: [(&str, &[&str]); 4] = [
    ("AWSLambdaBasicExecutionRole", &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
    (
        "AWSLambdaSQSQueueExecutionRole",
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
    (
        "AWSXRayDaemonWriteAccess",
        &[
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
        ],
    ),
    (
        "AWSXrayWriteOnlyAccess",
        &[
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
        ],
    ),
];

/// The roles, each with the statements of all its policies.
pub(super) fn of(resources: &[TerraformResource]) -> Vec<IamRole> {
    let kind = |kind: &'static str| resources.iter().filter(move |resource| resource.kind == kind);
    let mut roles: Vec<IamRole> = kind("aws_iam_role")
        .map(|resource| {
            let mut role = IamRole { identity: resource.identity("name"), ..IamRole::default() };
            if let Attribute::Known(inline) = resource.attributes().blocks("inline_policy") {
                inline.iter().for_each(|block| role.add(&resource.address, block.document("policy")));
            }
            if let Attribute::Known(arns) = resource.attributes().list("managed_policy_arns") {
                arns.into_iter().for_each(|arn| role.attach(&resource.address, &link(arn), resources));
            }
            role
        })
        .collect();
    for policy in kind("aws_iam_role_policy") {
        let a = policy.attributes();
        with(&mut roles, &a.link("role"), |role| role.add(&policy.address, a.document("policy")));
    }
    for attachment in kind("aws_iam_role_policy_attachment") {
        let a = attachment.attributes();
        with(&mut roles, &a.link("role"), |role| {
            role.attach(&attachment.address, &a.link("policy_arn"), resources);
        });
    }
    roles
}

/// Calls `then` with the role that `meant` refers to. If the role is not known, calls `then` with every possible role:
/// without the policy on all of these roles, a rule could report a permission as missing although the role has it.
fn with(roles: &mut [IamRole], meant: &Attribute<ResourceReference>, mut then: impl FnMut(&mut IamRole)) {
    for role in roles {
        let is_it = meant.known().and_then(|link| link.means(&role.identity));
        if is_it != Some(false) {
            then(role);
        }
    }
}

impl IamRole {
    /// Adds the statements of a policy.
    fn add(&mut self, address: &str, policy: Attribute<TerraformValue>) {
        let policy = match policy {
            Attribute::Known(policy) => policy,
            Attribute::Unknown(why) => return self.unknown.push((address.to_owned(), why)),
            Attribute::Absent => return,
        };
        let Some(map) = policy.as_map() else {
            return self.unknown.push((address.to_owned(), format!("{policy} is not a policy")));
        };
        match AttributeReader(map).blocks("Statement") {
            Attribute::Known(statements) => statements.into_iter().for_each(|s| self.state(address, s)),
            Attribute::Unknown(why) => self.unknown.push((address.to_owned(), why)),
            Attribute::Absent => {}
        }
    }

    fn state(&mut self, address: &str, statement: AttributeReader<'_>) {
        let mut unknown = |why: String| self.unknown.push((address.to_owned(), why));
        let inverted = statement.value("NotAction") != Attribute::Absent
            || statement.value("NotResource") != Attribute::Absent;
        let either = |this: &'static str, that: &'static str| {
            if statement.value(this) == Attribute::Absent { that } else { this }
        };
        let actions = match statement.texts(either("Action", "NotAction")) {
            Attribute::Known(actions) => actions,
            Attribute::Unknown(why) => return unknown(why),
            Attribute::Absent => Vec::new(),
        };
        let mut resources = Vec::new();
        match statement.list(either("Resource", "NotResource")) {
            Attribute::Known(items) => {
                for item in items {
                    match link(item) {
                        Attribute::Known(link) => resources.push(link),
                        Attribute::Unknown(why) => unknown(why),
                        Attribute::Absent => {}
                    }
                }
            }
            Attribute::Unknown(why) => return unknown(why),
            Attribute::Absent => {}
        }
        let allow = statement.text("Effect").known().is_none_or(|effect| effect == "Allow");
        self.statements.push(PolicyStatement {
            address: address.to_owned(),
            allow,
            actions,
            resources,
            inverted,
        });
    }

    /// Adds a policy by its ARN. The policy is part of the configuration or managed by AWS.
    fn attach(&mut self, address: &str, arn: &Attribute<ResourceReference>, resources: &[TerraformResource]) {
        let arn = match arn {
            Attribute::Known(arn) => arn,
            Attribute::Unknown(why) => return self.unknown.push((address.to_owned(), why.clone())),
            Attribute::Absent => return,
        };
        let policies = resources.iter().filter(|resource| resource.kind == "aws_iam_policy");
        let mut ours = policies.filter(|policy| arn.means(&policy.identity("name")) == Some(true));
        if let Some(policy) = ours.next() {
            return self.add(&policy.address, policy.attributes().document("policy"));
        }
        let name = arn.text.rsplit('/').next().unwrap_or_default();
        match MANAGED.iter().find(|(managed, _)| *managed == name) {
            Some((_, actions)) => self.statements.push(PolicyStatement {
                address: address.to_owned(),
                allow: true,
                actions: actions.iter().map(|action| (*action).to_owned()).collect(),
                resources: vec![ResourceReference::of("*")],
                inverted: false,
            }),
            None => self
                .unknown
                .push((address.to_owned(), format!("the policy {arn} is not part of the configuration"))),
        }
    }
}
