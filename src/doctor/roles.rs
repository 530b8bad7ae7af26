//! What roles may do: their policies, wherever those are written.

use super::references::Link;
use super::model::{Attr, Role, Statement};
use super::resources::{Attributes, Resource, link};
use super::value::Value;

/// Policies that AWS manages and that functions are usually given, with what they allow everywhere.
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
pub(super) fn of(resources: &[Resource]) -> Vec<Role> {
    let kind = |kind: &'static str| resources.iter().filter(move |resource| resource.kind == kind);
    let mut roles: Vec<Role> = kind("aws_iam_role")
        .map(|resource| {
            let mut role = Role { identity: resource.identity("name"), ..Role::default() };
            if let Attr::Is(inline) = resource.attributes().blocks("inline_policy") {
                inline.iter().for_each(|block| role.add(&resource.address, block.document("policy")));
            }
            if let Attr::Is(arns) = resource.attributes().list("managed_policy_arns") {
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

/// The role that is meant; every role, if that cannot be told: then none of them is judged by what is not there.
fn with(roles: &mut [Role], meant: &Attr<Link>, mut then: impl FnMut(&mut Role)) {
    for role in roles {
        let is_it = meant.is().and_then(|link| link.means(&role.identity));
        if is_it != Some(false) {
            then(role);
        }
    }
}

impl Role {
    /// Adds the statements of a policy.
    fn add(&mut self, address: &str, policy: Attr<Value>) {
        let policy = match policy {
            Attr::Is(policy) => policy,
            Attr::Unknown(why) => return self.unknown.push((address.to_owned(), why)),
            Attr::Absent => return,
        };
        let Some(map) = policy.as_map() else {
            return self.unknown.push((address.to_owned(), format!("{policy} is no policy")));
        };
        match Attributes(map).blocks("Statement") {
            Attr::Is(statements) => statements.into_iter().for_each(|s| self.state(address, s)),
            Attr::Unknown(why) => self.unknown.push((address.to_owned(), why)),
            Attr::Absent => {}
        }
    }

    fn state(&mut self, address: &str, statement: Attributes<'_>) {
        let mut unknown = |why: String| self.unknown.push((address.to_owned(), why));
        let inverted =
            statement.value("NotAction") != Attr::Absent || statement.value("NotResource") != Attr::Absent;
        let either = |this: &'static str, that: &'static str| {
            if statement.value(this) == Attr::Absent { that } else { this }
        };
        let actions = match statement.texts(either("Action", "NotAction")) {
            Attr::Is(actions) => actions,
            Attr::Unknown(why) => return unknown(why),
            Attr::Absent => Vec::new(),
        };
        let mut resources = Vec::new();
        match statement.list(either("Resource", "NotResource")) {
            Attr::Is(items) => {
                for item in items {
                    match link(item) {
                        Attr::Is(link) => resources.push(link),
                        Attr::Unknown(why) => unknown(why),
                        Attr::Absent => {}
                    }
                }
            }
            Attr::Unknown(why) => return unknown(why),
            Attr::Absent => {}
        }
        let allow = statement.text("Effect").is().is_none_or(|effect| effect == "Allow");
        self.statements.push(Statement { address: address.to_owned(), allow, actions, resources, inverted });
    }

    /// Adds a policy by its ARN: one of the configuration, or one that AWS manages.
    fn attach(&mut self, address: &str, arn: &Attr<Link>, resources: &[Resource]) {
        let arn = match arn {
            Attr::Is(arn) => arn,
            Attr::Unknown(why) => return self.unknown.push((address.to_owned(), why.clone())),
            Attr::Absent => return,
        };
        let policies = resources.iter().filter(|resource| resource.kind == "aws_iam_policy");
        let mut ours = policies.filter(|policy| arn.means(&policy.identity("name")) == Some(true));
        if let Some(policy) = ours.next() {
            return self.add(&policy.address, policy.attributes().document("policy"));
        }
        let name = arn.text.rsplit('/').next().unwrap_or_default();
        match MANAGED.iter().find(|(managed, _)| *managed == name) {
            Some((_, actions)) => self.statements.push(Statement {
                address: address.to_owned(),
                allow: true,
                actions: actions.iter().map(|action| (*action).to_owned()).collect(),
                resources: vec![Link::of("*")],
                inverted: false,
            }),
            None => self
                .unknown
                .push((address.to_owned(), format!("the policy {arn} is not part of what is checked"))),
        }
    }
}
