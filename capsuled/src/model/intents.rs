//! The durable wish to make or delete a server, as it is stored.

use capsule_api::{
    AccountName, DeploymentOffer, DeploymentState, InstanceRef, IntentId, IntentKind, OperationId,
    ServerSpec, XNodeId, XNodeName,
};
use jiff::Timestamp;

/// An intent's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Its id; the mark at the provider is made from it.
    pub id: IntentId,
    /// Whether a server is made or deleted.
    pub kind: IntentKind,
    /// The operation that carries it out.
    pub operation: OperationId,
    /// The server's name.
    pub name: XNodeName,
    /// What the server is to be like; of a deletion only its tags.
    pub spec: ServerSpec,
    /// cloud-init or script, sealed for `intents/ID/user_data`.
    pub user_data: Option<Vec<u8>>,
    /// What can be bought, the best first; empty for a deletion.
    pub offers: Vec<DeploymentOffer>,
    /// The offer in hand.
    pub offer: usize,
    /// How far it has come.
    pub state: DeploymentState,
    /// Since when it is there.
    pub state_at: Timestamp,
    /// The account in hand.
    pub account: AccountName,
    /// The region in hand.
    pub region: String,
    /// What the provider's preparation found; of a deletion, what would be left behind.
    pub prepared: serde_json::Value,
    /// The server at the provider, once it is known.
    pub instance: Option<InstanceRef>,
    /// How often the creation was sent.
    pub sends: u32,
    /// When it was sent last.
    pub sent_at: Option<Timestamp>,
    /// Before this an empty look-up proves nothing.
    pub looked_until: Option<Timestamp>,
    /// The server in the inventory, once it is there.
    pub xnode: Option<XNodeId>,
    /// Why it failed or was cancelled, or what it waits for; empty: nothing to say.
    pub reason: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl Intent {
    /// The offer in hand; a deletion has none.
    pub fn offer_in_hand(&self) -> Option<&DeploymentOffer> {
        self.offers.get(self.offer)
    }
}
