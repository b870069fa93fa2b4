//! Identifiers: UUIDv7, so they sort by creation time, each its own type so they cannot be mixed up.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = "uuid")]
        pub struct $name(pub Uuid);

        impl $name {
            /// The last 8 characters, which is what tables show: the random end tells rows apart, the
            /// time at the front does not.
            pub fn short(&self) -> String {
                let text = self.0.simple().to_string();
                text[text.len() - 8..].to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A server in the inventory.
    XNodeId
);
id!(
    /// A configured question about an xNode.
    CheckId
);
id!(
    /// A problem, open or over.
    AlertId
);
id!(
    /// One alert change going to one channel; the receiver sees it, so a repeat is recognisable.
    DeliveryId
);
id!(
    /// A way of delivery.
    ChannelId
);
id!(
    /// A long-running piece of work.
    OperationId
);
id!(
    /// The durable wish to create or delete a server at a provider; the provider's record carries it as its mark.
    IntentId
);
id!(
    /// A difference between a provider and the inventory.
    FindingId
);
id!(
    /// Something done by itself when an alert stays open.
    RemediationId
);
id!(
    /// One time that a remediation did something, or was held back.
    RemediationRunId
);
id!(
    /// A tunnel, while it is open.
    TunnelId
);
id!(
    /// One request, in the reply header, the log and the audit row.
    RequestId
);
