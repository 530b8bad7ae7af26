//! The deployments that are priced, and the assumptions about each at a rate of orders. `mod` prices them.

use serde::Serialize;

/// What takes requests in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Front {
    HttpApi,
    LoadBalancer,
}

/// A deployment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::load) struct Profile {
    pub(in crate::load) name: &'static str,
    pub(super) front: Front,
    /// Whether the roles are Lambda functions; otherwise they are containers.
    pub(super) is_lambda: bool,
    /// Whether the capacity of the table is provisioned; otherwise it is on demand.
    pub(super) is_provisioned: bool,
    /// How many orders a request creates, for the tables of a million orders.
    pub(super) orders_of_request: f64,
    /// What a million orders should cost at 1,000 orders a second, in US dollars.
    pub(super) target: f64,
    /// How calls are shared at each of [`RATES`].
    pub(super) sharing: [Sharing; 3],
}

/// How many events share a call.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Sharing {
    /// A send.
    pub(super) sent: f64,
    /// A receive, and a delete.
    pub(super) received: f64,
    /// A write of the ledger.
    pub(super) counted: f64,
}

const fn sharing(sent: f64, received: f64, counted: f64) -> Sharing {
    Sharing { sent, received, counted }
}

/// Orders a second.
pub(super) const RATES: [f64; 3] = [1.0, 100.0, 1000.0];

pub(super) const PROFILES: [Profile; 4] = [
    Profile {
        name: "Lambda, single",
        front: Front::HttpApi,
        is_lambda: true,
        is_provisioned: false,
        orders_of_request: 1.0,
        target: 3.50,
        sharing: [sharing(1.0, 1.0, 1.0), sharing(1.0, 5.0, 5.0), sharing(1.0, 10.0, 10.0)],
    },
    Profile {
        name: "Lambda, bulk",
        front: Front::HttpApi,
        is_lambda: true,
        is_provisioned: false,
        orders_of_request: 100.0,
        target: 1.80,
        sharing: [sharing(10.0, 10.0, 10.0); 3],
    },
    Profile {
        name: "containers",
        front: Front::LoadBalancer,
        is_lambda: false,
        is_provisioned: false,
        orders_of_request: 1.0,
        target: 1.50,
        sharing: [sharing(1.0, 1.0, 1.0), sharing(2.0, 2.0, 2.0), sharing(9.0, 10.0, 10.0)],
    },
    Profile {
        name: "containers, provisioned",
        front: Front::LoadBalancer,
        is_lambda: false,
        is_provisioned: true,
        orders_of_request: 1.0,
        target: 0.90,
        sharing: [sharing(1.0, 1.0, 1.0), sharing(2.0, 2.0, 2.0), sharing(9.0, 10.0, 10.0)],
    },
];

/// Assumptions that are not measured: durations, sizes of functions and tasks, and how a deployment is used.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::load) struct CostAssumptions {
    /// The memory of the API's and of the consumer's function, in GB: the default of the Terraform module.
    pub(super) memory: f64,
    /// The memory of the relay's and of the webhook sender's function, in GB: the default of the Terraform module.
    pub(super) relay_memory: f64,
    /// The duration of a request in the API function, of one order; each further one of a bulk adds a fifth.
    pub(super) api_seconds: f64,
    /// The duration of a batch in the consumer function.
    pub(super) consumer_seconds: f64,
    /// The duration of a batch in the relay function.
    pub(super) relay_seconds: f64,
    /// The duration of a delivery in the function of the webhook sender.
    pub(super) delivery_seconds: f64,
    /// The read units of a delivery: the event, and the row that a held order has.
    pub(super) reads_of_delivery: f64,
    /// How many of the feed's four partitions a batch of the relay writes to. Each takes a write for the chunk and one for the
    /// head.
    pub(super) partitions_of_batch: f64,
    /// The write units of a rejected event: one for the receipt.
    pub(super) writes_of_rejection: f64,
    /// The write units of a parked event: one for the receipt, and one for the mark on the order. The dead letter
    /// itself costs no write, but a request to its queue.
    pub(super) writes_of_parking: f64,
    /// The read units of a page of a list: half a unit for each hundred entries of the index, and one for each order.
    pub(super) reads_of_list: f64,
    /// The share of provisioned capacity that is used.
    pub(super) utilization: f64,
    /// The bytes by which CloudWatch counts a log line larger than its text.
    pub(super) log_line_overhead: f64,
    /// New connections of clients to the load balancer, per request.
    pub(super) connections_of_request: f64,
    /// The number of long polls of an empty queue that wait at any time: the pollers of a mapping, or the workers of the containers.
    pub(super) pollers: f64,
    /// The duration of a long poll of an empty queue.
    pub(super) poll_seconds: f64,
}

pub(super) const ASSUMPTIONS: CostAssumptions = CostAssumptions {
    memory: 0.5,
    relay_memory: 0.25,
    api_seconds: 0.012,
    consumer_seconds: 0.030,
    relay_seconds: 0.020,
    delivery_seconds: 0.080,
    reads_of_delivery: 2.0,
    partitions_of_batch: 3.0,
    writes_of_rejection: 1.0,
    writes_of_parking: 2.0,
    reads_of_list: 0.5 + crate::load::worker::LIST_LIMIT as f64,
    utilization: 0.7,
    log_line_overhead: 26.0,
    connections_of_request: 0.1,
    pollers: 5.0,
    poll_seconds: 20.0,
};

/// The tasks of containers at each of [`RATES`]: how many, and the vCPUs and GB of each. Two of the API and of the consumer for
/// availability, and one of the dead letters and of the expiry.
pub(super) const TASKS: [(f64, f64, f64); 3] = [(6.0, 0.25, 0.5), (6.0, 0.25, 0.5), (6.0, 0.5, 1.0)];

/// Public IPv4 addresses of the load balancer, in two zones. Each task has one too.
pub(super) const BALANCER_ADDRESSES: f64 = 2.0;
pub(super) const HOURS_OF_MONTH: f64 = 730.0;
