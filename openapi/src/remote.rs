//! Shells and tunnels: requests that turn their HTTP connection into a stream.
//!
//! Each asks with `Connection: Upgrade` and a protocol's name, and is answered with 101; from then on the
//! connection carries that protocol. A shell speaks the frames of [`crate::frames`]. A tunnel's own stream only
//! tells what happens to it, and ends it when it ends; each connection through it is a stream of its own, which
//! carries bare bytes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Host, TunnelId, words};

/// The protocol of an open shell: frames both ways.
pub const SHELL_PROTOCOL: &str = "capsule-shell";
/// The protocol of a tunnel's own stream: lines of JSON from the daemon, nothing to it.
pub const TUNNEL_PROTOCOL: &str = "capsule-tunnel";
/// The protocol of a connection through a tunnel: bytes.
pub const CONNECTION_PROTOCOL: &str = "capsule-connection";

/// A command or a login shell on an xNode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShellRequest {
    /// The line for the user's login shell on the xNode; without one, the login shell itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The terminal it gets. Without one, standard error stays apart from standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
}

/// A terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    /// Its kind, as in `TERM`.
    pub kind: String,
    /// Width in characters.
    pub columns: u16,
    /// Height in characters.
    pub rows: u16,
}

words! {
    /// Which way connections go through a tunnel.
    TunnelDirection("tunnel direction") {
        /// From the client to what the xNode reaches.
        Local = "local",
        /// From a port on the xNode to the client.
        Remote = "remote",
    }
}

/// A tunnel to an xNode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelRequest {
    /// Which way its connections go.
    pub direction: TunnelDirection,
    /// `local`: where the xNode connects to, as seen from there. `remote`: the address on which it listens.
    pub host: Host,
    /// The port there; with `remote`, 0 lets the xNode choose.
    pub port: u16,
}

/// What happens to a tunnel, one line of JSON each. A line at least every 15 seconds shows that it is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "news", rename_all = "lowercase")]
pub enum TunnelNews {
    /// It is open; always the first line.
    Open {
        /// Its id, for the connections through it.
        tunnel: TunnelId,
        /// The port: with `remote` the one the xNode listens on.
        port: u16,
    },
    /// With `remote`: somebody connected there, and waits to be fetched by this number.
    Connection {
        /// The number.
        number: u64,
    },
    /// Nothing new.
    Alive,
    /// It has ended. The stream ends too.
    Closed {
        /// Why.
        reason: String,
    },
}

/// A connection through a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelConnectionRequest {
    /// With `remote`: which one to fetch. With `local` absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_tagged_lines() {
        let line = serde_json::to_string(&TunnelNews::Connection { number: 3 }).expect("JSON");
        assert_eq!(line, r#"{"news":"connection","number":3}"#);
        assert_eq!(serde_json::from_str::<TunnelNews>(r#"{"news":"alive"}"#).ok(), Some(TunnelNews::Alive));
    }
}
